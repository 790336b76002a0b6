"""What each layer holds: words per caption and how many captions are usable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vila2.data.layers import STATUSES
from vila2.report.numbers import MISSING
from vila2.report.results_page import LayerResult


@dataclass(frozen=True, slots=True)
class BarPiece:
    """A piece of the bar: its class in the style sheet, its start and its width in percent."""

    kind: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class StatusShare:
    """One status of a layer's captions: how many, their share in words, and its piece of the bar."""

    status: str
    count: int
    text: str
    piece: BarPiece


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer of the table."""

    name: str
    written_by: str
    captions: str
    words: str
    statuses: tuple[StatusShare, ...]


def layer_rows(layers: Sequence[LayerResult]) -> tuple[LayerRow, ...]:
    """The rows, in the order of the rounds."""
    return tuple(
        LayerRow(
            layer.name,
            layer.written_by or "people" if layer.name == "original" else layer.written_by or MISSING,
            f"{layer.captions:,}",
            _words(layer),
            _shares(layer),
        )
        for layer in layers
    )


def _words(layer: LayerResult) -> str:
    if layer.words_mean is None:
        return MISSING
    return f"{layer.words_mean:.1f}" + ("" if layer.words_sd is None else f" ± {layer.words_sd:.1f}")


def _shares(layer: LayerResult) -> tuple[StatusShare, ...]:
    """Shares of the statuses that captions have: known ones in their order, then others by name."""
    total = sum(layer.status.values())
    order = [*STATUSES, *sorted(set(layer.status) - set(STATUSES))]
    shares: list[StatusShare] = []
    start = 0.0
    for status in order:
        count = layer.status.get(status, 0)
        if count:
            percent = 100 * count / total
            # "100.0% ok" beside a truncated caption would be a small lie.
            rounded = 99.9 if percent > 99.9 and count < total else max(percent, 0.1)
            kind = "ok" if status == "ok" else f"other-{len(shares) % 3}"
            piece = BarPiece(kind, round(start, 2), round(percent, 2))
            shares.append(StatusShare(status, count, f"{rounded:.1f}%", piece))
            start += percent
    return tuple(shares)
