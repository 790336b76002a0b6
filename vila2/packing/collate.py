"""Collation: encoded samples to one batch, padded or as a single row whose samples do not see each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch

from vila2.model.conversation import IGNORED, Encoded
from vila2.packing.isolation import Isolation, cannot_isolate
from vila2.packing.segments import attention_bounds, attention_mask, predicting_places, segments_of


class Collator:
    """Pads to the longest sample of the batch, on the right.

    A batch with a tree in it becomes one row instead (:func:`collate_row`).

    Args:
        pad_token_id: fills ``input_ids``; never attended to.
        isolation: how the model keeps the segments of a row apart.

    Raises:
        TrainingError: a tree, and the model cannot keep its branches apart.
    """

    def __init__(self, pad_token_id: int, *, isolation: Isolation | None = None) -> None:
        self.pad_token_id = pad_token_id
        self.isolation = isolation or Isolation()

    def __call__(self, samples: Sequence[Encoded]) -> dict[str, Any]:
        """Collates samples; see :func:`collate_padded`."""
        if any(sample.branches is not None for sample in samples):
            return collate_row(samples, self.isolation)
        return collate_padded(samples, self.pad_token_id)


class PackCollator:
    """Lays the samples of packs into one row.

    Args:
        isolation: how the model keeps the segments of a row apart.
    """

    def __init__(self, isolation: Isolation) -> None:
        self.isolation = isolation

    def __call__(self, packs: Sequence[Sequence[Encoded]]) -> dict[str, Any]:
        """Collates packs; see :func:`collate_row`."""
        return collate_row([*chain.from_iterable(packs)], self.isolation)


def collate_padded(samples: Sequence[Encoded], pad_token_id: int) -> dict[str, Any]:
    """B samples, each padded to the L tokens of the longest; branches of a tree would see each other.

    Returns:
        ``input_ids``, ``labels``, ``attention_mask`` [B, L]; the image tensors of all samples, joined
        along their first dimension.
    """
    lengths = torch.tensor([len(sample.input_ids) for sample in samples])
    longest = int(lengths.max())
    batch = {
        "input_ids": _padded([sample.input_ids for sample in samples], longest, pad_token_id),
        "labels": _padded([sample.labels for sample in samples], longest, IGNORED),
        "attention_mask": (torch.arange(longest)[None] < lengths[:, None]).long(),
        **_join_images(samples),
    }
    if any(sample.media is not None for sample in samples):
        batch["mm_token_type_ids"] = _padded([_media(sample) for sample in samples], longest, 0)
    return batch


def collate_row(samples: Sequence[Encoded], isolation: Isolation) -> dict[str, Any]:
    """Samples one after the other in a single row of L tokens, each as if it were alone.

    Only the logits that the loss counts are asked for, with their labels beside them: where a trunk ends,
    the first token of each of its branches is predicted, which no shifting of labels could say.

    Args:
        samples: at least one.
        isolation: of the model.

    Returns:
        ``input_ids``, ``position_ids`` [1, L]; ``logits_to_keep`` [N], the places that predict the N
        tokens which the loss counts; ``shift_labels`` and ``labels`` [1, N], those tokens;
        ``attention_mask`` [1, 1, L, L], or the bounds of the segments; the image tensors of all samples,
        joined along their first dimension.

    Raises:
        TrainingError: there are several segments, which this model cannot keep apart.
    """
    segments = segments_of(samples)
    if isolation.problem and len(segments) > 1:
        raise cannot_isolate(isolation.problem)
    labels = torch.tensor([label for sample in samples for label in sample.labels])
    places = predicting_places(segments)
    counted = (labels != IGNORED) & (places >= 0)
    apart = (
        attention_bounds(segments)
        if isolation.kind == "segments"
        else {"attention_mask": attention_mask(segments)}
    )
    row = {
        "input_ids": _one_row(sample.input_ids for sample in samples),
        "position_ids": _one_row(sample.position_ids for sample in samples),
        "logits_to_keep": places[counted],
        "labels": labels[counted][None],
        "shift_labels": labels[counted][None],
        **apart,
        **_join_images(samples),
    }
    if any(sample.media is not None for sample in samples):
        row["mm_token_type_ids"] = _one_row(_media(sample) for sample in samples)
    return row


def _one_row(parts: Any) -> torch.Tensor:
    return torch.tensor([[*chain.from_iterable(parts)]])


def _padded(rows: Sequence[Sequence[int]], length: int, filling: int) -> torch.Tensor:
    return torch.tensor([[*row, *[filling] * (length - len(row))] for row in rows])


def _media(sample: Encoded) -> list[int]:
    return sample.media or [0] * len(sample.input_ids)


def _join_images(samples: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    names = {name: None for sample in samples for name in sample.inputs}
    return {name: torch.cat([s.inputs[name] for s in samples if name in s.inputs]) for name in names}
