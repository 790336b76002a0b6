"""Recognition: all text, or the text in a box, on a line, in the largest letters or on a thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from shapely import box as rectangle

from vila2_ocr.facts import Fact, Page, Refusal, Rule
from vila2_ocr.layout import Piece

#: A longer text, in characters, is too long to train on as one answer.
LONGEST = 1200
#: The largest text exceeds the next one by at least this ratio.
CLEARLY_LARGER = 1.25
#: A box is asked about where no other text has more than this share of its area in it.
ALONE = 0.2
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def description(page: Page) -> Iterator[Fact | Refusal]:
    """All text in a scene with the things that carry it; or the answer that there is none."""
    if not page.evidence.all_texts:
        return
    if not page.evidence.texts:
        yield Fact("no-text", "There is no text in the image.")
    elif page.scene:
        carriers = Counter(text.on for text in page.evidence.texts)
        if max(carriers.values()) > 1:
            yield Refusal("description", "two things of one name")
            return
        ordered = sorted(
            enumerate(page.evidence.texts), key=lambda item: item[1].outline[0] if item[1].outline else (0, 0)
        )
        said = " ".join(f'The sign on the {text.on} says "{text.text}".' for _, text in ordered)
        yield Fact("description", said, tuple(number for number, _ in ordered))


def sign(page: Page) -> Iterator[Fact | Refusal]:
    """The text on a thing whose name tells it from all others."""
    if not page.scene:
        return
    texts = page.evidence.texts
    names = Counter(text.on for text in texts)
    things = Counter(thing.called for thing in page.evidence.objects)
    for number, text in enumerate(texts):
        if names[text.on] > 1 or things[text.on] > 1:
            yield Refusal("sign", "two things of one name")
        else:
            yield Fact("sign", text.text, (number,), {"on": text.on})
    if len(texts) == 1 and page.evidence.all_texts:
        yield Fact("only-sign", texts[0].text, (0,))


def full_text(page: Page) -> Iterator[Fact | Refusal]:
    """Everything, line by line."""
    lines = page.layout.lines
    if page.scene or not page.evidence.texts or _is_chart(page):
        return
    if not page.evidence.all_texts:
        yield Refusal("full-text", "more may be written")
    elif not page.layout.placed or not lines or not all(line.clear for line in lines):
        yield Refusal("full-text", "unclear order")
    else:
        answer = "\n".join(line.text for line in lines)
        if len(answer) > LONGEST:
            yield Refusal("full-text", "too long")
        else:
            yield Fact("full-text", answer, _numbers(*(line.pieces for line in lines)))


def nth_line(page: Page) -> Iterator[Fact | Refusal]:
    """A line counted from the top; every line down to it must be clear."""
    if page.scene or not page.evidence.all_texts or not page.layout.placed or _is_chart(page):
        return
    for number, line in enumerate(page.layout.lines[: len(_ORDINALS)]):
        if not line.clear:
            yield Refusal("nth-line", "unclear order")
            return
        if _readable(line.text) and len(page.layout.lines) > 1:
            yield Fact("nth-line", line.text, _numbers(line.pieces), {"nth": _ORDINALS[number]})


def text_in_box(page: Page) -> Iterator[Fact | Refusal]:
    """The text in a box that holds no other."""
    if page.scene:
        return
    for piece in page.layout.pieces:
        if not _readable(piece.text):
            continue
        frame = rectangle(*piece.box)
        others = (other for other in page.layout.pieces if other is not piece)
        if not piece.clear or any(
            other.outline.intersection(frame).area > ALONE * other.outline.area for other in others
        ):
            yield Refusal("text-in-box", "other text in the box")
        else:
            left, top, right, bottom = (round(side, 4) for side in piece.box)
            yield Fact("text-in-box", piece.text, (piece.number,), box=(left, top, right, bottom))


def largest_text(page: Page) -> Iterator[Fact | Refusal]:
    """The text in the largest letters, where it is larger than every other."""
    if page.scene or not page.evidence.all_texts or not page.layout.placed:
        return
    pieces = sorted(page.layout.pieces, key=lambda piece: -piece.height)
    if len(pieces) < 2:
        return
    if (
        pieces[0].height < CLEARLY_LARGER * pieces[1].height
        or not pieces[0].clear
        or not _readable(pieces[0].text)
    ):
        yield Refusal("largest-text", "none is clearly the largest")
    else:
        yield Fact("largest-text", pieces[0].text, (pieces[0].number,))


def _readable(text: str) -> bool:
    """Whether there is something to read: "***" and "-" are marks, not words."""
    return sum(character.isalnum() for character in text) >= 2


def _is_chart(page: Page) -> bool:
    """Whether texts stand at the ends of bars. Such texts make no lines."""
    return any(piece.kind == "value" for piece in page.layout.pieces)


def _numbers(*groups: tuple[Piece, ...]) -> tuple[int, ...]:
    return tuple(piece.number for group in groups for piece in group)


RULES: dict[str, Rule] = {
    "description": description,
    "sign": sign,
    "full-text": full_text,
    "nth-line": nth_line,
    "text-in-box": text_in_box,
    "largest-text": largest_text,
}
