"""Attention inside segments, registered with transformers: no token of a pack sees another sample's tokens.

Nothing is computed between samples, although these are most pairs of tokens in a pack.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

#: The attention implementation's name, for ``set_attn_implementation``.
SEGMENTS = "vila2_segments"


def segment_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    cu_seq_lens_q: torch.Tensor | None = None,
    cu_seq_lens_k: torch.Tensor | None = None,
    max_length_q: int = 0,
    max_length_k: int = 0,
    key_order: torch.Tensor | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Computes causal attention of every segment to its trunk and itself.

    Args:
        module: attention layer.
        query: queries [1, heads, L, D].
        key: keys [1, key heads, L, D].
        value: values [1, key heads, L, D].
        attention_mask: mask of a batch without segments, for which this is transformers' ``sdpa``.
        cu_seq_lens_q: bounds of the segments, as in :func:`vila2.packing.segments.attention_bounds`; also the
            others.
        kwargs: other arguments of transformers, such as ``scaling``.

    Returns:
        [1, L, heads, D], and None in place of attention weights.
    """
    if cu_seq_lens_q is None or cu_seq_lens_k is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    if query.is_cuda:
        if key_order is not None:
            key, value = key.index_select(2, key_order), value.index_select(2, key_order)
        bounds = _Bounds(cu_seq_lens_q, cu_seq_lens_k, max_length_q, max_length_k)
        return _flash(query, key, value, bounds, kwargs.get("scaling")), None
    layout = _layout(tuple(cu_seq_lens_q.tolist()), tuple(cu_seq_lens_k.tolist()))
    parts = []
    for start, stop in layout.alone:  # without a mask sdpa is causal, which is right without a trunk
        own_query, own_key, own_value = (tensor[:, :, start:stop] for tensor in (query, key, value))
        parts.append(sdpa_attention_forward(module, own_query, own_key, own_value, None, **kwargs)[0])
    for bucket in layout.buckets:
        queries, keys, values = bucket.queries(query), bucket.keys(key), bucket.keys(value)
        found = sdpa_attention_forward(module, queries, keys, values, bucket.mask, **kwargs)[0]
        parts.append(found.flatten(0, 1)[bucket.real][None])
    return torch.cat(parts, dim=1).index_select(1, layout.places), None


class _Bounds(NamedTuple):
    """The bounds of segments, as in :func:`vila2.packing.segments.attention_bounds`."""

    queries: torch.Tensor
    keys: torch.Tensor
    longest_queries: int
    longest_keys: int


@dataclass(frozen=True, slots=True)
class _Bucket:
    """S segments of trees with similar lengths, padded to L queries and K keys.

    Attributes:
        own: places of their tokens, [S, L].
        seen: places of what they see, their trunk and themselves, [S, K].
        mask: boolean mask [S, 1, L, K], True where a query may attend.
        real: indices of those of the S * L queries that are not padding.
    """

    own: torch.Tensor
    seen: torch.Tensor
    mask: torch.Tensor
    real: torch.Tensor

    def queries(self, tensor: torch.Tensor) -> torch.Tensor:
        """Selects the queries [S, heads, L, D] from those of the row [1, heads, length, D]."""
        return _select(tensor, self.own)

    def keys(self, tensor: torch.Tensor) -> torch.Tensor:
        """Selects the keys or values [S, heads, K, D] from those of the row [1, heads, length, D]."""
        return _select(tensor, self.seen)


def _select(tensor: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Selects places [S, N] from a row [1, heads, length, D]; returns [S, heads, N, D]."""
    selected: torch.Tensor = tensor[0].index_select(1, places.flatten()).unflatten(1, places.shape)
    return selected.transpose(0, 1)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a row is computed: samples without branches one by one, the segments of trees in buckets.

    A tree has many short branches. A call for each would cost more than its arithmetic, and a mask over the
    whole tree would compute many pairs in vain.

    Attributes:
        alone: start and stop of every sample without branches.
        buckets: segments of all trees.
        places: for each place of the row, its index in the order of computation.
    """

    alone: list[tuple[int, int]]
    buckets: list[_Bucket]
    places: torch.Tensor


@lru_cache(maxsize=4)  # all layers ask about the same row
def _layout(queries: tuple[int, ...], keys: tuple[int, ...]) -> _Layout:
    """Lays out a row, given the bounds of its segments' queries and keys."""
    own = [range(*ends) for ends in pairwise(queries)]
    seen = [stop - start for start, stop in pairwise(keys)]
    alone: list[tuple[int, int]] = []
    in_trees: defaultdict[int, list[tuple[range, range]]] = defaultdict(list)
    trunk = range(0)
    for number, segment in enumerate(own):
        # A segment that sees more than itself is a branch of the trunk before it.
        branch = seen[number] > len(segment)
        has_branches = number + 1 < len(own) and seen[number + 1] > len(own[number + 1])
        if branch or has_branches:
            in_trees[(len(segment) - 1).bit_length()].append((segment, trunk if branch else range(0)))
        else:
            alone.append((segment.start, segment.stop))
        trunk = trunk if branch else segment
    buckets = [_bucket(segments) for segments in in_trees.values()]
    computed = [torch.arange(start, stop) for start, stop in alone]
    computed += [bucket.own.flatten()[bucket.real] for bucket in buckets]
    return _Layout(alone, buckets, torch.cat(computed).argsort())


def _bucket(segments: list[tuple[range, range]]) -> _Bucket:
    """Pads segments, each with its own tokens and its trunk's, to one bucket."""
    own = pad_sequence([torch.tensor(own) for own, _ in segments], batch_first=True)
    seen = pad_sequence([torch.tensor([*trunk, *own]) for own, trunk in segments], batch_first=True)
    lengths = torch.tensor([len(own) for own, _ in segments])[:, None, None]
    trunks = torch.tensor([len(trunk) for _, trunk in segments])[:, None, None]
    query, key = torch.arange(own.shape[1])[:, None], torch.arange(seen.shape[1])
    # A padding query sees as much as the last real one, since a query that sees nothing would give NaN.
    mask = key <= trunks + query.clamp(max=lengths - 1)
    real = (torch.arange(own.shape[1]) < lengths[:, 0]).flatten().nonzero()[:, 0]
    return _Bucket(own, seen, mask[:, None], real)


def _flash(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: _Bounds, scale: float | None
) -> torch.Tensor:
    """Computes FlashAttention over all segments; causal means that the last query sees the last key."""
    from torch.nn.attention.varlen import varlen_attn

    # Under autocast, rotary embeddings give float32, which this kernel does not support.
    kind = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else value.dtype
    queries, keys, values = (
        tensor[0].transpose(0, 1).to(kind).contiguous() for tensor in (query, key, value)
    )
    grouped = query.shape[1] != key.shape[1]
    attended = varlen_attn(
        queries, keys, values, *bounds, scale=scale, window_size=(-1, 0), enable_gqa=grouped
    )
    return cast(torch.Tensor, attended)[None]  # a tuple only with return_aux


def _mask(*args: Any, attention_mask: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor | None:
    """Makes the mask; None, for causal attention, if none is given and the cache is empty."""
    if attention_mask is None and kwargs.get("q_length") == kwargs.get("kv_length"):
        return None
    make: Callable[..., torch.Tensor | None] = sdpa_mask
    return make(*args, attention_mask=attention_mask, **kwargs)


AttentionInterface.register(SEGMENTS, segment_attention)
AttentionMaskInterface.register(SEGMENTS, _mask)
