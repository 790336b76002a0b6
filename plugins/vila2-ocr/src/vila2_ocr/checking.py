"""A check of a stored answer against the evidence.

The check uses neither layout nor geometry, so it is independent of the rule that made the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from vila2.plugin import Evidence

from vila2_ocr.scoring import number_of

_READ = {
    "sign",
    "only-sign",
    "nth-line",
    "full-text",
    "text-in-box",
    "largest-text",
    "cell",
    "bar-value",
    "bar-extreme",
}
_TERM = re.compile(r"-?\d+(?:\.\d+)?")


def faults(fact: Mapping[str, Any], evidence: Evidence) -> Iterator[str]:
    """What is wrong with a stored fact; nothing where the fact is right.

    A right fact meets these conditions:

    - The answer consists of the very texts that the fact names.
    - The value of a key stands in those texts, behind or beside the key.
    - A field is a field of the evidence.
    - A word is written in the image, or is not, as the answer says.
    - A computation gives its result, and its numbers stand in the texts or are counts of them.
    """
    kind, answer, named = fact["kind"], fact["answer"], fact.get("named", {})
    texts = [evidence.texts[number].text for number in fact.get("texts", ())]
    joined = _marks(" ".join(texts))
    everything = _marks(" ".join(text.text for text in evidence.texts))
    if kind in _READ and _marks(answer) not in joined:
        yield f"{kind}: {answer!r} is not what the texts {texts} say"
    if kind == "full-text":
        missing = [text.text for text in evidence.texts if _marks(text.text) not in _marks(answer)]
        if missing or len(joined) != len(_marks(answer)):
            yield f"{kind}: {answer!r:.60} is not all that is written: {missing[:3]}"
    if kind == "key-value" and (_marks(answer) not in joined or not joined.startswith(_marks(named["key"]))):
        yield f"{kind}: {named['key']!r} {answer!r} in {texts}"
    if kind == "field":
        own = evidence.fields.get(named["field"].replace(" ", "_"), "")
        if _marks(own) != _marks(answer) or _marks(answer) not in everything:
            yield f"{kind}: {named['field']} is {own!r}, not {answer!r}"
    if kind == "appears":
        written = any(named["word"] in text.text.lower() for text in evidence.texts)
        if written != (answer == "Yes") or (answer == "No" and not evidence.all_texts):
            yield f"{kind}: {named['word']!r} {answer!r}"
    if fact.get("computation"):
        yield from _reckoned(kind, answer, fact["computation"], texts, named.get("word", ""))


def _reckoned(kind: str, answer: str, computation: str, texts: list[str], word: str) -> Iterator[str]:
    left, _, right = computation.partition(" = ")
    terms = [Decimal(term) for term in _TERM.findall(left.replace(" - ", " + -").replace("+ -", "+ -"))]
    if right != answer or sum(terms, Decimal(0)) != Decimal(answer):
        yield f"{kind}: {computation}, but the answer is {answer}"
    if kind == "count":
        if word and sum(text.lower().count(word) for text in texts) != int(answer):
            yield f"{kind}: {word!r} is not {answer} times in {texts}"
        return
    numbers = {number_of(part) for text in texts for part in (text, text.rpartition(":")[2])}
    if any(abs(term) not in numbers for term in terms):
        yield f"{kind}: {computation} uses numbers that {texts} do not hold"


def _marks(text: str) -> str:
    return re.sub(r"[\W_]", "", text.lower())
