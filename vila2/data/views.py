"""Views: how the original text of a sample and the layers about it become one conversation.

A recipe names the view of each dataset. From the original caption "Our trip" and the layer `self-1`'s "A dog
on a beach", the views make::

    only(original)               [image] -> Our trip
    only(self-1)                 [image] -> A dog on a beach
    concat(original,self-1)      [image] -> Our trip -> A dog on a beach
    dialogue(original,self-1)    [image] -> Our trip, PROMPT -> A dog on a beach
    tree(original,self-1)        the same; with several layers, no exchange sees another's
    pairs(pairs-1)               [image] PROMPT -> the better caption, and -> the worse one, in two branches

An arrow separates the user's turn from the assistant's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import dropwhile, takewhile
from typing import Literal, cast, get_args

from vila2.data.layers import Annotation
from vila2.data.sample import ImagePart, Part, Sample, TextPart, Turn, assistant, user
from vila2.data.tar_sample import has_text
from vila2.errors import DataError

ViewKind = Literal["only", "concat", "dialogue", "tree", "pairs"]
KINDS: tuple[ViewKind, ...] = get_args(ViewKind)
#: The ``source`` of the two answers of a pair.
CHOSEN, REJECTED = "chosen", "rejected"
_FORM = re.compile(r"\s*([\w-]+)\s*\(([^()]*)\)\s*")
_LAYER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")


@dataclass(frozen=True, slots=True)
class View:
    """A kind of view and the layers that it shows.

    - ``only(L)``: the images and one text. ``only(original)`` is the sample as it is.
    - ``concat(original,L)``: the paper's template (section 2.1.1): both texts, the original first.
    - ``dialogue(original,L,...)``: the original conversation, then every exchange of the layers, in order.
    - ``tree(original,L,...)``: the same, but each exchange sees only the images and the original
      conversation.
    - ``pairs(L)``: the better and the worse of two answers to one question, for the objective ``preference``.

    Attributes:
        kind: kind of the view.
        layers: names of the layers, in order; "original" stands for the text in the shards and comes first.

    Raises:
        DataError: the kind is unknown, or the layers do not fit it.

    Example:
        >>> View.parse("concat(original,self-1)")
        View(kind='concat', layers=('original', 'self-1'))
    """

    kind: ViewKind
    layers: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"unknown view {self.kind!r}", hint=f"use one of {', '.join(KINDS)}")
        for layer in self.layers:
            if not _LAYER.match(layer):
                raise DataError(f"{layer!r} in view {self} is not the name of a layer", hint=_EXAMPLE)
        if len(set(self.layers)) != len(self.layers):
            raise DataError(f"view {self} names a layer twice", hint="name each layer once")
        if self.kind == "only" and len(self.layers) != 1:
            raise DataError(f"view {self} needs exactly one layer", hint="only(original), only(self-1)")
        if self.kind == "pairs" and (len(self.layers) != 1 or "original" in self.layers):
            raise DataError(f"view {self} needs exactly one layer of pairs", hint="pairs(pairs-1)")
        if self.kind == "concat" and len(self.layers) < 2:
            raise DataError(f"view {self} needs two layers", hint="concat(original,self-1)")
        if not self.layers:
            raise DataError(f"view {self} names no layer", hint=_EXAMPLE)
        if "original" in self.layers[1:]:
            raise DataError(f"view {self}: the original text comes first", hint="name `original` first")

    @classmethod
    def parse(cls, text: str) -> View:
        """Reads a view from "KIND(LAYER,...)".

        Raises:
            DataError: the text has another form, or names no such view.
        """
        match = _FORM.fullmatch(text)
        if not match:
            raise DataError(f"{text!r} is not a view", hint=_EXAMPLE)
        layers = [name.strip() for name in match.group(2).split(",")]
        kind = cast(ViewKind, match.group(1))  # an unknown one is refused by the view itself
        return cls(kind, tuple(layers) if layers != [""] else ())

    def __str__(self) -> str:
        return f"{self.kind}({','.join(self.layers)})"


_EXAMPLE = "write only(original), concat(original,self-1), dialogue(original,self-1,ocr) or tree(...)"


def apply_view(view: View, sample: Sample, annotations: Mapping[str, Sequence[Annotation]]) -> Sample | None:
    """Builds the conversation of a sample that a view shows.

    Only annotations with status "ok" are used; where there are several, ``only`` and ``concat`` take the
    first. A layer that has none is left out by ``concat``, ``dialogue`` and ``tree``. The turns of a layer
    carry its name in ``source``.

    Args:
        view: view to apply.
        sample: sample with its original turns.
        annotations: annotations of this sample, by name of the layer.

    Returns:
        The sample with the new conversation, or None where nothing is left to train on.
    """
    if view.layers == ("original",):
        return sample if has_text(sample) else None
    usable = {
        layer: [row for row in annotations.get(layer, ()) if row.status == "ok"]
        for layer in view.layers
        if layer != "original"
    }
    if view.kind == "pairs":
        turns = _pair(sample, annotations.get(view.layers[0], ()))
    elif view.kind == "only" and "original" not in view.layers:
        rows = usable[view.layers[0]]
        shown = sample.with_turns((_images(sample),) if sample.images else ())
        turns = _append(shown, [_answer(rows[0], view.layers[0])]) if rows else ()
    elif view.kind in ("only", "concat"):
        added = [_answer(rows[0], layer) for layer, rows in usable.items() if rows]
        turns = _append(_trunk(view, sample), added)
    else:
        exchanges = [_exchange(row, layer) for layer, rows in usable.items() for row in rows]
        turns = _append(_trunk(view, sample), exchanges, isolated=view.kind == "tree")
    viewed = sample.with_turns(turns)
    return viewed if has_text(viewed) else None


def _images(sample: Sample) -> Turn:
    return user(*(ImagePart(index) for index in range(len(sample.images))))


def _pair(sample: Sample, rows: Sequence[Annotation]) -> tuple[Turn, ...]:
    """Gives the question of a pair as the trunk, and its two answers as branches; nothing without a pair."""
    if len(rows) != 2 or rows[0].status != "ok" or not rows[1].text.strip():
        return ()
    chosen, rejected = rows
    asked = user(*_images(sample).parts, *([TextPart(chosen.prompt)] if chosen.prompt else []))
    return (
        *((asked,) if asked.parts else ()),
        replace(assistant(chosen.text, source=CHOSEN), branch=1),
        replace(assistant(rejected.text, source=REJECTED), branch=2),
    )


def _trunk(view: View, sample: Sample) -> Sample:
    """Gives the conversation that layers are added to: the original one, or the images alone."""
    if "original" in view.layers:
        return sample
    return sample.with_turns((_images(sample),) if sample.images else ())


def _answer(row: Annotation, layer: str) -> list[Turn]:
    """Gives the first answer of an annotation, without the question."""
    if row.turns:
        said = dropwhile(lambda turn: turn.role != "assistant", row.turns)
        answer = [*takewhile(lambda turn: turn.role == "assistant", said)]
        # An answer with masked sentences is several turns of one source.
        return [replace(turn, source=layer, branch=0) for turn in answer if turn.source == answer[0].source]
    return [assistant(row.text, source=layer)]


def _exchange(row: Annotation, layer: str) -> list[Turn]:
    """Gives the question and the answer of an annotation."""
    if row.turns is not None:
        return [replace(turn, source=layer, branch=0) for turn in row.turns]
    answer = Turn("assistant", (TextPart(row.text),), source=layer)
    return [_asked(row.prompt, layer), answer] if row.prompt else [answer]


@lru_cache(maxsize=1024)
def _asked(prompt: str, layer: str) -> Turn:
    """The turn of a question; many images have the same one."""
    return user(prompt, source=layer)


def _append(
    trunk: Sample, exchanges: Sequence[Sequence[Turn]], *, isolated: bool = False
) -> tuple[Turn, ...]:
    """Adds exchanges to the end of a conversation, or as branches of their own.

    A conversation with branches gets further branches, because all of its branches would see what is added to
    the trunk.
    """
    turns = list(trunk.turns)
    last = max((turn.branch for turn in turns), default=0)
    for number, exchange in enumerate(exchanges, start=last + 1):
        if isolated or last:
            turns += [replace(turn, branch=number) for turn in exchange]
        elif exchange and turns and exchange[0].role == turns[-1].role == "user":
            # The image and the first question are one utterance, as a user would make it.
            turns[-1] = replace(turns[-1], parts=_joined(turns[-1].parts, exchange[0].parts))
            turns += exchange[1:]
        else:
            turns += exchange
    return tuple(turns)


def _joined(first: tuple[Part, ...], second: tuple[Part, ...]) -> tuple[Part, ...]:
    if first and isinstance(first[-1], TextPart) and first[-1].text:
        return (*first, TextPart("\n"), *second)
    return (*first, *second)
