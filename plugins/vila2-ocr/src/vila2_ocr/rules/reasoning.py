"""Reasoning: sums, differences and counts over what is written, each with its computation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise

from vila2_ocr.facts import Fact, Page, Refusal, Rule
from vila2_ocr.rules.comprehension import KeyValue, bars_of, key_values, table_of
from vila2_ocr.scoring import number_of, plain

#: An amount of money on a receipt: two decimals, which excludes dates and quantities.
_AMOUNT = re.compile(r"(?:rm|usd|eur|gbp|[$€£¥])?\s*\d{1,3}(?:,?\d{3})*\.\d{2}", re.IGNORECASE)
_WORD = re.compile(r"[a-z]{3,}")
#: Larger numbers are not counted by eye.
MOST_TIMES = 6


def total_of(page: Page) -> Iterator[Fact | Refusal]:
    """The sum of a table column, and the sum of all bars."""
    table = table_of(page)
    for column in table.columns if table else ():
        own = [piece for (_, name), piece in table.cells.items() if name == column.text] if table else []
        numbers = [number for piece in own if (number := number_of(piece.text)) is not None]
        if len(own) < 2 or len(numbers) < len(own):
            continue
        yield _sum(numbers, [column.number, *(p.number for p in own)], {"what": f"the column {column.text}"})
    bars = bars_of(page)
    if bars:
        yield _sum(
            [number for number, *_ in bars.values()],
            [value.number for _, value, _ in bars.values()],
            {"what": "all bars"},
        )


def difference(page: Page) -> Iterator[Fact | Refusal]:
    """The difference of two bars, or of two amounts that have keys."""
    bars = bars_of(page)
    names = sorted(bars)
    for name, other in pairwise(names):
        (one, value, _), (two, against, _) = bars[name], bars[other]
        if not one or not two or one == two:  # then the answer can be read as it stands
            continue
        yield _difference(one, two, (value.number, against.number), {"one": name, "other": other})
    if page.scene:
        return
    amounts: dict[str, KeyValue] = {}
    for found in key_values(page):
        if isinstance(found, KeyValue) and _AMOUNT.fullmatch(found.value) and number_of(found.value):
            amounts.setdefault(plain(found.key), found)
    keys = sorted(amounts)
    for key, other in pairwise(keys):
        first, second = amounts[key], amounts[other]
        smaller, larger = number_of(first.value), number_of(second.value)
        if smaller is not None and larger is not None and smaller != larger:
            texts = (*first.texts, *second.texts)
            yield _difference(smaller, larger, texts, {"one": first.key, "other": second.key})


def count(page: Page) -> Iterator[Fact | Refusal]:
    """How often a word is written, and the number of rows or bars."""
    if not page.evidence.all_texts or page.scene:
        return
    written = "\n".join(plain(piece.text) for piece in page.layout.pieces)
    by_times: dict[int, list[str]] = {}
    for word in sorted(page.words):
        if not _WORD.fullmatch(word) or page.words[word] > MOST_TIMES:
            continue
        if written.count(word) > page.words[word]:
            yield Refusal("count", "the word is part of others")
        else:
            by_times.setdefault(page.words[word], []).append(word)
    if max(by_times, default=0) == 1:  # where no word is repeated there is nothing to count
        by_times = {}
    for times, words in sorted(by_times.items()):  # one word for each number, or most answers were 1
        word = page.random.choice(words)
        texts = tuple(p.number for p in page.layout.pieces if word in plain(p.text))
        ones = " + ".join(["1"] * times)
        yield Fact("count", str(times), texts, {"word": word}, computation=f"{ones} = {times}")
    table = table_of(page)
    if table:
        yield _counted("rows", [piece.number for piece in table.rows])
    bars = bars_of(page)
    if bars:
        yield _counted("bars", [category.number for *_, category in bars.values()])


def _sum(numbers: Sequence[Decimal], texts: Sequence[int], named: dict[str, str]) -> Fact:
    answer = _written(sum(numbers, Decimal(0)))
    computation = f"{' + '.join(map(_written, numbers))} = {answer}"
    return Fact("sum", answer, tuple(texts), named, computation=computation)


def _difference(one: Decimal, two: Decimal, texts: tuple[int, ...], named: dict[str, str]) -> Fact:
    high, low = max(one, two), min(one, two)
    answer = _written(high - low)
    computation = f"{_written(high)} - {_written(low)} = {answer}"
    return Fact("difference", answer, texts, named, computation=computation)


def _counted(what: str, texts: Sequence[int]) -> Fact:
    computation = f"{' + '.join(['1'] * len(texts))} = {len(texts)}"
    return Fact("count", str(len(texts)), tuple(texts), {"what": what}, computation=computation)


def _written(number: Decimal) -> str:
    return format(number, "f")


RULES: dict[str, Rule] = {"sum": total_of, "difference": difference, "count": count}
