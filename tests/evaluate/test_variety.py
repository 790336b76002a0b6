"""Length and variety: sums of item scores that are the measures themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from vila2.evaluate.measures.intervals import ratio_bootstrap
from vila2.evaluate.measures.text import distinct_n, tokens
from vila2.evaluate.measures.variety import variety

CAPTION = st.lists(
    st.sampled_from(["a", "dog", "runs", "in", "the", "red", "snow", "cat", "sits"]), max_size=9
).map(" ".join)


def values(texts):
    return {name: items.value for name, items in variety([str(n) for n in range(len(texts))], texts).items()}


@given(st.lists(CAPTION, min_size=1, max_size=8))
def test_item_scores_add_up_to_what_they_measure(texts):
    found = values(texts)
    words = [len(text.split()) for text in texts]
    assert found["words"] == pytest.approx(np.mean(words))
    assert found["words, standard deviation"] == pytest.approx(np.std(words))
    assert found["vocabulary"] == pytest.approx(len({word for text in texts for word in tokens(text)}))
    for n in (1, 2):
        assert found[f"distinct-{n} across captions"] or pytest.approx(distinct_n(texts, n)) == 0
        assert (found[f"distinct-{n} across captions"] or 0) == pytest.approx(distinct_n(texts, n))


def test_one_sentence_for_all_shares_everything_and_different_ones_nothing():
    assert values(["a dog runs home"] * 3)["trigrams also said of other images"] == 1
    assert values(["a dog runs home", "two cats sleep here"])["trigrams also said of other images"] == 0
    repeated = values(["a dog and a dog and a dog", "two cats sleep here"])
    assert repeated["trigrams also said of other images"] == 0  # it repeats itself only
    assert "trigrams also said of other images" not in values(["a dog"])


def test_the_interval_of_a_deviation_is_that_of_resampled_deviations():
    words = np.random.default_rng(1).gamma(4, 5, 400).astype(int) + 1
    items = variety([str(n) for n in range(400)], [" ".join(["w"] * n) for n in words])[
        "words, standard deviation"
    ]
    _, low, high = ratio_bootstrap(items.numerators, items.denominators, seed=0)
    random = np.random.default_rng(0)
    drawn = [words[random.integers(0, 400, 400)].std() for _ in range(2000)]
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), rel=0.06)
    assert items.value == pytest.approx(words.std())
