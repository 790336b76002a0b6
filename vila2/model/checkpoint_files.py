"""Checks the files of a checkpoint before anything reads them, so that errors name the broken file.

Only headers are read, so a check takes milliseconds whatever the size of the weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vila2.data.parsing import MISSHAPEN, described
from vila2.errors import ModelError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
#: Settings files that transformers reads from a folder, whatever the family.
SETTINGS = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    INDEX,
)
_IMAGES = ("preprocessor_config.json", "processor_config.json")
_TOKENIZER = ("tokenizer.json", "*.model", "vocab.*", "tekken.json", "*.tiktoken")
#: Files of text and settings that Git LFS may store separately, since some have megabytes.
_TEXTS = ("*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
_SHARES = ("global_step*", "zero_pp_rank_*", "*_optim_states.pt", "zero_to_fp32.py")
_POINTER = b"version https://git-lfs"
_LENGTH = 8  # number of bytes before a safetensors header, which hold the header's length
_LARGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors library
_AGAIN = "download the file again and compare its size with the source's"
#: Advice for weights in pickle files.
PICKLES_HINT = "convert them to safetensors if you trust their source, or use a safetensors revision"


def check_settings(folder: Path) -> None:
    """Checks that the settings of a checkpoint can be read.

    Args:
        folder: folder of the checkpoint.

    Raises:
        ModelError: a Git LFS pointer, an empty file, or invalid JSON.
    """
    for pattern in _TEXTS:
        for path in folder.glob(pattern):
            _check_pointer(path)
    for name in SETTINGS:
        path = folder / name
        if not path.is_file():
            _check_link(path)
            continue
        check_content(path)
        if name != "tokenizer.json":  # it has megabytes, and its own reader reports errors
            read_json(path)


def check_processor_files(folder: Path) -> None:
    """Checks that a checkpoint has the files of an image processor and of a tokenizer.

    Args:
        folder: folder of the checkpoint.

    Raises:
        ModelError: some of them are missing.
    """
    if not any((folder / name).is_file() for name in _IMAGES):
        raise ModelError(
            f"{folder} has no image processor: neither {' nor '.join(_IMAGES)}",
            hint="copy these files from the model that the weights come from",
        )
    if not any(next(folder.glob(pattern), None) for pattern in _TOKENIZER):
        raise ModelError(
            f"{folder} has no tokenizer: no tokenizer.json",
            hint="copy the tokenizer's files from the model that the weights come from",
        )


def check_content(path: Path) -> int:
    """Checks that a file holds what its name says.

    Args:
        path: file of a checkpoint.

    Returns:
        Its size in bytes.

    Raises:
        ModelError: an empty file, a Git LFS pointer, or a web page.
    """
    size = path.stat().st_size
    if not size:
        raise ModelError(f"{path} is empty", hint=_AGAIN)
    start = _check_pointer(path)
    if start.startswith((b"<!doctype", b"<html")):
        raise ModelError(
            f"{path} is a web page, not the file of that name", hint="download it with `hf download`"
        )
    return size


def _check_pointer(path: Path) -> bytes:
    """Refuses a Git LFS pointer; returns the start of the file in lower case."""
    _check_link(path)
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    if start.startswith(_POINTER):
        raise ModelError(
            f"{path} is a Git LFS pointer, not the file itself",
            hint=f"run `git lfs install && git lfs pull` in {path.parent}, or `hf download`",
        )
    return start


def _check_link(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise ModelError(
            f"{path} is a link to {path.readlink()}, which does not exist",
            hint="copy the folder with the files that its links lead to (cp -rL), or download it again",
        )


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object from a checkpoint's file.

    Args:
        path: file of a checkpoint.

    Raises:
        ModelError: it cannot be read, or does not hold a JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="check the file") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} is not valid JSON: {described(error)}", hint="fix that place, or download the file again"
        ) from error
    if not isinstance(found, dict):
        raise ModelError(
            f"{path} does not hold a JSON object but a {type(found).__name__}", hint="download the file again"
        )
    return found


def check_weights(folder: Path) -> list[Path]:
    """Finds the files of a checkpoint's weights and checks that each is complete by its header.

    Args:
        folder: folder of the checkpoint.

    Raises:
        ModelError: weights that are missing, truncated, empty, or in another format than safetensors.
    """
    files = _weight_files(folder)
    for file in files:
        check_safetensors(file)
    return files


def check_safetensors(path: Path) -> Header:
    """Checks that a safetensors file is as long as its header says.

    Args:
        path: file of weights.

    Returns:
        Its header.

    Raises:
        ModelError: an empty, truncated or other file.
    """
    header = read_header(path)
    size = path.stat().st_size
    length = _LENGTH + header.bytes
    needed = length + max((end for _, end in header.places.values()), default=0)
    if size < needed:
        raise ModelError(f"{path} is truncated: it has {size:,} of {needed:,} bytes", hint=_AGAIN)
    if size > needed:
        raise ModelError(f"{path} has {size:,} bytes, but its header says {needed:,}", hint=_AGAIN)
    return header


class Header:
    """The header of a safetensors file.

    Attributes:
        bytes: length of the header in bytes.
        shapes: shape of each tensor.
        places: start and end of each tensor, in bytes after the header.
    """

    def __init__(self, length: int, entries: Mapping[str, Any]) -> None:
        tensors = {name: entry for name, entry in entries.items() if name != "__metadata__"}
        self.bytes = length
        self.shapes = {name: _whole_numbers(entry["shape"]) for name, entry in tensors.items()}
        self.places = {name: _whole_numbers(entry["data_offsets"]) for name, entry in tensors.items()}
        if any(len(place) != 2 or place[0] > place[1] for place in self.places.values()):
            raise ValueError("a tensor without a start and an end")


def _whole_numbers(values: Sequence[Any]) -> tuple[int, ...]:
    if not all(type(value) is int and value >= 0 for value in values):
        raise ValueError("a size or a place that is no whole number")
    return tuple(values)


def read_header(path: Path) -> Header:
    """Reads the header of a safetensors file.

    Args:
        path: file of weights.

    Raises:
        ModelError: the file is empty, truncated in the header, or not a safetensors file.
    """
    size = check_content(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if size <= _LENGTH or length > _LARGEST_HEADER:
            raise ModelError(f"{path} is not a safetensors file", hint=_AGAIN)
        if size < _LENGTH + length:
            raise ModelError(
                f"{path} is truncated in its header: it has {size:,} of more than {_LENGTH + length:,} bytes",
                hint=_AGAIN,
            )
        text = file.read(length)
    try:
        return Header(length, json.loads(text))
    except MISSHAPEN as error:
        raise ModelError(
            f"{path} is not a safetensors file: its header cannot be read", hint=_AGAIN
        ) from error


def pickled(folder: Path) -> list[str]:
    """The names of weight files in pickle format, which may run code when they are read."""
    return sorted(file.name for pattern in _PICKLES for file in folder.glob(pattern))


def what_is_here(folder: Path) -> tuple[str, str]:
    """What a folder without ``config.json`` contains, and a hint for its owner."""
    if (folder / "adapter_config.json").is_file():
        return f"it is an adapter of {_base_of(folder)}", (
            "merge it into its base (peft: AutoPeftModel.from_pretrained(FOLDER).merge_and_unload()),"
            " save it and the processor with save_pretrained, and give the new folder"
        )
    if all((folder / part / "config.json").is_file() for part in ("llm", "vision_tower")):
        return "it is a checkpoint of VILA", f"vila2 model convert {folder} --out MODEL"
    if _has_shares(folder):
        return "it holds the shares of a DeepSpeed training", _JOIN_SHARES
    if (folder / "params.json").is_file():
        return "it is in Mistral's own format (params.json)", "use the checkpoint in transformers' format"
    if inside := sorted(path.parent.name for path in folder.glob("*/config.json")):
        return f"it contains models: {_some(inside)}", f"give one of them, {folder / inside[0]} for example"
    return "", "give the folder that save_pretrained wrote"


_JOIN_SHARES = (
    "join them (`python zero_to_fp32.py . OUT --safe_serialization` in the checkpoint),"
    " and put config and processor next to the result"
)


def _weight_files(folder: Path) -> list[Path]:
    """The files with the weights, from the index if there is one."""
    for name in (WEIGHTS, INDEX):
        _check_link(folder / name)
    if (folder / WEIGHTS).is_file():  # transformers looks for it first
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        return _files_of_index(folder)
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    if "adapter_model.safetensors" in others or (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{folder} holds an adapter of {_base_of(folder)} and no weights of the model itself",
            hint=what_is_here(folder)[1],
        )
    if others:
        raise ModelError(
            f"{folder} has neither {WEIGHTS} nor {INDEX}, but {_some(others)}",
            hint=f"download {INDEX} as well"
            if len(others) > 1
            else f"rename it to {WEIGHTS} if it is complete",
        )
    if found := pickled(folder):
        raise ModelError(
            f"{folder} has weights only as pickle files ({_some(found)}), which may run code when read",
            hint=PICKLES_HINT,
        )
    if _has_shares(folder):
        raise ModelError(f"{folder} holds only the shares of a DeepSpeed training", hint=_JOIN_SHARES)
    raise ModelError(f"{folder} has no weights: no {WEIGHTS} and no {INDEX}", hint="download them too")


def _files_of_index(folder: Path) -> list[Path]:
    index = folder / INDEX
    check_content(index)
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise ModelError(f"{index} has no weight_map, so it names no file", hint="download it again")
    names = sorted({str(name) for name in places.values()})
    for name in names:
        _check_link(folder / name)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{len(missing)} of the {len(names)} files that {index} names are missing: {_some(missing)}",
            hint="download them as well",
        )
    return [folder / name for name in names]


def _has_shares(folder: Path) -> bool:
    return any(next(folder.glob(pattern), None) is not None for pattern in _SHARES)


def _base_of(folder: Path) -> str:
    try:
        return str(
            read_json(folder / "adapter_config.json").get("base_model_name_or_path") or "another model"
        )
    except ModelError:
        return "another model"


def _some(names: list[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
