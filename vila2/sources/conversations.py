"""Conversations as LLaVA and chat files write them, with ``<image>`` for the place of an image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vila2.data.sample import ImagePart, Part, Role, TextPart, Turn
from vila2.errors import DataError

#: What files call the speakers.
SPEAKERS: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "system": "system",
}
PLACEHOLDER = "<image>"
# One line end on either side belongs to the placeholder: the model's processor sets an image apart itself.
_PLACEHOLDER = re.compile(r"(?:\r?\n)?<image>(?:\r?\n)?")


class UnfitConversation(DataError):
    """A row's conversation can not become turns.

    Args:
        reason: the code for the reject.
        detail: one line for a reader.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def parse_conversation(turns: Any, images: int | None) -> tuple[Turn, ...]:
    """Reads a conversation.

    Placeholders count in the user's turns only: what the assistant and the system say stays text. A single image
    without placeholder is put before the user's first words.

    Args:
        turns: ``[{"from": "human", "value": "<image>\\n..."}, ...]`` or ``[{"role": "user", "content": ...}]``;
            content may be text, or a list of ``{"type": "text", "text": ...}`` and ``{"type": "image"}``.
        images: how many images the row has; None where it can have none: then a placeholder is text like any other.

    Raises:
        UnfitConversation: another form, an unknown speaker, or placeholders that do not fit the images.
    """
    if not isinstance(turns, Sequence) or isinstance(turns, str) or not turns:
        raise UnfitConversation("missing-text", "no conversation")
    parsed: list[Turn] = []
    placed = 0
    for turn in turns:
        role, pieces = _speaker_and_pieces(turn)
        parts: list[Part] = []
        for piece in pieces:
            if piece is None and role != "user":
                raise UnfitConversation("placeholder-mismatch", f"an image in a turn of the {role}")
            for part in _parts(piece, in_text=role == "user" and images is not None):
                if isinstance(part, ImagePart):
                    part, placed = ImagePart(placed), placed + 1
                parts.append(part)
        parsed.append(Turn(role, tuple(parts)))
    if placed == (images or 0):
        return tuple(parsed)
    if images == 1 and placed == 0:
        return _put_before_user(parsed)
    raise UnfitConversation(
        "placeholder-mismatch", f"{placed} placeholders {PLACEHOLDER} for {images} images"
    )


def _put_before_user(turns: list[Turn]) -> tuple[Turn, ...]:
    for number, turn in enumerate(turns):
        if turn.role == "user":
            shown = Turn("user", (ImagePart(0), *turn.parts))
            return (*turns[:number], shown, *turns[number + 1 :])
    raise UnfitConversation("placeholder-mismatch", "an image, but no user's turn that could show it")


def _speaker_and_pieces(turn: Any) -> tuple[Role, list[str | None]]:
    """The speaker, and what is said: texts, and None for an image."""
    if not isinstance(turn, Mapping):
        raise UnfitConversation("bad-row", f"a turn is {type(turn).__name__} instead of an object")
    speaker = turn.get("from", turn.get("role"))
    content = turn.get("value", turn.get("content"))
    if not isinstance(speaker, str) or speaker not in SPEAKERS:
        raise UnfitConversation("unknown-role", f"unknown speaker {speaker!r}; known: {', '.join(SPEAKERS)}")
    if isinstance(content, str):
        return SPEAKERS[speaker], [content]
    if not isinstance(content, list):
        raise UnfitConversation("bad-row", f"a turn says {type(content).__name__} instead of text")
    pieces: list[str | None] = []
    for piece in content:
        kind = piece.get("type") if isinstance(piece, Mapping) else None
        if kind in ("image", "image_url"):
            pieces.append(None)
        elif kind == "text" and isinstance(piece.get("text"), str):
            pieces.append(piece["text"])
        else:
            raise UnfitConversation("bad-row", f"a turn holds {piece!r:.60} instead of text or image")
    return SPEAKERS[speaker], pieces


def _parts(piece: str | None, *, in_text: bool) -> list[Part]:
    if piece is None:
        return [ImagePart()]
    if not in_text:
        return [TextPart(piece)] if piece else []
    parts: list[Part] = []
    for number, text in enumerate(_PLACEHOLDER.split(piece)):
        if number:
            parts.append(ImagePart())
        if text:
            parts.append(TextPart(text))
    return parts
