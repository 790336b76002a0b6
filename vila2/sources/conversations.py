"""Reads conversations of chat files, with images at their places, as turns. The known forms:

    LLaVA, ShareGPT         [{"from": "human", "value": "<image>\\n..."}, ...]
    OpenAI, Qwen, TRL       [{"role": "user", "content": "..." or [{"type": "image", "image": "a.jpg"}, ...]},
    ...] The Cauldron            [{"user": "...", "assistant": "..."}, ...]
    the same as JSON text, and as columns: {"from": [...], "value": [...]}
    TRL, ms-swift, Alpaca   a row's "prompt" and "completion", "query" and "response", "instruction" and
    "output"

The turns are the same whether the images are listed beside the conversation or stand inside it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vila2.data.sample import ImagePart, Part, Role, TextPart, Turn
from vila2.data.shortening import listed, shown
from vila2.errors import DataError
from vila2.sources.image_values import image_name, image_values, is_empty

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
PLACEHOLDER = "<image>"
#: Fields that hold a conversation, in the order in which they are tried.
CHATS = ("conversations", "messages", "conversation", "texts", "dialogue", "dialog", "chat")
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
# A placeholder stands at the beginning or the end of a text, or on a line of its own; elsewhere it is an HTML
# tag.
_MEDIUM = re.compile(
    r"<\|(video|audio)_pad\|>|\A\s*<(video|audio)>|<(video|audio)>\s*\Z|^[ \t]*<(video|audio)>[ \t]*$",
    re.MULTILINE,
)
# Instructions may contain HTML, so there only the first and the last line count.
_LINE = re.compile(r"\A\s*<(video|audio|image)>\s*(?:\n|\Z)|\n\s*<(video|audio|image)>\s*\Z")
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


class Conversation(NamedTuple):
    """Turns and their images.

    Attributes:
        turns: turns of the conversation.
        images: images as the row gives them; ``ImagePart(n)`` refers to number n.
    """

    turns: tuple[Turn, ...]
    images: tuple[object, ...] = ()


class _Shown(NamedTuple):
    """An image inside a turn.

    Attributes:
        value: name or content of the image as the turn gives it; None for a plain placeholder.
        number: number of the image among the row's; None if the turn gives none.
    """

    value: object = None
    number: int | None = None


def parse_conversation(turns: Any, images: int | None) -> tuple[Turn, ...]:
    """Reads a conversation whose images are all listed beside it.

    Args:
        turns: conversation, see :func:`read_conversation`.
        images: number of images of the row; None if rows have none, so that a placeholder is plain text.

    Raises:
        UnfitConversation: as in :func:`read_conversation`, or the turns hold images of their own.
    """
    found = read_conversation(turns, None if images is None else list(range(images)))
    if found.images != tuple(range(images or 0)):
        raise UnfitConversation("placeholder-mismatch", "images inside the turns, or in another order")
    return found.turns


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
    said = [pair for turn in _turn_objects(value) for pair in _speakers_and_pieces(turn)]
    if isinstance(system, str) and system.strip() and all(role != "system" for role, _ in said):
        said.insert(0, ("system", [system]))
    places = _Places(stored or ())
    turns = [Turn(role, tuple(_placed_parts(role, pieces, places, stored is None))) for role, pieces in said]
    return Conversation(*places.closed(turns))


def _placed_parts(
    role: Role, pieces: Sequence[str | _Shown], places: _Places, text_only: bool
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
        if isinstance(piece, _Shown) and (role != "user" or text_only):
            where = "an image among instructions" if role == "user" else f"an image in a turn of the {role}"
            raise UnfitConversation("placeholder-mismatch", f"{where}; source llava reads images")
        if isinstance(piece, str) and role == "user":
            _refuse_placeholders(piece, in_text=text_only)
        for part in _parts(piece, in_text=role == "user" and not text_only):
            yield places.put(part) if isinstance(part, _Shown) else part


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
    said = is_turn(first) or (isinstance(first, Mapping) and _exchange_keys(first) is not None)
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
    exchange = _exchange_keys(fields)
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
        if _first(fields, (given,) if given else names) is None:
            wanted = repr(given) if given else "conversation, nor question and answer"
            raise UnfitConversation("missing-field", f"no {wanted}; fields: {listed(fields)}")
    question = question or _first(fields, QUESTIONS) or ""
    answer = answer or _first(fields, ANSWERS) or ""
    context = None if named else _first(fields, CONTEXTS)
    for name in (question, answer):
        if is_empty(fields[name]) or not isinstance(fields[name], str | list | Mapping):
            raise UnfitConversation("missing-text", f"{name!r} holds no text: {shown(fields[name])}")
    asked = _as_turns(fields[question], "user")
    if context and not is_empty(fields[context]):
        given = fields[context]
        text = given if isinstance(given, str) else json.dumps(given, default=str)
        asked[-1] = _with_context(asked[-1], text.strip())
    has_history = not named and not is_empty(fields.get("history"))
    history = _turn_objects(fields["history"]) if has_history else []
    turns = [*history, *asked, *_as_turns(fields[answer], "assistant")]
    extra = tuple(name for name in ("history", "system") if not named and not is_empty(fields.get(name)))
    used = tuple(name for name in (question, context, answer) if name) + extra
    return read_conversation(turns, stored, None if named else fields.get("system")), used


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

    def put(self, shown_here: _Shown) -> ImagePart:
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


def _turn_objects(value: object) -> list[object]:
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


def _as_turns(value: object, role: Role) -> list[object]:
    if isinstance(value, str) and find_conversation(value) is None:
        return [{"role": role, "content": value.strip()}]
    if isinstance(value, list) and value and not is_turn(value[0]):
        return [{"role": role, "content": value}]
    return _turn_objects(value)


def _with_context(turn: object, context: str) -> object:
    content = turn.get("content") if isinstance(turn, Mapping) else None
    if not isinstance(turn, Mapping) or not isinstance(content, str):
        raise UnfitConversation("bad-row", "a context beside a question that is a conversation")
    return {**turn, "content": f"{content}\n\n{context}"}


def _first(fields: Mapping[str, Any], names: Sequence[str]) -> str | None:
    present = [name for name in names if name in fields]
    return next((name for name in present if not is_empty(fields[name])), present[0] if present else None)


def _exchange_keys(turn: Mapping[Any, Any]) -> tuple[str, str] | None:
    """Finds the fields of question and answer in a turn of the form ``{"user": ..., "assistant": ...}``."""
    asked, said = _first(turn, QUESTIONS), _first(turn, ANSWERS)
    return (asked, said) if asked and said else None


def _given(turn: Mapping[Any, Any], *names: str) -> Any:
    return next((turn[name] for name in names if turn.get(name) is not None), None)


def _speakers_and_pieces(turn: object) -> list[tuple[Role, list[str | _Shown]]]:
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
    keys = _exchange_keys(turn) if speaker is None else None
    if keys is not None:
        return [("user", _pieces(turn[keys[0]])), ("assistant", _pieces(turn[keys[1]]))]
    role = SPEAKERS.get(speaker.strip().lower()) if isinstance(speaker, str) else None
    if role is None:
        raise UnfitConversation(
            "unknown-role", f"unknown speaker {shown(speaker)}; known: {', '.join(SPEAKERS)}"
        )
    pieces = _pieces(_given(turn, "value", "content", "text"))
    own = [_Shown(image) for image in image_values(_given(turn, "images", "image"))]
    return [(role, _with_own(pieces, own) if own else pieces)]


def _with_own(pieces: list[str | _Shown], own: list[_Shown]) -> list[str | _Shown]:
    """Puts the images that a turn brings at its placeholders, or first if it has none."""
    split: list[str | _Shown] = []
    for piece in pieces:
        split += _parts_as_pieces(piece) if isinstance(piece, str) else [piece]
    places = [n for n, piece in enumerate(split) if isinstance(piece, _Shown) and piece.value is None]
    if not places:
        return [*own, *pieces]
    if len(places) != len(own):
        detail = f"{len(places)} placeholders {PLACEHOLDER} for {len(own)} images of a turn"
        raise UnfitConversation("placeholder-mismatch", detail)
    for place, image in zip(places, own, strict=True):
        split[place] = image
    return split


def _pieces(content: object) -> list[str | _Shown]:
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


def _piece(piece: object) -> str | _Shown:
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
        return _Shown(image, number if isinstance(number, int) and image is None and number >= 0 else None)
    if (kind in _TEXTS or kind is None) and text is not None:
        return text
    raise UnfitConversation("bad-row", f"a turn holds {shown(piece)} instead of text or image")


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


def _parts(piece: str | _Shown, *, in_text: bool) -> list[TextPart | _Shown]:
    if isinstance(piece, _Shown):
        return [piece]
    if not in_text:
        return [TextPart(piece)] if piece else []
    return [TextPart(one) if isinstance(one, str) else one for one in _parts_as_pieces(piece)]


def _parts_as_pieces(text: str) -> list[str | _Shown]:
    pieces: list[str | _Shown] = []
    split = _PLACEHOLDER.split(text)  # texts, and between them the content of <img>, or None
    for number, between in enumerate(split):
        if number % 2:
            pieces.append(_Shown(between))
        elif between:
            pieces.append(between)
    return pieces
