"""Readers: one table of the data sets of the paper's OCR specialist, each as its authors publish it.

The data lies in one folder with a subfolder for each data set, named as in :data:`SOURCES`. A subfolder holds
the files as downloaded: Parquet, JSON or JSON lines, with the images beside them or in ``images``. The
Cauldron has a subfolder of its own for each of its subsets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vila2.plugin import (
    DataError,
    Reject,
    Row,
    Sample,
    UnfitConversation,
    check_image_root,
    load_reference,
    open_source,
    without_suffix,
)

from vila2_ocr.readers.cauldron import CAULDRON, OWN_SOURCE, SUBSETS
from vila2_ocr.readers.exchanges import RowReader
from vila2_ocr.readers.files import file_rows, images_of, row_files


@dataclass(frozen=True, slots=True)
class Source:
    """A data set.

    Attributes:
        hub: place of publication: a data set of the Hugging Face hub, or an address.
        fields: fields that a row must have.
        image: fields that may hold the image of a row, or name it.
        reader: reference to a :data:`~vila2_ocr.readers.exchanges.RowReader`; "llava" for files that vila2's
            own source reads.
        licence: license as the authors state it; "see ..." where they leave it to others.
        note: a peculiarity of the data set.
    """

    hub: str
    fields: tuple[str, ...]
    image: tuple[str, ...]
    reader: str
    licence: str
    note: str = ""


_ROWS = "vila2_ocr.readers.text_rows"

SOURCES: dict[str, Source] = {
    "llava-sft": Source(
        "liuhaotian/LLaVA-Instruct-150K", ("conversations",), ("image",), "llava", "CC BY 4.0, OpenAI terms",
        "llava_v1_5_mix665k.json; images of COCO, GQA, OCR-VQA, TextVQA, Visual Genome beside it",
    ),
    "textocr-gpt4v": Source(
        "jimmycarter/textocr-gpt4v", ("filename", "caption_text"), ("filename",), f"{_ROWS}:textocr",
        "CC BY-NC 4.0", "images of TextOCR are fetched from textvqa.org",
    ),
    "synthdog-en": Source(
        "naver-clova-ix/synthdog-en", ("image", "ground_truth"), ("image",), f"{_ROWS}:synthdog", "MIT",
    ),
    "ocr-vqa": Source(
        "howard-hou/OCR-VQA", ("questions", "answers"), ("image",), f"{_ROWS}:ocr_vqa",
        "see ocr-vqa.github.io",
    ),
    "textcaps": Source(
        "lmms-lab/TextCaps", ("caption_str",), ("image", "image_path", "image_id"), f"{_ROWS}:textcaps",
        "CC BY 4.0", "its own JSON, a row for each caption, is read as well",
    ),
    "arxivqa": Source(
        "MMInstruction/ArxivQA", ("options", "question", "label"), ("image",), f"{_ROWS}:arxivqa",
        "CC BY-SA 4.0", "labels come as a letter, with marks behind it, or as the option itself",
    ),
    "docvqa": Source(
        "lmms-lab/DocVQA", ("question", "answers"), ("image",), f"{_ROWS}:docvqa", "see docvqa.org",
        "rows without answers are those of the test split",
    ),
    "dvqa": Source(
        "github.com/kushalkafle/DVQA_dataset", ("question", "answer"), ("image",), f"{_ROWS}:dvqa",
        "CC BY-NC 4.0", 'what the paper cites as "DocVQA [45]"',
    ),
    "ai2d": Source(
        "lmms-lab/ai2d", ("question", "options", "answer"), ("image",), f"{_ROWS}:ai2d", "see allenai.org",
        "the answer is the number of an option, from 0",
    ),
    "chartqa": Source(
        "HuggingFaceM4/ChartQA", ("query", "label"), ("image", "imgname"), f"{_ROWS}:chartqa", "GPL-3.0",
        "its own JSON, with imgname, is read as well",
    ),
    "llavar": Source(
        "SALT-NLP/LLaVAR", ("conversations",), ("image",), "llava", "CC BY-NC 4.0, OpenAI terms",
        "llava_instruct_150k_llavar_20k.json",
    ),
    CAULDRON: Source(
        "HuggingFaceM4/the_cauldron", ("images", "texts"), ("images",), "vila2_ocr.readers.cauldron:read",
        "of each subset's own data set",
        "35 of its subsets; those that stand in this table as well are left out",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a data set.

    Attributes:
        name: name of its shard: data set, subset and file.
        source: name of the data set.
        subset: subset of The Cauldron; "" for any other data set.
        path: place of the file.
        root: folder that the names of images are relative to.
        duplicate: name of the data set that its rows are read from instead; "" where there is none.
    """

    name: str
    source: str
    subset: str
    path: Path
    root: Path
    duplicate: str = ""

    def samples(self) -> Iterator[Sample | Reject]:
        """Samples of the questions and answers in its rows, and a ``Reject`` for each unfit row.

        The kind of a question is the name of the data set.
        """
        kind = self.subset or self.source
        if self.duplicate:
            yield Reject(str(self.path), "", "duplicate-source", f"{kind} is read from {self.duplicate}/")
            return
        read = self._conversations() if SOURCES[self.source].reader == "llava" else self._rows()
        for item in read:
            if isinstance(item, Reject):
                yield item
                continue
            about = {"dataset": kind, "kind": kind, "image": item.meta.get("image", item.key)}
            yield Sample(f"{self.name}/{item.key}", item.images, item.turns, {**item.meta, **about})

    def _conversations(self) -> Iterator[Sample | Reject]:
        return open_source("llava", path=self.path, image_root=self.root)

    def _rows(self) -> Iterator[Sample | Reject]:
        source = SOURCES[self.source]
        reader: RowReader = load_reference(source.reader, of=f"vila2-ocr, source {self.source}")
        for number, row in enumerate(file_rows(self.path)):
            yield row if isinstance(row, Reject) else self._sample(row, number, source, reader)

    def _sample(self, row: Row, number: int, source: Source, reader: RowReader) -> Sample | Reject:
        key = f"{number:07d}"
        missing = [name for name in source.fields if row.fields.get(name) is None]
        if missing:
            return Reject(row.where, key, "bad-row", f"no field {missing[0]!r}")
        found = images_of(row.fields, source.image, self.root, where=row.where, key=key)
        if isinstance(found, Reject):
            return found
        images, name = found
        try:
            read = reader(row.fields, len(images))
        except UnfitConversation as error:
            return Reject(row.where, key, error.reason, error.detail)
        # A row may hold anything where a list or a text belongs. It must not end the build.
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            detail = f"not of {self.source}'s form ({type(error).__name__}: {error})"
            return Reject(row.where, key, "bad-row", f"{detail:.200}")
        meta: dict[str, Any] = {"where": row.where}
        if read.references:
            meta["references"] = [list(own) for own in read.references]
        # Rows about one image share its name, so that a split never separates them.
        meta["image"] = f"{self.source}/{without_suffix(name)}" if name else f"{self.name}/{key}"
        return Sample(key, images, read.turns, meta)


def source_files(path: Path, dataset: str = "", image_root: Path | None = None) -> list[SourceFile]:
    """The files of known data sets in a folder, by name; none where no folder has such a name.

    Args:
        path: a folder with a subfolder for each data set, or the data of one.
        dataset: name of the data set at ``path``; "" where the names of folders tell it.
        image_root: the folder of the images of ``dataset``, or a folder with a subfolder for each data set.
            By default the images lie beside the rows.

    Raises:
        DataError: a data set is unknown, a subset of The Cauldron is none of the 35, or the folder of images
            does not exist.
    """
    check_image_root(image_root)
    if dataset and dataset not in SOURCES:
        raise DataError(f"unknown data set {dataset!r}", hint=f"use one of {', '.join(SOURCES)}")
    if dataset:
        folders = {dataset: path}
    elif path.is_dir():
        folders = {name: path / name for name in SOURCES if (path / name).is_dir()}
    else:
        folders = {}
    found: list[SourceFile] = []
    for name, folder in folders.items():
        if name != CAULDRON:
            found += _files(name, "", folder, "", _images(image_root, name, dataset))
            continue
        for subset in sorted(one for one in folder.iterdir() if one.is_dir() and any(row_files(one))):
            if subset.name not in SUBSETS:
                raise DataError(
                    f"{subset}: none of the 35 subsets with text", hint=f"known: {', '.join(SUBSETS)}"
                )
            own = OWN_SOURCE.get(subset.name, "")
            images = _images(image_root, f"{name}/{subset.name}", dataset)
            found += _files(name, subset.name, subset, own if own in folders else "", images)
    return found


def _images(image_root: Path | None, name: str, dataset: str) -> Path | None:
    """The images of a data set: its subfolder of ``image_root`` if there is one, else ``image_root``."""
    if image_root is None or dataset or not (image_root / name).is_dir():
        return image_root
    return image_root / name


def _files(
    source: str, subset: str, folder: Path, duplicate: str, images: Path | None
) -> Iterator[SourceFile]:
    root = folder if folder.is_dir() else folder.parent
    for file in row_files(folder):
        inside = file.relative_to(root).as_posix()
        name = "/".join(filter(None, (source, subset, inside)))
        yield SourceFile(name, source, subset, file, images or root, duplicate)
