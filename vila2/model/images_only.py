"""Makes processors for images alone, for models that read videos too, so that they work without torchvision.

vila2 shows no videos to a model. transformers builds the video part all the same, and that needs torchvision.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import transformers
from transformers import AutoConfig, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils.hub import cached_file
from transformers.utils.import_utils import is_torchvision_available

from vila2.errors import ModelError

_VIDEO = "video_processor"


class NoVideos:
    """Replaces a video processor: each of its settings is None, and it reads nothing."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):  # copying, for example, looks such names up
            raise AttributeError(name)

    def __call__(self, *videos: Any, **settings: Any) -> None:
        raise ModelError("videos are not supported", hint="show the model single frames")


def processor_class(path: str, *, trust_remote_code: bool = False) -> type[ProcessorMixin] | None:
    """Finds the processor class of a checkpoint from its files; None if only AutoProcessor can find it.

    Args:
        path: folder or hub id of the checkpoint.
        trust_remote_code: whether code in the checkpoint may run.
    """
    for file in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        name = _settings_in(path, file).get("processor_class")
        if isinstance(name, str) and (found := _class_of_name(name)) is not None:
            return found
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=trust_remote_code)
    except ImportError:
        return None
    # The mapping's own type says strings, which it resolves to classes.
    return cast(type[ProcessorMixin] | None, PROCESSOR_MAPPING.get(type(config), None))


def images_only(kind: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """Makes a processor class without its video part. The settings of that part are kept for saving.

    Args:
        kind: processor class with an attribute ``video_processor``.
    """
    names = attributes_of(kind)
    place = names.index(_VIDEO)
    base: Any = kind  # a type checker allows no class of the program's making as a base

    class ImagesOnly(base):  # type: ignore[misc]
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
            # With torchvision, the saved processor reads videos as before.
            kept = {_VIDEO: dict(self._video_settings)} if self._video_settings else {}
            return {name: value for name, value in super().to_dict().items() if name != _VIDEO} | kept

    ImagesOnly.__name__ = kind.__name__  # save_pretrained writes it
    return ImagesOnly


def attributes_of(kind: type[ProcessorMixin]) -> list[str]:
    """The names of a processor's parts, such as ``image_processor`` and ``tokenizer``."""
    typed: Any = kind  # transformers leaves the method without types
    return list(typed.get_attributes())


def _class_of_name(name: str) -> type[ProcessorMixin] | None:
    """The processor class of transformers, or of ours, with this name."""
    found: type[ProcessorMixin] | None = getattr(transformers, name, None)
    if found is None:
        registered: Iterable[type[ProcessorMixin]] = PROCESSOR_MAPPING._extra_content.values()
        return next((one for one in registered if getattr(one, "__name__", None) == name), None)
    if getattr(found, "is_dummy", False) and not is_torchvision_available():
        return _with_pillow(name)
    return found


def _with_pillow(name: str) -> type[ProcessorMixin] | None:
    """Imports a processor class that needs torchvision only for a function that its Pillow twin has too.

    This holds for Pixtral, whose processor Mistral 3 uses too.
    """
    family = name.removesuffix("Processor").lower()
    package = f"transformers.models.{family}"
    theirs, twin = f"{package}.image_processing_{family}", f"{package}.image_processing_pil_{family}"
    known = sys.modules.get(theirs)
    found: type[ProcessorMixin] | None
    try:
        sys.modules[theirs] = importlib.import_module(twin)
        found = getattr(importlib.import_module(f"{package}.processing_{family}"), name, None)
        return found
    except ImportError:
        return None
    finally:
        sys.modules.pop(theirs, None)
        if known is not None:
            sys.modules[theirs] = known


def _video_settings(path: str) -> dict[str, Any] | None:
    """The settings of a checkpoint's video part; None if it has none."""
    nested = _settings_in(path, "processor_config.json").get(_VIDEO)
    found = nested if isinstance(nested, dict) else _settings_in(path, "video_preprocessor_config.json")
    # Older checkpoints have one file for images and videos.
    return found or _settings_in(path, "preprocessor_config.json") or None


def _settings_in(path: str, file: str) -> dict[str, Any]:
    """The content of a checkpoint's settings file; empty if it has none."""
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
    """Lets SmolVLM's processor load without num2words, which only words about the frames of a video need."""
    module: Any = sys.modules[kind.__module__]
    if getattr(module, "num2words", "") is not None:
        yield
        return
    module.num2words = str
    try:
        yield
    finally:
        module.num2words = None
