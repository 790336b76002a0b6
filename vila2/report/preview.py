"""The preview of samples: turns and tokens, as lines for a terminal or as a page with the images."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Any

from vila2.data.images import decode_image
from vila2.data.mixtures import ViewedDataset
from vila2.data.sample import BoxPart, ImagePart, Part, PointPart, Sample, TextPart, Turn
from vila2.data.shards import ShardDataset
from vila2.data.views import View
from vila2.errors import DataError, ModelError

if TYPE_CHECKING:
    from PIL import Image

_META_SHOWN = 300  # characters


@dataclass(frozen=True, slots=True)
class TokenRun:
    """Neighbouring tokens that the loss treats alike: decoded text, number of tokens, whether they count."""

    text: str
    tokens: int
    trained: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """One sample to show.

    Attributes:
        images: as the model gets them where a model was given, else as stored.
        runs: its tokens; None where no model was given.
        problem: why the model can not be given this sample, or why its images can not be shown.
    """

    sample: Sample
    images: tuple[Image.Image, ...]
    runs: tuple[TokenRun, ...] | None = None
    problem: str = ""


def choose_samples(
    dataset: ShardDataset, layers: Mapping[str, Any], view: str, *, start: int, count: int, key: str | None
) -> tuple[list[Sample], str]:
    """The samples to show, through the view if there is one; and a line about what the view leaves out.

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


def preview_samples(samples: Sequence[Sample], model: str | None, style: str) -> list[Preview]:
    """Decodes samples, and encodes them where a model is given.

    Args:
        samples: what to show.
        model: folder or id of a model with a processor; only the processor is loaded.
        style: "chat" or "plain".

    Raises:
        DataError: an unknown style.
        ModelError: no processor.
    """
    if style not in ("chat", "plain"):
        raise DataError(f"unknown style {style!r}", hint="use chat or plain")
    encoder = _encoder(model) if model else None
    return [_preview(sample, encoder, style) for sample in samples]


def _preview(sample: Sample, encoder: Any, style: str) -> Preview:
    try:
        stored = tuple(decode_image(data, where=f"{sample.key}[{n}]") for n, data in enumerate(sample.images))
    except DataError as error:
        return Preview(sample, (), problem=error.what)
    if encoder is None:
        return Preview(sample, stored)
    try:
        encoded = encoder.encode(sample, style)
    except (DataError, ModelError) as error:
        return Preview(sample, stored, problem=error.what)
    seen = _as_seen(encoded.inputs.get("pixel_values"), encoder.processor)
    runs = _runs(encoder, encoded.input_ids, encoded.labels)
    cut = f"{encoded.truncated} tokens were cut off" if encoded.truncated else ""
    return Preview(sample, seen if len(seen) == len(stored) else stored, runs, cut)


def _encoder(model: str) -> Any:
    from vila2.model.conversation import ConversationEncoder
    from vila2.model.generalist import load_processor

    return ConversationEncoder(load_processor(model))


def _runs(encoder: Any, ids: Sequence[int], labels: Sequence[int]) -> tuple[TokenRun, ...]:
    """Tokens grouped by whether the loss counts them; each image's tokens stand as one piece."""
    tokenizer = encoder.tokenizer
    image = tokenizer.convert_tokens_to_ids(encoder.image_token)
    runs = []
    for trained, group in groupby(zip(ids, labels, strict=True), key=lambda pair: pair[1] != -100):
        run = [token for token, _ in group]
        pieces = []
        for is_image, tokens in groupby(run, key=lambda token: token == image):
            some = list(tokens)
            pieces.append(f"{encoder.image_token}×{len(some)}" if is_image else tokenizer.decode(some))
        runs.append(TokenRun("".join(pieces), len(run), trained))
    return tuple(runs)


def _as_seen(pixels: Any, processor: Any) -> tuple[Image.Image, ...]:
    """The images that the image processor made, with its normalisation undone; none for other layouts."""
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


def _turn_text(turn: Turn) -> str:
    return "".join(_part_text(part) for part in turn.parts)


def _part_text(part: Part) -> str:
    """A part as it is stored; how the model writes a box stands among its tokens."""
    match part:
        case TextPart(text):
            return text
        case ImagePart(index):
            return f"<image {index}>"
        case BoxPart(place) | PointPart(place):
            return str(list(place))


def _origin(turn: Turn) -> str:
    return turn.source + (f", branch {turn.branch}" if turn.branch else "")


def _meta(sample: Sample) -> str:
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
            said = _turn_text(turn).replace("\n", "\n" + " " * 14)
            lines.append(f"  {mark} {turn.role:<9} {said}  ({_origin(turn)})")
        if preview.sample.meta:
            lines.append(f"    meta      {_meta(preview.sample)}")
        if preview.problem:
            lines.append(f"  ! {preview.problem}")
        if preview.runs is not None:
            total, counted = _token_counts(preview.runs)
            lines.append(f"  {total} tokens, {counted} of them trained:")
            lines += [
                f"  {'*' if run.trained else ' '} {run.tokens:>5}  {run.text!r}" for run in preview.runs
            ]
    return "\n".join(lines)


def _token_counts(runs: Sequence[TokenRun]) -> tuple[int, int]:
    return sum(run.tokens for run in runs), sum(run.tokens for run in runs if run.trained)


_STYLE = """
body { font: 16px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1c2330; }
article { display: grid; grid-template-columns: 16rem 1fr; gap: 1.5rem; border-top: 1px solid #ccd; padding: 1.5rem 0; }
img { max-width: 100%; min-width: 8rem; border-radius: 4px; image-rendering: auto; }
h2 { font-size: 1rem; margin: 0 0 .6rem; overflow-wrap: anywhere; } p { margin: .3rem 0; white-space: pre-wrap; }
b { display: inline-block; min-width: 5.5rem; font-weight: 600; } small { color: #667; }
mark { background: #cdeccf; color: inherit; padding: 0 .1em; } pre { white-space: pre-wrap; overflow-wrap: anywhere;
background: #f4f5f8; padding: .8rem; border-radius: 4px; font-size: .85rem; } .problem { color: #a11; }
@media (max-width: 40rem) { article { grid-template-columns: 1fr; } }
"""


def page(title: str, note: str, previews: Sequence[Preview]) -> str:
    """The samples as one self-contained HTML page; what the loss counts is marked green."""
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>"
    legend = f"<h1>{escape(title)}</h1><p>{escape(note)}. <mark>The loss counts what is marked.</mark></p>"
    return head + legend + "".join(map(_article, previews)) + "</html>\n"


def _article(preview: Preview) -> str:
    images = "".join(f'<img alt="image {n}" src="{_data_uri(im)}">' for n, im in enumerate(preview.images))
    parts = [f"<h2>{escape(preview.sample.key)}</h2>"]
    for turn in preview.sample.turns:
        said = escape(_turn_text(turn))
        said = f"<mark>{said}</mark>" if turn.trained else said
        parts.append(f"<p><b>{turn.role}</b> {said} <small>{escape(_origin(turn))}</small></p>")
    if preview.problem:
        parts.append(f"<p class=problem>{escape(preview.problem)}</p>")
    if preview.runs is not None:
        total, counted = _token_counts(preview.runs)
        runs = (
            f"<mark>{escape(run.text)}</mark>" if run.trained else escape(run.text) for run in preview.runs
        )
        parts.append(
            f"<p><small>{total} tokens, {counted} of them trained</small></p><pre>{''.join(runs)}</pre>"
        )
    if preview.sample.meta:
        parts.append(f"<p><small>{escape(_meta(preview.sample))}</small></p>")
    return f"<article><div>{images}</div><div>{''.join(parts)}</div></article>"


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
