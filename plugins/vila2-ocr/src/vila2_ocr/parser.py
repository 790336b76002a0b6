"""A specialist's answer as an exchange to train on, and the texts that it claims to read."""

from __future__ import annotations

import re

from vila2.plugin import Claim, Parsed, Said, Turn, user

# Straight or typographic quotes. An apostrophe inside a word is not one of them.
_QUOTED = re.compile(r"\"([^\"\n]{1,300})\"|“([^”\n]{1,300})”|(?<!\w)'([^'\n]{1,300})'(?!\w)")
_SUBJECT = re.compile(
    r"(?P<what>sign|label|plate|poster|banner|sticker|screen|text|word|logo)s?\s+"
    r"(?:on|of|above)\s+(?:the|an?)\s+"
    r"(?P<on>[\w -]{1,60}?)\s+(?:says?|reads?|is|shows?)\b[^.]{0,20}$|"
    r"\b(?:the|an?)\s+(?P<carrier>[\w -]{1,60}?)\s+"
    r"(?:has|have|with|carries|bears)\s+(?:a|the)\s+(?:small\s+)?"
    r"(?:sign|label|plate|word|text)\b[^.]{0,30}$",
    re.IGNORECASE,
)
_SIZES = re.compile(r"^(?:small|large|big|little|tiny)\s+", re.IGNORECASE)
_NOTHING = re.compile(
    r"\b(?:no|any)\s+(?:\w+\s+)?(?:text|words?|writing|signs?|letters)\b|\bnothing is written\b",
    re.IGNORECASE,
)


def parse(said: Said) -> Parsed:
    """Keeps an answer as it is, with a claim for every text that it quotes.

    An answer that quotes nothing and says that there is no text is "empty".
    """
    if said.status != "ok":
        return Parsed((), status=said.status)
    turns = (user(said.prompt), Turn("assistant", said.parts))
    if not said.text.strip():
        return Parsed((), status="empty", detail="nothing is said")
    claims = quoted(said.text)
    if not claims and _NOTHING.search(said.text):
        return Parsed(turns, status="empty", detail="it says that there is no text")
    return Parsed(turns, claims)


def quoted(text: str) -> tuple[Claim, ...]:
    """A claim for each quoted text: ``value`` is the text, ``subject`` the thing that is said to carry it."""
    claims = []
    for found in _QUOTED.finditer(text):
        value = next(group for group in found.groups() if group is not None).strip()
        if not any(character.isalnum() for character in value):
            continue
        sentence = re.split(r"[.!?\n]", text[max(0, found.start() - 160) : found.start()])[-1]
        names = _SUBJECT.search(sentence)
        subject = _SIZES.sub("", (names["on"] or names["carrier"]).strip().lower()) if names else ""
        claims.append(Claim("text", found.start(), found.end(), "unverified", subject=subject, value=value))
    return tuple(claims)
