"""Counts and appearances agree with a second implementation, which knows no layout and no rules."""

from __future__ import annotations

import json
import re

import pytest
from vila2 import Evidence, Sample
from vila2.data.exchanges import exchanges_of

from vila2_ocr.builder import OcrBuilder, OcrConfig

_ASKED = re.compile(r'word "([^"]+)"')


def counted(evidence: Evidence, word: str) -> int:
    """How often a word stands between anything but letters and digits; a line labeled twice counts once."""
    once: list[tuple[str, tuple[float, float]]] = []
    for one in evidence.texts:
        left, top = min(p[0] for p in one.outline), min(p[1] for p in one.outline)
        if not any(one.text == text and abs(left - x) + abs(top - y) < 0.01 for text, (x, y) in once):
            once.append((one.text, (left, top)))
    joined = " ".join(text for text, _ in once).casefold()
    return "".join(one if one.isalnum() else " " for one in joined).split().count(word.casefold())


def asked(path):
    builder = OcrBuilder(OcrConfig(data=path))
    for shard in builder.shards():
        for sample in builder.build(shard):
            if isinstance(sample, Sample):
                for one in exchanges_of(sample):
                    yield sample, one


def test_a_second_count_of_every_word_agrees(receipts):
    checked = {"count": 0, "appears": 0}
    for sample, one in asked(receipts / "sroie100.jsonl"):
        word = _ASKED.search(one.question.text)
        if one.kind in checked and word:
            number = counted(Evidence.of(sample), word.group(1))
            right = str(number) if one.kind == "count" else "Yes" if number else "No"
            assert one.answer.text == right, (sample.key, one.question.text)
            checked[one.kind] += 1
    assert min(checked.values()) > 100, checked


@pytest.mark.parametrize(
    "wrong",
    [
        "How far apart",
        "the company on this document?",
        "company does this document state",
        "hold?",
        "written largest",
    ],
)
def test_what_nobody_says_is_not_asked(receipts, wrong):
    lines = [json.dumps([one.question.text for _, one in asked(receipts / "sroie100.jsonl")])]
    assert wrong not in lines[0]
