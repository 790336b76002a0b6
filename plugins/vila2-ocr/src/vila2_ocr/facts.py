"""Facts: what can be asked of an image's texts with one right answer, and what that answer rests on."""

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
    """A question's content.

    Attributes:
        kind: of the question, a key of :data:`RULES`.
        answer: as it is trained.
        texts: the numbers in ``Evidence.texts`` that it rests on.
        named: what fills the question's template.
        box: that the question gives, where it gives one.
        computation: of a reckoned answer, "10.00 - 9.00 = 1.00"; "" of one that is read.
    """

    kind: str
    answer: str
    texts: tuple[int, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)
    box: Box | None = None
    computation: str = ""

    def to_json(self) -> dict[str, Any]:
        """For ``Sample.meta``; what is empty is left out."""
        return {name: value for name, value in asdict(self).items() if value not in ((), {}, None, "")}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A question that a rule does not ask, and why."""

    kind: str
    reason: str


class Page:
    """What rules look at: an image's evidence, and its layout."""

    def __init__(self, evidence: Evidence, random: Random) -> None:
        self.evidence = evidence
        self.random = random

    @cached_property
    def layout(self) -> Layout:
        """Of the texts."""
        return layout_of(self.evidence)

    @cached_property
    def scene(self) -> bool:
        """Whether the texts stand on things in a scene, and not on a page."""
        return bool(self.evidence.texts) and all(text.on for text in self.evidence.texts)

    @cached_property
    def everything(self) -> str:
        """All texts as one plain text."""
        return plain(" ".join(text.text for text in self.evidence.texts))

    @cached_property
    def words(self) -> Counter[str]:
        """How often each word is written; the parts of a text are not counted again."""
        return Counter(
            word for piece in self.layout.pieces for token in plain(piece.text).split() if (word := token.strip(PUNCTUATION))
        )  # fmt: skip


PUNCTUATION = ".,:;!?\"'()[]{}*#-/&"

Rule = Callable[[Page], Iterator[Fact | Refusal]]
