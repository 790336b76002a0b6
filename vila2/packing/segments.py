"""Segments are runs of tokens in a row that must not see each other.

A conversation is one segment. A tree has several: its trunk, which sees itself, and its branches, each of
which sees the trunk and itself. A pack is the segments of its samples, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from vila2.model.encoded import Encoded


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive tokens of a row.

    Attributes:
        own: places of the segment's tokens; each sees these up to itself.
        trunk: places before them that all of its tokens see too; empty except for a branch.
    """

    own: range
    trunk: range


def segments_of(samples: Sequence[Encoded]) -> list[Segment]:
    """The segments of samples that follow each other in one row."""
    segments: list[Segment] = []
    place = 0
    for sample in samples:
        start = place
        trunk = range(start, start)
        for branch, tokens in groupby(sample.branches or [0] * len(sample.input_ids)):
            own = range(place, place + sum(1 for _ in tokens))
            segments.append(Segment(own, trunk))
            if branch == 0:
                trunk = own
            place = own.stop
    return segments


def predicting_places(segments: Sequence[Segment]) -> torch.Tensor:
    """The place [L] whose output predicts each token; -1 for the first token of a sample.

    The first token of every branch is predicted at the end of the trunk, as if the branch were the only one.
    """
    places = torch.arange(segments[-1].own.stop) - 1
    for segment in segments:
        places[segment.own.start] = segment.trunk.stop - 1 if segment.trunk else -1
    return places


def attention_bounds(segments: Sequence[Segment]) -> dict[str, torch.Tensor | int]:
    """Describes segments for attention over sequences of several lengths, by transformers' names.

    Returns:
        ``cu_seq_lens_q``, ``cu_seq_lens_k`` [segments + 1] int32 and ``max_length_q``, ``max_length_k``;
        with branches also ``key_order`` [keys], the places of the keys of every segment: trunk and own
        tokens of the first, then of the second, and so on.
    """
    queries = [len(segment.own) for segment in segments]
    keys = [len(segment.trunk) + len(segment.own) for segment in segments]
    bounds: dict[str, torch.Tensor | int] = {
        "cu_seq_lens_q": torch.tensor([0, *queries]).cumsum(0, dtype=torch.int32),
        "cu_seq_lens_k": torch.tensor([0, *keys]).cumsum(0, dtype=torch.int32),
        "max_length_q": max(queries),
        "max_length_k": max(keys),
    }
    if keys != queries:
        bounds["key_order"] = torch.tensor(
            [place for segment in segments for part in (segment.trunk, segment.own) for place in part]
        )
    return bounds


def attention_mask(segments: Sequence[Segment]) -> torch.Tensor:
    """Describes segments by a boolean mask [1, 1, L, L], True where a token may attend."""
    length = segments[-1].own.stop
    mask = torch.zeros(length, length, dtype=torch.bool)
    for segment in segments:
        own, trunk = slice(segment.own.start, segment.own.stop), segment.trunk
        mask[own, own] = True
        mask[own, trunk.start : trunk.stop] = True
    return mask.tril()[None, None]
