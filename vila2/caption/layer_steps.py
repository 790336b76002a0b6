"""The steps that write layers: a model's captions, these captions shuffled, and another dataset's text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from vila2.caption.attempts import Attempts
from vila2.caption.borrowed import shuffle_layer, text_layer as write_text_layer
from vila2.caption.chooser import Chooser
from vila2.caption.layer_parts import LayerPart
from vila2.caption.recaption import recaption as write_captions
from vila2.caption.several_samples import Samples, count_choices
from vila2.claims.self_consistency import contradiction
from vila2.data.layers import Layer
from vila2.data.mixtures import select_range
from vila2.data.shards import ShardDataset
from vila2.engine.protocol import GenerationSettings
from vila2.progress import Progress
from vila2.recipe.parts.cycle import SAMPLES, Choose, CycleSpec, part_of
from vila2.recipe.parts.engine import EngineSpec
from vila2.recipe.parts.model import Dtype
from vila2.recipe.parts.values import Later, Part
from vila2.run.step_kinds import Inputs, step_kind


class RecaptionSettings(Part):
    """Determines captions, besides the model and the images; most fields are those of :class:`CycleSpec`."""

    layer: str
    prompts: tuple[str, ...]
    share: float | tuple[float, float]
    max_new_tokens: int
    temperature: float
    repetition_penalty: float
    attempts: int
    attempt_temperature: float
    choose: Annotated[Choose, Later] = "attempts"
    samples: Annotated[int, Later] = SAMPLES
    keep_all: Annotated[bool, Later] = False
    batch_size: int
    engine: EngineSpec
    seed: int
    dtype: Dtype

    @classmethod
    def of(
        cls, cycle: CycleSpec, *, layer: str, seed: int, dtype: Dtype, samples: int | None = None
    ) -> RecaptionSettings:
        """The settings of the layer that a round writes; with ``samples``, all of so many are kept."""
        shared = {name: value for name, value in cycle if name in cls.model_fields}
        if cycle.choose == "attempts":
            shared.pop("samples")  # it decides nothing
        elif cycle.choose == "verified":
            shared["choose"] = "agreement"  # before there is a specialist
        if samples is not None:
            shared |= {"attempts": 1, "choose": "agreement", "samples": samples, "keep_all": True}
        return cls(layer=layer, seed=seed, dtype=dtype, **shared)


@step_kind("recaption", RecaptionSettings, digested_as="vila2.cycle.work.recaption", place="workers")
def recaption(
    folder: Path,
    settings: RecaptionSettings,
    inputs: Inputs,
    progress: Progress,
    part: LayerPart | None = None,
) -> dict[str, Any]:
    """Lets a model write a layer about a dataset's images; the step's folder is the layer.

    Args:
        folder: folder of the step.
        settings: settings of the captions.
        inputs: ``model``, a checkpoint's folder or a hub id, and ``data``, a dataset.
        progress: display of the images.
        part: part of the layer to write; all by default.
    """
    from vila2.engine.registry import open_engine

    share, dataset = part_of(settings.share), ShardDataset.open(inputs["data"])
    layer = write_captions(
        dataset,
        open_engine(settings.engine, inputs["model"], dtype=settings.dtype),
        folder=folder,
        layer=settings.layer,
        prompts=settings.prompts,
        settings=GenerationSettings(
            max_new_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            repetition_penalty=settings.repetition_penalty,
            seed=settings.seed,
        ),
        seed=settings.seed,
        batch_size=settings.batch_size,
        select=lambda key: select_range(key, *share, settings.seed),
        part=part,
        chooser=_chooser(settings),
        progress=progress,
    )
    return _results(layer)


def _chooser(settings: RecaptionSettings) -> Chooser | None:
    if settings.choose == "agreement":
        return Samples(settings.samples, settings.attempt_temperature, settings.keep_all)
    if settings.attempts > 1:
        return Attempts(settings.attempts, settings.attempt_temperature, contradiction)
    return None


class ShuffleSettings(Part):
    """Determines a shuffled layer, besides the layer and the images."""

    layer: str
    seed: int


@step_kind("shuffle", ShuffleSettings, digested_as="vila2.cycle.work.shuffle")
def shuffle(folder: Path, settings: ShuffleSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Gives each of a layer's captions to another image; see :mod:`vila2.caption.borrowed`."""
    dataset, layer = ShardDataset.open(inputs["data"]), Layer.open(inputs["layer"])
    with progress.task(f"shuffle {layer.name}", 1) as task:
        made = shuffle_layer(dataset, layer, folder=folder, name=settings.layer, seed=settings.seed)
        task.advance()
    return _results(made)


class TextLayerSettings(Part):
    """Determines a layer of another dataset's text, besides the two datasets.

    Attributes:
        layer: name of the layer.
        share: share of the images that get text; None stands for all.
        seed: seed of the choice of images; None where all get text.
    """

    layer: str
    share: Annotated[float | tuple[float, float] | None, Later] = None
    seed: Annotated[int | None, Later] = None


@step_kind("text-layer", TextLayerSettings, digested_as="vila2.cycle.work.text_layer")
def text_layer(
    folder: Path, settings: TextLayerSettings, inputs: Inputs, progress: Progress
) -> dict[str, Any]:
    """Writes another dataset's text as a layer about some images; see :mod:`vila2.caption.borrowed`."""
    dataset, texts = ShardDataset.open(inputs["data"]), ShardDataset.open(inputs["texts"])
    part = part_of(1.0 if settings.share is None else settings.share)
    with progress.task(f"take the text of {texts.name}", 1) as task:
        layer = write_text_layer(
            dataset,
            texts,
            folder=folder,
            name=settings.layer,
            select=lambda key: select_range(key, *part, settings.seed or 0),
        )
        task.advance()
    return _results(layer)


def _results(layer: Layer) -> dict[str, Any]:
    bare = {name: layer.info[name] for name in ("without_image",) if name in layer.info}
    results: dict[str, Any] = {"captions": layer.count, "status": dict(layer.statuses), **bare}
    if "choose" in layer.info and (choices := count_choices(layer.rows())):
        results["choices"] = choices.to_json()
    return results
