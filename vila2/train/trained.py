"""The record that a stage is trained to the end, so that a kill before its step ends repeats nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from vila2.data.atomic import sync_tree, write_json_atomic
from vila2.run.step_files import PRUNED

_TRAINED = "trained.json"


def keep_trained(folder: Path, results: Mapping[str, Any]) -> None:
    """Records a stage's results once ``folder/model`` is on disk; then its checkpoints are not needed."""
    sync_tree(folder / "model")
    write_json_atomic(folder / _TRAINED, dict(results))


def read_trained(folder: Path) -> dict[str, Any] | None:
    """The results of a stage whose model is there; None where training has not ended, or it was pruned."""
    if (folder / PRUNED).exists() or not (folder / "model").is_dir():
        return None
    try:
        return cast(dict[str, Any], json.loads((folder / _TRAINED).read_bytes()))
    except FileNotFoundError:
        return None
