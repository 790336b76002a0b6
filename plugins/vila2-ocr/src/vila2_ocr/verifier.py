"""Checks quoted texts from any author against the known text of an image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from vila2.plugin import Claim, Evidence

from vila2_ocr.scoring import similarity

#: A quote matches a text that is at least this similar, because the text may itself come from an OCR engine.
ALIKE = 0.8
#: In a text with fewer characters, one wrong letter makes another word ("map", "mop"): only equality counts.
FUZZY_FROM = 8
_WORD = re.compile(r"\w+")


def verify(claims: Sequence[Claim], evidence: Evidence) -> tuple[Claim, ...]:
    """Judges claims of kind "text".

    A claim is supported where the image holds the quoted words, one after the other, or nearly so. A claim
    is contradicted where the image holds nothing like them and the evidence is complete, or where the words
    stand on another thing than the claim says. A quote that is nearly a short text stays unverified.
    """
    return tuple(_judged(claim, evidence) if claim.kind == "text" else claim for claim in claims)


def _judged(claim: Claim, evidence: Evidence) -> Claim:
    quote = _words(claim.value)
    if not quote:
        return claim
    everything = [(_words(text.text), text.on.lower()) for text in evidence.texts]
    own = [words for words, on in everything if claim.subject and on == claim.subject]
    known = own or [words for words, _ in everything]
    joined = [] if own else [[word for words in known for word in words]]
    if any(_follows(quote, words) for words in [*known, *joined]):
        return replace(claim, status="supported")
    best = max(known, key=lambda words: similarity(" ".join(quote), " ".join(words)), default=[])
    near = similarity(" ".join(quote), " ".join(best)) if best else 0.0
    if near >= ALIKE and len(" ".join(quote)) >= FUZZY_FROM:
        return replace(claim, status="supported", detail=f"nearly {' '.join(best)!r}")
    if not (evidence.all_texts or own):
        return claim
    if near >= ALIKE:
        return replace(claim, detail=f"nearly {' '.join(best)!r}")
    detail = f"it says {' '.join(best)!r}" if own else "no such text in the image"
    return replace(claim, status="contradicted", detail=detail)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _follows(quote: list[str], words: list[str]) -> bool:
    """Whether the quoted words follow each other among the words, whatever their spacing."""
    if any(words[start : start + len(quote)] == quote for start in range(len(words) - len(quote) + 1)):
        return True
    return len("".join(quote)) >= FUZZY_FROM and "".join(quote) in "".join(words)
