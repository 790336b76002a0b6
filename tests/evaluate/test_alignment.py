"""The alignment measures against their definitions written out, and what they must be for known sets."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st

from vila2.evaluate.kinds.alignment import best_cosine, chamfer_distance

POINTS = st.integers(0, 2**32 - 1).map(lambda seed: torch.Generator().manual_seed(seed)).map(
    lambda generator: torch.randn(int(torch.randint(1, 6, (1,), generator=generator)), 4, generator=generator)
)  # fmt: skip


def naive_chamfer(one, other) -> float:
    def way(a, b):
        nearest = [min(math.dist(p, q) for q in b) for p in a]
        return sum(nearest) / len(nearest)

    return way(one.tolist(), other.tolist()) + way(other.tolist(), one.tolist())


def naive_cosine(one, other) -> float:
    def cosine(p, q):
        return sum(x * y for x, y in zip(p, q, strict=True)) / (math.hypot(*p) * math.hypot(*q))

    def way(a, b):
        best = [max(cosine(p, q) for q in b) for p in a]
        return sum(best) / len(best)

    return (way(one.tolist(), other.tolist()) + way(other.tolist(), one.tolist())) / 2


@settings(max_examples=50, deadline=None)
@given(POINTS, POINTS)
def test_the_measures_are_what_they_are_defined_as(one, other):
    assert chamfer_distance(one, other) == pytest.approx(naive_chamfer(one, other), abs=1e-5)
    assert best_cosine(one, other) == pytest.approx(naive_cosine(one, other), abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(POINTS, st.floats(0.1, 10))
def test_cosine_leaves_magnitudes_out_and_distance_does_not(points, scale):
    assert best_cosine(points, scale * points) == pytest.approx(1, abs=1e-6)
    assert chamfer_distance(points, points) == pytest.approx(0, abs=1e-6)
    moved = chamfer_distance(points[:1], scale * points[:1])
    assert moved == pytest.approx(2 * abs(scale - 1) * float(points[0].norm()), rel=1e-3, abs=1e-5)
