"""The visual expert: weights in the language model's layers that only image tokens use.

CogVLM (Wang et al. 2023) gives image tokens their own query, key, value and MLP weights, so that a frozen
language model can learn to see. VILA (section 3.1) compares this with training the language model.
Here every linear map W of a decoder layer gets a second map E, which is added at image tokens:

    y = W x + E x        E is dense, or a product of two factors of a given rank

E starts at zero. A dense E equals CogVLM's expert, which starts as a copy of W: both are W + E. The reading
of text alone does not change.
"""

from __future__ import annotations

import functools

import torch
from torch import nn

from vila2.errors import ModelError


class ZeroLinear(nn.Linear):
    """A linear map without bias that starts at zero."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)


class VisualExpert(nn.Module):
    """Adds a map for image tokens to every linear layer of a language model.

    The language model keeps its own weights and their names, since the additions are hooks on its layers.

    Args:
        language_model: decoder without its output layer.
        kind: "dense", or the rank of the added maps.

    Raises:
        ModelError: an unknown kind, or a language model without linear layers.
    """

    def __init__(self, language_model: nn.Module, kind: int | str) -> None:
        super().__init__()
        rank = None if kind == "dense" else kind
        if rank is not None and (not isinstance(rank, int) or rank < 1):
            raise ModelError(f"visual_expert is {kind!r}", hint='give "dense" or a rank')
        linears = {n: m for n, m in language_model.named_modules() if isinstance(m, nn.Linear)}
        if not linears:
            raise ModelError(
                f"{type(language_model).__name__} has no linear layers for a visual expert",
                hint="leave visual_expert out",
            )
        self._places: torch.Tensor | None = None
        self.experts = nn.ModuleDict()
        for name, linear in linears.items():
            expert = _expert(linear.in_features, linear.out_features, rank)
            self.experts[name.replace(".", "_")] = expert
            linear.register_forward_hook(functools.partial(self._add, expert))

    def look_at(self, places: torch.Tensor) -> None:
        """Marks the image tokens of the next forward pass.

        Args:
            places: boolean mask [B, L], True for image tokens. It is kept until the next call, since gradient
                checkpointing runs the layers again in the backward pass.
        """
        self._places = places if places.any() else None

    def _add(
        self, expert: nn.Module, linear: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor
    ) -> torch.Tensor:
        """The hook of one layer: adds the expert's output to the layer's [B, L, outputs] at image tokens."""
        if self._places is None:
            return output
        added = torch.zeros_like(output)
        added[self._places] = expert(inputs[0][self._places]).to(output.dtype)
        return output + added


def _expert(inputs: int, outputs: int, rank: int | None) -> nn.Module:
    """A map that starts at zero: of the given rank, or dense if it is None."""
    if rank is None:
        return ZeroLinear(inputs, outputs)
    return nn.Sequential(nn.Linear(inputs, rank, bias=False), ZeroLinear(rank, outputs))
