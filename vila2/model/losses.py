"""Soft cross-entropy: of tokens that stand for numbers, the nearer one is the less wrong.

For a target number y of a group the distribution asked for is q_k ~ exp(-(y - k)^2 / 2 sigma^2) over the
group's numbers k; every other token is asked for as ever (VILA's loss for location and time tokens).
No loss is smaller than the entropy of q (1.4189 nats at sigma 1, 0.9189 at the two ends), so that what
tells how well numbers are learnt is the excess over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from vila2.data.tokens import TokenGroup


@dataclass(frozen=True, slots=True)
class SoftLoss:
    """What :func:`soft_cross_entropy` gives.

    Attributes:
        loss: scalar, in nats.
        excess: scalar without a graph: over all soft targets, the sum of loss minus entropy floor, in nats.
        targets: scalar: how many soft targets there are.
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
    """Cross-entropy that is soft for the groups whose loss is; of size [N, V] are the logits and their gradient alone.

    Args:
        logits: [N, V].
        targets: [N], the token ids asked for, or ``ignore_index``.
        groups: of which those with ``loss="soft"`` count, each with its own sigma.
        num_items: what the sum is divided by; the number of targets that are not ignored where it is None.

    Returns:
        With loss 0, and a graph, where every target is ignored.
    """
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    soft = [group for group in groups if group.spec.loss == "soft"]
    each = _EachToken.apply(logits, targets, soft, ignore_index)
    excess, count = each.new_zeros(()), each.new_zeros(())
    for group in soft:
        rows, log_q = _softly_asked(targets, group, each.dtype)
        excess += each.detach()[rows].sum() + (log_q.exp() * log_q).sum()
        count += len(rows)
    if num_items is None:
        num_items = (targets != ignore_index).sum()
    divisor = torch.as_tensor(num_items, device=each.device).clamp(min=1)
    return SoftLoss(each.sum() / divisor, excess, count)


class _EachToken(torch.autograd.Function):
    """The loss of each token, [N]. By hand, because the gradient of every index would be another [N, V]."""

    @staticmethod
    def forward(ctx: Any, logits: Any, targets: Any, soft: Any, ignore_index: int) -> torch.Tensor:
        normaliser = logits.logsumexp(-1)
        counted = targets != ignore_index
        asked_for = logits.gather(1, targets.where(counted, 0)[:, None])[:, 0]
        for group in soft:
            rows, log_q = _softly_asked(targets, group, logits.dtype)
            asked_for[rows] = (log_q.exp() * logits[rows, _columns(group)]).sum(-1)
        ctx.save_for_backward(logits, targets, normaliser)
        ctx.soft, ctx.ignore_index = soft, ignore_index
        return (normaliser - asked_for).where(counted, 0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, above: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        logits, targets, normaliser = ctx.saved_tensors
        counted = targets != ctx.ignore_index
        gradient = (logits - normaliser[:, None]).exp_()
        hard = counted.clone()
        for group in ctx.soft:
            rows, log_q = _softly_asked(targets, group, logits.dtype)
            gradient[rows, _columns(group)] -= log_q.exp()
            hard[rows] = False
        rows = hard.nonzero()[:, 0]
        gradient[rows, targets[rows]] -= 1
        gradient.mul_(above[:, None]).masked_fill_(~counted[:, None], 0)
        return gradient, None, None, None


def _columns(group: TokenGroup) -> slice:
    return slice(group.first, group.first + group.spec.count)


def _softly_asked(
    targets: torch.Tensor, group: TokenGroup, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which rows ask for a token of the group, [M], and log q of each, [M, count]."""
    rows = ((targets >= group.first) & (targets < group.first + group.spec.count)).nonzero()[:, 0]
    numbers = torch.arange(group.spec.count, device=targets.device)
    squares = (targets[rows, None] - group.first - numbers).to(dtype).square()
    return rows, torch.log_softmax(squares / (-2 * group.spec.sigma**2), dim=-1)


class SoftTokenLoss:
    """Stands in for a model's ``loss_function``, and keeps the excess for the log.

    Called as transformers calls it, by our family with the counted positions alone and by others with all.

    Attributes:
        calls: how often the model called it; a model that never does has a loss of its own.
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
        """The loss of logits [..., V] for ``labels`` (to be shifted) or ``shift_labels`` (shifted already)."""
        if shift_labels is None:
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
        """[sum of the excess, number of soft targets] since the last call, in float64."""
        pair = [
            torch.as_tensor(value, dtype=torch.float64, device=device)
            for value in (self._excess, self._targets)
        ]
        self._excess = self._targets = 0.0
        return torch.stack(pair)


def use_soft_loss(model: Any) -> SoftTokenLoss | None:
    """Makes a model train its soft tokens softly; None, and no change, where it has none.

    Args:
        model: any model of transformers that computes its loss with ``loss_function``, not yet wrapped.
    """
    from vila2.model.special_tokens import token_groups

    groups = [group for group in token_groups(model.config) if group.spec.loss == "soft"]
    if not groups:
        return None
    model.loss_function = SoftTokenLoss(groups)
    return model.loss_function
