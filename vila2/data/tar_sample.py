"""Converts a sample to the members of a tar, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from vila2.data.files import decode_text
from vila2.data.images import image_extension
from vila2.data.member_names import TEXT_EXTENSIONS, image_place, kind_of, member_base, member_kind
from vila2.data.sample import SHOWN, ImagePart, PlacePart, Sample, TextPart, Turn, assistant, user
from vila2.errors import DataError

_DECODER = json.JSONDecoder()


def pack_sample(sample: Sample) -> list[tuple[str, bytes]]:
    """Makes the tar members that hold a sample: its images, then ``{key}.json``.

    Returns:
        Name and content of each member.

    Raises:
        DataError: an image has an unknown format, or JSON cannot hold the turns or the meta.
        UnicodeEncodeError: key, turns or meta hold half a surrogate pair.
    """
    base = member_base(sample.key)
    content: dict[str, Any] = {"turns": [turn.to_json() for turn in sample.turns], "meta": dict(sample.meta)}
    if base != sample.key:
        content["key"] = sample.key
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise  # a ValueError, yet told apart by its type
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"{sample.key}: turns or meta cannot be written as JSON ({error})",
            hint="use only text, finite numbers, lists and dicts",
        ) from error
    several = len(sample.images) > 1
    members = [
        (f"{base}.{number}.{image_extension(data)}" if several else f"{base}.{image_extension(data)}", data)
        for number, data in enumerate(sample.images)
    ]
    return [*members, (f"{base}.json", text)]


def unpack_sample(base: str, members: Sequence[tuple[str, bytes]], *, where: str) -> Sample:
    """Makes a sample of its tar members, written by vila2 or by anyone else.

    The original text of a foreign sample is its ``.txt``; else its ``.text``, its ``.caption``, a text of
    another name such as ``.caption.txt``, or the ``caption`` in its ``.json``. Its ``.json`` becomes the
    meta. Further texts and JSONs are added to the meta by their extension.

    Args:
        base: common name of the members, without extension; it is the key unless the JSON holds another.
        members: extension and content of each member.
        where: path of the tar, for errors.

    Raises:
        DataError: a JSON or text member cannot be read.
    """
    if len(members) == 2 and (pair := _own_pair(base, *members)) is not None:
        return pair
    images: list[tuple[tuple[int, str], bytes]] = []
    texts: dict[str, str] = {}
    contents: dict[str, Any] = {}
    for extension, data in members:
        kind = kind_of(extension)
        if kind == "image":
            images.append((image_place(extension), data))
        elif kind == "json":
            contents[extension] = _json(data, where, base, extension)
        elif kind == "text":
            texts[extension] = decode_text(data, where=f"{where}: {base}.{extension}").strip()
        elif kind == "unsafe":
            member_kind(extension, where=f"{where}: {base}.{extension}")
    if len(images) > 1:
        images.sort(key=_place_of)
    pictures = tuple([data for _, data in images])
    content = contents.pop(min(contents, key=_json_rank)) if contents else None
    if _is_own(content):
        try:
            turns = tuple([Turn.from_json(turn) for turn in content["turns"]])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{where}: {base}.json: bad turns ({error!r})", hint="repack this sample"
            ) from error
        return Sample(content.get("key", base), pictures, turns, content["meta"])
    meta = dict(content) if isinstance(content, Mapping) else {} if content is None else {"json": content}
    ranked = sorted(texts, key=_text_rank)
    text = next((texts[extension] for extension in ranked if texts[extension]), None)
    if text is None and isinstance(meta.get("caption"), str):
        text = meta["caption"]
    more = {extension: texts[extension] for extension in ranked if texts[extension] not in ("", text)}
    for extension, value in {**more, **contents}.items():
        meta.setdefault(extension, value)
    return Sample(base, pictures, pair_turns(len(pictures), text), meta)


def _own_pair(base: str, image: tuple[str, bytes], told: tuple[str, bytes]) -> Sample | None:
    """Reads an image-text pair that :func:`pack_sample` wrote; None for any other sample.

    It is read as any sample, only without the JSON values of turns that all pairs share.
    """
    data = told[1]
    if not data.startswith(_BEFORE) or told[0] != "json" or kind_of(image[0]) != "image":
        return None
    try:
        content = data.decode()
        text, end = _DECODER.raw_decode(content, len(_BEFORE) - 1)
        if not content.startswith(_BETWEEN, end):
            return None
        meta, end = _DECODER.raw_decode(content, end + len(_BETWEEN))
    except (ValueError, RecursionError):
        return None
    if not isinstance(meta, dict) or content[end:] != "}":
        return None
    return Sample(base, (image[1],), (SHOWN, Turn("assistant", (TextPart(text),))), meta)


def is_own_json(data: bytes) -> bool:
    """Whether :func:`pack_sample` wrote a JSON member; such a sample needs no image."""
    try:
        return _is_own(json.loads(data))
    except (ValueError, RecursionError):
        return False


def json_status(data: bytes) -> str:
    """Reads why img2dataset failed to download a sample, from its JSON; "" where there is no such note."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(content, Mapping) or content.get("status") in (None, "success"):
        return ""
    error = content.get("error_message")
    return f"{content['status']}: {error}" if error else str(content["status"])


def _is_own(content: Any) -> TypeGuard[Mapping[str, Any]]:
    if not (isinstance(content, dict) and isinstance(content.get("turns"), list)):
        return False
    for turn in content["turns"]:
        if not (isinstance(turn, dict) and "parts" in turn):
            return False
    return isinstance(content.get("meta"), dict) and isinstance(content.get("key", ""), str)


def _place_of(image: tuple[tuple[int, str], bytes]) -> tuple[int, str]:
    return image[0]


def _json_rank(extension: str) -> tuple[bool, str]:
    return extension != "json", extension


def _text_rank(extension: str) -> tuple[int, str]:
    known = extension in TEXT_EXTENSIONS
    return TEXT_EXTENSIONS.index(extension) if known else len(TEXT_EXTENSIONS), extension


def pair_turns(images: int, text: str | None) -> tuple[Turn, ...]:
    """Makes the conversation of an image-text pair: the user shows the images, the assistant says the text.

    Args:
        images: number of images.
        text: text of the pair; None or blank gives the user's turn alone.
    """
    turns = (user(*(ImagePart(index) for index in range(images))),) if images else ()
    return (*turns, assistant(text.strip())) if text and text.strip() else turns


def says_something(turn: Turn) -> bool:
    """Whether a turn holds text other than white space, or a place in an image."""
    for part in turn.parts:
        if (
            part.text and not part.text.isspace()
            if isinstance(part, TextPart)
            else isinstance(part, PlacePart)
        ):
            return True
    return False


def has_text(sample: Sample) -> bool:
    """Whether a sample has anything that the loss can count."""
    for turn in reversed(sample.turns):  # noqa: SIM110 - `any` takes twice as long, for every sample read
        if turn.trained and says_something(turn):
            return True
    return False


def _json(data: bytes, where: str, base: str, extension: str) -> Any:
    try:
        try:  # without json's search for encoding and white space, which takes as long as a caption's JSON
            text = data.decode()
            content, end = _DECODER.raw_decode(text)
        except ValueError:
            return json.loads(data)
        return content if end == len(text) else json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where}: {base}.{extension}: the JSON cannot be read ({error})", hint="repack this sample"
        ) from error


#: What stands before and behind the text of an image-text pair in its JSON, up to its meta.
_WRITTEN = json.dumps({"turns": [turn.to_json() for turn in (SHOWN, assistant("TEXT"))], "meta": {}})
_OPENING, _BETWEEN = _WRITTEN.removesuffix("{}}").split('"TEXT"')
_BEFORE = f'{_OPENING}"'.encode()
