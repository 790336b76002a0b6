"""The win rate at equal length: a logistic regression of wins on length (AlpacaEval 2, Dubois et al. 2024).

    logit P(second wins) = a + c tanh(d / sd(d)),   d = words of the second text - words of the first

The controlled win rate is sigmoid(a), the prediction for two texts of equal length. A tie is half a win.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vila2.evaluate.measures.intervals import Floats
from vila2.judge.resampling import joined, maximize

#: Smallest share, and smallest number, of pairs in which each layer must be at least as long as the other.
OVERLAP_SHARE, OVERLAP_PAIRS = 0.05, 10


def scaled(differences: Sequence[float]) -> Floats:
    """Computes tanh(d / sd(d)) of differences in length; where all are equal, their signs."""
    d = np.asarray(differences, dtype=np.float64)
    deviation = d.std()
    scaled: Floats = np.tanh(d / deviation) if deviation else np.sign(d)
    return scaled


def overlap(differences: Sequence[float]) -> float:
    """Computes the share of pairs in which the text that is mostly the shorter one is at least as long."""
    d = np.asarray(differences)
    return float(min((d >= 0).mean(), (d <= 0).mean()))


def can_control(differences: Sequence[float]) -> bool:
    """Tells whether the effects of length and of the layer can be told apart.

    Where one layer is nearly always the longer one, the rate at equal length would be extrapolated far
    outside of the data.
    """
    share = overlap(differences)
    return share >= OVERLAP_SHARE and round(share * len(differences)) >= OVERLAP_PAIRS


def controlled_rate(scores: Sequence[float], length: Floats, weights: Floats) -> Floats:
    """Fits the rate at which the second text wins at equal length, [resamples].

    Args:
        scores: score of each row: 1 where the second text won, 0 where the first did, 0.5 for a tie.
        length: scaled difference in length of each row, as :func:`scaled` returns it.
        weights: weights of the rows, [resamples, rows].
    """
    rows = np.column_stack([np.ones(len(scores)), length, scores])
    table, counts = joined(rows, weights)
    design, wins = table[:, :2], table[:, 2]
    outer = (design[:, :, None] * design[:, None, :]).reshape(len(design), 4)

    def slopes(at: Floats) -> tuple[Floats, Floats]:
        expected = 1 / (1 + np.exp(-at @ design.T))
        gradient = (counts * (wins - expected)) @ design
        curvature = (counts * expected * (1 - expected)) @ outer
        return gradient, curvature.reshape(-1, 2, 2)

    rates: Floats = 1 / (1 + np.exp(-maximize(slopes, len(weights), 2)[:, 0]))
    return rates
