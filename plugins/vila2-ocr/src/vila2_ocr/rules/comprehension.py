"""Comprehension: values of keys and fields, table cells, the highest bar, and whether a word appears."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from vila2_ocr.facts import Fact, Page, Refusal, Rule
from vila2_ocr.layout import Line, Piece
from vila2_ocr.scoring import number_of, plain

_KEY = r"(?P<key>[A-Za-z][A-Za-z .#/()&-]{1,30}?)"
_ONLY_KEY = re.compile(rf"{_KEY}\s*:")
#: A value with more words than this in one text probably continues below.
LONGEST_VALUE = 5
_KEY_AND_VALUE = re.compile(rf"{_KEY}\s*:\s*(?P<value>[^:\s/].*)")
#: A bar is the highest where it exceeds the next one by at least this ratio.
CLEARLY_HIGHER = Decimal("1.05")
#: A word that is asked about: 4 to 12 letters and nothing else.
_WORD = re.compile(r"[a-z]{4,12}")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A value that stands behind or beside its key."""

    key: str
    value: str
    texts: tuple[int, ...]


def key_values(page: Page) -> Iterator[KeyValue | Refusal]:
    """Keys with a colon and their values. The value is in the same text or the only text to its right."""
    found: list[KeyValue] = []
    for line in page.layout.lines:
        for place, piece in enumerate(line.pieces):
            one = _key_value(line, place, piece)
            if isinstance(one, Refusal):
                yield one
            elif one is not None:
                found.append(one)
    for one in found:
        values = {plain(other.value) for other in found if _letters(other.key) == _letters(one.key)}
        given = page.evidence.fields.get(_letters(one.key))
        if len(values) > 1:
            yield Refusal("key-value", "the key has several values")
        elif given is not None and _marks(given) not in _marks(one.value):
            yield Refusal("key-value", "differs from the field of that name")
        else:
            yield one


def _key_value(line: Line, place: int, piece: Piece) -> KeyValue | Refusal | None:
    after = line.pieces[place + 1 :]
    if ":" not in piece.text:
        return None
    if not line.clear:
        return Refusal("key-value", "unclear line")
    if (whole := _KEY_AND_VALUE.fullmatch(piece.text)) is not None:
        if (after and ":" not in after[0].text) or len(whole["value"].split()) > LONGEST_VALUE:
            return Refusal("key-value", "the value may go on")
        return KeyValue(whole["key"].strip(), whole["value"].strip(), (piece.number,))
    if (only := _ONLY_KEY.fullmatch(piece.text)) is None:
        return None
    if not after:
        return Refusal("key-value", "nothing beside the key")
    if len(after) > 1 and ":" not in after[1].text:
        return Refusal("key-value", "several texts beside the key")
    value = after[0].text.strip()
    if ":" in value and re.match(r"[A-Za-z]", value):
        return Refusal("key-value", "nothing beside the key")
    if not any(character.isalnum() for character in value):
        return Refusal("key-value", "no word as value")
    return KeyValue(only["key"].strip(), value, (piece.number, after[0].number))


def key_value(page: Page) -> Iterator[Fact | Refusal]:
    """ "What is written behind Total?" """
    if page.scene:
        return
    asked: set[str] = set()
    for one in key_values(page):
        if isinstance(one, Refusal):
            yield one
        elif _letters(one.key) not in asked:
            asked.add(_letters(one.key))
            yield Fact("key-value", one.value, one.texts, {"key": one.key})


def field(page: Page) -> Iterator[Fact | Refusal]:
    """The value of a named field of a document, where the image shows it."""
    everything = _marks("".join(text.text for text in page.evidence.texts))
    for name, value in sorted(page.evidence.fields.items()):
        if not value.strip():
            continue
        if not _marks(value) or _marks(value) not in everything:
            yield Refusal("field", "not written like that")
            continue
        holding = tuple(
            number
            for number, text in enumerate(page.evidence.texts)
            if (marks := _marks(text.text)) and (marks in _marks(value) or _marks(value) in marks)
        )
        yield Fact("field", " ".join(value.split()), holding, {"field": name.replace("_", " ")})


@dataclass(frozen=True, slots=True)
class Table:
    """Cells by their headers: (row header, column header) -> the cell's piece. Headers are unique."""

    rows: tuple[Piece, ...]
    columns: tuple[Piece, ...]
    cells: dict[tuple[str, str], Piece]


def table_of(page: Page) -> Table | None:
    """The table of the pieces of the kinds "row", "column" and "cell".

    The result is None where two cells share a place, or a cell has none.
    """
    kinds = {
        kind: tuple(p for p in page.layout.pieces if p.kind == kind) for kind in ("row", "column", "cell")
    }
    rows, columns = kinds["row"], kinds["column"]
    names = [[plain(piece.text) for piece in group] for group in (rows, columns)]
    if not rows or not columns or any(len(set(group)) < len(group) for group in names):
        return None
    cells: dict[tuple[str, str], Piece] = {}
    for cell in kinds["cell"]:
        x, y = cell.level.centroid.coords[0]
        row = min(rows, key=lambda piece: abs(piece.level.centroid.y - y))
        column = min(columns, key=lambda piece: abs(piece.level.centroid.x - x))
        if (row.text, column.text) in cells:
            return None
        cells[row.text, column.text] = cell
    return Table(rows, columns, cells)


def cell(page: Page) -> Iterator[Fact | Refusal]:
    """The content of the cell in a row and a column."""
    table = table_of(page)
    if table is None:
        return
    for (row, column), piece in table.cells.items():
        headers = [p.number for p in (*table.rows, *table.columns) if p.text in (row, column)]
        yield Fact("cell", piece.text, (piece.number, *headers), {"row": row, "column": column})


def bars_of(page: Page) -> dict[str, tuple[Decimal, Piece, Piece]]:
    """The values of a bar chart by category: number, piece of the value, piece of the category.

    The result is {} where values and categories do not pair off.
    """
    categories = [piece for piece in page.layout.pieces if piece.kind == "category"]
    values = [piece for piece in page.layout.pieces if piece.kind == "value"]
    bars: dict[str, tuple[Decimal, Piece, Piece]] = {}
    for value in values:
        number = number_of(value.text)
        if number is None or not categories:
            return {}
        nearest = min(categories, key=lambda piece: abs(piece.level.centroid.x - value.level.centroid.x))
        if nearest.text in bars:
            return {}
        bars[nearest.text] = (number, value, nearest)
    return bars if len(bars) == len(categories) > 1 else {}


def bar(page: Page) -> Iterator[Fact | Refusal]:
    """The value of a bar, and which bar is the highest or the lowest."""
    bars = bars_of(page)
    for name, (_, value, category) in bars.items():
        yield Fact("bar-value", value.text, (value.number, category.number), {"category": name})
    ordered = sorted(bars, key=lambda name: bars[name][0])
    for word, pair in (("highest", ordered[-1:-3:-1]), ("lowest", ordered[:2])):
        if len(pair) < 2:
            continue
        low, high = sorted(bars[name][0] for name in pair)
        if low < 0 or high < CLEARLY_HIGHER * low or high == low:
            yield Refusal("bar-extreme", "two bars nearly as high")
        else:
            texts = tuple(own.number for _, own, _ in bars.values())
            yield Fact("bar-extreme", pair[0], (bars[pair[0]][2].number, *texts), {"extreme": word})


def appears(page: Page) -> Iterator[Fact | Refusal]:
    """Whether a word is written: asked of a word in the image, and of a word with one letter changed."""
    words = sorted(word for word in page.words if _WORD.fullmatch(word))
    if not words:
        return
    word = page.random.choice(words)
    texts = tuple(p.number for p in page.layout.pieces if word in plain(p.text))
    yield Fact("appears", "Yes", texts, {"word": word})
    if not page.evidence.all_texts:
        return
    model = page.random.choice(words)
    for _ in range(20):  # nearly every change of a letter gives a word that is not in the image
        place = page.random.randrange(len(model))
        near = model[:place] + page.random.choice(_LETTERS) + model[place + 1 :]
        if near not in page.everything.replace(" ", ""):
            yield Fact("appears", "No", (), {"word": near})
            return
    yield Refusal("appears", "no near miss found")


def _letters(text: str) -> str:
    """A key for comparison: "TOTAL (RM)" and "Total rm" are equal."""
    return re.sub(r"[^a-z]", "", text.lower())


def _marks(text: str) -> str:
    """Letters and digits only, because transcripts of one text differ in spaces and punctuation."""
    return re.sub(r"[\W_]", "", text.lower())


RULES: dict[str, Rule] = {
    "key-value": key_value,
    "field": field,
    "cell": cell,
    "bar": bar,
    "appears": appears,
}
