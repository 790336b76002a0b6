"""Collation: encoded samples to one padded batch, with branches kept from seeing each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vila2.model.conversation import IGNORED, Encoded


class Collator:
    """Pads to the longest sample of the batch, on the right.

    Args:
        pad_token_id: fills ``input_ids``; never attended to.
        multiple: pad the length to a multiple of this (8 suits GPU kernels).
    """

    def __init__(self, pad_token_id: int, *, multiple: int = 1) -> None:
        self.pad_token_id = pad_token_id
        self.multiple = multiple

    def __call__(self, samples: Sequence[Encoded]) -> dict[str, torch.Tensor]:
        """Collates B samples.

        Returns:
            ``input_ids``, ``labels`` [B, L]; ``attention_mask`` [B, L], or [B, 1, L, L] with
            ``position_ids`` [B, L] where a sample has branches; the image tensors of all samples,
            joined along their first dimension.
        """
        longest = max(len(sample.input_ids) for sample in samples)
        length = -(-longest // self.multiple) * self.multiple
        ids = torch.full((len(samples), length), self.pad_token_id)
        labels = torch.full((len(samples), length), IGNORED)
        for row, sample in enumerate(samples):
            ids[row, : len(sample.input_ids)] = torch.tensor(sample.input_ids)
            labels[row, : len(sample.labels)] = torch.tensor(sample.labels)
        batch = {"input_ids": ids, "labels": labels, **_join_images(samples)}
        if any(sample.media is not None for sample in samples):
            media = torch.zeros_like(ids)
            for row, sample in enumerate(samples):
                media[row, : len(sample.input_ids)] = torch.tensor(
                    sample.media or [0] * len(sample.input_ids)
                )
            batch["mm_token_type_ids"] = media
        if any(sample.branches is not None for sample in samples):
            batch["attention_mask"], batch["position_ids"] = _isolate(samples, length)
        else:
            lengths = torch.tensor([len(sample.input_ids) for sample in samples])
            batch["attention_mask"] = (torch.arange(length)[None] < lengths[:, None]).long()
        return batch


def _isolate(samples: Sequence[Encoded], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A boolean mask [B, 1, L, L] (True: may attend) and positions [B, L].

    A token sees the trunk and its own branch, up to itself. Padding sees only itself, because a row
    without any True is NaN in a softmax.
    """
    branches = torch.full((len(samples), length), -1)
    positions = torch.zeros((len(samples), length), dtype=torch.long)
    for row, sample in enumerate(samples):
        count = len(sample.input_ids)
        branches[row, :count] = torch.tensor(sample.branches or [0] * count)
        positions[row, :count] = torch.tensor(sample.position_ids)
    own = branches[:, :, None] == branches[:, None, :]
    trunk = (branches == 0)[:, None, :] & (branches >= 0)[:, :, None]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    mask = (own | trunk) & causal & (branches >= 0)[:, None, :]
    return (mask | torch.eye(length, dtype=torch.bool))[:, None], positions


def _join_images(samples: Sequence[Encoded]) -> dict[str, torch.Tensor]:
    names = {name: None for sample in samples for name in sample.inputs}
    return {name: torch.cat([s.inputs[name] for s in samples if name in s.inputs]) for name in names}
