"""Examples as the page shows them: an image and its marked captions, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from vila2.report.marked_text import MarkedSpan, claim_line, cut_into_segments
from vila2.report.results_page import Caption, Example, LayerResult

_COUNTED = (
    ("fact", "supported fact", "supported facts"),
    ("spatial", "spatial statement", "spatial statements"),
    ("hallucination", "hallucination", "hallucinations"),
)


@dataclass(frozen=True, slots=True)
class CaptionView:
    """A caption; ``summary`` counts its marks in words, and ``checks`` has a line for each claim."""

    layer: str
    written_by: str
    prompt: str
    status: str
    segments: tuple[MarkedSpan, ...]
    summary: str
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """An example; ``tags`` name the filters that show it."""

    key: str
    image: str | None
    truth: str
    captions: tuple[CaptionView, ...]
    tags: tuple[str, ...]

    @property
    def by_layer(self) -> tuple[tuple[CaptionView, tuple[CaptionView, ...]], ...]:
        """The first caption of every layer, and its others, which a reader unfolds: specialists say much."""
        groups = [tuple(group) for _, group in groupby(self.captions, key=lambda one: one.layer)]
        return tuple((first, tuple(others)) for first, *others in groups)


@dataclass(frozen=True, slots=True)
class Filter:
    """A choice above the examples."""

    tag: str
    label: str
    count: int


def example_cards(examples: Sequence[Example], layers: Sequence[LayerResult]) -> tuple[Card, ...]:
    """The cards, in the order given."""
    writers = {layer.name: layer.written_by or "" for layer in layers}
    return tuple(
        Card(
            example.key,
            example.image,
            example.truth or "",
            tuple(_caption_view(caption, writers) for caption in example.captions),
            _tags(example),
        )
        for example in examples
    )


def filters(cards: Sequence[Card]) -> tuple[Filter, ...]:
    """The choices above the examples; one that would show none of them is left out."""
    offered = (
        ("changed", "only examples that changed"),
        ("gained", "only where a hallucination appeared"),
        ("lost", "only where a hallucination went"),
    )
    counts = [Filter(tag, label, sum(tag in card.tags for card in cards)) for tag, label in offered]
    return tuple(one for one in counts if one.tag == "changed" or one.count)


def _caption_view(caption: Caption, writers: dict[str, str]) -> CaptionView:
    segments = cut_into_segments(caption.text, caption.claims)
    # What a reader sees is counted: "a red cube" that is not there is one hallucination, though its shape and
    # its color are claims of their own.
    counts = {mark: sum(segment.mark == mark for segment in segments) for mark, _, _ in _COUNTED}
    words = [
        f"{counts[mark]} {one if counts[mark] == 1 else many}" for mark, one, many in _COUNTED if counts[mark]
    ]
    return CaptionView(
        caption.layer,
        writers.get(caption.layer, ""),
        caption.prompt or "",
        caption.status,
        segments,
        ", ".join(words),
        tuple(dict.fromkeys(map(claim_line, caption.claims))),
    )


def _tags(example: Example) -> tuple[str, ...]:
    """How an example's captions differ from round to round.

    "changed": the claims differ (or the texts, where nothing was checked). "gained": a hallucination that the
    round before did not have. "lost": a hallucination that only the round before had.
    """
    rounds: dict[str, list[Caption]] = {}
    for caption in example.captions:
        rounds.setdefault(caption.layer, []).append(caption)
    tags = set()
    for before, after in pairwise(rounds.values()):
        if _content(before) != _content(after):
            tags.add("changed")
        if _wrong(after) - _wrong(before):
            tags.add("gained")
        if _wrong(before) - _wrong(after):
            tags.add("lost")
    return tuple(sorted(tags))


def _content(captions: Sequence[Caption]) -> frozenset[tuple[str, ...]]:
    claims = frozenset((c.kind, c.subject, c.status) for caption in captions for c in caption.claims)
    return claims or frozenset((caption.status, caption.text) for caption in captions)


def _wrong(captions: Sequence[Caption]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (c.kind, c.subject) for caption in captions for c in caption.claims if c.status == "contradicted"
    )
