"""GRIT-shaped rows about photographs, a row of GRIT, and VOC: counts that the README gives."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from vila2.data.coordinates import CoordinateScheme
from vila2.data.exchanges import exchanges_of

from vila2_grounding.mentions import mentions
from vila2_grounding.phrases import category
from vila2_grounding.readers.spans import read_phrases


@pytest.mark.slow
def test_every_flickr_row_is_a_sample_or_counted_as_none(real, build):
    samples, refused = build(real / "flickr8k" / "grit_like_flickr8k.jsonl", split=True)
    reasons = Counter(one.reason for one in refused)
    assert set(reasons) == {"crowded", "large-box", "no-box"}
    assert len(samples) + reasons["no-box"] + reasons["crowded"] == 11_643
    for sample in samples[::50]:
        for one in exchanges_of(sample):
            if one.kind == "narration":
                read = [category(mention.phrase) for mention in mentions(one.answer.parts)]
                assert "" not in read
                scheme = CoordinateScheme()
                assert scheme.to_parts(scheme.to_text(one.answer.parts))


def test_voc_and_its_coco_form_give_the_same(real, build):
    root = real / "pascal_voc100"
    voc, _ = build(root)
    coco, _ = build(root / "coco_format", images=root / "JPEGImages")
    names = {sample.meta["image"]: sample.meta["caption"].split(maxsplit=2)[-1] for sample in voc}
    assert names.keys() == {sample.meta["image"] for sample in coco}
    assert len(voc) == 84


def test_a_row_of_grit(real):
    file = real / "text" / "grit" / "grit_row.jsonl"
    if not file.is_file():
        pytest.skip("no row of GRIT in VILA2_REALDATA")
    row = json.loads(file.read_text())
    phrases = read_phrases(row["noun_chunks"], row["caption"], pytest.fail)
    assert [(row["caption"][one.start : one.end], one.category) for one in phrases] == [
        ("a wire hanger", "hanger"), ("a paper cover", "cover"),
    ]  # fmt: skip
