"""JSON lines (or an array, or Parquet) of images with one or several captions each, as Flickr8k's or COCO's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from vila2.data.packed_sample import pair_turns
from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.rows import Keys, Row, read_image, read_rows, take, without_suffix

Choice = Literal["first", "shortest", "longest", "join", "each"]

_WORD = re.compile(r"\w+")


def read(
    path: Path | str,
    *,
    image_key: str = "image",
    text_key: str = "captions",
    choose: Choice = "first",
    join: int | None = None,
    prompt: str = "",
    image_root: Path | str | None = None,
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads rows ``{image: name, captions: [text, ...]}``.

    The key is the image's name without suffix. All captions stay in ``meta["references"]``, other fields beside.

    Args:
        path: the file.
        image_key, text_key: the fields that hold the image's file name and its captions (a text or a list).
        choose: which caption becomes the text; "join" makes a paragraph of several, a sentence each; "each"
            trains on all of them, every one in a branch of its own that sees the image and no other caption:
            the image is read once for all.
        join: how many captions a paragraph has at most; those that say the most different words. All by default.
        prompt: what the user asks; the text is the answer.
        image_root: the folder that images' names are relative to; by default the file's own.
        start, count: a slice of the rows.

    Raises:
        DataError: an unknown choice, or no such file.
    """
    if choose not in get_args(Choice):
        raise DataError(f"choose={choose!r}", mend=f"use one of {', '.join(get_args(Choice))}")
    if join is not None and (choose != "join" or not isinstance(join, int) or join < 1):
        raise DataError(
            f"join={join!r} with choose={choose!r}", mend="give join, 1 or more, with choose=join"
        )
    path = Path(path)
    root = Path(image_root) if image_root else (path if path.is_dir() else path.parent)
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
    name = row.fields.get(image_key)
    key = keys.key(without_suffix(name), row.fields) if isinstance(name, str) else ""
    for field in (image_key, text_key):
        if field not in row.fields:
            return Reject(row.where, key, "missing-field", f"no {field!r}; fields: {', '.join(row.fields)}")
    captions = _captions(row.fields[text_key])
    if not captions:
        return Reject(row.where, key, "missing-text", f"no caption in {text_key!r}")
    image = read_image(root, name, where=row.where, key=key)
    if isinstance(image, Reject):
        return image
    meta = {field: value for field, value in row.fields.items() if field != text_key}
    return Sample(key, (image,), turns_of(captions), {**meta, "references": captions})


def _turns(captions: Sequence[str], *, choose: Choice, join: int | None, prompt: str) -> tuple[Turn, ...]:
    """The conversation about an image: one text, or every different caption as an answer that sees no other."""
    if choose != "each":
        text = chosen_caption(captions, choose, join)
        return (user(ImagePart(), prompt), assistant(text)) if prompt else pair_turns(1, text)
    question = user(ImagePart(), prompt) if prompt else user(ImagePart())
    return (question, *(assistant(text, branch=n) for n, text in enumerate(dict.fromkeys(captions), 1)))


def _captions(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text.strip() for text in values if isinstance(text, str) and text.strip()]


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
    rest, chosen, said = list(captions), [], set()
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
