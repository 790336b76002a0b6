"""Processor classes of transformers that ask for more packages than reading images needs."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from transformers import ProcessorMixin

_PIXTRAL = "transformers.models.pixtral"


def for_images_without_torchvision(kind: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """The same processor class, able to read images where torchvision and num2words are not installed.

    SmolVLM's spells numbers out for the times of a video's frames, and asks for num2words whatever it reads.
    Pixtral's takes one function out of the image processor that needs torchvision, and the one that needs
    nothing but Pillow has it too.
    """
    if kind.__name__ == "SmolVLMProcessor":
        module: Any = sys.modules[kind.__module__]
        module.num2words = module.num2words or _no_videos
    if kind.__name__ == "PixtralProcessor" and getattr(kind, "is_dummy", False):
        return _pixtral()
    return kind


def _no_videos(*_: Any, **__: Any) -> str:
    raise ImportError("reading videos needs num2words: pip install num2words")


def _pixtral() -> type[ProcessorMixin]:
    needs_torchvision = f"{_PIXTRAL}.image_processing_pixtral"
    sys.modules[needs_torchvision] = import_module(f"{_PIXTRAL}.image_processing_pil_pixtral")
    try:
        found: type[ProcessorMixin] = import_module(f"{_PIXTRAL}.processing_pixtral").PixtralProcessor
    finally:
        del sys.modules[needs_torchvision]
    return found
