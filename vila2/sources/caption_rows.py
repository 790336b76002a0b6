"""JSON, JSON lines, CSV or Parquet of images with one or several captions each, as Flickr8k's or COCO's."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from vila2.data.annotations import STATUSES
from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.data.shards import Reject
from vila2.data.shortening import listed, shown
from vila2.data.tar_sample import pair_turns
from vila2.errors import DataError
from vila2.sources.conversations import CHATS, UnfitConversation, find_conversation, parsed_text, refuse_media
from vila2.sources.image_values import IMAGE_FIELDS, image_name, image_values, is_empty
from vila2.sources.rows import (
    Keys,
    Row,
    image_folder,
    other_fields,
    read_image,
    read_rows,
    row_name,
    take,
    without_suffix,
)

Choice = Literal["first", "shortest", "longest", "join", "each"]

#: Fields that hold captions; the first that holds something counts.
TEXT_FIELDS = (
    "captions", "caption", "text", "texts", "sentences", "raw", "description", "descriptions", "alt_text", "alt", "TEXT",
)  # fmt: skip
#: Fields that name a picture where no other does: those of metadata, of Karpathy's splits, of ``vila2 recaption``.
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
    """Reads rows ``{image: name, captions: [text, ...]}``, COCO's captions, and what ``vila2 recaption`` wrote.

    The key is the image's name without suffix. All captions stay in ``meta["references"]``, other fields beside.
    Of ``vila2 recaption`` only the captions marked "ok" become text; the others are rejected by their marks.

    Args:
        path: JSON, JSON lines, CSV or Parquet, plain or compressed, or a folder of such files.
        image_key, text_key: the fields that hold the image and its captions (a text or a list); by default the usual
            ones, such as ``image`` or ``file_name``, and ``captions``, ``caption`` or ``text``.
        choose: which caption becomes the text; "join" makes a paragraph of several, a sentence each; "each"
            trains on all of them, every one in a branch of its own that sees the image and no other caption:
            the image is read once for all.
        join: how many captions a paragraph has at most; those that say the most different words. All by default.
        prompt: what the user asks; the text is the answer.
        image_root: the folder that images' names are relative to; by default the file's own.
        start, count: a slice of the rows.

    Raises:
        DataError: an unknown choice, no such file or folder, or a file of another kind.
    """
    if choose not in get_args(Choice):
        raise DataError(f"choose={choose!r}", hint=f"use one of {', '.join(get_args(Choice))}")
    if join is not None and (choose != "join" or not isinstance(join, int) or join < 1):
        raise DataError(
            f"join={join!r} with choose={choose!r}", hint="give join, 1 or more, with choose=join"
        )
    path = Path(path)
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
            missing = f"no {field!r}" if field else f"no {kind}"
            chat = "; source llava reads conversations" if any(name in row.fields for name in CHATS) else ""
            detail = f"{missing}; fields: {listed(row.fields)}; name the field with {option}{chat}"
            return reject("missing-field", detail)
    if len(values) != 1:
        detail = (
            f"{len(values)} images in {image_field!r}; a caption is of one"
            if values
            else f"{image_field!r} is empty"
        )
        return reject("bad-row" if values else "no-image", detail)
    if recaptioned and row.fields["status"] != "ok":
        return reject(
            row.fields["status"], f"a caption with this mark ({row.fields.get('detail') or 'no detail'})"
        )
    captions, why = caption_texts(row.fields[text_field])
    if not captions:
        return reject("missing-text", f"no caption in {text_field!r}{why}")
    folder, named = _photo(row, root) if recaptioned else (root, values[0])
    image = read_image(folder, named, where=row.where, key=key)
    if isinstance(image, Reject):
        return image
    name, named = image_name(values[0]), isinstance(values[0], str)
    meta = other_fields(row.fields, {text_field} if named and name else {text_field, image_field})
    if name and not named:
        meta["image"] = name
    return Sample(key, (image,), turns_of(captions), {**meta, "references": captions}, where=row.where)


def _field(fields: Mapping[str, Any], names: Sequence[str]) -> str:
    present = [name for name in names if name in fields]
    return next((name for name in present if not is_empty(fields[name])), present[0] if present else "")


def _name(row: Row, images: list[object], recaptioned: bool) -> str:
    """The image's name; a row without one is called by its id, or its place."""
    if recaptioned:
        return without_suffix(row.fields["key"])
    name = image_name(images[0]) if images else ""
    return without_suffix(name) if 0 < len(name) <= 500 else row_name(row)


def is_recaptioned(fields: Mapping[str, Any]) -> bool:
    """Whether ``vila2 recaption`` wrote a row."""
    named = all(isinstance(fields.get(name), str) for name in ("key", "file", "text"))
    return named and fields.get("status") in STATUSES


def _photo(row: Row, root: Path) -> tuple[Path, str]:
    """Where the photo lies: as the row says, below another ``image_root``, or seen from where it was captioned."""
    file, key = row.fields["file"], row.fields["key"]
    places = [(root, file), (root, key), (Path(), file)]
    return next((place for place in places if os.path.isfile(place[0] / place[1])), places[0])


def _turns(captions: Sequence[str], *, choose: Choice, join: int | None, prompt: str) -> tuple[Turn, ...]:
    """The conversation about an image: one text, or every different caption as an answer that sees no other."""
    if choose != "each":
        text = chosen_caption(captions, choose, join)
        return (user(ImagePart(), prompt), assistant(text)) if prompt else pair_turns(1, text)
    question = user(ImagePart(), prompt) if prompt else user(ImagePart())
    return (question, *(assistant(text, branch=n) for n, text in enumerate(dict.fromkeys(captions), 1)))


def caption_texts(value: object) -> tuple[list[str], str]:
    """The captions in a field, and why there are none: texts, lists of them, as JSON text too, or ``{"raw": text}``."""
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
    """One text out of an image's captions.

    Args:
        captions: at least one.
        choose: "first"; "shortest" or "longest" by words, then characters, the first of equals; "join".
        join: how many captions are joined at most.
    """
    match choose:
        case "first":
            return captions[0]
        case "shortest":
            return min(captions, key=_length)
        case "longest":
            return max(captions, key=_length)
        case "join":
            return " ".join(map(_sentence, captions if join is None else _most_different(captions, join)))


def _most_different(captions: Sequence[str], count: int) -> list[str]:
    """At most ``count`` captions, each the one that adds the most words to those before it; none that adds none.

    Several people's captions of one photo say the same thing again: joined as they are, they teach a model
    that a description repeats itself.
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
