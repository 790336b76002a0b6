"""Recognizes the models that vila2 ships, by their files and without loading them."""

from __future__ import annotations

import json
from pathlib import Path

from vila2.errors import ModelError
from vila2.model.loading import locate

#: ``model_type`` of :class:`vila2.model.miniature.MiniatureVisionConfig`.
_MINIATURE_VISION = "vila2_miniature_vision"


def is_miniature(name: str | Path) -> bool:
    """Whether a model has the shipped miniature vision tower, or is that tower.

    Args:
        name: ``builtin:`` part or folder of the model. A hub id is never a miniature, and the hub is not
            asked.
    """
    text = str(name)
    if not text.startswith("builtin:") and not Path(text).expanduser().is_dir():
        return False
    try:
        config = json.loads((Path(locate(name).path) / "config.json").read_bytes())
    except (OSError, ValueError, ModelError):
        return False  # loading it reports what is wrong
    if not isinstance(config, dict):
        return False
    vision = config.get("vision_config")
    kinds = {config.get("model_type"), vision.get("model_type") if isinstance(vision, dict) else None}
    return _MINIATURE_VISION in kinds
