"""Answers taken apart into sentences, boxes among them, and put together again from those that stay."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import accumulate

from vila2.claims.sentences import sentence_spans
from vila2.data.claims import Claim
from vila2.data.coordinates import CoordinateScheme
from vila2.data.sample import BoxPart, Part, PointPart, TextPart

#: Stands for a box or a point: no text holds it by itself, and it is no word, digit or full stop.
_PLACE = "\ufffc"
_SCHEMES = (CoordinateScheme("text"), CoordinateScheme("tokens"))


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer.

    Attributes:
        parts: text, boxes and points in order.
        claims: what it states; spans are those of ``text``.
    """

    parts: tuple[Part, ...]
    claims: tuple[Claim, ...] = ()

    @property
    def text(self) -> str:
        """As it reads, coordinates as text."""
        return text_of(self.parts)

    @property
    def bare(self) -> str:
        """As it reads, with one character in the place of coordinates."""
        return _flat(self.parts)[0]


def without_coordinates(sentence: Sentence) -> Sentence:
    """A sentence without its boxes and points; its claims keep theirs."""
    text, moved = "", []  # where each character of the sentence's own text goes
    for part in sentence.parts:
        own = text_of((part,))
        if not isinstance(part, TextPart):
            moved += [len(text)] * len(own)
            continue
        # One space is left where coordinates stood between two, and none before a comma or a full stop.
        if text.endswith(" ") and own[:1] in (" ", ",", ".", ";", ":", "!", "?"):
            text = text.rstrip(" ")
        more = max(0, len(own) - len(own.lstrip(" ")) - 1)
        moved += [*[len(text)] * more, *range(len(text), len(text) + len(own) - more)]
        text += own[more:]
    moved.append(len(text))
    claims = (
        replace(one, start=moved[one.start], end=min(moved[one.end], len(text))) for one in sentence.claims
    )
    return Sentence((TextPart(text),), tuple(claims))


def text_of(parts: Sequence[Part]) -> str:
    """Parts as text, coordinates in the paper's form ``[xmin,ymin,xmax,ymax]``."""
    return _SCHEMES[0].to_text([part for part in parts if isinstance(part, TextPart | BoxPart | PointPart)])


def joined(sentences: Sequence[Sentence]) -> Sentence:
    """Sentences as one answer, with a space between and their claims moved along."""
    parts: list[Part] = []
    claims: list[Claim] = []
    shift = 0
    for sentence in sentences:
        if parts:
            parts.append(TextPart(" "))
            shift += 1
        claims += [replace(one, start=one.start + shift, end=one.end + shift) for one in sentence.claims]
        parts += sentence.parts
        shift += len(sentence.text)
    return Sentence(_without_seams(parts), tuple(claims))


def sentences_of(
    answers: Sequence[Sequence[Part]], said: str = "", claims: Sequence[Claim] = ()
) -> list[list[Sentence]]:
    """The sentences of each answer, with the claims that lie in them.

    Args:
        answers: the parts of each.
        said: the text that the spans of ``claims`` are of: the same answers as they were generated.
        claims: one that cannot be found again in the answers is every sentence's: if it is wrong, none may stay.
    """
    flats = [_flat(parts) for parts in answers]
    flat = "\n".join(text for text, _ in flats)
    places = [place for _, own in flats for place in own]
    spans = list(sentence_spans(flat))
    held = _held(claims, spans, _mover(said, flat)) if claims else [[] for _ in spans]
    found: list[list[Sentence]] = [[] for _ in answers]
    ends = list(accumulate(len(text) + 1 for text, _ in flats))
    for (start, end), own in zip(spans, held, strict=True):
        parts = _parts(flat[start:end], places[flat[:start].count(_PLACE) :])
        found[bisect_right(ends, start)].append(Sentence(parts, _in_text(parts, own)))
    return found


def _held(
    claims: Sequence[Claim], spans: Sequence[tuple[int, int]], moved: Callable[[int], int | None]
) -> list[list[Claim]]:
    """The claims of every sentence, with spans of its own; one over two sentences is the first one's."""
    held: list[list[Claim]] = [[] for _ in spans]
    for claim in claims:
        start, end = moved(claim.start), moved(claim.end)
        own = None
        if start is not None and end is not None:
            own = next((n for n, (a, b) in enumerate(spans) if a < end and start < b), None)
        for number in range(len(spans)) if own is None else (own,):
            a, b = spans[number]
            inside = (0, b - a) if own is None else (max(start, a) - a, min(end, b) - a)
            held[number].append(replace(claim, start=inside[0], end=inside[1]))
    return held


def with_claims(sentence: Sentence, claims: Sequence[Claim]) -> Sentence:
    """The sentence with claims, whose spans are of its ``bare`` text, in addition to its own."""
    return replace(sentence, claims=(*sentence.claims, *_in_text(sentence.parts, claims)))


def _flat(parts: Sequence[Part]) -> tuple[str, list[Part]]:
    places = [part for part in parts if isinstance(part, BoxPart | PointPart)]
    text = "".join(part.text.replace(_PLACE, " ") if isinstance(part, TextPart) else _PLACE
                   for part in parts if isinstance(part, TextPart | BoxPart | PointPart))  # fmt: skip
    return text, places


def _parts(flat: str, places: Sequence[Part]) -> tuple[Part, ...]:
    pieces = flat.split(_PLACE)
    parts: list[Part] = [TextPart(pieces[0])]
    for place, piece in zip(places, pieces[1:], strict=False):
        parts += [place, TextPart(piece)]
    return _without_seams(parts)


def _without_seams(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Neighbouring texts as one, empty ones left out."""
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, TextPart) and kept and isinstance(kept[-1], TextPart):
            kept[-1] = TextPart(kept[-1].text + part.text)
        elif not isinstance(part, TextPart) or part.text:
            kept.append(part)
    return tuple(kept)


def _in_text(parts: Sequence[Part], claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """Claims with spans of the flat text as ones with spans of the text."""
    if all(isinstance(part, TextPart) for part in parts):
        return tuple(claims)
    moved, place = [], 0  # where a part ends in the flat text, and how much longer its text is
    for part in parts:
        wide = len(part.text) if isinstance(part, TextPart) else 1
        place += wide
        moved.append((place, len(text_of([part])) - wide))

    def shown_before(at: int) -> int:
        return at + sum(more for end, more in moved if end <= at)

    return tuple(replace(one, start=shown_before(one.start), end=shown_before(one.end)) for one in claims)


def _mover(said: str, flat: str) -> Callable[[int], int | None]:
    """Where a character of an answer as it was generated stands in the flat text; None where it is not there."""
    spans = {(one.start, one.end) for scheme in _SCHEMES for one in scheme.parse(said) if one.status == "ok"}
    spans |= {
        (one.start, one.end) for scheme in _SCHEMES for one in scheme.parse_points(said) if one.status == "ok"
    }
    pieces, origin, place = [], [], 0
    for start, end in sorted(spans):
        pieces += [said[place:start], _PLACE]
        origin += [*range(place, start), start]
        place = end
    pieces.append(said[place:])
    origin += [*range(place, len(said)), len(said)]
    spoken = "".join(pieces)
    if spoken == flat:
        blocks = [(0, 0, len(flat))]
    else:  # a parser took something out
        blocks = SequenceMatcher(None, spoken, flat, autojunk=False).get_matching_blocks()

    def moved(at: int) -> int | None:
        # The end of a claim may be the end of a coordinate, which is one character here.
        index = next((n for n, place in enumerate(origin) if place >= at), len(spoken))
        found = [(a, b, size) for a, b, size in blocks if a <= index <= a + size and size]
        return index - found[0][0] + found[0][1] if found else None

    return moved
