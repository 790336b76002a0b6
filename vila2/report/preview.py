"""The preview of samples: turns and tokens as lines for a terminal.

:mod:`vila2.report.preview_page` makes a page of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from vila2.data.annotations import Annotation
from vila2.data.boxes import Box, Point
from vila2.data.coordinates import polygon_text
from vila2.data.images import decode_image
from vila2.data.layers import Layer, ReadLayer
from vila2.data.mixtures import ViewedDataset
from vila2.data.sample import BoxPart, ImagePart, Part, PointPart, PolygonPart, Sample, TextPart, Turn
from vila2.data.shards import ShardDataset
from vila2.data.shortening import printable
from vila2.data.views import View
from vila2.errors import DataError, ModelError

if TYPE_CHECKING:
    from PIL import Image

    from vila2.model.conversation import ConversationEncoder
    from vila2.model.pieces import Style

_META_SHOWN = 300  # characters
_STYLES: dict[str, Style] = {"chat": "chat", "plain": "plain"}


@dataclass(frozen=True, slots=True)
class TokenRun:
    """Neighboring tokens that the loss treats alike: decoded text, number of tokens, whether they count."""

    text: str
    tokens: int
    trained: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """One sample to show.

    Attributes:
        sample: the sample, through its view.
        images: images as the model gets them where a model was given, else as stored.
        runs: tokens; None where no model was given.
        problem: reason why the model cannot be given this sample, or why its images cannot be shown.
        stored: images as stored; places are theirs.
        rows: annotations of the sample that no turn shows, with the name of their layer.
    """

    sample: Sample
    images: tuple[Image.Image, ...]
    runs: tuple[TokenRun, ...] | None = None
    problem: str = ""
    stored: tuple[Image.Image, ...] = ()
    rows: tuple[tuple[str, Annotation], ...] = ()


def choose_samples(
    dataset: ShardDataset, layers: Mapping[str, Layer], view: str, *, start: int, count: int, key: str | None
) -> tuple[list[Sample], str]:
    """The samples to show, through the view if there is one, and a line on what the view leaves out.

    Raises:
        DataError: no such key, no sample in this range, or a view that does not fit the layers.
    """
    shown: ShardDataset | ViewedDataset = dataset
    note = f"{len(dataset)} samples"
    if view:
        shown = ViewedDataset(dataset, View.parse(view), layers)
        note += f", {len(shown)} of them through {shown.view}"
        for title, reasons in (("dropped", shown.dropped), ("without a text of the layer", shown.lacking)):
            note += "".join(f"; {title}: {reason} {number}" for reason, number in reasons.items())
    if key is not None:
        keys = shown.keys()
        if key not in keys:
            raise DataError(f"{dataset.folder}: no sample {key!r} to show", hint="check the key and the view")
        return [shown[keys.index(key)]], note
    numbers = range(len(shown))[start : start + count]
    if not numbers:
        raise DataError(f"{dataset.folder}: no sample from number {start} on", hint=note)
    return [shown[number] for number in numbers], note


def preview_samples(
    samples: Sequence[Sample],
    model: str | None,
    style: str,
    layers: Mapping[str, ReadLayer] | None = None,
) -> list[Preview]:
    """Decodes samples, and encodes them where a model is given.

    Args:
        samples: samples to show.
        model: folder or id of a model with a processor; only the processor is loaded.
        style: "chat" or "plain".
        layers: layers by name, whose annotations are shown where no turn of the sample is theirs.

    Raises:
        DataError: an unknown style.
        ModelError: no processor.
    """
    known = _STYLES.get(style)
    if known is None:
        raise DataError(f"unknown style {style!r}", hint="use chat or plain")
    encoder = _encoder(model) if model else None
    return [
        replace(_preview(sample, encoder, known), rows=_unseen(sample, layers or {})) for sample in samples
    ]


def _unseen(sample: Sample, layers: Mapping[str, ReadLayer]) -> tuple[tuple[str, Annotation], ...]:
    """Annotations of a sample that its turns do not show: unusable ones, and those outside the view."""
    shown = {turn.source for turn in sample.turns}
    return tuple(
        (name, row)
        for name, layer in layers.items()
        for row in layer.get(sample.key)
        if row.status != "ok" or name not in shown
    )


def _preview(sample: Sample, encoder: ConversationEncoder | None, style: Style) -> Preview:
    try:
        stored = tuple(decode_image(data, where=f"{sample.key}[{n}]") for n, data in enumerate(sample.images))
    except DataError as error:
        return Preview(sample, (), problem=error.what)
    if encoder is None:
        return Preview(sample, stored, stored=stored)
    try:
        encoded = encoder.encode(sample, style)
    except (DataError, ModelError) as error:
        return Preview(sample, stored, problem=error.what, stored=stored)
    seen = _as_seen(encoded.inputs.get("pixel_values"), encoder.processor)
    runs = _runs(encoder, encoded.input_ids, encoded.labels)
    cut = f"{encoded.truncated} tokens were cut off" if encoded.truncated else ""
    return Preview(sample, seen if len(seen) == len(stored) else stored, runs, cut, stored)


def _encoder(model: str) -> ConversationEncoder:
    from vila2.model.conversation import ConversationEncoder
    from vila2.model.generalist import load_processor

    return ConversationEncoder(load_processor(model))


def _runs(encoder: ConversationEncoder, ids: Sequence[int], labels: Sequence[int]) -> tuple[TokenRun, ...]:
    """Tokens grouped by whether the loss counts them; each image's tokens stand as one piece."""
    tokenizer = encoder.tokenizer
    image = tokenizer.convert_tokens_to_ids(encoder.image_token)
    runs = []
    for trained, group in groupby(zip(ids, labels, strict=True), key=lambda pair: pair[1] != -100):
        run = [token for token, _ in group]
        pieces: list[str] = []
        for is_image, tokens in groupby(run, key=lambda token: token == image):
            some = list(tokens)
            pieces.append(f"{encoder.image_token}×{len(some)}" if is_image else str(tokenizer.decode(some)))
        runs.append(TokenRun("".join(pieces), len(run), trained))
    return tuple(runs)


def _as_seen(pixels: Any, processor: Any) -> tuple[Image.Image, ...]:
    """The images that the image processor made, with its normalization undone; none for other layouts."""
    import numpy
    from PIL import Image

    if pixels is None or getattr(pixels, "ndim", 0) != 4 or pixels.shape[1] != 3:
        return ()
    settings = getattr(processor, "image_processor", None)
    mean, deviation = getattr(settings, "image_mean", None), getattr(settings, "image_std", None)
    values = numpy.moveaxis(numpy.asarray(pixels.float()), 1, -1)
    if getattr(settings, "do_normalize", False) and mean is not None and deviation is not None:
        values = values * numpy.asarray(deviation) + numpy.asarray(mean)
    return tuple(Image.fromarray((picture * 255).round().clip(0, 255).astype("uint8")) for picture in values)


def turn_text(turn: Turn) -> str:
    """The parts of a turn as one text."""
    return "".join(part_text(part) for part in turn.parts)


def part_text(part: Part) -> str:
    """A part as it is stored; the tokens show how the model writes a box."""
    match part:
        case TextPart(text):
            return text
        case ImagePart(index):
            return f"<image {index}>"
        case BoxPart(place) | PointPart(place):
            return place_text(place)
        case PolygonPart(polygon):
            return polygon_text(map(place_text, polygon))


def place_text(place: Box | Point) -> str:
    """The unit coordinates of a box or a point; nobody sees less than a thousandth of an image."""
    return f"[{', '.join(f'{value:.3f}' for value in place)}]"


def turn_origin(turn: Turn) -> str:
    """The layer of a turn, and its branch where that is not the trunk."""
    return turn.source + (f", branch {turn.branch}" if turn.branch else "")


def meta_line(sample: Sample) -> str:
    """The sample's metadata as JSON, cut after a few hundred characters."""
    line = json.dumps(dict(sample.meta), ensure_ascii=False)
    return line if len(line) <= _META_SHOWN else line[:_META_SHOWN] + " ..."


def text(dataset: ShardDataset, note: str, previews: Sequence[Preview]) -> str:
    """The samples as lines; a star marks what the loss counts."""
    lines = [f"{dataset.name}: {note}", "* the loss counts it"]
    for preview in previews:
        sizes = ", ".join(f"{image.width}x{image.height}" for image in preview.images)
        lines += ["", f"{preview.sample.key}  [{sizes or 'no image'}]"]
        for turn in preview.sample.turns:
            mark = "*" if turn.trained else " "
            said = turn_text(turn).replace("\n", "\n" + " " * 14)
            lines.append(f"  {mark} {turn.role:<9} {said}  ({turn_origin(turn)})")
        for layer, row in preview.rows:
            detail = f": {row.detail}" if row.detail else ""
            lines.append(f"    {layer:<9} {row.text}  ({row.status}{detail})")
        if preview.sample.meta:
            lines.append(f"    meta      {meta_line(preview.sample)}")
        if preview.problem:
            lines.append(f"  ! {preview.problem}")
        if preview.runs is not None:
            total, counted = token_counts(preview.runs)
            lines.append(f"  {total} tokens, {counted} of them trained:")
            lines += [
                f"  {'*' if run.trained else ' '} {run.tokens:>5}  {run.text!r}" for run in preview.runs
            ]
    return printable("\n".join(lines))


def token_counts(runs: Sequence[TokenRun]) -> tuple[int, int]:
    """How many tokens there are, and how many of them the loss counts."""
    return sum(run.tokens for run in runs), sum(run.tokens for run in runs if run.trained)
