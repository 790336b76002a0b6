"""Checkpoints that a killed stage resumes from: only those that were written to the end count."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from vila2.data.atomic import sync_tree, write_text_atomic
from vila2.errors import ModelError, TrainingError
from vila2.model.checkpoint_files import check_safetensors

_COMPLETE = "complete"


class MarkComplete(TrainerCallback):
    """Marks a checkpoint once the files of all processes are on disk, and only then removes older ones.

    Args:
        processes: number of processes that train.
        zero: DeepSpeed's ZeRO stage; such a checkpoint is in as many pieces as there are processes.
    """

    def __init__(self, processes: int = 1, zero: int | None = None) -> None:
        self.manner = {"processes": processes, "zero": zero}

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        if state.is_world_process_zero:
            path = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            sync_tree(path)  # no power cut leaves the mark without the files
            write_text_atomic(path / _COMPLETE, json.dumps(self.manner))
            for number, older in _checkpoints(path.parent):
                if number != state.global_step:
                    _remove(older)


def latest_checkpoint(folder: Path, *, processes: int = 1, zero: int | None = None) -> Path | None:
    """The newest complete checkpoint in a stage's folder.

    Raises:
        TrainingError: DeepSpeed wrote it in pieces for another number of processes, or its weights are
            damaged.
    """
    complete = {number: path for number, path in _checkpoints(folder) if (path / _COMPLETE).exists()}
    if not complete:
        return None
    path = complete[max(complete)]
    _check_whole(path)
    manner = json.loads((path / _COMPLETE).read_text() or "{}")
    before = manner.get("processes", 1), manner.get("zero")
    if (before[1] or zero) and before != (processes, zero):
        raise TrainingError(
            f"{path} was written {_said(*before)} and cannot be resumed {_said(processes, zero)}",
            hint=f"resume with as many (`--set processes={before[0]}` on one machine), or delete {folder} to "
            "train the stage anew",
        )
    return path


def _check_whole(path: Path) -> None:
    """Checks that the weights of a complete checkpoint are still as long as they were written."""
    try:
        for file in sorted(path.glob("*.safetensors")):
            check_safetensors(file)
    except ModelError as error:
        raise TrainingError(error.what, hint=f"delete {path}: the stage then trains without it") from error


def latest_checkpoint_number(folder: Path) -> int | None:
    """The step of the newest complete checkpoint."""
    return max((number for number, path in _checkpoints(folder) if (path / _COMPLETE).exists()), default=None)


def remove_torn(folder: Path) -> None:
    """Removes checkpoints that were not written to the end."""
    for _, path in _checkpoints(folder):
        if not (path / _COMPLETE).exists():
            shutil.rmtree(path)


def remove_all(folder: Path) -> None:
    """Removes the checkpoints of a stage whose model is saved."""
    for _, path in _checkpoints(folder):
        _remove(path)


def _remove(checkpoint: Path) -> None:
    # The mark goes first: a kill must not leave half a checkpoint that counts as complete.
    (checkpoint / _COMPLETE).unlink(missing_ok=True)
    shutil.rmtree(checkpoint)


def _checkpoints(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.glob("checkpoint-*"):
        yield int(path.name.rpartition("-")[2]), path


def _said(processes: int, zero: int | None) -> str:
    return f"by {processes} process{'es' * (processes > 1)}" + (f" under ZeRO-{zero}" if zero else "")
