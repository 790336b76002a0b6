"""Requests as the chat templates of ``transformers`` read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from vila2.engine.protocol import Request

if TYPE_CHECKING:
    from PIL.Image import Image


def template_messages(
    request: Request, pictures: Sequence[Image], plain: Callable[[str], str]
) -> list[dict[str, Any]]:
    """A conversation: turns for the examples, then the images and the prompt (VILA² section 2.1.1).

    Args:
        request: request that is asked.
        pictures: its images, those of the examples first.
        plain: function that makes a text hold no special token.
    """
    prompt, count = plain(request.prompt), len(request.examples)
    messages: list[dict[str, Any]] = []
    for example, picture in zip(request.examples, pictures, strict=False):
        said = [{"type": "text", "text": plain(example.text)}]
        messages += [_asked(prompt, [picture]), {"role": "assistant", "content": said}]
    return [*messages, _asked(prompt, pictures[count:])]


def _asked(prompt: str, pictures: Sequence[Image]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "image", "image": picture} for picture in pictures]
    return {"role": "user", "content": [*content, {"type": "text", "text": prompt}]}
