"""A specialist's layer: its answers about images, read by its plugin's parser (VILA² section 2.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from vila2.caption.caption_job import describe_settings
from vila2.caption.layer_parts import LayerPart
from vila2.caption.recaption import check_layer, recaption
from vila2.data.layers import Layer
from vila2.data.shards import ShardDataset
from vila2.engine.protocol import Engine, GenerationSettings
from vila2.evaluate.held_out import scheme_of_engine
from vila2.plugin.code_version import plugin_facts
from vila2.plugin.host import Host
from vila2.plugin.references import load_reference
from vila2.progress import Progress
from vila2.recipe.file.part_settings import checked_part, with_overrides
from vila2.recipe.specialist_recipe import AnnotateSpec
from vila2.specialist.answer_reading import AnswerReader
from vila2.specialist.made import MadeSpecialist

_HINT = (
    "use the same settings (a --limit among them), or name another layer with --layer; --replace makes a "
    "finished one anew, --restart throws an unfinished one away, --reparse reads its answers anew"
)


class LayerSummary(TypedDict):
    """Counts of a layer.

    Attributes:
        layer: folder of the layer.
        annotations: number of annotations.
        statuses: numbers of annotations by status.
        exchanges: number of answers.
        claims: numbers of claims by kind.
        without_image: number of samples that have no image, where there are any.
    """

    layer: str
    annotations: int
    statuses: dict[str, int]
    exchanges: int
    claims: dict[str, int]
    without_image: NotRequired[int]


def annotate_dataset(
    dataset: ShardDataset,
    engine: Engine,
    specialist: MadeSpecialist,
    *,
    folder: Path | None = None,
    layer: str | None = None,
    settings: AnnotateSpec | None = None,
    seed: int = 0,
    select: Callable[[str], bool] | None = None,
    part: LayerPart | None = None,
    progress: Progress | None = None,
) -> Layer:
    """Lets a specialist write a layer about a dataset's images.

    Each image gets one of the plugin's prompts, by hash of its key and the seed, and all prompts that the
    settings add. An annotation keeps the answer as it was generated, beside the parser's turns, claims and
    status. The job is resumable, as :func:`vila2.caption.recaption.recaption` is.

    Args:
        dataset: dataset to annotate.
        engine: engine with the specialist's model.
        specialist: specialist that is asked.
        folder: folder of the layer; by default ``DATASET/layers/LAYER``.
        layer: name of the layer; by default that of the plugin.
        settings: how the specialist is asked; by default as its recipe says.
        seed: seed of the choice of prompts.
        select: tells by key which samples to annotate; by default all.
        part: part of the shards that this process writes; by default all.
        progress: what the job reports to.

    Raises:
        DataError: a layer of this name was begun with other settings.
        OtherPartsLeft: the part is done, and other parts are not.
        PluginError: the parser fails on too many answers (:mod:`vila2.specialist.answer_reading`).
    """
    spec = settings or specialist.annotate
    plugin, described = Host().plugin(specialist.plugin), Host().specialist(specialist.plugin)
    images = len(dataset) if select is None else sum(map(select, dataset.keys()))
    scheme = scheme_of_engine(engine)
    reader = AnswerReader(specialist.plugin, scheme, images * (1 + len(spec.prompts)))
    return recaption(
        dataset,
        engine,
        folder=folder or dataset.folder / "layers" / (layer or specialist.plugin),
        layer=layer or specialist.plugin,
        prompts=described.prompts,
        also=spec.prompts,
        settings=_generation(spec, seed),
        seed=seed,
        batch_size=spec.batch_size,
        select=select,
        part=part,
        read=reader,
        about={"plugin": plugin_facts(plugin)},
        noted={"coordinates": scheme.to_json(), "license": described.licence},
        progress=progress,
        hint=_HINT,
    )


def check_annotate(
    folder: Path, specialist: MadeSpecialist, settings: AnnotateSpec, *, seed: int = 0
) -> None:
    """Checks what can be checked of :func:`annotate_dataset` before a model is loaded.

    Args:
        folder: folder of the layer.
        specialist: specialist that is asked.
        settings: how it is asked.
        seed: seed of the choice of prompts.

    Raises:
        DataError: a layer of this name was begun with other settings.
        PluginError: the plugin is not installed, or its parser cannot be imported.
    """
    described = Host().specialist(specialist.plugin)
    load_reference(described.parser, of=f"{Host().plugin(specialist.plugin)}, parser")
    known = describe_settings(described.prompts, _generation(settings, seed), seed)
    check_layer(folder, known, hint=_HINT)


def _generation(spec: AnnotateSpec, seed: int) -> GenerationSettings:
    return GenerationSettings(
        max_new_tokens=spec.max_new_tokens,
        temperature=spec.temperature,
        repetition_penalty=spec.repetition_penalty,
        seed=seed,
    )


def annotate_settings(specialist: MadeSpecialist, overrides: Sequence[str]) -> AnnotateSpec:
    """Returns how a specialist is asked: as its recipe said, with some settings changed.

    Args:
        specialist: specialist that is asked.
        overrides: changes, as ``KEY=VALUE``.

    Raises:
        RecipeError: a setting does not exist, or does not take the value.
    """
    values = with_overrides(AnnotateSpec, specialist.provenance["annotate"], overrides)
    return checked_part(AnnotateSpec, values, hint="see the plugin's recipe")


def summarize_layer(layer: Layer) -> LayerSummary:
    """Counts the statuses, exchanges and claims of a layer."""
    claims: Counter[str] = Counter()
    exchanges = 0
    for row in layer.rows():
        claims.update(claim.kind for claim in row.claims)
        exchanges += sum(turn.role == "assistant" for turn in row.turns or ())
    summary: LayerSummary = {
        "layer": str(layer.folder),
        "annotations": layer.count,
        "statuses": dict(layer.statuses),
        "exchanges": exchanges,
        "claims": dict(sorted(claims.items())),
    }
    if "without_image" in layer.info:
        summary["without_image"] = layer.info["without_image"]
    return summary
