"""How strong each layer is among all: the Bradley-Terry model with ties of Davidson (1970).

    P(j beats i) = s_j / (s_i + s_j + v sqrt(s_i s_j)),   P(tie) = v sqrt(s_i s_j) / (same)

With s = exp(b) it is a multinomial logit that is linear in b and log v, so its likelihood is concave. A length
term, c times a known difference of the two texts, adds to b_j - b_i and takes what the length explains out of b.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vila2.judge.resampling import joined, maximize


def strengths(
    first: Sequence[int],
    second: Sequence[int],
    scores: Sequence[float],
    weights: np.ndarray,
    *,
    layers: int,
    length: Sequence[float] | None = None,
) -> np.ndarray:
    """The strengths b of the layers, [resamples, layers], in log-odds against the first layer (which has 0).

    Args:
        first, second: the layers compared in each row, as numbers.
        scores: 1 where the second won, 0 where the first did, 0.5 for a tie.
        weights: of the rows, [resamples, rows].
        layers: how many there are.
        length: a difference of the two texts (second minus first) that may explain the score.
    """
    design = np.zeros((len(scores), layers + 1))
    rows = np.arange(len(scores))
    design[rows, np.asarray(first)] -= 1
    design[rows, np.asarray(second)] += 1
    design[:, layers] = 0 if length is None else length
    table, counts = joined(np.column_stack([design, scores]), weights)
    found = davidson(table[:, :-1], table[:, -1], counts)[:, :layers]
    return found - found[:, :1]


def davidson(design: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The coefficients of every column of the design and then log v, [resamples, columns + 1].

    Args:
        design: [rows, columns]; the log-odds of a win over a loss are ``design @ coefficients``.
        scores: 1, 0.5 or 0, [rows].
        weights: of the rows, [resamples, rows].
    """
    columns = design.shape[1]
    outer = (design[:, :, None] * design[:, None, :]).reshape(len(design), -1)
    ties, won = scores == 0.5, np.sign(scores - 0.5)

    def slopes(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
