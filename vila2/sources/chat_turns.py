"""Splits the turns of chat files into speakers and what they say: texts, and images at their places."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vila2.data.sample import Role
from vila2.data.shortening import shown
from vila2.errors import DataError
from vila2.sources.image_values import image_values, is_empty

#: Names of the speakers in files.
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

#: Mark of an image's place in a text.
PLACEHOLDER = "<image>"

#: Fields of a question, of its context and of its answer, in the order in which they are tried.
QUESTIONS = ("instruction", "inputs", "question", "query", "prompt", "user", "human")
CONTEXTS = ("input", "context")
ANSWERS = ("output", "targets", "answer", "response", "completion", "assistant", "gpt")

#: Fields of media other than image and text, by the reason of the reject.
MEDIA: dict[str, tuple[str, ...]] = {
    "video": ("video", "videos", "video_path", "video_paths", "video_file", "video_url"),
    "audio": ("audio", "audios", "audio_path", "audio_paths", "audio_file", "audio_url"),
}

_MEDIA_FIELDS = frozenset(name for names in MEDIA.values() for name in names)

# A placeholder includes one line end on either side, since the model's processor sets an image apart itself.
# Qwen-VL writes <img>FILE</img>, or the vision tokens of its template.
_PLACEHOLDER = re.compile(
    r"(?:\r?\n)?(?:<image>|<\|vision_start\|><\|image_pad\|><\|vision_end\|>|<img>([^<>\n]+)</img>)(?:\r?\n)?"
)

_TEXTS = ("text", "input_text", "output_text")
_IMAGES = ("image", "image_url", "input_image", "image_path", "img")
_SAID_IN = ("text", "content", "value")
_IMAGE_IN = (*_IMAGES, "url", "path", "bytes", "base64", "data", "source")


class UnfitConversation(DataError):
    """A conversation cannot become turns.

    Args:
        reason: code of the reject.
        detail: one line for a reader.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class ShownImage(NamedTuple):
    """An image inside a turn.

    Attributes:
        value: name or content of the image as the turn gives it; None for a plain placeholder.
        number: number of the image among the row's; None if the turn gives none.
    """

    value: object = None
    number: int | None = None


def is_turn(value: object) -> bool:
    """Tells whether a value looks like one turn of a conversation."""
    if not isinstance(value, Mapping):
        return False
    return ("from" in value or "role" in value) and ("value" in value or "content" in value)


def find_conversation(value: object) -> list[object] | None:
    """Finds the turns of a conversation, also in JSON text or in columns; None for any other value."""
    if isinstance(value, str):
        value = parsed_text(value)
    if isinstance(value, Mapping) and (columns := _from_columns(value)) is not None:
        value = columns
    turns = value if isinstance(value, list | tuple) else [value]
    first = turns[0] if turns else None
    said = is_turn(first) or (isinstance(first, Mapping) and exchange_keys(first) is not None)
    return list(turns) if said else None


def parsed_text(text: str) -> object:
    """Parses a text that is a list or object of JSON, or of Python as in tables; None for a plain text."""
    text = text.strip()
    if not text or text[0] + text[-1] not in ("[]", "{}"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        value = ast.literal_eval(text) if len(text) < 100_000 else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, list | dict) else None


def refuse_media(fields: Mapping[str, Any]) -> None:
    """Refuses a row with a video or a sound: without it, its answers could only be invented.

    Raises:
        UnfitConversation: the row has one; the reason is "video" or "audio".
    """
    if _MEDIA_FIELDS.isdisjoint(fields):  # holds for nearly every row and turn
        return
    for medium, names in MEDIA.items():
        for name in names:
            if not is_empty(fields.get(name)):
                raise UnfitConversation(medium, f"{medium} rows are not read ({name}: {shown(fields[name])})")


def turn_objects(value: object) -> list[object]:
    """Lists the turns of a conversation as they stand in the file."""
    if isinstance(value, str) and (parsed := parsed_text(value)) is not None:
        value = parsed
    elif isinstance(value, str) and value.strip():
        raise UnfitConversation("missing-text", f"a text instead of a conversation: {shown(value)}")
    if isinstance(value, Mapping):
        columns = _from_columns(value)
        value = [value] if columns is None else columns
    if not isinstance(value, list | tuple) or not value:
        raise UnfitConversation("missing-text", "no conversation")
    return list(value)


def _from_columns(value: Mapping[Any, Any]) -> list[object] | None:
    """Makes turns of ``{"from": [...], "value": [...]}``, which Parquet makes of lists of objects."""
    columns = {
        name: column for name, column in value.items() if isinstance(column, list) and isinstance(name, str)
    }
    lengths = {len(column) for column in columns.values()}
    speaker = next((name for name in ("from", "role", "user") if name in columns), None)
    if speaker is None or len(lengths) != 1:
        return None
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def first_field(fields: Mapping[str, Any], names: Sequence[str]) -> str | None:
    present = [name for name in names if name in fields]
    return next((name for name in present if not is_empty(fields[name])), present[0] if present else None)


def exchange_keys(turn: Mapping[Any, Any]) -> tuple[str, str] | None:
    """Finds the fields of question and answer in a turn of the form ``{"user": ..., "assistant": ...}``."""
    asked, said = first_field(turn, QUESTIONS), first_field(turn, ANSWERS)
    return (asked, said) if asked and said else None


def _given(turn: Mapping[Any, Any], *names: str) -> Any:
    return next((turn[name] for name in names if turn.get(name) is not None), None)


def speakers_and_pieces(turn: object) -> list[tuple[Role, list[str | ShownImage]]]:
    """Splits a turn into speakers and what each says, texts and images; an exchange has two speakers."""
    if isinstance(turn, str) and isinstance(parsed := parsed_text(turn), Mapping):
        turn = parsed
    if isinstance(turn, list | tuple) and len(turn) == 2 and all(isinstance(text, str) for text in turn):
        return [("user", [turn[0]]), ("assistant", [turn[1]])]
    if not isinstance(turn, Mapping):
        raise UnfitConversation(
            "bad-row", f"a turn is {type(turn).__name__} instead of an object: {shown(turn)}"
        )
    refuse_media(turn)
    speaker = _given(turn, "from", "role")
    keys = exchange_keys(turn) if speaker is None else None
    if keys is not None:
        return [("user", _pieces(turn[keys[0]])), ("assistant", _pieces(turn[keys[1]]))]
    role = SPEAKERS.get(speaker.strip().lower()) if isinstance(speaker, str) else None
    if role is None:
        raise UnfitConversation(
            "unknown-role", f"unknown speaker {shown(speaker)}; known: {', '.join(SPEAKERS)}"
        )
    pieces = _pieces(_given(turn, "value", "content", "text"))
    own = [ShownImage(image) for image in image_values(_given(turn, "images", "image"))]
    return [(role, _with_own(pieces, own) if own else pieces)]


def _with_own(pieces: list[str | ShownImage], own: list[ShownImage]) -> list[str | ShownImage]:
    """Puts the images that a turn brings at its placeholders, or first if it has none."""
    split: list[str | ShownImage] = []
    for piece in pieces:
        split += split_placeholders(piece) if isinstance(piece, str) else [piece]
    places = [n for n, piece in enumerate(split) if isinstance(piece, ShownImage) and piece.value is None]
    if not places:
        return [*own, *pieces]
    if len(places) != len(own):
        detail = f"{len(places)} placeholders {PLACEHOLDER} for {len(own)} images of a turn"
        raise UnfitConversation("placeholder-mismatch", detail)
    for place, image in zip(places, own, strict=True):
        split[place] = image
    return split


def _pieces(content: object) -> list[str | ShownImage]:
    if isinstance(content, str):
        parsed = parsed_text(content) if content.lstrip()[:1] == "[" else None
        typed = isinstance(parsed, list) and all(isinstance(p, Mapping) and "type" in p for p in parsed)
        if not parsed or not typed:
            return [content]
        content = parsed
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list | tuple):
        raise UnfitConversation(
            "bad-row", f"a turn says {type(content).__name__} instead of text: {shown(content)}"
        )
    return [_piece(piece) for piece in content]


def _piece(piece: object) -> str | ShownImage:
    """Reads one text or image of a list of content."""
    if isinstance(piece, str):
        return piece
    if not isinstance(piece, Mapping):
        raise UnfitConversation("bad-row", f"a turn holds {shown(piece)} instead of text or image")
    kind = piece.get("type")
    medium = next((name for name in MEDIA if isinstance(kind, str) and name in kind), None)
    if medium:
        raise UnfitConversation(medium, f"{medium} rows are not read ({shown(piece)})")
    refuse_media(piece)
    text = next((said for name in _SAID_IN if isinstance(said := piece.get(name), str)), None)
    image = next((piece[name] for name in _IMAGE_IN if not is_empty(piece.get(name))), None)
    if kind in _IMAGES or (kind is None and image is not None):
        number = piece.get("index")
        return ShownImage(
            image, number if isinstance(number, int) and image is None and number >= 0 else None
        )
    if (kind in _TEXTS or kind is None) and text is not None:
        return text
    raise UnfitConversation("bad-row", f"a turn holds {shown(piece)} instead of text or image")


def split_placeholders(text: str) -> list[str | ShownImage]:
    pieces: list[str | ShownImage] = []
    split = _PLACEHOLDER.split(text)  # texts, and between them the content of <img>, or None
    for number, between in enumerate(split):
        if number % 2:
            pieces.append(ShownImage(between))
        elif between:
            pieces.append(between)
    return pieces
