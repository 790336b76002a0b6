"""Attention within segments, registered with transformers: no token of a pack sees another sample's.

Nothing is computed between samples, which are most pairs of tokens in a pack.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import nn
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
    parts = []
    for start, stop, mask in _samples(cu_seq_lens_q.tolist(), cu_seq_lens_k.tolist()):
        own = (tensor[:, :, start:stop] for tensor in (query, key, value))
        parts.append(sdpa_attention_forward(module, *own, mask, **kwargs)[0])
    return torch.cat(parts, dim=1), None


def _samples(queries: list[int], keys: list[int]) -> Iterator[tuple[int, int, torch.Tensor | None]]:
    """Where each sample of a row starts and stops, and its mask [1, 1, length, length]; None where it is causal.

    A tree is computed whole: its branches are many and short, and a call for each costs more than the
    pairs of tokens that a mask leaves out.
    """
    lengths = [stop - start for start, stop in pairwise(queries)]
    seen = [stop - start for start, stop in pairwise(keys)]
    # A segment that sees more than itself is a branch of the trunk before it.
    trunks = [number for number in range(len(lengths)) if seen[number] == lengths[number]]
    for trunk, following in pairwise([*trunks, len(lengths)]):
        mask = None
        if following - trunk > 1:
            own = torch.tensor(lengths[trunk:following])
            segment = torch.arange(len(own)).repeat_interleave(own)
            mask = ((segment[:, None] == segment) | (segment == 0)).tril()[None, None]
        yield queries[trunk], queries[following], mask


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
