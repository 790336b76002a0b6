"""Adds numbered tokens, such as location tokens, to a model: vocabulary, embeddings, output layer, settings.

The tokens are added tokens that are not special, so decoding an answer keeps them, by default also in
transformers and vLLM. :func:`text_tokenizer` prevents that written text becomes one of them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from tokenizers import AddedToken
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

from vila2.data.tokens import TokenGroup, TokenSpec
from vila2.errors import ModelError
from vila2.model.embeddings import input_embeddings, output_layer
from vila2.model.prompt_text import marked_tokens

_KEY = "token_groups"  # in the model's config.json and in tokenizer_config.json


def token_groups(holder: Any) -> tuple[TokenGroup, ...]:
    """The token groups of a model or a tokenizer.

    Args:
        holder: configuration of a model, or a tokenizer; both keep the groups in their settings.
    """
    settings = getattr(holder, "init_kwargs", None)
    found = getattr(holder, _KEY, None) if settings is None else settings.get(_KEY)
    return tuple(TokenGroup.from_json(group) for group in found or ())


def add_token_groups(
    model: PreTrainedModel, processor: ProcessorMixin, specs: Sequence[TokenSpec]
) -> tuple[TokenGroup, ...]:
    """Adds token groups to a model and its processor, in place; existing groups do not change.

    Both keep the groups when they are saved, and plain transformers loads them. Tokens that the model was
    pretrained with keep their rows.

    Args:
        model: any image-text-to-text model, with tied embeddings or not; it may be on the meta device.
        processor: the model's processor.
        specs: groups to add.

    Returns:
        All groups of the model, old and new.

    Raises:
        ModelError: another group has the same name, some of the tokens exist already, or the tokenizer does
            not number them consecutively.
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
    """Makes the tokenizer for written text: with ``split_special_tokens`` no text becomes an added token.

    Added tokens that are not special, such as ``<think>`` or those of a group, would be made all the same.

    Args:
        tokenizer: the model's tokenizer, which is not changed.

    Raises:
        ModelError: a tokenizer that makes such tokens all the same.
    """
    groups = token_groups(tokenizer)
    names = list(dict.fromkeys(name for group in groups for name in group.spec.tokens))
    names += sorted(marked_tokens(tokenizer) - set(tokenizer.all_special_tokens) - set(names))
    if not names:
        return tokenizer
    guarded = copy.deepcopy(tokenizer)
    guarded.add_tokens([_added(name, special=True) for name in names], special_tokens=True)
    for group in groups:
        ids = guarded(" ".join(group.spec.tokens[:2]), add_special_tokens=False, split_special_tokens=True)
        if any(group.first <= token < group.first + group.spec.count for token in ids["input_ids"]):
            raise ModelError(
                f"text such as {group.spec.tokens[0]!r} would become a token"
                f" of the group {group.spec.name!r}",
                hint="use a fast tokenizer (tokenizer.json), or coordinates: text",
            )
    return guarded


def _check_apart(spec: TokenSpec, others: Iterable[TokenGroup]) -> None:
    """Raises a ModelError if a group shares a token with another."""
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
    """The id of a group's first token; None if the tokenizer has no token of the group.

    Raises:
        ModelError: the tokenizer has only some of them, or in another order.
    """
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    found = [vocabulary[name] for name in spec.tokens if name in vocabulary]
    if not found:
        return None
    if found != list(range(found[0], found[0] + spec.count)):
        raise ModelError(
            f"the tokenizer has {len(found)} of the {spec.count} tokens of group {spec.name!r},"
            " or has them in another order",
            hint="give the group another template",
        )
    return found[0]


def _add(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, spec: TokenSpec) -> int:
    """Adds a group's tokens and their rows; returns the id of the first token."""
    first = _find(tokenizer, spec)
    if first is not None:
        return first
    tokenizer.add_tokens([_added(name, special=False) for name in spec.tokens])
    first = _find(tokenizer, spec)
    if first is None:
        raise ModelError(
            f"the tokenizer did not accept the tokens of group {spec.name!r}", hint="use a fast tokenizer"
        )
    rows = input_embeddings(model).weight.shape[0]
    if first + spec.count > rows:
        model.resize_token_embeddings(first + spec.count, mean_resizing=False)
    digits = [tokenizer(digit, add_special_tokens=False)["input_ids"] for digit in "0123456789"]
    embedding, head = input_embeddings(model), output_layer(model)
    layers: list[nn.Embedding | nn.Linear] = [embedding]
    if head is not None and head.weight is not embedding.weight:
        layers.append(head)
    for layer in layers:
        _start(layer, first, spec, digits)
    return first


@torch.no_grad()
def _start(
    layer: nn.Embedding | nn.Linear, first: int, spec: TokenSpec, digits: Sequence[Sequence[int]]
) -> None:
    """Sets the rows of a group in an embedding or an output layer.

    Args:
        layer: layer whose ``weight`` has a row for each token.
        first: id of the group's first token.
        spec: group whose ``init`` names the values.
        digits: token ids of each of the ten digits.
    """
    weight = layer.weight
    learned = weight[:first]
    own = slice(first, first + spec.count)
    mean = learned.mean(0, dtype=torch.float32)
    if spec.init == "mean":
        rows = mean.expand(spec.count, -1)
    elif spec.init == "sinusoidal":
        rows = mean + learned.float().std() * _waves(spec.count, weight.shape[1]).to(weight.device)
    else:
        anchors = torch.stack(
            [learned[torch.tensor(ids, device=weight.device)].float().mean(0) for ids in digits]
        )
        place = torch.linspace(0, 9, spec.count, device=weight.device)
        below = place.floor().clamp(max=8).long()
        share = (place - below)[:, None]
        rows = anchors[below] * (1 - share) + anchors[below + 1] * share
    weight[own] = rows.to(weight.dtype)
    bias: torch.Tensor | None = getattr(layer, "bias", None)
    if bias is not None:
        bias[own] = bias[:first].float().mean().to(bias.dtype)


def _waves(count: int, width: int) -> torch.Tensor:
    """Sines and cosines [count, width] of unit variance, with half a period or more over the group."""
    frequencies = math.pi * torch.logspace(0, math.log10(max(2.0, count / 4)), (width + 1) // 2)
    phase = (torch.arange(count)[:, None] / count) * frequencies
    return math.sqrt(2) * torch.cat([phase.sin(), phase.cos()], dim=1)[:, :width]
