"""Finds how a chat template renders conversations: its text around utterances, and their order.

The chat template is rendered once per conversation *shape*, with a sentinel in place of every utterance.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from vila2.data.sample import ImagePart, Part, Turn
from vila2.errors import DataError, ModelError

if TYPE_CHECKING:
    from transformers import ProcessorMixin

_SENTINEL = re.compile("\ue000(\\d+)\ue001")
# For each turn its role, and for each of its parts whether it is an image.
_Shape = tuple[tuple[str, tuple[bool, ...]], ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation's shape as the chat template writes it.

    Attributes:
        glue: template text around the n utterances, n + 1 strings.
        order: indices of the utterances in the order of the template.
        moved: indices of the turns whose images the template moves.
    """

    glue: tuple[str, ...]
    order: tuple[int, ...]
    moved: frozenset[int] = frozenset()


class TemplateShapes:
    """Renders each shape of a conversation once, and keeps the result.

    Args:
        processor: processor with a chat template.
        image_token: placeholder of an image in a rendered template.
    """

    def __init__(self, processor: ProcessorMixin, *, image_token: str) -> None:
        self.processor = processor
        self.image_token = image_token
        self._templates: dict[_Shape, Rendered | DataError | ModelError] = {}

    def rendered(self, turns: Sequence[tuple[Turn, Sequence[tuple[Part, int, bool]]]]) -> Rendered:
        """How the template renders turns of this shape; kept, as is the error.

        Args:
            turns: turns, each with the parts that are said in it, their branches, and whether they train.

        Raises:
            DataError: the template refuses turns of this shape.
            ModelError: the template fails, or it drops or reorders parts.
        """
        shape = tuple(
            (turn.role, tuple(isinstance(part, ImagePart) for part, *_ in parts)) for turn, parts in turns
        )
        if shape not in self._templates:
            try:
                self._templates[shape] = self._render(shape)
            except (DataError, ModelError) as error:
                self._templates[shape] = error
        found = self._templates[shape]
        if isinstance(found, Rendered):
            return found
        raise type(found)(found.what, hint=found.hint)

    def _render(self, shape: _Shape) -> Rendered:
        """Renders a conversation of this shape and finds its utterances in the result."""
        rendered = self._render_marks(shape)
        order = [image for _, images in shape for image in images]
        glue = self._glue(rendered, order, range(len(order)))
        if glue is not None:
            return Rendered(glue, tuple(range(len(order))))
        places = self._order_in(rendered, order)
        glue = None if places is None else self._glue(rendered, order, places)
        if places is None or glue is None:
            raise _misfit(rendered, shape)
        turn_of = [number for number, (_, images) in enumerate(shape) for _ in images]
        moved = {turn_of[which] for place, which in enumerate(places) if place != which}
        return Rendered(glue, tuple(places), frozenset(moved))

    def _render_marks(self, shape: _Shape) -> str:
        """Renders a conversation of this shape with a mark in place of every utterance."""
        messages: list[Any] = []
        count = 0
        for role, images in shape:
            content: list[dict[str, str]] = []
            for image in images:
                mark = _mark(count)
                count += 1
                if image:
                    content.append({"type": "image"})
                elif content and content[-1]["type"] == "text":
                    # One text, since templates put white space between several, or drop all but the first.
                    content[-1]["text"] += mark
                else:
                    content.append({"type": "text", "text": mark})
            messages.append({"role": role, "content": content})
        try:
            return str(self.processor.apply_chat_template(messages, tokenize=False))
        except TemplateError as error:
            roles = ", ".join(role for role, _ in shape)
            raise DataError(
                f"the chat template refuses a conversation of the turns {roles}: {error}",
                hint="put the turns into the order that the model knows, or set another model.chat_template",
            ) from error
        except Exception as error:  # a template can fail in any way: a missing key, a wrong type
            raise ModelError(
                f"the chat template fails: {type(error).__name__}: {error}",
                hint="fix the template, or set another with model.chat_template",
            ) from error

    def _glue(self, rendered: str, images: Sequence[bool], order: Sequence[int]) -> tuple[str, ...] | None:
        """The text around the utterances if they stand in this order, otherwise None."""
        glue, rest = [], rendered
        for which in order:
            before, mark, rest = rest.partition(self.image_token if images[which] else _mark(which))
            if not mark or _SENTINEL.search(before):
                return None
            glue.append(before)
        return None if _SENTINEL.search(rest) else (*glue, rest)

    def _order_in(self, rendered: str, images: Sequence[bool]) -> list[int] | None:
        """The order of all utterances; None if some are missing or the texts are reordered."""
        next_image = iter([number for number, image in enumerate(images) if image])
        found = re.finditer(f"{_SENTINEL.pattern}|{re.escape(self.image_token)}", rendered)
        order = [int(hit.group(1)) if hit.group(1) else next(next_image, -1) for hit in found]
        texts = [number for number in order if number >= 0 and not images[number]]
        whole = sorted(order) == list(range(len(images)))
        return order if whole and texts == sorted(texts) else None


def _mark(number: int) -> str:
    """The mark of utterance ``number`` while a template is rendered."""
    return f"\ue000{number}\ue001"


def _misfit(rendered: str, shape: _Shape) -> ModelError:
    """The error for a template with which a conversation cannot be trained on."""
    if re.search(r"\{['\"]type['\"]: ?['\"](?:image|text)['\"]", rendered):
        return ModelError(
            "the chat template takes the content of a turn as one text, not as a list of texts and images",
            hint="set a template that renders the parts of message.content (model.chat_template)",
        )
    count, lost = 0, []
    for role, images in shape:
        texts = [count + place for place, image in enumerate(images) if not image]
        if any(_mark(number) not in rendered for number in texts) and role not in lost:
            lost.append(role)
        count += len(images)
    what = f" (what the {' and the '.join(lost)} says)" if lost else ""
    return ModelError(
        f"the chat template drops or reorders parts of a conversation{what}",
        hint="set a template that keeps every turn and every image (model.chat_template)",
    )
