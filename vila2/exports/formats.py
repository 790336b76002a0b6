"""The table of export formats, by the name that ``--to`` takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vila2.errors import DataError
from vila2.exports.chat_files import LlamaFactoryWriter, LlavaWriter, ShareGptWriter, SwiftWriter
from vila2.exports.plain_files import CsvWriter, TextFilesWriter, WebDatasetWriter
from vila2.exports.table_files import HuggingFaceWriter, TrlWriter
from vila2.exports.writer import RowWriter
from vila2.nearest import did_you_mean


@dataclass(frozen=True, slots=True)
class Format:
    """A format of exports.

    Attributes:
        open: function that opens a writer in an empty folder.
        use: how the reader opens the export, with ``{out}`` for its folder; shown after the export and in its
            card.
    """

    open: Callable[[Path], RowWriter]
    use: str


FORMATS: dict[str, Format] = {
    "llava": Format(LlavaWriter, "LLaVA: --data_path {out}/data.json --image_folder {out}"),
    "sharegpt": Format(ShareGptWriter, "rows in {out}/data.json; images are relative to {out}"),
    "trl": Format(
        TrlWriter, "TRL: trl sft --dataset_name {out} --model_name_or_path MODEL --output_dir tuned"
    ),
    "llama-factory": Format(
        LlamaFactoryWriter, "LLaMA-Factory: dataset_dir: {out}, dataset: vila2, media_dir: {out}"
    ),
    "ms-swift": Format(SwiftWriter, "ms-swift: ROOT_IMAGE_DIR={out} swift sft --dataset {out}/data.jsonl"),
    "huggingface": Format(HuggingFaceWriter, 'load_dataset("{out}", split="train")'),
    "webdataset": Format(
        WebDatasetWriter, 'webdataset.WebDataset(sorted(glob("{out}/*.tar"))).decode("pil")'
    ),
    "csv": Format(CsvWriter, "rows in {out}/data.csv; images are relative to {out}"),
    "text": Format(TextFilesWriter, "{out} holds each image with a .txt of its name"),
}


def find_format(name: str) -> Format:
    """Finds a format by its name.

    Raises:
        DataError: the name is unknown.
    """
    if name not in FORMATS:
        raise DataError(f"unknown format {name!r}", hint=did_you_mean(name, FORMATS))
    return FORMATS[name]
