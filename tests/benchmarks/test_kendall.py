"""Rank correlation, and that our caption score agrees with people better than the plain ones do."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tests.benchmarks import caption_scorer
from tests.benchmarks.kendall import kendall_tau
from vila2.errors import DataError

REAL = Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[3] / "shared/realdata"))
PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), min_size=2, max_size=20)


def by_pairs(scores, ratings, variant):
    signs = [
        np.sign(a - b) * np.sign(c - d)
        for (a, c), (b, d) in combinations(zip(scores, ratings, strict=True), 2)
    ]
    n, fewer = len(scores), min(len(set(scores)), len(set(ratings)))
    if variant == "c":
        return 2 * sum(signs) / (n**2 * (fewer - 1) / fewer)
    apart = [sum(a != b for a, b in combinations(values, 2)) for values in (scores, ratings)]
    return sum(signs) / (apart[0] * apart[1]) ** 0.5


@pytest.mark.parametrize("variant", ["b", "c"])
@given(pairs=PAIRS)
def test_tau_is_that_of_all_pairs_counted(variant, pairs):
    scores, ratings = zip(*pairs, strict=True)
    if len(set(scores)) < 2 or len(set(ratings)) < 2:
        with pytest.raises(DataError, match="alike"):
            kendall_tau(scores, ratings, variant)
        return
    assert kendall_tau(scores, ratings, variant) == pytest.approx(by_pairs(scores, ratings, variant))


def test_agreement_is_one_and_the_reverse_minus_one():
    assert kendall_tau([0.1, 0.2, 0.3], [1, 2, 3], "b") == 1
    assert kendall_tau([0.3, 0.2, 0.1], [1, 2, 3], "b") == -1


@pytest.mark.skipif(not (REAL / "flickr8k").is_dir(), reason="no Flickr8k in VILA2_REALDATA")
def test_our_score_agrees_with_experts_better_than_plain_ones():
    images, texts, references, ratings = caption_scorer.read(REAL / "flickr8k")
    assert len(texts) == 5664  # as in the literature
    some = np.arange(0, len(texts), 4)
    picked = [[column[n] for n in some] for column in (images, texts, references)]
    tau = {
        name: caption_scorer.tau(own, ratings[some], np.arange(len(some)))
        for name, own in caption_scorer.all_scores(*picked).items()
    }
    assert tau["fit"] > tau["fit, its words alone"] > tau["CIDEr-D"] > tau["BLEU-1"] > abs(tau["random"])
    assert tau["fit"] > tau["CIDEr-D"] + 3
