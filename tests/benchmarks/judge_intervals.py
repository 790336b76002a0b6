"""How often the judge's 95% intervals hold the truth on simulated votes, and how long the statistics take.

    python -m tests.benchmarks.judge_intervals

A judge votes by a layer's quality and by a taste for length. Images differ in how hard they are, and each is
compared up to three times. The truth is the strengths that went in, and the win rate at equal length,
averaged over images.
"""

from __future__ import annotations

import time

import numpy as np

from vila2.judge.bradley_terry import strengths
from vila2.judge.length_control import controlled_rate, scaled
from vila2.judge.resampling import interval, row_weights, share_interval

QUALITY = np.array([0.0, 0.5, 0.9])
TIE = 0.5  # v in Davidson's model
TASTE = 1.0


def votes(random: np.random.Generator, images: int, taste: float) -> tuple[np.ndarray, ...]:
    """Draws image, first, second, score and length of three comparisons of each image."""
    image = np.repeat(np.arange(images), 3)
    first, second = np.tile([0, 0, 1], images), np.tile([1, 2, 2], images)
    length = scaled(np.rint(random.normal(3, 10, 3 * images)))
    half = (QUALITY[second] - QUALITY[first] + taste * length) / 2
    win, loss = np.exp(half), np.exp(-half)
    drawn = random.random(3 * images) * (win + loss + TIE)
    score = np.where(drawn < win, 1.0, np.where(drawn < win + loss, 0.0, 0.5))
    return image, first, second, score, length


def covered(found, truth: float) -> bool:
    return found.low <= truth <= found.high


def main() -> None:
    random = np.random.default_rng(0)
    held: dict[str, list[bool]] = {}
    for _ in range(100):
        image, first, second, score, length = votes(random, 200, TASTE)
        weights = row_weights([str(n) for n in image], seed=0)
        fits = strengths(first, second, score, weights, layers=3, length=length)
        for layer in (1, 2):
            held.setdefault(f"strength {layer} at equal length", []).append(
                covered(interval(fits[:, layer]), QUALITY[layer])
            )
        one = (first == 0) & (second == 1)
        even = np.exp(QUALITY[1] / 2), np.exp(-QUALITY[1] / 2)
        truth = (even[0] + TIE / 2) / (sum(even) + TIE)
        rates = controlled_rate(score[one], length[one], weights[:, one])
        held.setdefault("win rate at equal length", []).append(covered(interval(rates), truth))
        image, first, second, score, _ = votes(random, 200, 0.0)
        one = (first == 0) & (second == 1)
        held.setdefault("win rate", []).append(covered(share_interval(score[one], image[one], seed=0), truth))
    for name, inside in held.items():
        print(f"{name:<30} {np.mean(inside):.0%} of {len(inside)} intervals hold the truth")
    image, first, second, score, length = votes(random, 1667, TASTE)
    started = time.perf_counter()
    weights = row_weights([str(n) for n in image], seed=0)
    strengths(first, second, score, weights, layers=3, length=length)
    print(f"{len(score)} votes, 3 layers, 1000 resamples: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
