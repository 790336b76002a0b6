"""Sentences of captions that specialists refute are counted, and choose among several captions."""

from __future__ import annotations

import pytest

from tests.caption.tiny_llava import picture
from vila2.caption.preference_pairs import NoPair, PairLength, PairRule, pair_of
from vila2.caption.several_samples import ranked, ranked_again
from vila2.data.annotations import Annotation
from vila2.data.claims import Claim
from vila2.data.layers import Layer, write_layer
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.merge.refuting import Refuter

TRUE, WRONG = "There is a cat and a small dog.", "There is a small dog that says STOP."


def sample(text: str) -> Annotation:
    return Annotation("a", "Describe.", text, "ok")


@pytest.fixture
def refuter(tmp_path) -> Refuter:
    write_dataset(
        tmp_path / "data", [Sample("a", (picture(1),), (user(ImagePart()), assistant("Pets.")))], name="data"
    )
    dataset = ShardDataset.open(tmp_path / "data")
    read = Claim("text", 14, 16, "unverified", value="GO")
    rows = [Annotation("a", "Read.", 'The sign says "GO".', "ok", claims=(read,))]
    write_layer(dataset, lambda key: rows, folder=tmp_path / "ocr", name="ocr", info={})
    return Refuter(dataset, {"ocr": Layer.open(tmp_path / "ocr")}, ("texts",))


def test_writing_that_nobody_read_is_refuted(refuter) -> None:
    assert refuter.count("a", [TRUE, WRONG, 'A sign says "GO".']) == [0, 1, 0]


def test_specialists_choose_where_agreement_would_choose_otherwise(refuter) -> None:
    rows = [row for row, _ in ranked([sample(WRONG), sample(WRONG), sample(TRUE)])]
    assert rows[0].text == WRONG, "most agree on what is wrong"
    again = ranked_again(rows, "verified", lambda texts: refuter.count("a", texts))
    assert again[0][0].text == TRUE and again[0][1].refuted == 0
    found = pair_of(rows, PairRule("verified", length="free"), lambda texts: refuter.count("a", texts))
    better, worse = found
    assert (better.text, worse.text, worse.status) == (TRUE, WRONG, "rejected")


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([TRUE, TRUE, "There is a bird and a bird."], (TRUE, "There is a bird and a bird.")),
        # The shorter one would win, and a model would learn to say less.
        (["There is a cat."] * 3 + ["There is a cat, a dog and a cat."], "length"),
        ([TRUE, TRUE], "no worse one"),
        (["There is a cat and a cat."] * 2, "no better one"),
        ([], "unusable"),
    ],
)
def test_a_pair_has_a_reason(texts, found) -> None:
    rows = [row for row, _ in ranked([sample(text) for text in texts])]
    pair = pair_of(rows, PairRule())
    assert (pair if isinstance(pair, str) else tuple(one.text for one in pair)) == found


def test_a_pair_may_differ_in_length_where_one_asks_for_it() -> None:
    def pair(length: PairLength, *texts: str) -> tuple[str, ...] | NoPair:
        rows = [row for row, _ in ranked([sample(text) for text in texts])]
        found = pair_of(rows, PairRule(length=length))
        return found if isinstance(found, str) else tuple(one.text for one in found)

    short, long = "There is a cat.", "There is a cat and a dog. It is big."
    loop = "There is a cat, a dog and a cat."
    assert pair("floor", long, long, "There is a cat and a cat.") == (long, "There is a cat and a cat.")
    assert pair("matched", long, long, "There is a cat and a cat.") == "length"
    assert pair("matched", short, short, "A cat and a cat.") == (short, "A cat and a cat.")
    assert pair("free", short, short, short, loop) == (short, loop)
