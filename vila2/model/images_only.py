"""Processors without torchvision: of a model that reads videos as well, the part for images.

Nothing here shows a model a video; transformers builds the video part all the same, and that needs torchvision.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoConfig, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils.hub import cached_file
from transformers.utils.import_utils import is_torchvision_available

from vila2.errors import ModelError

_VIDEO = "video_processor"


class NoVideos:
    """Stands where a video processor would: every setting of it is None, and it reads nothing."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):  # copying and the like ask for such
            raise AttributeError(name)

    def __call__(self, *videos: Any, **settings: Any) -> None:
        raise ModelError("videos are not read", hint="show the model single frames")


def processor_class(path: str, *, trust_remote_code: bool = False) -> type[ProcessorMixin] | None:
    """The processor class of a checkpoint, by what its files say; None where only AutoProcessor can tell.

    Args:
        path: folder or hub id.
        trust_remote_code: whether code that the checkpoint brings along may run.
    """
    for file in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        name = _settings_in(path, file).get("processor_class")
        if isinstance(name, str) and (found := _class_of_name(name)) is not None:
            return found
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
        by_family: type[ProcessorMixin] | None = PROCESSOR_MAPPING.get(type(config), None)  # type: ignore[assignment]
    except ImportError:
        return None
    return by_family


def images_only(kind: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """The same processor class without its video part, whose settings are kept for saving.

    Args:
        kind: with an attribute ``video_processor``.
    """
    names: list[str] = kind.get_attributes()  # type: ignore[no-untyped-call]
    place = names.index(_VIDEO)

    class ImagesOnly(kind):  # type: ignore[misc, valid-type]
        video_processor = NoVideos()
        _video_settings: Mapping[str, Any] | None = None

        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in names if name != _VIDEO]

        @classmethod
        def from_pretrained(cls, path: str | Path, *args: Any, **kwargs: Any) -> Any:
            with _without_number_words(kind):
                found = super().from_pretrained(path, *args, **kwargs)
            found._video_settings = _video_settings(str(path))
            return found

        @classmethod
        def _get_arguments_from_pretrained(cls, *args: Any, **kwargs: Any) -> list[Any]:
            found = super()._get_arguments_from_pretrained(*args, **kwargs)
            return [*found[:place], NoVideos(), *found[place:]]

        @classmethod
        def from_args_and_dict(cls, args: Any, processor_dict: dict[str, Any], **kwargs: Any) -> Any:
            rest = {name: value for name, value in processor_dict.items() if name != _VIDEO}
            return super().from_args_and_dict(args, rest, **kwargs)

        def to_dict(self) -> dict[str, Any]:
            # Where torchvision is there, the saved processor reads videos as before.
            kept = {_VIDEO: dict(self._video_settings)} if self._video_settings else {}
            return {name: value for name, value in super().to_dict().items() if name != _VIDEO} | kept

    ImagesOnly.__name__ = kind.__name__  # what save_pretrained writes
    return ImagesOnly


def _class_of_name(name: str) -> type[ProcessorMixin] | None:
    found = getattr(transformers, name, None)
    if found is None:
        for registered in PROCESSOR_MAPPING._extra_content.values():
            if getattr(registered, "__name__", None) == name:
                return registered  # type: ignore[no-any-return]
        return None
    if getattr(found, "is_dummy", False) and not is_torchvision_available():
        return _with_pillow(name)
    return found  # type: ignore[no-any-return]


def _with_pillow(name: str) -> type[ProcessorMixin] | None:
    """A class whose module asks for torchvision only to borrow a function that its Pillow twin has as well.

    So it is with Pixtral, whose processor Mistral 3 uses too.
    """
    family = name.removesuffix("Processor").lower()
    package = f"transformers.models.{family}"
    theirs, twin = f"{package}.image_processing_{family}", f"{package}.image_processing_pil_{family}"
    known = sys.modules.get(theirs)
    try:
        sys.modules[theirs] = importlib.import_module(twin)
        return getattr(importlib.import_module(f"{package}.processing_{family}"), name, None)
    except ImportError:
        return None
    finally:
        sys.modules.pop(theirs, None)
        if known is not None:
            sys.modules[theirs] = known


def _video_settings(path: str) -> dict[str, Any] | None:
    """The settings of a checkpoint's video part, where it has some."""
    nested = _settings_in(path, "processor_config.json").get(_VIDEO)
    found = nested if isinstance(nested, dict) else _settings_in(path, "video_preprocessor_config.json")
    # Older checkpoints have one file for images and videos.
    return found or _settings_in(path, "preprocessor_config.json") or None


def _settings_in(path: str, file: str) -> dict[str, Any]:
    """A settings file of a checkpoint; empty where it has none."""
    found = cached_file(
        path,
        file,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if found is None:
        return {}
    settings = json.loads(Path(found).read_text(encoding="utf-8"))
    return settings if isinstance(settings, dict) else {}


@contextmanager
def _without_number_words(kind: type[ProcessorMixin]) -> Iterator[None]:
    """SmolVLM asks for num2words as soon as it is made, to say how many frames a video has."""
    module = sys.modules[kind.__module__]
    if getattr(module, "num2words", "") is not None:
        yield
        return
    module.num2words = str  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.num2words = None  # type: ignore[attr-defined]
