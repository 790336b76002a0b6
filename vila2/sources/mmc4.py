"""MMC4: web pages as sentences with images between them, in order, as pairs, or images first."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from vila2.data.images import check_image
from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.data.shards import Reject
from vila2.data.tar_sample import pair_turns
from vila2.errors import DataError
from vila2.sources.image_files import ImageFiles
from vila2.sources.rows import Keys, Row, read_rows, take

Order = Literal["interleaved", "pairs", "reordered"]
ORDERS: tuple[Order, ...] = get_args(Order)


def read(
    path: Path | str,
    *,
    image_root: Path | str | None = None,
    order: Order = "interleaved",
    max_images: int = 6,
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads documents ``{"text_list": [...], "image_info": [{"image_name", "matched_text_index"}], "url"}``.

    An image stands before the sentence it matches (VILA section 3.2, figure 4). An image that is not there, is damaged
    or may be one of several is rejected by name, and its document goes on without it; a document without any image is
    rejected.

    Args:
        path: JSON lines, as they are or zipped as MMC4 is published, or a folder of such files.
        image_root: a folder of the images, a tar of them, or a folder of tars; by default the file's own folder.
            Where images of several tars have one name, that of the tar is meant that is called as the file of
            documents. Not needed where the rows hold ``image_base64``.
        order: "interleaved": sentences and images in the document's order; "pairs": each image with its one
            sentence, as a sample of its own (VILA section 3.2, "MMC4-pairs"); "reordered": all images, then all
            sentences (VILA section 4.4's control).
        max_images: of one document; the best matched stay, and ``left_out`` in the meta names the others.
        start, count: a slice of the documents.

    Raises:
        DataError: an unknown order, no such file, or ``max_images`` below 1.
    """
    if order not in ORDERS:
        raise DataError(f"order={order!r}", hint=f"use one of {', '.join(ORDERS)}")
    if max_images < 1:
        raise DataError(f"max_images={max_images}", hint="use a number >= 1")
    path = Path(path)
    images = ImageFiles(Path(image_root) if image_root else (path if path.is_dir() else path.parent))
    keys = Keys()
    for row in take(read_rows(path), start, count):
        if isinstance(row, Reject):
            yield row
        else:
            yield from _samples(row, images, order, max_images, keys)


class _Placed(NamedTuple):
    """An image: the number of its sentence, its own number in the document, and what is said about it."""

    sentence: int
    number: int
    name: str
    similarity: float | None
    data: bytes


def _samples(
    row: Row, images: ImageFiles, order: Order, max_images: int, keys: Keys
) -> Iterator[Sample | Reject]:
    url = row.fields.get("url")
    key = keys.key(url if isinstance(url, str) and url else Path(row.where).name, row.fields)
    sentences, infos = row.fields.get("text_list"), row.fields.get("image_info")
    if not _all_of(str, sentences) or not _all_of(Mapping, infos):
        yield Reject(
            row.where, key, "bad-row", "a document has `text_list` (texts) and `image_info` (objects)"
        )
        return
    sentences = [sentence.strip() for sentence in sentences]
    placed: list[_Placed] = []
    left_out: list[str] = []
    best_first = sorted(range(len(infos)), key=lambda number: -_similarity(infos[number]))
    for number in best_first:  # equals are in the document's order
        if len(placed) == max_images:
            left_out.append(str(infos[number].get("image_name")))
            continue
        image = _place(number, infos[number], sentences, images, row.where, key)
        if isinstance(image, Reject):
            yield image
        else:
            placed.append(image)
    if not placed:
        yield Reject(row.where, key, "no-image", f"none of its {len(infos)} images can be used")
        return
    placed.sort(key=lambda image: (image.sentence, image.number))
    meta = {"url": url} | ({"left_out": left_out} if left_out else {})
    if order == "pairs":
        for image in placed:
            turns = pair_turns(1, sentences[image.sentence])
            about = meta | _about([image])
            yield Sample(f"{key}/{image.number}", (image.data,), turns, about, where=row.where)
        return
    places = [image.sentence for image in placed]
    interleaved = order == "interleaved"
    turns = interleaved_turns(sentences, places) if interleaved else _images_first(sentences, placed)
    pictures = tuple(image.data for image in placed)
    yield Sample(key, pictures, turns, meta | _about(placed), where=row.where)


def _all_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _similarity(info: Mapping[str, Any]) -> float:
    value = info.get("matched_sim")
    known = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if known else -math.inf


def _place(
    number: int, info: Mapping[str, Any], sentences: list[str], images: ImageFiles, where: str, key: str
) -> _Placed | Reject:
    """One image with its sentence; a reject where either is missing."""
    name, sentence = info.get("image_name"), info.get("matched_text_index")
    if isinstance(sentence, float) and sentence.is_integer():  # tables make numbers with gaps floats
        sentence = int(sentence)
    if not isinstance(sentence, int) or not 0 <= sentence < len(sentences) or not sentences[sentence]:
        return Reject(where, key, "no-matched-text", f"image {name!r}: no sentence number {sentence!r}")
    data = _bytes(info, images, where, key)
    if isinstance(data, Reject):
        reason = data.reason if data.reason in ("ambiguous-image", "too-large") else "missing-image"
        return Reject(where, key, reason, data.detail)
    try:
        check_image(data, where=f"image {name!r}")
    except DataError as error:
        return Reject(where, key, "corrupt-image", error.what)
    return _Placed(sentence, number, str(name), info.get("matched_sim"), data)


def _bytes(info: Mapping[str, Any], images: ImageFiles, where: str, key: str) -> bytes | Reject:
    inside = info.get("image_base64")
    if not isinstance(inside, str):
        return images.read(info.get("image_name"), where=where, key=key)
    try:
        return base64.b64decode(inside, validate=True)
    except binascii.Error as error:
        return Reject(where, key, "missing-image", f"image_base64 of {info.get('image_name')!r}: {error}")


def interleaved_turns(sentences: Sequence[str], places: Sequence[int]) -> tuple[Turn, ...]:
    """The user shows an image where it stands, the assistant says the text up to the next one.

    Args:
        sentences: of the document, in order.
        places: for each image the number of the sentence that it stands before.
    """
    turns: list[Turn] = []
    said: list[str] = []
    for number, sentence in enumerate(sentences):
        shown = [ImagePart(image) for image, place in enumerate(places) if place == number]
        if shown:
            turns += [assistant(" ".join(said))] if said else []
            turns.append(user(*shown))
            said = []
        if sentence:
            said.append(sentence)
    return (*turns, assistant(" ".join(said)))


def _images_first(sentences: list[str], placed: list[_Placed]) -> tuple[Turn, ...]:
    return pair_turns(len(placed), " ".join(filter(None, sentences)))


def _about(placed: list[_Placed]) -> dict[str, Any]:
    return {
        "image": [image.name for image in placed],
        "matched_sim": [image.similarity for image in placed],
    }
