"""Facts: each is a question about the texts of an image with one right answer, and its grounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from random import Random
from typing import Any

from vila2.plugin import Box, Evidence

from vila2_ocr.layout import Layout, layout_of
from vila2_ocr.scoring import plain


@dataclass(frozen=True, slots=True)
class Fact:
    """The content of a question.

    Attributes:
        kind: kind of the question, a key of :data:`RULES`.
        answer: text that is trained.
        texts: places in ``Evidence.texts`` of the texts that the answer rests on.
        named: values that fill the template of the question.
        box: box that the question gives, where it gives one.
        computation: computation of a computed answer, "10.00 - 9.00 = 1.00"; "" for one that is read.
    """

    kind: str
    answer: str
    texts: tuple[int, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)
    box: Box | None = None
    computation: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fact for ``Sample.meta``, without its empty values."""
        return {name: value for name, value in asdict(self).items() if value not in ((), {}, None, "")}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A question that a rule does not ask, and why."""

    kind: str
    reason: str


class Page:
    """The input of the rules: the evidence of an image, and its layout."""

    def __init__(self, evidence: Evidence, random: Random) -> None:
        self.evidence = evidence
        self.random = random

    @cached_property
    def layout(self) -> Layout:
        """The layout of the texts."""
        return layout_of(self.evidence)

    @cached_property
    def scene(self) -> bool:
        """Whether the texts stand on things in a scene, rather than on a page."""
        return bool(self.evidence.texts) and all(text.on for text in self.evidence.texts)

    @cached_property
    def everything(self) -> str:
        """All texts as one plain text."""
        return plain(" ".join(text.text for text in self.evidence.texts))

    @cached_property
    def words(self) -> Counter[str]:
        """How often each word is written. The parts of a text count only once, with the whole."""
        return Counter(
            word
            for piece in self.layout.pieces
            for token in plain(piece.text).split()
            if (word := token.strip(PUNCTUATION))
        )


PUNCTUATION = ".,:;!?\"'()[]{}*#-/&"

Rule = Callable[[Page], Iterator[Fact | Refusal]]
