"""``vila2.recaption``: photos or a dataset, described by a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

from vila2.caption.batched_layer import first_keys
from vila2.caption.photo_files import find_photos
from vila2.caption.photos import PhotoSummary, recaption_photos
from vila2.caption.prompts import DEFAULT_PROMPTS
from vila2.caption.recaption import recaption as recaption_dataset
from vila2.data.layers import Layer
from vila2.engine.protocol import GenerationSettings
from vila2.engine.registry import open_engine
from vila2.errors import RecipeError
from vila2.nearest import did_you_mean
from vila2.recipe.parts.engine import EngineSpec
from vila2.recipe.parts.values import DEFAULT_ENGINE
from vila2.run.displays import live_progress
from vila2.run.finding import find_described, folder_of_new_layer, has_tars, is_described
from vila2.specialist.photo_dataset import dataset_of_photos


class RecaptionOptions(TypedDict, total=False):
    """Options of :func:`recaption`; their defaults are those of the command line.

    Attributes:
        engine: engine that runs the model, by name or with options.
        prompts: names of the paper's prompts, or texts; each image gets one of them.
        settings: settings of generation.
        seed: seed of the choice of prompts.
        batch_size: number of images described together.
        limit: number of images at most.
        quiet: whether to show no progress.
        device, dtype, trust_remote_code: how the model is loaded, where the engine knows these.
    """

    engine: EngineSpec | str
    prompts: Sequence[str]
    settings: GenerationSettings
    seed: int
    batch_size: int
    limit: int | None
    quiet: bool
    device: str
    dtype: str
    trust_remote_code: bool


_KNOWN = frozenset(RecaptionOptions.__annotations__)
_LOADING = ("device", "dtype", "trust_remote_code")


@overload
def recaption(
    place: Path | str, model: Path | str, *, out: Path | str, **options: Unpack[RecaptionOptions]
) -> PhotoSummary: ...
@overload
def recaption(
    place: Path | str, model: Path | str, *, layer: str, **options: Unpack[RecaptionOptions]
) -> Layer: ...
def recaption(
    place: Path | str,
    model: Path | str,
    *,
    out: Path | str | None = None,
    layer: str | None = None,
    **options: Unpack[RecaptionOptions],
) -> PhotoSummary | Layer:
    """Describes photos into a file, or a dataset's images into a layer; resumes as ``vila2 recaption`` does.

    Args:
        place: folder of photos or a photo, with ``out``; folder of a dataset, of a run or of photos, which
            become the dataset ``PHOTOS-dataset``, with ``layer``.
        model: hub id or folder of the model, or of a run; the name that a server has for it.
        out: JSON-lines file for captions of photos.
        layer: name of the dataset's new layer.
        options: see :class:`RecaptionOptions`.

    Returns:
        The summary of the captions file, or the layer.

    Raises:
        Vila2Error: what is wrong, before the model is loaded where it can be known by then.

    Example:
        >>> vila2.recaption("photos", "llava-hf/llava-interleave-qwen-0.5b-hf", out="captions.jsonl")
    """
    if unknown := options.keys() - _KNOWN:
        name = sorted(unknown)[0]
        raise RecipeError(f"there is no option {name!r}", hint=did_you_mean(name, _KNOWN))
    asked: dict[str, Any] = {
        "prompts": options.get("prompts", DEFAULT_PROMPTS),
        "settings": options.get("settings") or GenerationSettings(),
        "seed": options.get("seed", 0),
        "batch_size": options.get("batch_size", 8),
        "progress": live_progress(quiet=options.get("quiet", True)),
    }
    loading = {name: value for name, value in options.items() if name in _LOADING}
    engine, limit = options.get("engine", DEFAULT_ENGINE), options.get("limit")
    if out is not None and layer is None:
        photos = find_photos([Path(place)])
        opened = open_engine(engine, model, **loading)
        return recaption_photos(photos, opened, out=Path(out), limit=limit, **asked)
    if layer is None or out is not None:
        raise RecipeError(
            "captions go into a file or a layer", hint="give out= for photos, or layer= for a dataset"
        )
    place = Path(place)
    if place.is_dir() and not (is_described(place) or has_tars(place)):
        place = dataset_of_photos(place, None, asked["progress"]).folder
    dataset, beside = find_described(place)
    folder = folder_of_new_layer(place, dataset, beside, layer)
    opened = open_engine(engine, model, **loading)
    return recaption_dataset(
        dataset, opened, folder=folder, layer=layer, select=first_keys(dataset, limit), **asked
    )
