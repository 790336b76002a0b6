"""The strength of each layer among all: the Bradley-Terry model with Davidson's ties (1970).

    P(j beats i) = s_j / (s_i + s_j + v sqrt(s_i s_j)),   P(tie) = v sqrt(s_i s_j) / (same)

With s = exp(b) the model is a multinomial logit that is linear in b and log v, so its log-likelihood is
concave. A length term, c times a known difference of the two texts, is added to b_j - b_i; so b holds only
what length does not explain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vila2.evaluate.measures.intervals import Floats
from vila2.judge.resampling import joined, maximize


def strengths(
    first: Sequence[int],
    second: Sequence[int],
    scores: Sequence[float],
    weights: Floats,
    *,
    layers: int,
    length: Floats | None = None,
) -> Floats:
    """Fits the strengths b of the layers.

    Args:
        first, second: numbers of the two layers that each row compares.
        scores: score of each row: 1 where the second layer won, 0 where the first did, 0.5 for a tie.
        weights: weights of the rows, [resamples, rows].
        layers: number of layers.
        length: difference in length of each row's texts (second minus first), which may explain the score.

    Returns:
        Log-odds against the first layer, [resamples, layers]; the first layer has 0.
    """
    design = np.zeros((len(scores), layers + 1))
    rows = np.arange(len(scores))
    design[rows, np.asarray(first)] -= 1
    design[rows, np.asarray(second)] += 1
    design[:, layers] = 0 if length is None else length
    table, counts = joined(np.column_stack([design, scores]), weights)
    found: Floats = davidson(table[:, :-1], table[:, -1], counts)[:, :layers]
    against_first: Floats = found - found[:, :1]
    return against_first


def davidson(design: Floats, scores: Floats, weights: Floats) -> Floats:
    """Fits the model with Davidson's ties.

    Args:
        design: design matrix, [rows, columns]; the log-odds of a win over a loss are ``design @
            coefficients``.
        scores: score of each row, [rows]: 1, 0.5 or 0.
        weights: weights of the rows, [resamples, rows].

    Returns:
        The coefficients of the columns, and after them log v, [resamples, columns + 1].
    """
    columns = design.shape[1]
    outer = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    ties, won = scores == 0.5, np.sign(scores - 0.5)

    def slopes(at: Floats) -> tuple[Floats, Floats]:
        half = at[:, :columns] @ design.T / 2
        tie = np.broadcast_to(at[:, columns:], half.shape)
        largest = np.maximum(np.abs(half), tie)
        win, loss, even = np.exp(half - largest), np.exp(-half - largest), np.exp(tie - largest)
        total = win + loss + even
        ahead, tied = (win - loss) / total, even / total
        gradient = np.column_stack(
            [(weights * (won - ahead)) @ design / 2, (weights * (ties - tied)).sum(axis=1)]
        )
        curvature = np.empty((len(at), columns + 1, columns + 1))
        among = (weights * (1 - tied - ahead**2)) @ outer / 4
        curvature[:, :columns, :columns] = among.reshape(-1, columns, columns)
        curvature[:, :columns, columns] = -(weights * ahead * tied) @ design / 2
        curvature[:, columns, :columns] = curvature[:, :columns, columns]
        curvature[:, columns, columns] = (weights * tied * (1 - tied)).sum(axis=1)
        return gradient, curvature

    return maximize(slopes, len(weights), columns + 1)
