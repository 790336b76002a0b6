"""What each layer holds: words per caption and how many captions are usable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vila2.data.layers import STATUSES
from vila2.report.numbers import MISSING
from vila2.report.results_page import LayerResult


@dataclass(frozen=True, slots=True)
class StatusShare:
    """One status of a layer's captions, as percent."""

    status: str
    count: int
    percent: float
    text: str


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
    """Known statuses in their order, then others by name; those that no caption has are left out."""
    total = sum(layer.status.values())
    order = [*STATUSES, *sorted(set(layer.status) - set(STATUSES))]
    shares = []
    for status in order:
        count = layer.status.get(status, 0)
        if count:
            percent = 100 * count / total
            # "100.0% ok" beside a truncated caption would be a small lie.
            rounded = 99.9 if percent > 99.9 and count < total else max(percent, 0.1)
            shares.append(StatusShare(status, count, round(percent, 2), f"{rounded:.1f}%"))
    return tuple(shares)
