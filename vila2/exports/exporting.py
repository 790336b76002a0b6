"""Exports a dataset through a view: rows and images in a format, what was left out, a card, and the facts.

    OUT/README.md        dataset card: where the texts come from, and how to open the files
    OUT/export.json      the same facts for programs
    OUT/left_out.jsonl   rows that the format cannot hold, each with its reason

The folder appears when all of it is written. What an interrupted export left behind is thrown away.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from vila2.data.atomic import sync_folder, write_json_atomic, write_text_atomic
from vila2.data.layers import Layer
from vila2.data.locks import hold
from vila2.data.mixtures import ViewedDataset
from vila2.data.rejects import Reject, RejectTally
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset
from vila2.data.views import View
from vila2.errors import DataError
from vila2.exports.card import card_text
from vila2.exports.conventions import Convention
from vila2.exports.export_rows import rows_of
from vila2.exports.facts import Exported, layer_facts
from vila2.exports.formats import find_format
from vila2.exports.licenses import check_licenses
from vila2.exports.writer import CannotHold, RowWriter, unwritable_is_unfit
from vila2.exports.written_images import readable_image
from vila2.progress import Task

FACTS = "export.json"
LEFT_OUT = "left_out.jsonl"


@dataclass(slots=True)
class _RowCounts:
    rows: int = 0
    converted: int = 0
    left_out: RejectTally = field(default_factory=RejectTally)


def default_view(layers: Sequence[str]) -> View:
    """The view that an export of these layers means: the sample as it is, or the layers' own exchanges."""
    if list(layers) in ([], ["original"]):
        return View("only", ("original",))
    return View("dialogue", tuple(layers))


def export_dataset(
    dataset: ShardDataset,
    layers: Mapping[str, Layer],
    view: View,
    out: Path,
    *,
    to: str,
    convention: Convention,
    sources: Sequence[Layer] = (),
    question: str = "",
    license: str = "",
    despite_licenses: bool = False,
    replace_old: bool = False,
    progress: Task | None = None,
) -> Exported:
    """Writes what a view shows of a dataset as files of another format.

    Args:
        dataset: dataset to export.
        layers: layers that the view names, by name.
        view: how texts and layers become conversations.
        out: folder to write.
        to: name of the format (:data:`vila2.exports.formats.FORMATS`).
        convention: how boxes and points are written.
        sources: layers that merged ones among ``layers`` were made of, for the card.
        question: text of the user where an answer has no question.
        license: license of the data, for the card.
        despite_licenses: whether to export although the terms of a layer forbid it.
        replace_old: whether an earlier export in the folder may be replaced.
        progress: task that advances by one for every sample.

    Returns:
        The facts of the export.

    Raises:
        DataError: the format is unknown, the view does not fit, the folder is taken, no row was written, or
            the terms of a layer forbid the export.
    """
    form = find_format(to)
    viewed = ViewedDataset(dataset, view, layers)
    facts = [layer_facts(layer) for layer in viewed.layers.values()]
    beneath = [layer_facts(layer) for layer in sources]
    if not despite_licenses:
        check_licenses(license, [*facts, *beneath])
    with _new_folder(out, replace_old) as folder:
        counts = _write(viewed, form.open(folder), folder, convention, question, progress)
        if not counts.rows:
            raise DataError(
                f"{dataset.folder}: no row to export through {view}; left out: {counts.left_out}; "
                f"without a usable text: {viewed.dropped or 'none'}",
                hint="choose another --layer or --to",
            )
        exported = Exported(
            out,
            to,
            str(view),
            convention.name,
            len(viewed),
            counts.rows,
            dict(sorted(counts.left_out.counts.items())),
            viewed.dropped,
            counts.converted,
            dataset.name,
            dataset.digest,
            facts,
            beneath,
            form.use.format(out=out),
        )
        write_json_atomic(folder / FACTS, exported.to_json())
        write_text_atomic(folder / "README.md", card_text(exported, license))
    return exported


def _write(
    viewed: ViewedDataset,
    writer: RowWriter,
    folder: Path,
    convention: Convention,
    question: str,
    progress: Task | None,
) -> _RowCounts:
    """Writes the rows of all samples, and lists what is left out."""
    counts = _RowCounts()
    with (folder / LEFT_OUT).open("w", encoding="utf-8") as left_out:
        for sample in viewed:
            for reject in _add(writer, sample, convention, question, counts):
                left_out.write(json.dumps(asdict(reject), ensure_ascii=False) + "\n")
                counts.left_out.add(reject)
            if progress is not None:
                progress.advance()
        writer.close()
    return counts


def _add(
    writer: RowWriter, sample: Sample, convention: Convention, question: str, counts: _RowCounts
) -> Iterator[Reject]:
    """Adds the rows of a sample, and yields a reject for each that cannot be written."""
    try:
        images = tuple(readable_image(data, where=sample.key) for data in sample.images)
    except DataError as error:
        yield Reject(sample.where, sample.key, "corrupt-image", error.what)
        return
    counts.converted += sum(new is not old for new, old in zip(images, sample.images, strict=True))
    for row in rows_of(replace(sample, images=images), convention, question):
        try:
            with unwritable_is_unfit():
                writer.add(row)
            counts.rows += 1
        except CannotHold as unfit:
            yield Reject(sample.where, row.key, unfit.reason, unfit.detail)


@contextmanager
def _new_folder(out: Path, replace_old: bool) -> Iterator[Path]:
    """Gives an empty folder beside ``out``, which takes its place when the block ends without an error."""
    if out.exists() and not _is_replaceable(out, replace_old):
        old = (out / FACTS).exists()
        raise DataError(
            f"{out}: {'an export' if old else 'something else'} is there already",
            hint="add --replace, or give another folder" if old else "give another folder",
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    held = hold(out.with_name(f".{out.name}.lock"))
    if held is None:
        raise DataError(f"{out}: another process is writing it", hint="wait for it, or write elsewhere")
    held.vanishes = True
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of an interrupted export
        partial.mkdir()
        yield partial
        if out.exists():
            shutil.rmtree(out)
        os.replace(partial, out)
        sync_folder(out.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        held.release()


def _is_replaceable(out: Path, replace_old: bool) -> bool:
    """Whether a folder is empty, or an earlier export that may be replaced."""
    if not out.is_dir():
        return False
    return not any(out.iterdir()) or (replace_old and (out / FACTS).is_file())
