"""The visual expert: weights of the language model's layers that only image tokens use.

CogVLM (Wang et al. 2023) gives image tokens query, key, value and MLP weights of their own, so that the
language model can stay frozen and still learn to see; VILA (section 3.1) compares that with training it.
Here every linear map W of a decoder layer gets a second one that is added where the token is an image's:

    y = W x + E x        E is dense, or a product of two factors of a given rank

E is zero at first. A dense E is CogVLM's expert, which starts as a copy of W: both are W + E. Text alone
is read exactly as before.
"""

from __future__ import annotations

import functools

import torch
from torch import nn

from vila2.errors import ModelError


class ZeroLinear(nn.Linear):
    """A linear map without bias that is zero at first."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)


class VisualExpert(nn.Module):
    """Adds to every linear layer of a language model what image tokens get beside it.

    The language model keeps its own weights and their names: the additions hang on its layers as hooks.

    Args:
        language_model: a decoder without its output layer.
        kind: "dense", or the rank of what is added.

    Raises:
        ModelError: no such kind, or no linear layers.
    """

    def __init__(self, language_model: nn.Module, kind: int | str) -> None:
        super().__init__()
        if kind != "dense" and (not isinstance(kind, int) or kind < 1):
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
            expert = _expert(linear.in_features, linear.out_features, kind)
            self.experts[name.replace(".", "_")] = expert
            linear.register_forward_hook(functools.partial(self._add, expert))

    def look_at(self, places: torch.Tensor) -> None:
        """Says which tokens of the next forward pass are an image's.

        Args:
            places: [B, L], True for image tokens. They are kept until the next call, since gradient
                checkpointing runs the layers once more on the way back.
        """
        self._places = places if places.any() else None

    def _add(self, expert: nn.Module, linear: nn.Module, inputs: tuple, output: torch.Tensor) -> torch.Tensor:
        """The hook of one layer: [B, L, outputs] with the expert's share added at image tokens."""
        if self._places is None:
            return output
        added = torch.zeros_like(output)
        added[self._places] = expert(inputs[0][self._places]).to(output.dtype)
        return output + added


def _expert(inputs: int, outputs: int, kind: int | str) -> nn.Module:
    if kind == "dense":
        return ZeroLinear(inputs, outputs)
    return nn.Sequential(nn.Linear(inputs, kind, bias=False), ZeroLinear(kind, outputs))
