"""Checkpoints that a killed stage goes on from: only those that were written to the end count."""

from __future__ import annotations

import shutil
from pathlib import Path

from transformers import TrainerCallback

from vila2.data.atomic import write_text_atomic

_COMPLETE = "complete"


class MarkComplete(TrainerCallback):
    """Marks a checkpoint once all of its files are on disk."""

    def on_save(self, args, state, control, **kwargs):
        write_text_atomic(Path(args.output_dir) / f"checkpoint-{state.global_step}" / _COMPLETE, "")


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint in a stage's folder; torn ones are removed."""
    found: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        if (path / _COMPLETE).exists():
            found[int(path.name.rpartition("-")[2])] = path
        else:
            shutil.rmtree(path)
    return found[max(found)] if found else None
