"""Attention within segments, registered with transformers: no token of a pack sees another sample's.

Nothing is computed between samples, which are most pairs of tokens in a pack.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

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
    """Causal attention of every segment to its trunk and itself.

    Args:
        module: the attention layer.
        query: [1, heads, L, D]; key and value [1, key heads, L, D].
        attention_mask: of an ordinary batch; without segments this is transformers' ``sdpa``.
        cu_seq_lens_q: and the rest as in :func:`vila2.packing.segments.attention_bounds`.

    Returns:
        [1, L, heads, D], and None in place of attention weights.
    """
    if cu_seq_lens_q is None or cu_seq_lens_k is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    if query.is_cuda:
        if key_order is not None:
            key, value = key.index_select(2, key_order), value.index_select(2, key_order)
        bounds = (cu_seq_lens_q, cu_seq_lens_k, max_length_q, max_length_k)
        return _flash(query, key, value, bounds, kwargs.get("scaling")), None
    layout = _layout(tuple(cu_seq_lens_q.tolist()), tuple(cu_seq_lens_k.tolist()))
    parts = []
    for start, stop in layout.alone:  # without a mask sdpa is causal, which is right where there is no trunk
        own = (tensor[:, :, start:stop] for tensor in (query, key, value))
        parts.append(sdpa_attention_forward(module, *own, None, **kwargs)[0])
    for bucket in layout.buckets:
        together = (bucket.queries(query), bucket.keys(key), bucket.keys(value))
        found = sdpa_attention_forward(module, *together, bucket.mask, **kwargs)[0]
        parts.append(found.flatten(0, 1)[bucket.real][None])
    return torch.cat(parts, dim=1).index_select(1, layout.places), None


@dataclass(frozen=True, slots=True)
class _Bucket:
    """S segments of trees that are about equally long, padded to L queries and K keys.

    Attributes:
        own: [S, L], the places of their tokens.
        seen: [S, K], of what they see: their trunk, and themselves.
        mask: [S, 1, L, K].
        real: which of the S * L queries are no padding.
    """

    own: torch.Tensor
    seen: torch.Tensor
    mask: torch.Tensor
    real: torch.Tensor

    def queries(self, tensor: torch.Tensor) -> torch.Tensor:
        """[1, heads, length, D] to [S, heads, L, D]."""
        return tensor[0].index_select(1, self.own.flatten()).unflatten(1, self.own.shape).transpose(0, 1)

    def keys(self, tensor: torch.Tensor) -> torch.Tensor:
        """[1, heads, length, D] to [S, heads, K, D]."""
        return tensor[0].index_select(1, self.seen.flatten()).unflatten(1, self.seen.shape).transpose(0, 1)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a row is computed: samples without branches one by one, the segments of trees in buckets.

    A tree's branches are many and short: a call for each would cost more than its arithmetic, and a mask over
    the whole tree would leave most of its pairs out.

    Attributes:
        alone: start and stop of every sample without branches.
        places: for each place of the row, where it stands in the order in which things are computed.
    """

    alone: list[tuple[int, int]]
    buckets: list[_Bucket]
    places: torch.Tensor


@lru_cache(maxsize=4)  # all layers ask about the same row
def _layout(queries: tuple[int, ...], keys: tuple[int, ...]) -> _Layout:
    own = [range(*ends) for ends in pairwise(queries)]
    seen = [stop - start for start, stop in pairwise(keys)]
    alone, in_trees = [], defaultdict(list)
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
    own = pad_sequence([torch.tensor(own) for own, _ in segments], batch_first=True)
    seen = pad_sequence([torch.tensor([*trunk, *own]) for own, trunk in segments], batch_first=True)
    lengths = torch.tensor([len(own) for own, _ in segments])[:, None, None]
    trunks = torch.tensor([len(trunk) for _, trunk in segments])[:, None, None]
    query, key = torch.arange(own.shape[1])[:, None], torch.arange(seen.shape[1])
    # A query that is padding sees as far as the last real one: a row that sees nothing would be NaN.
    mask = key <= trunks + query.clamp(max=lengths - 1)
    real = (torch.arange(own.shape[1]) < lengths[:, 0]).flatten().nonzero()[:, 0]
    return _Bucket(own, seen, mask[:, None], real)


def _flash(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: tuple, scale: float | None
) -> torch.Tensor:
    """FlashAttention over all segments at once; causal there means that the last query sees the last key."""
    from torch.nn.attention.varlen import varlen_attn

    # Rotary embeddings leave float32 under autocast, which this kernel does not take.
    kind = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else value.dtype
    rows = [tensor[0].transpose(0, 1).to(kind).contiguous() for tensor in (query, key, value)]
    grouped = query.shape[1] != key.shape[1]
    return varlen_attn(*rows, *bounds, scale=scale, window_size=(-1, 0), enable_gqa=grouped)[None]


def _mask(*args: Any, attention_mask: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor | None:
    """No mask where none is given and nothing was read before: then attention is causal by itself."""
    if attention_mask is None and kwargs.get("q_length") == kwargs.get("kv_length"):
        return None
    return sdpa_mask(*args, attention_mask=attention_mask, **kwargs)


AttentionInterface.register(SEGMENTS, segment_attention)
AttentionMaskInterface.register(SEGMENTS, _mask)
