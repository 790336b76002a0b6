"""The win rate at equal length: a logistic regression of the win on the length difference (AlpacaEval 2, Dubois et al. 2024).

    logit P(second wins) = a + c tanh(d / sd(d)),   d = words of the second text - words of the first

The controlled win rate is sigmoid(a): what is predicted where both are equally long. A tie is half a win.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vila2.judge.resampling import joined, maximize

#: Each of the two must be the longer one in this share of the pairs, and in so many, or equally long.
OVERLAP_SHARE, OVERLAP_PAIRS = 0.05, 10


def scaled(differences: Sequence[float]) -> np.ndarray:
    """tanh(d / sd(d)); zeros where all texts are equally long."""
    d = np.asarray(differences, dtype=np.float64)
    deviation = d.std()
    return np.tanh(d / deviation) if deviation else np.sign(d)


def overlap(differences: Sequence[float]) -> float:
    """In what share of the pairs the text that is mostly the shorter one is at least as long as the other."""
    d = np.asarray(differences)
    return float(min((d >= 0).mean(), (d <= 0).mean()))


def can_control(differences: Sequence[float]) -> bool:
    """Whether length and layer can be told apart at all.

    Where one layer is nearly always the longer one, the rate at equal length would be a guess far outside of
    what was seen.
    """
    share = overlap(differences)
    return share >= OVERLAP_SHARE and round(share * len(differences)) >= OVERLAP_PAIRS


def controlled_rate(scores: Sequence[float], length: Sequence[float], weights: np.ndarray) -> np.ndarray:
    """The rate at which the second text wins at equal length, [resamples].

    Args:
        scores: 1 where the second won, 0 where the first did, 0.5 for a tie.
        length: of :func:`scaled`.
        weights: of the rows, [resamples, rows].
    """
    rows = np.column_stack([np.ones(len(scores)), length, scores])
    table, counts = joined(rows, weights)
    design, wins = table[:, :2], table[:, 2]
    outer = (design[:, :, None] * design[:, None, :]).reshape(len(design), 4)

    def slopes(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        expected = 1 / (1 + np.exp(-at @ design.T))
        gradient = (counts * (wins - expected)) @ design
        curvature = (counts * expected * (1 - expected)) @ outer
        return gradient, curvature.reshape(-1, 2, 2)

    return 1 / (1 + np.exp(-maximize(slopes, len(weights), 2)[:, 0]))
