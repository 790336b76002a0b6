"""One sample as the members of a tar, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from vila2.data.files import decode_text
from vila2.data.images import image_extension
from vila2.data.member_names import TEXT_EXTENSIONS, image_place, member_base, member_kind
from vila2.data.sample import BoxPart, ImagePart, PointPart, Sample, Turn, assistant, user
from vila2.errors import DataError


def pack_sample(sample: Sample) -> list[tuple[str, bytes]]:
    """The tar members that hold a sample: its images, then ``{key}.json``.

    Raises:
        DataError: an image of an unknown format, or turns or meta that are not JSON-able.
    """
    base = member_base(sample.key)
    content: dict[str, Any] = {"turns": [turn.to_json() for turn in sample.turns], "meta": dict(sample.meta)}
    if base != sample.key:
        content["key"] = sample.key
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise  # half a surrogate pair; told apart from the rest by its type
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"{sample.key}: turns or meta are not JSON-able ({error})",
            hint="use only text, finite numbers, lists and dicts",
        ) from error
    several = len(sample.images) > 1
    members = [
        (f"{base}.{number}.{image_extension(data)}" if several else f"{base}.{image_extension(data)}", data)
        for number, data in enumerate(sample.images)
    ]
    return [*members, (f"{base}.json", text)]


def unpack_sample(base: str, members: Sequence[tuple[str, bytes]], *, where: str) -> Sample:
    """Reads the members of one sample, ours or any WebDataset's.

    In a foreign tar ``.txt`` (else ``.text``, ``.caption``, a text of another name such as ``.caption.txt``,
    or ``caption`` in the ``.json``) becomes the original text, and the ``.json`` the meta. Further texts and
    JSONs stand in the meta by their extension.

    Args:
        base: the members' common name without extension; the key unless the JSON has another.
        members: extension and content of each.
        where: the tar, for errors.

    Raises:
        DataError: a JSON or text member that can not be read.
    """
    images: list[tuple[tuple[int, str], bytes]] = []
    texts: dict[str, str] = {}
    contents: dict[str, Any] = {}
    for extension, data in members:
        match member_kind(extension, where=f"{where}: {base}.{extension}"):
            case "image":
                images.append((image_place(extension), data))
            case "text":
                texts[extension] = decode_text(data, where=f"{where}: {base}.{extension}").strip()
            case "json":
                contents[extension] = _json(data, where=f"{where}: {base}.{extension}")
    pictures = tuple(data for _, data in sorted(images, key=lambda image: image[0]))
    content = contents.pop(min(contents, key=_json_rank)) if contents else None
    if _is_own(content):
        try:
            turns = tuple(Turn.from_json(turn) for turn in content["turns"])
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


def is_own_json(data: bytes) -> bool:
    """Whether a JSON member is one of :func:`pack_sample`'s, which may do without an image."""
    try:
        return _is_own(json.loads(data))
    except (ValueError, RecursionError):
        return False


def json_status(data: bytes) -> str:
    """What img2dataset notes of a download that failed, in a sample's JSON; "" where it notes nothing."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(content, Mapping) or content.get("status") in (None, "success"):
        return ""
    error = content.get("error_message")
    return f"{content['status']}: {error}" if error else str(content["status"])


def _is_own(content: Any) -> TypeGuard[Mapping[str, Any]]:
    return (
        isinstance(content, Mapping)
        and isinstance(content.get("turns"), list)
        and all(isinstance(turn, Mapping) and "parts" in turn for turn in content["turns"])
        and isinstance(content.get("meta"), Mapping)
        and isinstance(content.get("key", ""), str)
    )


def _json_rank(extension: str) -> tuple[bool, str]:
    return extension != "json", extension


def _text_rank(extension: str) -> tuple[int, str]:
    known = extension in TEXT_EXTENSIONS
    return TEXT_EXTENSIONS.index(extension) if known else len(TEXT_EXTENSIONS), extension


def pair_turns(images: int, text: str | None) -> tuple[Turn, ...]:
    """The conversation of an image-text pair: the user shows the images, the assistant says the text.

    Args:
        images: how many images there are.
        text: the text; None or blank gives the user's turn alone.
    """
    turns = (user(*(ImagePart(index) for index in range(images))),) if images else ()
    return (*turns, assistant(text.strip())) if text and text.strip() else turns


def says_something(turn: Turn) -> bool:
    """Whether a turn holds text other than white space, a box or a point."""
    return bool(turn.text.strip()) or any(isinstance(part, BoxPart | PointPart) for part in turn.parts)


def has_text(sample: Sample) -> bool:
    """Whether there is anything in a sample that the loss could count."""
    return any(turn.trained and says_something(turn) for turn in sample.turns)


def _json(data: bytes, *, where: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: the JSON can not be read ({error})", hint="repack this sample") from error
