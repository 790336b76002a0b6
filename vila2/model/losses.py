"""Soft cross-entropy: a predicted number costs less the nearer it is to the target number.

For a target number y of a token group, the target distribution over the group's numbers k is
q_k ~ exp(-(y - k)^2 / 2 sigma^2). All other targets are one-hot, as in plain cross-entropy. This is VILA's
loss for location and time tokens. The loss cannot be less than the entropy of q (1.4189 nats at sigma 1,
0.9189 at the two ends), so the excess over this floor measures how well numbers are learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel

from vila2.data.tokens import TokenGroup


@dataclass(frozen=True, slots=True)
class SoftLoss:
    """The result of :func:`soft_cross_entropy`.

    Attributes:
        loss: loss in nats, a scalar.
        excess: sum of loss minus entropy floor over all soft targets, in nats; a scalar without a graph.
        targets: number of soft targets, a scalar.
    """

    loss: torch.Tensor
    excess: torch.Tensor
    targets: torch.Tensor


def soft_cross_entropy(
    logits: torch.Tensor,
    targets: torch.Tensor,
    groups: Sequence[TokenGroup],
    *,
    num_items: torch.Tensor | int | None = None,
    ignore_index: int = -100,
) -> SoftLoss:
    """Computes cross-entropy that is soft for token groups with ``loss="soft"``.

    It keeps no tensor of size [N, V] besides the logits and their gradient.

    Args:
        logits: logits [N, V].
        targets: token ids [N], or ``ignore_index``.
        groups: token groups; those with ``loss="soft"`` count, each with its own sigma.
        num_items: divisor of the sum; None for the number of targets that are not ignored.
        ignore_index: target that the loss does not count.

    Returns:
        The loss; 0, with a graph, if every target is ignored.
    """
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    soft = [group for group in groups if group.spec.loss == "soft"]
    each = _each_token(logits, targets, soft, ignore_index)
    excess, count = each.new_zeros(()), each.new_zeros(())
    for group in soft:
        rows, log_q = _soft_targets(targets, group, each.dtype)
        excess += each.detach()[rows].sum() + (log_q.exp() * log_q).sum()
        count += len(rows)
    if num_items is None:
        num_items = (targets != ignore_index).sum()
    divisor = torch.as_tensor(num_items, device=each.device).clamp(min=1)
    return SoftLoss(each.sum() / divisor, excess, count)


def _each_token(
    logits: torch.Tensor, targets: torch.Tensor, soft: Sequence[TokenGroup], ignore_index: int
) -> torch.Tensor:
    """The loss of each token [N], 0 where the target is ignored."""
    apply: Any = _EachToken.apply  # torch leaves it without types
    each: torch.Tensor = apply(logits, targets, soft, ignore_index)
    return each


class _EachToken(torch.autograd.Function):
    """The function of :func:`_each_token`.

    Its gradient is written by hand, since autograd would make another [N, V] for every indexing.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        targets: torch.Tensor,
        soft: Sequence[TokenGroup],
        ignore_index: int,
    ) -> torch.Tensor:
        normalizer = logits.logsumexp(-1)
        counted = targets != ignore_index
        target_logits = logits.gather(1, targets.where(counted, 0)[:, None])[:, 0]
        for group in soft:
            rows, log_q = _soft_targets(targets, group, logits.dtype)
            target_logits[rows] = (log_q.exp() * logits[rows, _columns(group)]).sum(-1)
        ctx.save_for_backward(logits, targets, normalizer)
        ctx.soft, ctx.ignore_index = soft, ignore_index
        return (normalizer - target_logits).where(counted, 0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, above: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        logits, targets, normalizer = ctx.saved_tensors
        counted = targets != ctx.ignore_index
        gradient = (logits - normalizer[:, None]).exp_()
        hard = counted.clone()
        for group in ctx.soft:
            rows, log_q = _soft_targets(targets, group, logits.dtype)
            gradient[rows, _columns(group)] -= log_q.exp()
            hard[rows] = False
        rows = hard.nonzero()[:, 0]
        gradient[rows, targets[rows]] -= 1
        gradient.mul_(above[:, None]).masked_fill_(~counted[:, None], 0)
        return gradient, None, None, None


def _columns(group: TokenGroup) -> slice:
    return slice(group.first, group.first + group.spec.count)


def _soft_targets(
    targets: torch.Tensor, group: TokenGroup, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows [M] whose target is a token of the group, and log q [M, count] of each."""
    rows = ((targets >= group.first) & (targets < group.first + group.spec.count)).nonzero()[:, 0]
    numbers = torch.arange(group.spec.count, device=targets.device)
    squares = (targets[rows, None] - group.first - numbers).to(dtype).square()
    return rows, torch.log_softmax(squares / (-2 * group.spec.sigma**2), dim=-1)


class SoftTokenLoss:
    """Replaces a model's ``loss_function``, and sums up the excess for the log.

    transformers calls it: for our family with the counted positions only, for others with all.

    Args:
        groups: token groups of the model with ``loss="soft"``.

    Attributes:
        groups: the same groups.
        calls: number of calls; 0 after a step if the model does not use ``loss_function``.
    """

    def __init__(self, groups: Sequence[TokenGroup]) -> None:
        self.groups = tuple(groups)
        self.calls = 0
        self._excess: torch.Tensor | float = 0.0
        self._targets: torch.Tensor | float = 0.0

    def __call__(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor | None,
        vocab_size: int,
        num_items_in_batch: torch.Tensor | int | None = None,
        ignore_index: int = -100,
        shift_labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Computes the loss.

        Args:
            logits: logits [..., V].
            labels: token ids [...], not shifted; not used if there are ``shift_labels``.
            vocab_size: V.
            num_items_in_batch: divisor of the sum; None for the number of targets that are not ignored.
            ignore_index: label that the loss does not count.
            shift_labels: token ids [...], shifted already.
            kwargs: other arguments of transformers, which are not used.
        """
        if shift_labels is None:
            if labels is None:
                raise TypeError("either labels or shift_labels must be given")
            shift_labels = F.pad(labels, (0, 1), value=ignore_index)[..., 1:]
        found = soft_cross_entropy(
            logits.reshape(-1, vocab_size),
            shift_labels.reshape(-1).to(logits.device),
            self.groups,
            num_items=num_items_in_batch,
            ignore_index=ignore_index,
        )
        self.calls += 1
        self._excess += found.excess
        self._targets += found.targets
        return found.loss

    def take(self, device: torch.device | str) -> torch.Tensor:
        """Returns [sum of the excess, number of soft targets] since the last call, in float64."""
        pair = [
            torch.as_tensor(value, dtype=torch.float64, device=device)
            for value in (self._excess, self._targets)
        ]
        self._excess = self._targets = 0.0
        return torch.stack(pair)


def use_soft_loss(model: PreTrainedModel) -> SoftTokenLoss | None:
    """Makes a model train with the soft loss, in place; without soft token groups, returns None.

    Args:
        model: any model of transformers that computes its loss with ``loss_function``, not yet wrapped.
    """
    from vila2.model.special_tokens import token_groups

    groups = [group for group in token_groups(model.config) if group.spec.loss == "soft"]
    if not groups:
        return None
    loss = SoftTokenLoss(groups)
    model.loss_function = loss
    return loss
