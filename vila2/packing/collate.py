"""Collates encoded samples to one batch, padded or as a single row whose samples do not see each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import torch

from vila2.errors import TrainingError
from vila2.model.encoded import IGNORED, Encoded
from vila2.packing.isolation import Isolation, cannot_isolate
from vila2.packing.segments import attention_bounds, attention_mask, predicting_places, segments_of


class Collator:
    """Pads samples on the right to the longest of the batch.

    A batch with a tree becomes one row instead (:func:`collate_row`).

    Args:
        pad_token_id: id that fills ``input_ids``; never attended to.
        isolation: way in which the model keeps the segments of a row apart.

    Raises:
        TrainingError: a tree, but the model cannot keep its branches apart.
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
    """Puts the samples of packs into one row.

    Args:
        isolation: way in which the model keeps the segments of a row apart.
    """

    def __init__(self, isolation: Isolation) -> None:
        self.isolation = isolation

    def __call__(self, packs: Sequence[Sequence[Encoded]]) -> dict[str, Any]:
        """Collates packs; see :func:`collate_row`."""
        return collate_row([*chain.from_iterable(packs)], self.isolation)


def collate_padded(samples: Sequence[Encoded], pad_token_id: int) -> dict[str, Any]:
    """Pads B samples to the L tokens of the longest; branches of a tree would see each other.

    Args:
        samples: samples of the batch.
        pad_token_id: id that fills ``input_ids``.

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
    """Puts samples one after the other into a single row of L tokens, each as if it were alone.

    The row asks only for the logits that the loss counts, and brings their labels. Shifted labels would not
    do, since the end of a trunk predicts the first token of each of its branches.

    Args:
        samples: samples of the row, at least one.
        isolation: way in which the model keeps segments apart.

    Returns:
        ``input_ids``, ``position_ids`` [1, L]; ``logits_to_keep`` [N], the places that predict the N
        tokens which the loss counts; ``shift_labels`` and ``labels`` [1, N], those tokens;
        ``attention_mask`` [1, 1, L, L], or the bounds of the segments; the image tensors of all samples,
        joined along their first dimension.

    Raises:
        TrainingError: several segments, which this model cannot keep apart.
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


def _one_row(parts: Iterable[Sequence[int]]) -> torch.Tensor:
    return torch.tensor([[*chain.from_iterable(parts)]])


def _padded(rows: Sequence[Sequence[int]], length: int, filling: int) -> torch.Tensor:
    return torch.tensor([[*row, *[filling] * (length - len(row))] for row in rows])


def _media_names(samples: Sequence[Encoded]) -> set[str]:
    return {sample.media_name for sample in samples if sample.media is not None}


def _media(sample: Encoded) -> list[int]:
    return sample.media or [0] * len(sample.input_ids)


# Inputs that tell a model which part of a padded image tensor is image: a mask, or the size of each image.
_TELL_PADDING = ("pixel_attention_mask", "image_sizes")


def _join_images(samples: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    """Joins the image tensors of all samples along their first dimension; the others are padded with zeros.

    Processors do the same with images of several shapes in one batch. They add empty tiles if images have
    unequal numbers of tiles (Idefics3, LLaVA-NeXT), and pad to the right and below if images keep their size
    (Pixtral).

    Raises:
        TrainingError: tensors of unequal sizes, and the model cannot tell the padding from the image.
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
        sizes = ", ".join(map(str, sorted(shapes)))
        raise TrainingError(
            f"images of one batch become tensors of unequal sizes ({name}: {sizes}), and this model"
            " cannot tell padding from image",
            hint="set device_batch_size: 1 in the stage, and no pack_length",
        )
    largest = [max(side) for side in zip(*shapes, strict=True)]
    joined = tensors[0].new_zeros(sum(len(tensor) for tensor in tensors), *largest)
    start = 0
    for tensor in tensors:
        place = [slice(start, start + len(tensor)), *map(slice, tensor.shape[1:])]
        joined[tuple(place)] = tensor
        start += len(tensor)
    return joined
