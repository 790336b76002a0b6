"""Finds written coordinates in a text: lists in brackets, and runs of tokens.

This module finds what is written; a coordinate scheme decides what it means. Time is linear in the length of
the text, whatever it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from string import Formatter

from vila2.errors import DataError

_LONGEST = 200  # characters between brackets; a longer list is no box and is not searched
_BRACKET = re.compile(r"\[([^\[\]]*)(\]?)")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?:\s?(?:%|px))?", re.ASCII)
# Tokenizers that decode word by word put a space behind every full stop.
_SPLIT_NUMBER = re.compile(r"(?<=\d)\. (?=\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Written:
    """Neighboring numbers, as they are written in a text.

    Attributes:
        numbers: the numbers, each as it is written.
        whole: False where the list is cut off or holds something else too.
        start: place of the first character in the text.
        end: place behind the last character.
    """

    numbers: tuple[str, ...]
    whole: bool
    start: int
    end: int


def written_lists(text: str) -> Iterator[Written]:
    """Finds lists in brackets of numbers, or that begin with two numbers; not ``[sic]`` or ``[2 dogs]``."""
    for match in _BRACKET.finditer(text):
        inside = _SPLIT_NUMBER.sub(".", match.group(1)[:_LONGEST])
        fields = [field.strip() for field in inside.split(",")]
        numbers = [_NUMBER.fullmatch(field) is not None for field in fields]
        only = all(numbers)
        if only or numbers[:2] == [True, True]:
            whole = only and bool(match.group(2)) and len(match.group(1)) <= _LONGEST
            yield Written(tuple(fields), whole, match.start(), match.end())


def written_tokens(text: str, template: tuple[str, str, str], arity: int) -> Iterator[Written]:
    """Finds runs of neighboring tokens and cuts them into groups; white space may separate the tokens.

    Args:
        text: text to search.
        template: parts of the tokens' template, from :func:`number_template`.
        arity: number of tokens in a group. A run whose length is no multiple of it stays one group.
    """
    before, _, behind = template
    token = f"{re.escape(before)}([0-9]{{1,9}}){re.escape(behind)}"
    run: list[re.Match[str]] = []
    for match in re.finditer(token, text):
        if run and text[run[-1].end() : match.start()].strip():
            yield from _cut(run, arity)
            run = []
        run.append(match)
    if run:
        yield from _cut(run, arity)


def _cut(run: list[re.Match[str]], arity: int) -> Iterator[Written]:
    size = len(run) if len(run) % arity else arity
    for first in range(0, len(run), size):
        group = run[first : first + size]
        yield Written(tuple(match.group(1) for match in group), True, group[0].start(), group[-1].end())


def number_template(template: str) -> tuple[str, str, str]:
    """Splits a template into the text before the number, the format of the number, and the text behind it.

    Args:
        template: text of a token with one ``{}`` for its number, such as ``<loc_{:03d}>``.

    Raises:
        DataError: there is not exactly one ``{}`` for a whole number, or no text on one side of it.
    """
    form, before, behind = None, "", ""
    try:
        for literal, name, spec, conversion in Formatter().parse(template):
            before, behind = (before + literal, "") if form is None else (before, behind + literal)
            if name is None:
                continue
            if form is not None or name or conversion or not re.fullmatch(r"(0\d)?d?", spec or ""):
                raise ValueError
            form = spec or ""
        if form is None:
            raise ValueError
    except ValueError:
        raise DataError(
            f"{template!r} is no template of numbered tokens", hint="write it like <loc_{:03d}>"
        ) from None
    if not before or not behind:
        raise DataError(
            f"tokens like {template.format(1)!r} would be found within ordinary numbers",
            hint="wrap the number, like <loc_{:03d}>",
        )
    return before, form, behind
