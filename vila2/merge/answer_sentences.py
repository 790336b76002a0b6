"""Answers split into sentences with their boxes, and joined again from the sentences that are kept."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import accumulate

from vila2.claims.sentences import sentence_spans
from vila2.data.claims import Claim
from vila2.data.coordinates import CoordinateScheme
from vila2.data.sample import Part, PlacePart, SpokenPart, TextPart

#: Stands for a box or a point: no other text holds it, and it is no word, digit or full stop.
_PLACE = "\ufffc"
Span = tuple[int, int]
_MOST_BREAKS = 2  # between two sentences: the end of a line, or of a paragraph
_SCHEMES = (CoordinateScheme("text"), CoordinateScheme("tokens"))


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer.

    Attributes:
        parts: text, boxes and points in order.
        claims: its claims, with spans in ``text``.
        lead: white space that parts it from the sentence before: a space, or the answer's line breaks.
    """

    parts: tuple[Part, ...]
    claims: tuple[Claim, ...] = ()
    lead: str = " "

    @property
    def text(self) -> str:
        """The sentence with its coordinates as text."""
        return text_of(self.parts)

    @property
    def bare(self) -> str:
        """The sentence with one character in place of each box or point."""
        return _flat(self.parts)[0]


def without_coordinates(sentence: Sentence) -> Sentence:
    """A sentence without its boxes and points; its claims keep theirs."""
    text = ""
    moved: list[int] = []  # where each character of the sentence's own text goes
    for part in sentence.parts:
        own = text_of((part,))
        if not isinstance(part, TextPart):
            moved += [len(text)] * len(own)
            continue
        # One space is left where coordinates stood between two spaces, none before a comma or a full stop.
        if text.endswith(" ") and own[:1] in (" ", ",", ".", ";", ":", "!", "?"):
            text = text.rstrip(" ")
        more = max(0, len(own) - len(own.lstrip(" ")) - 1)
        moved += [*[len(text)] * more, *range(len(text), len(text) + len(own) - more)]
        text += own[more:]
    moved.append(len(text))
    claims = (
        replace(one, start=moved[one.start], end=min(moved[one.end], len(text))) for one in sentence.claims
    )
    return Sentence((TextPart(text),), tuple(claims), sentence.lead)


def text_of(parts: Sequence[Part]) -> str:
    """Parts as text, coordinates in the paper's form ``[xmin,ymin,xmax,ymax]``."""
    return _SCHEMES[0].to_text([part for part in parts if isinstance(part, SpokenPart)])


def joined(sentences: Sequence[Sentence]) -> Sentence:
    """Joins sentences into one answer, with spaces or line breaks between them, and shifts claims' spans."""
    parts: list[Part] = []
    claims: list[Claim] = []
    shift = 0
    for sentence in sentences:
        if parts:
            parts.append(TextPart(sentence.lead))
            shift += len(sentence.lead)
        claims += [replace(one, start=one.start + shift, end=one.end + shift) for one in sentence.claims]
        parts += sentence.parts
        shift += len(sentence.text)
    return Sentence(_without_seams(parts), tuple(claims))


def sentences_of(
    answers: Sequence[Sequence[Part]], said: str = "", claims: Sequence[Claim] = ()
) -> list[list[Sentence]]:
    """The sentences of each answer, with the claims that lie in them.

    Args:
        answers: parts of each answer.
        said: the same answers as they were generated, in which the spans of ``claims`` are.
        claims: claims of the answers. Each goes to the one sentence that its span lies in. Where a parser
            took the span's words out, that is the sentence in whose place they stood.
    """
    flats = [_flat(parts) for parts in answers]
    flat = "\n".join(text for text, _ in flats)
    places = [place for _, own in flats for place in own]
    spans = list(sentence_spans(flat))
    held = _held(claims, spans, _mover(said, flat)) if claims else [[] for _ in spans]
    found: list[list[Sentence]] = [[] for _ in answers]
    ends = list(accumulate(len(text) + 1 for text, _ in flats))
    before = 0
    for (start, end), own in zip(spans, held, strict=True):
        parts = _parts(flat[start:end], places[flat[:start].count(_PLACE) :])
        breaks = min(flat.count("\n", before, start), _MOST_BREAKS)
        lead = "\n" * breaks or " "
        found[bisect_right(ends, start)].append(Sentence(parts, _in_text(parts, own), lead))
        before = end
    return found


def _held(claims: Sequence[Claim], spans: Sequence[Span], moved: Callable[[Span], Span]) -> list[list[Claim]]:
    """The claims of every sentence, with spans in it. A claim goes to the sentence that holds most of it."""
    held: list[list[Claim]] = [[] for _ in spans]
    for claim in claims if spans else ():
        span = moved((claim.start, claim.end))
        number = max(range(len(spans)), key=lambda number: _overlap(spans[number], span))
        first, last = spans[number]
        start, end = (min(max(place, first), last) - first for place in span)
        held[number].append(replace(claim, start=start, end=end))
    return held


def _overlap(one: Span, other: Span) -> int:
    """The length that two spans share; where they share nothing, the gap between them, below zero."""
    return min(one[1], other[1]) - max(one[0], other[0])


def with_claims(sentence: Sentence, claims: Sequence[Claim]) -> Sentence:
    """The sentence with further claims, whose spans are in its ``bare`` text."""
    return replace(sentence, claims=(*sentence.claims, *_in_text(sentence.parts, claims)))


def _flat(parts: Sequence[Part]) -> tuple[str, list[Part]]:
    """Text with one character for each box or point, and these boxes and points."""
    places: list[Part] = [part for part in parts if isinstance(part, PlacePart)]
    text = "".join(part.text.replace(_PLACE, " ") if isinstance(part, TextPart) else _PLACE
                   for part in parts if isinstance(part, SpokenPart))  # fmt: skip
    return text, places


def _parts(flat: str, places: Sequence[Part]) -> tuple[Part, ...]:
    pieces = flat.split(_PLACE)
    parts: list[Part] = [TextPart(pieces[0])]
    for place, piece in zip(places, pieces[1:], strict=False):
        parts += [place, TextPart(piece)]
    return _without_seams(parts)


def _without_seams(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Joins neighboring texts and leaves out empty ones."""
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, TextPart) and kept and isinstance(kept[-1], TextPart):
            kept[-1] = TextPart(kept[-1].text + part.text)
        elif not isinstance(part, TextPart) or part.text:
            kept.append(part)
    return tuple(kept)


def _in_text(parts: Sequence[Part], claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """Moves the spans of claims from the flat text to the text."""
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


def _mover(said: str, flat: str) -> Callable[[Span], Span]:
    """Maps a span in an answer as it was generated to one in the flat text.

    Of a span that a parser took out, nothing is left but the place where it was.
    """
    found = {(one.start, one.end) for scheme in _SCHEMES for one in scheme.parse(said) if one.status == "ok"}
    found |= {
        (one.start, one.end) for scheme in _SCHEMES for one in scheme.parse_points(said) if one.status == "ok"
    }
    pieces: list[str] = []
    origin: list[int] = []  # where each character of the spoken text stands in the answer
    place = 0
    for start, end in sorted(found):
        pieces += [said[place:start], _PLACE]
        origin += [*range(place, start), start]
        place = end
    pieces.append(said[place:])
    origin += [*range(place, len(said)), len(said)]
    spoken = "".join(pieces)
    blocks: Sequence[tuple[int, int, int]] = [(0, 0, len(flat))]
    if spoken != flat:  # a parser took something out
        blocks = SequenceMatcher(None, spoken, flat, autojunk=False).get_matching_blocks()

    def moved(span: Span) -> Span:
        # A coordinate is one character of the spoken text, wherever in it the span begins or ends.
        start, end = bisect_right(origin, span[0]) - 1, bisect_left(origin, span[1])
        left = [
            (max(start, a) - a + b, min(end, a + size) - a + b)
            for a, b, size in blocks
            if max(start, a) < min(end, a + size)
        ]
        if left:
            return left[0][0], left[-1][1]
        before = [b + min(start - a, size) for a, b, size in blocks if size and a <= start]
        place = before[-1] if before else 0
        return place, place

    return moved
