"""Muon in fp32: momentum whose matrices are made orthogonal. On CPU torch's own runs its iteration in slow bf16."""

from __future__ import annotations

from collections.abc import Iterable

import torch


class Muon(torch.optim.Optimizer):
    """Nesterov momentum with orthogonalised updates, for the matrices inside a transformer.

    In this use it reaches the point where relations are understood in a fraction of AdamW's steps.
    """

    def __init__(self, matrices: Iterable[torch.nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Update every matrix that has a gradient; matrices of one shape are orthogonalised together."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[torch.nn.Parameter]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in shapes.items():
                momenta = [self.state[m].setdefault("momentum", torch.zeros_like(m)) for m in matrices]
                for momentum, matrix in zip(momenta, matrices, strict=True):
                    momentum.lerp_(matrix.grad, 1 - group["momentum"])
                ahead = torch.stack([m.grad.lerp(v, group["momentum"]) for m, v in zip(matrices, momenta, strict=True)])
                scale = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                for matrix, update in zip(matrices, orthogonal(ahead), strict=True):
                    matrix.sub_(update, alpha=scale)


def orthogonal(stack: torch.Tensor, rounds: int = 5) -> torch.Tensor:
    """Nearly orthogonal matrices with the singular vectors of ``stack`` [N, rows, columns] (Newton-Schulz)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = stack.shape[1] > stack.shape[2]
    x = stack.mT if tall else stack
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(rounds):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
