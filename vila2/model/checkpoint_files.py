"""Looks at the files of a checkpoint before anything reads them, since a broken download can be named by its file.

Only headers are read, so a look takes milliseconds whatever the size of the weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vila2.errors import ModelError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
#: Settings that transformers reads from a folder, whatever the family.
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
#: Files of text and settings that Git LFS may keep apart, since some are of megabytes.
_TEXTS = ("*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
_SHARES = ("global_step*", "zero_pp_rank_*", "*_optim_states.pt", "zero_to_fp32.py")
_POINTER = b"version https://git-lfs"
_LENGTH = 8  # bytes before the header of a safetensors file, which hold the header's length
_LARGEST_HEADER = 100_000_000  # as the safetensors library allows
_AGAIN = "download the file again and compare its size with the source's"


def check_settings(folder: Path) -> None:
    """Whether the settings of a checkpoint can be read.

    Raises:
        ModelError: a pointer of Git LFS, an empty file, or no JSON.
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
        if name != "tokenizer.json":  # of megabytes; its own reader says what is wrong with it
            read_json(path)


def check_processor_files(folder: Path) -> None:
    """Whether a checkpoint says how images and texts become tokens.

    Raises:
        ModelError: the files of its image processor or of its tokenizer are not there.
    """
    if not any((folder / name).is_file() for name in _IMAGES):
        raise ModelError(
            f"{folder} does not say how it reads images: neither {' nor '.join(_IMAGES)}",
            hint="take these files from the model that the weights come from",
        )
    if not any(next(folder.glob(pattern), None) for pattern in _TOKENIZER):
        raise ModelError(
            f"{folder} has no tokenizer: no tokenizer.json",
            hint="take the tokenizer's files from the model that the weights come from",
        )


def check_content(path: Path) -> int:
    """Refuses a file that holds nothing, or something else than its name says; gives its size in bytes.

    Raises:
        ModelError: it is empty, a pointer of Git LFS, or a web page.
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
    """Refuses a pointer of Git LFS; gives how the file begins, in small letters."""
    _check_link(path)
    with path.open("rb") as file:
        start = file.read(64).lstrip().lower()
    if start.startswith(_POINTER):
        raise ModelError(
            f"{path} is a pointer of Git LFS, not the file itself",
            hint=f"`git lfs install && git lfs pull` in {path.parent}, or `hf download`",
        )
    return start


def _check_link(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise ModelError(
            f"{path} is a link to {path.readlink()}, which is not there",
            hint="copy the folder with the files that its links lead to (cp -rL), or download it again",
        )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a checkpoint's file.

    Raises:
        ModelError: it cannot be read, or holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="check the file") from error
    except ValueError as error:
        raise ModelError(
            f"{path} is not valid JSON: {error}", hint="fix that place, or download the file again"
        ) from error
    if not isinstance(found, dict):
        raise ModelError(
            f"{path} holds no JSON object but a {type(found).__name__}", hint="download the file again"
        )
    return found


def check_weights(folder: Path) -> list[Path]:
    """The files of a checkpoint's weights, each of which is there and whole as far as its header says.

    Raises:
        ModelError: weights that are missing, cut off, empty, or of another form than safetensors.
    """
    files = _weight_files(folder)
    for file in files:
        check_safetensors(file)
    return files


def check_safetensors(path: Path) -> None:
    """Whether a safetensors file is as long as its header says.

    Raises:
        ModelError: it is empty, cut off, or something else.
    """
    header = read_header(path)
    size = path.stat().st_size
    length = _LENGTH + header.bytes
    needed = length + max((end for _, end in header.places.values()), default=0)
    if size < needed:
        raise ModelError(f"{path} is cut off: {size:,} of {needed:,} bytes are there", hint=_AGAIN)
    if size > needed:
        raise ModelError(f"{path} has {size:,} bytes where its header says {needed:,}", hint=_AGAIN)


class Header:
    """What the header of a safetensors file says.

    Attributes:
        bytes: of the header itself.
        shapes: of each tensor.
        places: where each tensor begins and ends, in bytes behind the header.
    """

    def __init__(self, length: int, entries: Mapping[str, Any]) -> None:
        tensors = {name: entry for name, entry in entries.items() if name != "__metadata__"}
        self.bytes = length
        self.shapes = {name: tuple(entry["shape"]) for name, entry in tensors.items()}
        self.places = {name: tuple(entry["data_offsets"]) for name, entry in tensors.items()}


def read_header(path: Path) -> Header:
    """The header of a safetensors file.

    Raises:
        ModelError: the file is empty, cut off within the header, or no safetensors file.
    """
    size = check_content(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if size <= _LENGTH or length > _LARGEST_HEADER:
            raise ModelError(f"{path} is no safetensors file", hint=_AGAIN)
        if size < _LENGTH + length:
            raise ModelError(
                f"{path} is cut off in its header: {size:,} of more than {_LENGTH + length:,} bytes are there",
                hint=_AGAIN,
            )
        text = file.read(length)
    try:
        return Header(length, json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is no safetensors file: its header cannot be read", hint=_AGAIN) from error


def pickled(folder: Path) -> list[str]:
    """The names of weights in a form that may run code when it is read."""
    return sorted(file.name for pattern in _PICKLES for file in folder.glob(pattern))


def what_is_here(folder: Path) -> tuple[str, str]:
    """What a folder without ``config.json`` is, and what its owner can do."""
    if (folder / "adapter_config.json").is_file():
        return f"it is an adapter of {_base_of(folder)}", (
            "merge it into its base (peft: AutoPeftModel.from_pretrained(FOLDER).merge_and_unload()),"
            " save_pretrained that with the processor, and give the new folder"
        )
    if all((folder / part / "config.json").is_file() for part in ("llm", "vision_tower")):
        return "it is a checkpoint of VILA", f"vila2 model convert {folder} --out MODEL"
    if _has_shares(folder):
        return "it holds the shares of a DeepSpeed training", _JOIN_SHARES
    if (folder / "params.json").is_file():
        return "it is in Mistral's own form (params.json)", "take the checkpoint in transformers' form"
    if inside := sorted(path.parent.name for path in folder.glob("*/config.json")):
        return f"models lie in it: {_some(inside)}", f"give one of them, {folder / inside[0]} for example"
    return "", "give the folder that save_pretrained wrote"


_JOIN_SHARES = (
    "join them (`python zero_to_fp32.py . OUT --safe_serialization` in the checkpoint),"
    " and put config and processor beside the result"
)


def _weight_files(folder: Path) -> list[Path]:
    """The files with the weights, by the index where there is one."""
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
            hint=f"download {INDEX} as well" if len(others) > 1 else f"rename it to {WEIGHTS} if it is whole",
        )
    if found := pickled(folder):
        raise ModelError(
            f"{folder} has weights in pickle form only ({_some(found)}), which may run code when read",
            hint="convert them to safetensors where you trust their source, or take a safetensors revision",
        )
    if _has_shares(folder):
        raise ModelError(f"{folder} holds only the shares of a DeepSpeed training", hint=_JOIN_SHARES)
    raise ModelError(f"{folder} has no weights: no {WEIGHTS} and no {INDEX}", hint="download them as well")


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
            f"{len(missing)} of the {len(names)} files that {index} names are not there: {_some(missing)}",
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
