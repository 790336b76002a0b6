"""Leaves out of a model's captions what it says twice, before the next model learns from them.

A small model loses count of what it has named, and names it again as if it were one more: most of the things that are
not there are of this kind, and no truth is needed to see it. A caption that is *only* a loop is marked as one when it
is written (:mod:`vila2.caption.marks`); here single sentences go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vila2.cycle.merge.answers import sentences_of
from vila2.cycle.merge.mentions import mentions
from vila2.cycle.merge.names import Name
from vila2.data.annotations import Annotation
from vila2.data.layers import Layer, ReadLayer, write_layer
from vila2.data.sample import TextPart

if TYPE_CHECKING:
    from vila2.data.shards import ShardDataset

#: Determiners that speak of what was named before, or knowingly of one more.
_NOT_NEW = ("the ", "this ", "that ", "these ", "those ", "another ")


@dataclass(frozen=True, slots=True)
class Without:
    """A caption without its repeats, and the sentences that went."""

    text: str
    gone: tuple[str, ...] = ()


def without_repeats(text: str) -> Without:
    """Leaves out the sentences that introduce again what was introduced.

    "A small red cube" introduces a thing. Whoever introduces another cube that may be the same one, because all that
    is said of the one ("a red cube") is said of the other, repeats. "The cube", "another cube" and "two cubes" do not.

    Args:
        text: a caption.
    """
    introduced: list[Name] = []
    kept, gone = [], []
    for sentence in sentences_of([(TextPart(text),)])[0]:
        new = [*_introduced(sentence.text)]
        before = [[*introduced, *new[:number]] for number in range(len(new))]
        if any(_may_be_same(name, one) for name, earlier in zip(new, before, strict=True) for one in earlier):
            gone.append(sentence.text)
        else:
            kept.append(sentence.text)
            introduced += new
    return Without(" ".join(kept), tuple(gone))


def layer_without_repeats(dataset: ShardDataset, layer: ReadLayer, *, folder: Path, name: str) -> Layer:
    """Writes a layer's captions without their repeats.

    Args:
        dataset: whose images.
        layer: its captions; those that are not "ok" are passed on as they are.
        folder, name: of the new layer.

    Returns:
        The layer. ``detail`` holds the sentences that went; a caption of which nothing stays is a "repetition".
    """
    return write_layer(
        dataset,
        lambda key: map(_row_without, layer.get(key)),
        folder=folder,
        name=name,
        info={"without_repeats": layer.digest},
    )


def _row_without(row: Annotation) -> Annotation:
    found = without_repeats(row.text) if row.status == "ok" else Without(row.text)
    if not found.gone:
        return row
    detail = f"said before: {' '.join(found.gone)}"
    if not found.text:  # the text stays to be read
        return replace(row, status="repetition", detail=detail)
    return replace(row, text=found.text, detail=detail)


def _introduced(sentence: str) -> Iterator[Name]:
    for one in mentions(sentence):
        if one.number is None and not sentence[one.start : one.end].lower().startswith(_NOT_NEW):
            yield one.name


def _may_be_same(one: Name, other: Name) -> bool:
    return one[-1] == other[-1] and ({*one} <= {*other} or {*other} <= {*one})
