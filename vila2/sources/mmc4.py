"""Source `mmc4`: web pages as sentences with images between them, in order, as pairs, or images first."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from vila2.data.images import check_image
from vila2.data.rejects import Reject
from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.data.tar_sample import pair_turns
from vila2.errors import DataError
from vila2.sources.image_files import ImageFiles
from vila2.sources.ranking import as_score
from vila2.sources.rows import Keys, Row, check_inputs, image_folder, read_rows, take

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

    An image stands before the sentence that it matches (VILA section 3.2, figure 4). An image that is
    missing, damaged or ambiguous is rejected by name, and its document goes on without it. A document without
    any image is rejected.

    Args:
        path: file of JSON lines, plain or zipped as MMC4 is published, or folder of such files.
        image_root: folder of the images, tar of them, or folder of tars; by default the folder of the file.
            If several tars hold images of the same name, the tar with the name of the file of documents
            counts. Not needed if the rows hold ``image_base64``.
        order: "interleaved" keeps sentences and images in the order of the document; "pairs" makes a sample
            of each image and its sentence (VILA section 3.2, "MMC4-pairs"); "reordered" puts all images
            before all sentences (the control of VILA section 4.4).
        max_images: most images of a document; the best matched stay, and ``left_out`` in the meta names the
            others.
        start: number of the first document, from 0.
        count: most documents to read; all by default.

    Raises:
        DataError: an option has an unknown value, or a file or folder is missing.
    """
    if order not in ORDERS:
        raise DataError(f"order={order!r}", hint=f"use one of {', '.join(ORDERS)}")
    if max_images < 1:
        raise DataError(f"max_images={max_images}", hint="use a number >= 1")
    path = Path(path)
    check_inputs(path, image_root, root_may_be_tar=True)
    images = ImageFiles(image_folder(path, image_root))
    keys = Keys()
    for row in take(read_rows(path), start, count):
        document = row if isinstance(row, Reject) else _document(row, keys)
        if isinstance(document, Reject):
            yield document
        else:
            yield from _samples(document, images, order, max_images)


class _Placed(NamedTuple):
    """An image of a document.

    Attributes:
        sentence: number of the sentence that it matches.
        number: number of the image in the document.
        name: name of the image.
        similarity: similarity of image and sentence, as the row gives it.
        data: encoded image.
    """

    sentence: int
    number: int
    name: str
    similarity: float | None
    data: bytes


@dataclass(frozen=True, slots=True)
class _Document:
    """A document of MMC4.

    Attributes:
        where: place of its row.
        key: key of its sample.
        url: address of the page.
        sentences: sentences in order, without white space around them.
        infos: entries of the images in the row.
    """

    where: str
    key: str
    url: object
    sentences: list[str]
    infos: list[Mapping[str, Any]]


def _document(row: Row, keys: Keys) -> _Document | Reject:
    url = row.fields.get("url")
    key = keys.key(url if isinstance(url, str) and url else Path(row.where).name, row.fields)
    texts, infos = row.fields.get("text_list"), row.fields.get("image_info")
    if isinstance(texts, list) and isinstance(infos, list):
        sentences = [text.strip() for text in texts if isinstance(text, str)]
        objects = [info for info in infos if isinstance(info, Mapping)]
        if (len(sentences), len(objects)) == (len(texts), len(infos)):
            return _Document(row.where, key, url, sentences, objects)
    detail = "a document has `text_list` (texts) and `image_info` (objects)"
    return Reject(row.where, key, "bad-row", detail)


def _samples(
    document: _Document, images: ImageFiles, order: Order, max_images: int
) -> Iterator[Sample | Reject]:
    """Yields the sample of a document, or one for each image, and a reject for each unusable one."""
    placed: list[_Placed] = []
    left_out: list[str] = []
    infos = document.infos
    best_first = sorted(range(len(infos)), key=lambda number: -_similarity(infos[number]))
    for number in best_first:  # equals are in the document's order
        if len(placed) == max_images:
            left_out.append(str(infos[number].get("image_name")))
            continue
        image = _place(number, document, images)
        if isinstance(image, Reject):
            yield image
        else:
            placed.append(image)
    if not placed:
        detail = f"none of its {len(infos)} images can be used"
        yield Reject(document.where, document.key, "no-image", detail)
        return
    placed.sort(key=lambda image: (image.sentence, image.number))
    meta: dict[str, Any] = {"url": document.url} | ({"left_out": left_out} if left_out else {})
    yield from _ordered(document, placed, order, meta)


def _ordered(
    document: _Document, placed: list[_Placed], order: Order, meta: dict[str, Any]
) -> Iterator[Sample]:
    """Makes samples of a document's sentences and images, in the order asked for."""
    sentences, where = document.sentences, document.where
    if order == "pairs":
        for image in placed:
            turns = pair_turns(1, sentences[image.sentence])
            about = meta | _about([image])
            yield Sample(f"{document.key}/{image.number}", (image.data,), turns, about, where=where)
        return
    if order == "interleaved":
        turns = interleaved_turns(sentences, [image.sentence for image in placed])
    else:
        turns = pair_turns(len(placed), " ".join(filter(None, sentences)))
    pictures = tuple(image.data for image in placed)
    yield Sample(document.key, pictures, turns, meta | _about(placed), where=where)


def _similarity(info: Mapping[str, Any]) -> float:
    value = as_score(info.get("matched_sim"))
    return value if math.isfinite(value) else -math.inf


def _place(number: int, document: _Document, images: ImageFiles) -> _Placed | Reject:
    """Finds an image and its sentence; a reject if either is missing."""
    info, sentences, where, key = document.infos[number], document.sentences, document.where, document.key
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
    """Makes turns in which the user shows each image, and the assistant says the text up to the next one.

    Args:
        sentences: sentences of the document, in order.
        places: for each image, the number of the sentence that it stands before.
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


def _about(placed: list[_Placed]) -> dict[str, Any]:
    return {
        "image": [image.name for image in placed],
        "matched_sim": [image.similarity for image in placed],
    }
