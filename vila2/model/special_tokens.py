"""Gives a model numbered tokens, such as those of locations: vocabulary, embeddings, output layer, settings.

The tokens are added tokens that are not special: whoever decodes an answer, transformers and vLLM by
default included, keeps them. That text never becomes one of them is the work of :func:`text_tokenizer`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import AddedToken
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

from vila2.data.tokens import TokenGroup, TokenSpec
from vila2.errors import ModelError

_KEY = "token_groups"  # in the model's config.json and in tokenizer_config.json


def token_groups(holder: Any) -> tuple[TokenGroup, ...]:
    """The groups that a model or a tokenizer has.

    Args:
        holder: a configuration of a model, or a tokenizer; each knows by itself.
    """
    settings = getattr(holder, "init_kwargs", None)
    found = getattr(holder, _KEY, None) if settings is None else settings.get(_KEY)
    return tuple(TokenGroup.from_json(group) for group in found or ())


def add_token_groups(
    model: PreTrainedModel, processor: ProcessorMixin, specs: Sequence[TokenSpec]
) -> tuple[TokenGroup, ...]:
    """Gives a model and its processor groups of tokens, in place; what is there already stays as it is.

    Both keep the groups when they are saved, and plain transformers loads them. Tokens that the model was
    pretrained with are taken as they are.

    Args:
        model: any image-text-to-text model, its embeddings tied or not; it may be on the meta device.
        processor: the model's.
        specs: the groups asked for.

    Returns:
        All groups that the model has now.

    Raises:
        ModelError: a group of the same name that is another, tokens of which some exist already, or
            a tokenizer that does not number them one after the other.
    """
    tokenizer = processor.tokenizer
    groups = {group.spec.name: group for group in token_groups(model.config)}
    for spec in specs:
        known = groups.get(spec.name)
        if known is not None and known.spec != spec:
            raise ModelError(
                f"the model has a token group {spec.name!r} already, with other settings: {known.spec}",
                hint="use the same settings, or another name and template",
            )
        if known is None:
            _check_apart(spec, groups.values())
            groups[spec.name] = TokenGroup(spec, _add(model, tokenizer, spec))
        elif _find(tokenizer, spec) != known.first:
            raise ModelError(
                f"the tokenizer does not have the model's token group {spec.name!r}",
                hint="load the processor that was saved with the model",
            )
    saved = [group.to_json() for group in groups.values()]
    setattr(model.config, _KEY, saved)
    tokenizer.init_kwargs[_KEY] = saved
    return tuple(groups.values())


def text_tokenizer(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The tokenizer for what somebody wrote: with ``split_special_tokens`` no text becomes a group's token.

    Raises:
        ModelError: a tokenizer that can not be kept from it.
    """
    groups = token_groups(tokenizer)
    if not groups:
        return tokenizer
    guarded = copy.deepcopy(tokenizer)
    names = [name for group in groups for name in group.spec.tokens]
    guarded.add_tokens([_added(name, special=True) for name in names], special_tokens=True)
    for group in groups:
        ids = guarded(" ".join(group.spec.tokens[:2]), add_special_tokens=False, split_special_tokens=True)
        if any(group.first <= token < group.first + group.spec.count for token in ids["input_ids"]):
            raise ModelError(
                f"text such as {group.spec.tokens[0]!r} would become a token of the group {group.spec.name!r}",
                hint="use a fast tokenizer (tokenizer.json), or coordinates: text",
            )
    return guarded


def _check_apart(spec: TokenSpec, others: Any) -> None:
    for other in others:
        common = set(spec.tokens) & set(other.spec.tokens)
        if common:
            raise ModelError(
                f"token groups {spec.name!r} and {other.spec.name!r} both have the token {min(common)!r}",
                hint="give one of them another template",
            )


def _added(name: str, *, special: bool) -> AddedToken:
    return AddedToken(name, special=special, normalized=False, single_word=False, lstrip=False, rstrip=False)


def _find(tokenizer: PreTrainedTokenizerBase, spec: TokenSpec) -> int | None:
    """The id of the first token where the tokenizer has the group; None where it has none of it.

    Raises:
        ModelError: it has some of them, or in another order.
    """
    vocabulary = tokenizer.get_vocab()
    found = [vocabulary[name] for name in spec.tokens if name in vocabulary]
    if not found:
        return None
    if found != list(range(found[0], found[0] + spec.count)):
        raise ModelError(
            f"the tokenizer has {len(found)} of the {spec.count} tokens of group {spec.name!r}, or in another order",
            hint="give the group another template",
        )
    return found[0]


def _add(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, spec: TokenSpec) -> int:
    """Adds a group's tokens with their rows; the id of the first one."""
    first = _find(tokenizer, spec)
    if first is not None:
        return first
    tokenizer.add_tokens([_added(name, special=False) for name in spec.tokens])
    first = _find(tokenizer, spec)
    if first is None:
        raise ModelError(f"the tokenizer took no tokens of group {spec.name!r}", hint="use a fast tokenizer")
    rows = model.get_input_embeddings().weight.shape[0]
    if first + spec.count > rows:
        model.resize_token_embeddings(first + spec.count, mean_resizing=False)
    digits = [tokenizer(digit, add_special_tokens=False)["input_ids"] for digit in "0123456789"]
    head = model.get_output_embeddings()
    layers = [model.get_input_embeddings()]
    if head is not None and head.weight is not layers[0].weight:
        layers.append(head)
    for layer in layers:
        _start(layer, first, spec, digits)
    return first


@torch.no_grad()
def _start(layer: nn.Module, first: int, spec: TokenSpec, digits: Sequence[Sequence[int]]) -> None:
    """Sets the rows of a group in an embedding or an output layer."""
    weight = layer.weight
    learnt = weight[:first]
    own = slice(first, first + spec.count)
    mean = learnt.mean(0, dtype=torch.float32)
    if spec.init == "mean":
        rows = mean.expand(spec.count, -1)
    elif spec.init == "sinusoidal":
        rows = mean + learnt.float().std() * _waves(spec.count, weight.shape[1]).to(weight.device)
    else:
        anchors = torch.stack(
            [learnt[torch.tensor(ids, device=weight.device)].float().mean(0) for ids in digits]
        )
        place = torch.linspace(0, 9, spec.count, device=weight.device)
        below = place.floor().clamp(max=8).long()
        share = (place - below)[:, None]
        rows = anchors[below] * (1 - share) + anchors[below + 1] * share
    weight[own] = rows.to(weight.dtype)
    if getattr(layer, "bias", None) is not None:
        layer.bias[own] = layer.bias[:first].float().mean().to(layer.bias.dtype)


def _waves(count: int, width: int) -> torch.Tensor:
    """[count, width] of unit variance: sines and cosines of half a period and up over the group."""
    frequencies = math.pi * torch.logspace(0, math.log10(max(2.0, count / 4)), (width + 1) // 2)
    phase = (torch.arange(count)[:, None] / count) * frequencies
    return math.sqrt(2) * torch.cat([phase.sin(), phase.cos()], dim=1)[:, :width]
