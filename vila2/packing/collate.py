"""Collation: encoded samples to one batch, padded or as a single row whose samples do not see each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch

from vila2.errors import TrainingError
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
    for name in _media_names(samples):
        batch[name] = _padded([_media(sample) for sample in samples], longest, 0)
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
    for name in _media_names(samples):
        row[name] = _one_row(_media(sample) for sample in samples)
    return row


def _one_row(parts: Any) -> torch.Tensor:
    return torch.tensor([[*chain.from_iterable(parts)]])


def _padded(rows: Sequence[Sequence[int]], length: int, filling: int) -> torch.Tensor:
    return torch.tensor([[*row, *[filling] * (length - len(row))] for row in rows])


def _media_names(samples: Sequence[Encoded]) -> set[str]:
    return {sample.media_name for sample in samples if sample.media is not None}


def _media(sample: Encoded) -> list[int]:
    return sample.media or [0] * len(sample.input_ids)


# What tells a model how much of a padded image tensor is image: a mask, or the size that each image had.
_TELL_PADDING = ("pixel_attention_mask", "image_sizes")


def _join_images(samples: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    """The image tensors of all samples along their first dimension; the others are padded with zeros at the end.

    So do the processors themselves with images of several shapes in one batch: with tiles of nothing where images
    are cut into unequal numbers (Idefics3, LLaVA-NeXT), to the right and below where they keep their size (Pixtral).

    Raises:
        TrainingError: tensors of unequal sizes of a model that would take the padding for image.
    """
    names = {name: None for sample in samples for name in sample.inputs}
    told = any(name in names for name in _TELL_PADDING)
    return {
        name: _joined(name, [s.inputs[name] for s in samples if name in s.inputs], told) for name in names
    }


def _joined(name: str, tensors: Sequence[torch.Tensor], told: bool) -> torch.Tensor:
    shapes = {tuple(tensor.shape[1:]) for tensor in tensors}
    if len(shapes) == 1:
        return torch.cat([*tensors])
    if not told or len({len(shape) for shape in shapes}) > 1:
        raise TrainingError(
            f"images of one batch become tensors of unequal sizes ({name}: {', '.join(map(str, sorted(shapes)))}), and "
            "nothing tells this model which of a padded one is image",
            hint="device_batch_size: 1 in the stage, and no pack_length",
        )
    largest = [max(sizes) for sizes in zip(*shapes, strict=True)]
    joined = tensors[0].new_zeros(sum(len(tensor) for tensor in tensors), *largest)
    start = 0
    for tensor in tensors:
        place = [slice(start, start + len(tensor)), *map(slice, tensor.shape[1:])]
        joined[tuple(place)] = tensor
        start += len(tensor)
    return joined
