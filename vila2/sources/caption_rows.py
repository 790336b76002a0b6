"""Source `captions`: rows of images with one or several captions each, such as Flickr8k's or COCO's."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, assert_never, get_args

from vila2.data.annotations import STATUSES
from vila2.data.rejects import Reject
from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.data.shortening import listed, shown
from vila2.data.tar_sample import pair_turns
from vila2.errors import DataError
from vila2.sources.chat_turns import UnfitConversation, find_conversation, parsed_text, refuse_media
from vila2.sources.conversations import CHATS
from vila2.sources.image_values import IMAGE_FIELDS, image_name, image_values, is_empty
from vila2.sources.rows import (
    LONGEST_NAME,
    Keys,
    Row,
    check_inputs,
    image_folder,
    other_fields,
    read_image,
    read_rows,
    row_name,
    take,
    without_suffix,
)

Choice = Literal["first", "shortest", "longest", "join", "each"]

#: Fields that hold captions, in the order in which they are tried.
TEXT_FIELDS = (
    "captions", "caption", "text", "texts", "sentences", "raw", "description", "descriptions", "alt_text",
    "alt", "TEXT",
)  # fmt: skip
#: Fields that hold or name an image: the usual ones, then those of metadata, of Karpathy's splits and of
#: ``vila2 recaption``.
_NAME_FIELDS = (*IMAGE_FIELDS, "file_name", "filename", "file", "file_path", "filepath", "path", "url", "URL")
_INSIDE = ("caption", "raw", "text", "value", "sentence")

_WORD = re.compile(r"\w+")


def read(
    path: Path | str,
    *,
    image_key: str = "",
    text_key: str = "",
    choose: Choice = "first",
    join: int | None = None,
    prompt: str = "",
    image_root: Path | str | None = None,
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads rows ``{image: name, captions: [text, ...]}``, COCO's captions, and ``vila2 recaption``'s output.

    The key of a sample is the image's name without suffix. ``meta["references"]`` holds all captions; other
    fields of the row go to the meta too. Captions of ``vila2 recaption`` that are not marked "ok" are
    rejected with their mark as the reason.

    Args:
        path: file of JSON, JSON lines, CSV or Parquet, plain or compressed, or folder of such files.
        image_key: field of the image; by default the first usual one, such as ``image`` or ``file_name``.
        text_key: field of the captions, a text or a list; by default the first usual one, such as
            ``captions``, ``caption`` or ``text``.
        choose: choice of the caption that becomes the text: "first"; "shortest" or "longest", by words;
            "join" makes a paragraph of several, a sentence each; "each" trains on all of them, each in a
            branch that sees the image and no other caption.
        join: most captions in a paragraph; those with the most different words are taken. All by default.
        prompt: question of the user that the text answers; none by default.
        image_root: folder that names of images are relative to; by default the folder of the file.
        start: number of the first row, from 0.
        count: most rows to read; all by default.

    Raises:
        DataError: an option has an unknown value, or a file or folder is missing or has another format.
    """
    if choose not in get_args(Choice):
        raise DataError(f"choose={choose!r}", hint=f"use one of {', '.join(get_args(Choice))}")
    if join is not None and (choose != "join" or not isinstance(join, int) or join < 1):
        raise DataError(
            f"join={join!r} with choose={choose!r}", hint="give join, 1 or more, with choose=join"
        )
    path = Path(path)
    check_inputs(path, image_root)
    root = image_folder(path, image_root)
    keys = Keys()
    turns_of = partial(_turns, choose=choose, join=join, prompt=prompt)
    for row in take(read_rows(path), start, count):
        yield row if isinstance(row, Reject) else _sample(row, image_key, text_key, turns_of, root, keys)


def _sample(
    row: Row,
    image_key: str,
    text_key: str,
    turns_of: Callable[[list[str]], tuple[Turn, ...]],
    root: Path,
    keys: Keys,
) -> Sample | Reject:
    recaptioned = is_recaptioned(row.fields)
    image_field = image_key or _field(row.fields, _NAME_FIELDS)
    text_field = text_key or ("text" if recaptioned else _field(row.fields, TEXT_FIELDS))
    values = image_values(row.fields.get(image_field))
    key = keys.key(_name(row, values, recaptioned), row.fields)

    def reject(reason: str, detail: str) -> Reject:
        return Reject(row.where, key, reason, detail)

    try:
        refuse_media(row.fields)
    except UnfitConversation as error:
        return reject(error.reason, error.detail)
    for field, kind, option in ((image_field, "image", "image_key"), (text_field, "caption", "text_key")):
        if field not in row.fields:
            return reject("missing-field", _missing_field(row.fields, field, kind, option))
    if not values:
        return reject("no-image", f"{image_field!r} is empty")
    if len(values) > 1:
        return reject("bad-row", f"{len(values)} images in {image_field!r}; a caption describes one")
    if recaptioned and row.fields["status"] != "ok":
        mark = row.fields.get("detail") or "no detail"
        return reject(row.fields["status"], f"a caption with this mark ({mark})")
    captions, why = caption_texts(row.fields[text_field])
    if not captions:
        return reject("missing-text", f"no caption in {text_field!r}{why}")
    folder, named = _photo(row, root) if recaptioned else (root, values[0])
    known = str(row.fields.get("sha256") or "") if recaptioned else ""
    image = read_image(folder, named, where=row.where, key=key, known=known)
    if isinstance(image, Reject):
        return image
    name, is_text = image_name(values[0]), isinstance(values[0], str)
    meta = other_fields(row.fields, {text_field} if is_text and name else {text_field, image_field})
    if name and not is_text:
        meta["image"] = name
    return Sample(key, (image,), turns_of(captions), {**meta, "references": captions}, where=row.where)


def _missing_field(fields: Mapping[str, Any], field: str, kind: str, option: str) -> str:
    """Says which field a row lacks, and which option names another one."""
    missing = f"no {field!r}" if field else f"no {kind}"
    chat = "; source llava reads conversations" if any(name in fields for name in CHATS) else ""
    return f"{missing}; fields: {listed(fields)}; name the field with {option}{chat}"


def _field(fields: Mapping[str, Any], names: Sequence[str]) -> str:
    present = [name for name in names if name in fields]
    return next((name for name in present if not is_empty(fields[name])), present[0] if present else "")


def _name(row: Row, images: list[object], recaptioned: bool) -> str:
    """Names a row by its image, else by its id or its place."""
    if recaptioned:
        return without_suffix(row.fields["key"])
    name = image_name(images[0]) if images else ""
    return without_suffix(name) if 0 < len(name) <= LONGEST_NAME else row_name(row)


def is_recaptioned(fields: Mapping[str, Any]) -> bool:
    """Tells whether ``vila2 recaption`` wrote a row."""
    named = all(isinstance(fields.get(name), str) for name in ("key", "file", "text"))
    return named and fields.get("status") in STATUSES


def _photo(row: Row, root: Path) -> tuple[Path, str]:
    """Finds a recaptioned photo: below the root by its file or key, or from the working directory."""
    file, key = row.fields["file"], row.fields["key"]
    places = [(root, file), (root, key), (Path(), file)]
    return next((place for place in places if os.path.isfile(place[0] / place[1])), places[0])


def _turns(captions: Sequence[str], *, choose: Choice, join: int | None, prompt: str) -> tuple[Turn, ...]:
    """Makes the conversation about an image: one text, or each different caption in a branch of its own."""
    if choose != "each":
        text = chosen_caption(captions, choose, join)
        return (user(ImagePart(), prompt), assistant(text)) if prompt else pair_turns(1, text)
    question = user(ImagePart(), prompt) if prompt else user(ImagePart())
    return (question, *(assistant(text, branch=n) for n, text in enumerate(dict.fromkeys(captions), 1)))


def caption_texts(value: object) -> tuple[list[str], str]:
    """Finds the captions in a field: a text, ``{"raw": text}``, or a list of them, also as JSON text.

    Returns:
        The captions; and if there are none, the reason for a reject's detail.
    """
    if isinstance(value, str) and isinstance(parsed := parsed_text(value), list):
        if find_conversation(parsed) is not None:
            return [], ", but a conversation as JSON text; source llava reads it"
        value = parsed if parsed and all(isinstance(one, str) for one in parsed) else value
    elif find_conversation(value) is not None:
        return [], ", but a conversation; source llava reads it"
    texts = [_text_inside(one) for one in (value if isinstance(value, list | tuple) else [value])]
    captions = [text.strip() for text in texts if isinstance(text, str) and text.strip()]
    if captions or is_empty(value):
        return captions, ""
    labels = "; source huggingface gives classes their names" if isinstance(value, int) else ""
    return captions, f", but {shown(value)}{labels}"


def _text_inside(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return next((value[name] for name in _INSIDE if isinstance(value.get(name), str)), None)


def chosen_caption(captions: Sequence[str], choose: Choice, join: int | None = None) -> str:
    """Makes one text of an image's captions.

    Args:
        captions: captions of the image, at least one.
        choose: "first"; "shortest" or "longest", by words, then characters, the first of equals; "join" or
            "each" for all captions, a sentence each.
        join: most captions to join; None for all.
    """
    match choose:
        case "first":
            return captions[0]
        case "shortest":
            return min(captions, key=_length)
        case "longest":
            return max(captions, key=_length)
        case "join" | "each":
            return " ".join(map(_sentence, captions if join is None else _most_different(captions, join)))
    assert_never(choose)


def _most_different(captions: Sequence[str], count: int) -> list[str]:
    """Selects captions, each the one that adds the most words to those before it, until none adds any.

    Captions of one photo by several people repeat each other. Joined as they are, they teach a model to
    repeat itself.
    """
    rest = list(captions)
    chosen: list[str] = []
    said: set[str] = set()
    while rest and len(chosen) < count:
        best = max(rest, key=lambda text: len(_words(text) - said))
        if chosen and _words(best) <= said:
            break
        rest.remove(best)
        chosen.append(best)
        said |= _words(best)
    return chosen


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _length(text: str) -> tuple[int, int]:
    return len(text.split()), len(text)


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".").rstrip()
    ending = "" if text.endswith(("!", "?")) else "."
    return f"{text[:1].upper()}{text[1:]}{ending}"
