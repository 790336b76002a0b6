"""``vila2.recaption``: photos or a dataset, described by a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

from vila2.caption.photo_files import find_photos
from vila2.caption.photos import PhotoSummary, recaption_photos
from vila2.caption.prompts import DEFAULT_PROMPTS
from vila2.caption.recaption import recaption as recaption_dataset
from vila2.data.layers import Layer
from vila2.engine.protocol import GenerationSettings
from vila2.engine.registry import open_engine
from vila2.errors import RecipeError
from vila2.recipe.parts.engine import EngineSpec
from vila2.run.displays import live_progress
from vila2.run.finding import find_described

_PATIENCE = 8  # images at a time, as on the command line


@overload
def recaption(
    place: Path | str,
    model: Path | str,
    *,
    out: Path | str,
    layer: None = None,
    engine: EngineSpec | str = "transformers",
    prompts: Sequence[str] = DEFAULT_PROMPTS,
    settings: GenerationSettings | None = None,
    seed: int = 0,
    batch_size: int = _PATIENCE,
    limit: int | None = None,
    quiet: bool = True,
    **loading: object,
) -> PhotoSummary: ...
@overload
def recaption(
    place: Path | str,
    model: Path | str,
    *,
    out: None = None,
    layer: str,
    engine: EngineSpec | str = "transformers",
    prompts: Sequence[str] = DEFAULT_PROMPTS,
    settings: GenerationSettings | None = None,
    seed: int = 0,
    batch_size: int = _PATIENCE,
    limit: int | None = None,
    quiet: bool = True,
    **loading: object,
) -> Layer: ...
def recaption(
    place: Path | str,
    model: Path | str,
    *,
    out: Path | str | None = None,
    layer: str | None = None,
    engine: EngineSpec | str = "transformers",
    prompts: Sequence[str] = DEFAULT_PROMPTS,
    settings: GenerationSettings | None = None,
    seed: int = 0,
    batch_size: int = _PATIENCE,
    limit: int | None = None,
    quiet: bool = True,
    **loading: object,
) -> PhotoSummary | Layer:
    """Describes photos into a file, or a dataset's images into a layer; resumes as ``vila2 recaption`` does.

    Args:
        place: folder of photos or a photo, with ``out``; folder of a dataset or a run, with ``layer``.
        model: hub id or folder of the model, or of a run; the name that a server has for it.
        out: JSON-lines file for captions of photos.
        layer: name of the dataset's new layer.
        engine: engine that runs the model, by name or with options.
        prompts: names of the paper's prompts, or texts; each image gets one of them.
        settings: settings of generation; by default those of the command line.
        seed: seed of the choice of prompts.
        batch_size: number of images described together.
        limit: number of images at most; all by default.
        quiet: whether to show no progress.
        loading: how the model is loaded: ``dtype``, ``device``, ``trust_remote_code``.

    Returns:
        The summary of the captions file, or the layer.

    Raises:
        Vila2Error: what is wrong, before the model is loaded where it can be known by then.

    Example:
        >>> vila2.recaption("photos", "llava-hf/llava-interleave-qwen-0.5b-hf", out="captions.jsonl")
    """
    if (out is None) == (layer is None):
        raise RecipeError(
            "captions go into a file or a layer", hint="give out= for photos, or layer= for a dataset"
        )
    progress = live_progress(quiet=quiet)
    how = settings or GenerationSettings()
    if out is not None:
        photos = find_photos([Path(place)])
        opened = open_engine(engine, model, **loading)
        return recaption_photos(
            photos,
            opened,
            out=Path(out),
            prompts=prompts,
            settings=how,
            seed=seed,
            batch_size=batch_size,
            limit=limit,
            progress=progress,
        )
    assert layer is not None
    dataset, _ = find_described(Path(place))
    chosen = None if limit is None else frozenset(dataset.keys()[:limit]).__contains__
    return recaption_dataset(
        dataset,
        open_engine(engine, model, **loading),
        folder=dataset.folder / "layers" / layer,
        layer=layer,
        prompts=prompts,
        settings=how,
        seed=seed,
        batch_size=batch_size,
        select=chosen,
        progress=progress,
    )
