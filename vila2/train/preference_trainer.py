"""The trainer of the objective ``preference``, and the likelihoods of the model that it starts from."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from vila2.data.atomic import write_bytes_atomic
from vila2.progress import Progress
from vila2.train.pairs_feed import CHOSEN_ROW, REJECTED_ROW, PreferenceMixture
from vila2.train.preference_objective import PreferenceObjective
from vila2.train.trainer import StageTrainer

log = logging.getLogger("vila2.train")


class PreferenceTrainer(StageTrainer):
    """A stage's trainer whose loss is a mean over the items of a step, whatever their number of tokens.

    It logs ``preferred``, the share of pairs whose better answer gained more than the worse one, and
    ``margin``, by how many nats.

    Args:
        preference: loss of a batch.
    """

    loss_is_scaled_for_ga = True

    def __init__(self, *args: Any, preference: PreferenceObjective, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.preference = preference

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> torch.Tensor:
        items = torch.stack([batch["items"] for batch in batch_samples]).sum().to(device)
        return cast(torch.Tensor, self.accelerator.reduce(items, "sum")).clamp(min=1)

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self.keep_frozen_asleep()
        # Gradients are averaged over processes, and the loss is a share of the whole step's.
        share = self.accelerator.num_processes / kwargs["num_items_in_batch"]
        return self.preference(model, inputs) * share

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "loss" in logs:
            seen = self.accelerator.reduce(self.preference.take(self.args.device), "sum").tolist()
            if seen[0]:
                logs |= {"preferred": seen[1] / seen[0], "margin": seen[2] / seen[0]}
        super().log(logs, *args, **kwargs)

    def refer(self, pairs: PreferenceMixture, folder: Path, progress: Progress) -> None:
        """Computes the likelihoods of the pairs before anything is learned, or reads them after a resume.

        Each process computes its share and keeps it as ``reference-PROCESS-of-PROCESSES.npz`` in the stage's
        folder; another number of processes computes them anew.
        """
        rank, world = self.args.process_index, self.args.world_size
        numbers = pairs.pairs()
        batches = [*_batches(numbers, self.args.per_device_train_batch_size)]
        own = _file(folder, rank, world)
        if not own.exists():
            found = self._reference(pairs, batches[rank::world], progress)
            content = io.BytesIO()
            np.savez(content, numbers=[n for b in batches[rank::world] for n in b], values=found)
            write_bytes_atomic(own, content.getvalue())
        self.accelerator.wait_for_everyone()
        reference = np.zeros((len(pairs), 2), np.float32)
        for process in range(world):
            with np.load(_file(folder, process, world)) as kept:
                reference[kept["numbers"]] = kept["values"].reshape(-1, 2)
        pairs.reference = reference

    def _reference(
        self, pairs: PreferenceMixture, batches: Sequence[Sequence[int]], progress: Progress
    ) -> npt.NDArray[np.float32]:
        model: Any = self.model
        if not getattr(model, "is_loaded_in_4bit", False):
            model.to(self.args.device)
        model.eval()
        computed = torch.bfloat16 if self.args.bf16 else torch.float16
        mixed = torch.autocast(
            self.args.device.type, dtype=computed, enabled=bool(self.args.bf16 or self.args.fp16)
        )
        collate: Any = self.data_collator
        found: list[npt.NDArray[np.float32]] = []
        with progress.task("likelihoods at the start", sum(map(len, batches))) as task:
            for batch in batches:
                inputs = self._prepare_inputs(collate([pairs[number] for number in batch]))
                with torch.no_grad(), mixed:
                    total = self.preference.likelihoods(model, inputs).total
                kinds = inputs["rows_are"]
                both = torch.stack([total[kinds == CHOSEN_ROW], total[kinds == REJECTED_ROW]], 1)
                found.append(both.float().cpu().numpy())
                task.advance(len(batch))
        model.train()
        return np.concatenate(found) if found else np.zeros((0, 2), np.float32)


def _file(folder: Path, process: int, processes: int) -> Path:
    return folder / f"reference-{process}-of-{processes}.npz"


def _batches(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
