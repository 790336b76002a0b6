"""Saves a model with its processor."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from vila2.data.atomic import file_mode
from vila2.model.weights import check_finite


def save_model(model: Any, processor: Any, folder: Path) -> None:
    """Saves model and processor as one folder, which appears complete or not at all.

    Args:
        model: model with finite weights.
        processor: the model's processor.
        folder: folder that is written; an existing one is replaced.

    Raises:
        ModelError: weights that are NaN or infinite; nothing is saved.
    """
    check_finite(
        model,
        f"the model that would be saved as {folder}",
        hint="lower the stage's learning_rate, or train in float32 or bfloat16 instead of float16",
    )
    partial = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    processor.save_pretrained(partial)
    for path in partial.rglob("*"):
        if path.is_file():
            path.chmod(file_mode())  # safetensors makes files that only their owner can read
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
