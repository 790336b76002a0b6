"""Prepares a model for rows of several samples, and tries it out before training."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace

import torch
from transformers import PreTrainedModel

from vila2.model.encoded import Encoded
from vila2.packing.attention import SEGMENTS
from vila2.packing.collate import collate_row
from vila2.packing.isolation import Isolation, cannot_isolate

#: Largest difference of logits that counts as rounding, as a share of the largest logit.
_ROUNDING = {torch.float32: 1e-3, torch.float64: 1e-6}
_COARSE_ROUNDING = 5e-2


def isolate(model: PreTrainedModel, *, max_length: int, device: torch.device) -> Isolation:
    """Prepares a model for rows of several segments, and tries it out.

    Args:
        model: model whose language model gets the attention of :mod:`vila2.packing.attention`, if that runs.
        max_length: largest number of tokens of one sample.
        device: device of the training.

    Returns:
        How the model keeps segments apart.

    Raises:
        TrainingError: segments would see each other, or a sample in a row would be read differently than
            alone.
    """
    isolation = try_out(model, max_length=max_length, device=device)
    if isolation.problem:
        raise cannot_isolate(isolation.problem)
    return isolation


def try_out(model: PreTrainedModel, *, max_length: int, device: torch.device) -> Isolation:
    """Does the same as :func:`isolate`, but returns an isolation with the problem instead of raising it."""
    isolation = Isolation.of(model, max_length=max_length)
    if isolation.problem:
        return isolation
    trial = _Trial.of(model)
    # Each by itself, with the attention that the model came with: this is the model's own reading.
    alone = [_logits(model, [sample], Isolation("segments")) for sample in trial.alone]
    before = model.config.get_text_config()._attn_implementation
    if _segments_run_on(device, model):
        model.set_attn_implementation({"text_config": SEGMENTS})
        isolation = replace(isolation, kind="segments")
    together = _logits(model, trial.together, isolation)
    allowed = _ROUNDING.get(together.dtype, _COARSE_ROUNDING) * float(together.abs().max())
    off = max(
        float((together[places] - expected).abs().max())
        for places, expected in zip(trial.places, alone, strict=True)
    )
    if not off <= allowed:
        model.set_attn_implementation({"text_config": before})
        said = f"in a trial the logits of samples in one row differed by {off:.2g} from those of each alone"
        return replace(isolation, kind="mask", problem=said)
    return isolation


def _segments_run_on(device: torch.device, model: PreTrainedModel) -> bool:
    """Whether the attention of :mod:`vila2.packing.attention` runs for a model on a device."""
    if not getattr(model, "_supports_attention_backend", False):
        return False
    if device.type == "cpu":
        return True
    if device.type != "cuda" or torch.version.hip or torch.cuda.get_device_capability(device) < (8, 0):
        return False
    # FlashAttention needs half precision, and here has no dropout.
    dropout = getattr(model.config.get_text_config(), "attention_dropout", 0.0)
    return model.dtype in (torch.bfloat16, torch.float16) and not dropout and _torch_has_flash()


def _torch_has_flash() -> bool:
    """Whether torch has FlashAttention over sequences of several lengths, as version 2.13 has."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    return {"scale", "window_size", "enable_gqa"} <= inspect.signature(varlen_attn).parameters.keys()


@dataclass(frozen=True, slots=True)
class _Trial:
    """A sample and a tree of two branches, in one row and each by itself.

    Attributes:
        together: the sample and the tree.
        alone: the sample, the trunk with the first branch, the trunk with the second.
        places: for each of these, the indices of its logits among those of the row.
    """

    together: list[Encoded]
    alone: list[Encoded]
    places: list[list[int]]

    @classmethod
    def of(cls, model: PreTrainedModel) -> _Trial:
        """Makes the trial from tokens of a model's vocabulary."""
        config, text = model.config, model.config.get_text_config()
        names = ("image_token_id", "image_token_index", "video_token_id")
        special = {getattr(config, name, None) for name in names} | {text.pad_token_id}
        words = [word for word in range(min(text.vocab_size, 30)) if word not in special][-14:]
        lone, trunk, first, second = words[:4], words[4:8], words[8:11], words[11:14]
        branches = [0] * len(trunk) + [1] * len(first) + [2] * len(second)
        tree = trunk + first + second
        alone = [Encoded(row, row) for row in (lone, trunk + first, trunk + second)]
        # The first token of a sample is not predicted.
        in_tree = len(lone) - 1
        in_first = in_tree + len(trunk) - 1
        in_second = in_first + len(first)
        end = in_second + len(second)
        places = [
            [*range(in_tree)],
            [*range(in_tree, in_second)],
            [*range(in_tree, in_first), *range(in_second, end)],
        ]
        return cls([Encoded(lone, lone), Encoded(tree, tree, branches)], alone, places)


@torch.no_grad()
def _logits(model: PreTrainedModel, samples: list[Encoded], isolation: Isolation) -> torch.Tensor:
    """The logits [N, vocabulary] of samples in one row, for the N predicted tokens."""
    row = collate_row(samples, isolation)
    moved = {name: value.to(model.device) if torch.is_tensor(value) else value for name, value in row.items()}
    logits: torch.Tensor = model(**moved, use_cache=False).logits[0]
    return logits
