"""Reads conversations of chat files, with images at their places, as turns. The known forms:

    LLaVA, ShareGPT         [{"from": "human", "value": "<image>\\n..."}, ...]
    OpenAI, Qwen, TRL       [{"role": "user", "content": TEXT or PIECES}, ...], where PIECES is a list such as
                            [{"type": "image", "image": "a.jpg"}, {"type": "text", "text": "..."}]
    The Cauldron            [{"user": "...", "assistant": "..."}, ...]
    the same as JSON text, and as columns: {"from": [...], "value": [...]}
    TRL, ms-swift, Alpaca   "prompt" and "completion", "query" and "response", "instruction" and "output"

The turns are the same whether the images are listed beside the conversation or stand inside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vila2.data.sample import ImagePart, Part, Role, TextPart, Turn
from vila2.data.shortening import listed, shown
from vila2.sources.chat_turns import (
    ANSWERS,
    CONTEXTS,
    PLACEHOLDER,
    QUESTIONS,
    ShownImage,
    UnfitConversation as UnfitConversation,
    exchange_keys,
    find_conversation,
    first_field,
    is_turn,
    refuse_media,
    speakers_and_pieces,
    split_placeholders,
    turn_objects,
)
from vila2.sources.image_values import image_name, is_empty

#: Fields that hold a conversation, in the order in which they are tried.
CHATS = ("conversations", "messages", "conversation", "texts", "dialogue", "dialog", "chat")

# A placeholder stands at the beginning or the end of a text, or alone on a line; elsewhere it is an HTML tag.
_MEDIUM = re.compile(
    r"<\|(video|audio)_pad\|>|\A\s*<(video|audio)>|<(video|audio)>\s*\Z|^[ \t]*<(video|audio)>[ \t]*$",
    re.MULTILINE,
)

# Instructions may contain HTML, so there only the first and the last line count.
_LINE = re.compile(r"\A\s*<(video|audio|image)>\s*(?:\n|\Z)|\n\s*<(video|audio|image)>\s*\Z")


class Conversation(NamedTuple):
    """Turns and their images.

    Attributes:
        turns: turns of the conversation.
        images: images as the row gives them; ``ImagePart(n)`` refers to number n.
    """

    turns: tuple[Turn, ...]
    images: tuple[object, ...] = ()


def read_conversation(value: object, stored: Sequence[object] | None, system: object = None) -> Conversation:
    """Reads a conversation and finds its images.

    Only turns of the user have placeholders; in other turns they are text. If there is no placeholder, the
    images come before the user's first words. An image that a turn names is the row's image of that name, or
    an additional one.

    Args:
        value: conversation in one of the forms of this module.
        stored: images that the row lists beside the conversation, in order; None if rows have none, so that a
            placeholder is plain text.
        system: system prompt, if it has a field of its own.

    Raises:
        UnfitConversation: the form or a speaker is unknown, a turn has a video or a sound, or placeholders do
            not fit the images.
    """
    said = [pair for turn in turn_objects(value) for pair in speakers_and_pieces(turn)]
    if isinstance(system, str) and system.strip() and all(role != "system" for role, _ in said):
        said.insert(0, ("system", [system]))
    places = _Places(stored or ())
    turns = [Turn(role, tuple(_placed_parts(role, pieces, places, stored is None))) for role, pieces in said]
    return Conversation(*places.closed(turns))


def _placed_parts(
    role: Role, pieces: Sequence[str | ShownImage], places: _Places, text_only: bool
) -> Iterator[Part]:
    """Yields the parts of one turn, with every image at its place.

    Args:
        role: speaker of the turn.
        pieces: texts and images of the turn.
        places: images of the conversation so far.
        text_only: whether rows have no images.

    Raises:
        UnfitConversation: an image stands where there can be none.
    """
    for piece in pieces:
        if isinstance(piece, ShownImage) and (role != "user" or text_only):
            where = "an image among instructions" if role == "user" else f"an image in a turn of the {role}"
            raise UnfitConversation("placeholder-mismatch", f"{where}; source llava reads images")
        if isinstance(piece, str) and role == "user":
            _refuse_placeholders(piece, in_text=text_only)
        for part in _parts(piece, in_text=role == "user" and not text_only):
            yield places.put(part) if isinstance(part, ShownImage) else part


def read_talk(
    fields: Mapping[str, Any], stored: Sequence[object] | None, text_key: str = ""
) -> tuple[Conversation, tuple[str, ...]]:
    """Reads the conversation of a row, in whichever fields it stands.

    Args:
        fields: fields of the row.
        stored: images of the row, see :func:`read_conversation`.
        text_key: field of the conversation; by default the first of :data:`CHATS`, else those of
            :data:`QUESTIONS` and :data:`ANSWERS`.

    Returns:
        The conversation, and the fields that it was read from.

    Raises:
        UnfitConversation: there is no conversation, or it does not fit the images.
    """
    refuse_media(fields)
    if text_key and text_key not in fields:
        raise UnfitConversation("missing-field", f"no {text_key!r}; fields: {listed(fields)}")
    chats = [name for name in CHATS if name in fields]
    chat = text_key or next((name for name in chats if not is_empty(fields[name])), "")
    exchange = exchange_keys(fields)
    if not chat and chats and exchange is None:
        chat = chats[0]
    if chat:
        used = (chat, "system") if isinstance(fields.get("system"), str) else (chat,)
        return read_conversation(fields[chat], stored, fields.get("system")), used
    return read_exchange(fields, stored)


def read_exchange(
    fields: Mapping[str, Any], stored: Sequence[object] | None, question: str = "", answer: str = ""
) -> tuple[Conversation, tuple[str, ...]]:
    """Reads the question and the answer of a row, with the context and the history of the question.

    Args:
        fields: fields of the row.
        stored: images of the row, see :func:`read_conversation`.
        question: field of the question; by default the first of :data:`QUESTIONS`.
        answer: field of the answer; by default the first of :data:`ANSWERS`.

    Returns:
        The conversation, and the fields that it was read from.

    Raises:
        UnfitConversation: a field is missing or holds no text.
    """
    named = bool(question)
    for names, given in ((QUESTIONS, question), (ANSWERS, answer)):
        if first_field(fields, (given,) if given else names) is None:
            wanted = repr(given) if given else "conversation, nor question and answer"
            raise UnfitConversation("missing-field", f"no {wanted}; fields: {listed(fields)}")
    question = question or first_field(fields, QUESTIONS) or ""
    answer = answer or first_field(fields, ANSWERS) or ""
    context = None if named else first_field(fields, CONTEXTS)
    for name in (question, answer):
        if is_empty(fields[name]) or not isinstance(fields[name], str | list | Mapping):
            raise UnfitConversation("missing-text", f"{name!r} holds no text: {shown(fields[name])}")
    asked = _as_turns(fields[question], "user")
    if context and not is_empty(fields[context]):
        given = fields[context]
        text = given if isinstance(given, str) else json.dumps(given, default=str)
        asked[-1] = _with_context(asked[-1], text.strip())
    has_history = not named and not is_empty(fields.get("history"))
    history = turn_objects(fields["history"]) if has_history else []
    turns = [*history, *asked, *_as_turns(fields[answer], "assistant")]
    extra = tuple(name for name in ("history", "system") if not named and not is_empty(fields.get(name)))
    used = tuple(name for name in (question, context, answer) if name) + extra
    return read_conversation(turns, stored, None if named else fields.get("system")), used


class _Places:
    """Collects images in the order in which the turns place them.

    Args:
        stored: images that the row lists beside the conversation.
    """

    def __init__(self, stored: Sequence[object]) -> None:
        self._stored = list(stored)
        self._free = list(range(len(stored)))
        self._names = [image_name(value) if isinstance(value, str | Mapping) else "" for value in stored]
        self._images: list[object] = []
        self._inside: list[int] = []
        self._count = 0

    def put(self, shown_here: ShownImage) -> ImagePart:
        """Places one image: the stored one of its number or name, else the next one, else its own value."""
        self._count += 1
        number = shown_here.number
        if number is None and shown_here.value is not None:
            number = self._named(image_name(shown_here.value))
        elif number is None and self._free:
            number = self._free[0]
        if number is not None and number < len(self._stored):
            if number in self._free:
                self._free.remove(number)
            self._images.append(self._stored[number])
        elif shown_here.value is not None:
            self._inside.append(len(self._images))
            self._images.append(shown_here.value)
        else:
            self._images.append(None)
        return ImagePart(len(self._images) - 1)

    def _named(self, name: str) -> int | None:
        if not name:
            return None
        same = [n for n, known in enumerate(self._names) if known and _same_file(known, name)]
        return next((n for n in same if n in self._free), same[0] if same else None)

    def closed(self, turns: list[Turn]) -> tuple[tuple[Turn, ...], tuple[object, ...]]:
        """Returns the turns and their images once all turns are placed.

        Raises:
            UnfitConversation: an image has no place, or a place has no image.
        """
        if len(self._inside) == len(self._free) and not any(self._names[number] for number in self._free):
            # The images stand twice: by name inside the turns, as bytes beside them.
            for place, number in zip(self._inside, self._free, strict=True):
                self._images[place] = self._stored[number]
            self._free = []
        if self._count == 0 and self._free:
            return _put_before_user(turns, len(self._free)), tuple(self._stored)
        if self._free or any(image is None for image in self._images):
            detail = f"{self._count} placeholders {PLACEHOLDER} for {len(self._stored)} images"
            if self._inside:
                inside = shown(self._images[self._inside[0]])
                detail = f"the turns show {inside}, which is none of the row's {len(self._stored)} images"
            raise UnfitConversation("placeholder-mismatch", detail)
        return tuple(turns), tuple(self._images)


def _same_file(one: str, other: str) -> bool:
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")


def _put_before_user(turns: list[Turn], images: int) -> tuple[Turn, ...]:
    for number, turn in enumerate(turns):
        if turn.role == "user":
            opening = Turn("user", (*map(ImagePart, range(images)), *turn.parts))
            return (*turns[:number], opening, *turns[number + 1 :])
    raise UnfitConversation("placeholder-mismatch", "an image, but no user's turn that could show it")


def _as_turns(value: object, role: Role) -> list[object]:
    if isinstance(value, str) and find_conversation(value) is None:
        return [{"role": role, "content": value.strip()}]
    if isinstance(value, list) and value and not is_turn(value[0]):
        return [{"role": role, "content": value}]
    return turn_objects(value)


def _with_context(turn: object, context: str) -> object:
    content = turn.get("content") if isinstance(turn, Mapping) else None
    if not isinstance(turn, Mapping) or not isinstance(content, str):
        raise UnfitConversation("bad-row", "a context beside a question that is a conversation")
    return {**turn, "content": f"{content}\n\n{context}"}


def _refuse_placeholders(text: str, *, in_text: bool) -> None:
    found = (_LINE if in_text else _MEDIUM).search(text)
    if found is None:
        return
    medium = next(filter(None, found.groups()))
    if medium == "image":
        raise UnfitConversation(
            "image", "a question about an image among instructions; source llava reads images"
        )
    raise UnfitConversation(medium, f"{medium} rows are not read (a placeholder <{medium}>)")


def _parts(piece: str | ShownImage, *, in_text: bool) -> list[TextPart | ShownImage]:
    if isinstance(piece, ShownImage):
        return [piece]
    if not in_text:
        return [TextPart(piece)] if piece else []
    return [TextPart(one) if isinstance(one, str) else one for one in split_placeholders(piece)]
