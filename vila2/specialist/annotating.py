"""A specialist's layer: what it says about the images of a dataset, read by its plugin's parser (VILA² section 2.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vila2.caption.caption_job import describe_settings
from vila2.caption.recaption import check_layer, recaption
from vila2.data.annotations import Annotation
from vila2.data.claims import Claim
from vila2.data.layers import Layer
from vila2.data.sample import Sample, Turn
from vila2.data.shards import ShardDataset
from vila2.engine.protocol import Engine, GenerationSettings, Request
from vila2.errors import DataError, PluginError, RecipeError, RunError
from vila2.evaluate.held_out import read_answer, scheme_of_engine
from vila2.nearest import did_you_mean
from vila2.plugin.contract import Parsed
from vila2.plugin.host import Host
from vila2.plugin.references import call, listed, load_reference
from vila2.progress import Progress
from vila2.recipe.file.yaml import read_setting
from vila2.recipe.specialist_recipe import AnnotateSpec
from vila2.specialist.made import MadeSpecialist
from vila2.specialist.origin import Origin


def annotate_dataset(
    dataset: ShardDataset,
    engine: Engine,
    specialist: MadeSpecialist,
    *,
    folder: Path | None = None,
    settings: AnnotateSpec | None = None,
    seed: int = 0,
    select: Callable[[str], bool] | None = None,
    progress: Progress | None = None,
) -> Layer:
    """Writes ``DATASET/layers/PLUGIN``, or the layer in ``folder``: each image gets one of the plugin's prompts, by hash of key and seed, and all that the settings add.

    Resumable as :func:`vila2.caption.recaption.recaption` is. An annotation keeps the answer as it was
    generated beside the turns and the claims that the parser made of it, and the parser's status.

    Raises:
        DataError: a layer of this name was begun with other settings.
        PluginError: the parser fails, or gives something else than a ``Parsed``.
    """
    spec = settings or AnnotateSpec.model_validate(specialist.provenance["annotate"])
    plugin, described = Host().plugin(specialist.plugin), Host().specialist(specialist.plugin)
    return recaption(
        dataset,
        engine,
        folder=folder or dataset.folder / "layers" / specialist.plugin,
        layer=specialist.plugin,
        prompts=described.prompts,
        also=spec.prompts,
        settings=_generation(spec, seed),
        seed=seed,
        batch_size=spec.batch_size,
        select=select,
        read=answer_reader(engine, specialist.plugin),
        about={"plugin": {"name": plugin.name, "package": plugin.package, "version": plugin.version}},
        progress=progress,
    )


def check_annotate(
    dataset: ShardDataset, specialist: MadeSpecialist, settings: AnnotateSpec, *, seed: int = 0
) -> None:
    """Whatever can be known to be wrong with :func:`annotate_dataset` before a model is loaded.

    Raises:
        DataError: a layer of this name was begun with other settings.
        PluginError: the plugin is not installed, or its parser can not be imported.
    """
    described = Host().specialist(specialist.plugin)
    load_reference(described.parser, of=f"{Host().plugin(specialist.plugin)}, parser")
    known = describe_settings(described.prompts, _generation(settings, seed), seed)
    check_layer(dataset.folder / "layers" / specialist.plugin, known)


def _generation(spec: AnnotateSpec, seed: int) -> GenerationSettings:
    return GenerationSettings(
        max_new_tokens=spec.max_new_tokens,
        temperature=spec.temperature,
        repetition_penalty=spec.repetition_penalty,
        seed=seed,
    )


def answer_reader(engine: Engine, plugin: str) -> Callable[[Sample, Annotation], Annotation]:
    """Turns answers of an engine's model into turns and claims, by a plugin's parser."""
    of = f"{Host().plugin(plugin)}, parser"
    parse = load_reference(Host().specialist(plugin).parser, of=of)
    scheme = scheme_of_engine(engine)

    def read(sample: Sample, row: Annotation) -> Annotation:
        if row.status == "error":  # nothing was said
            return row
        request = Request(row.key, sample.images, row.prompt)
        said = read_answer(scheme, sample, request, row.text, row.status)
        about = f"{of}, on the answer about {row.key}"
        parsed: Parsed = call(parse, said, of=about, gives=Parsed)
        turns = listed(parsed.turns or (), Turn, of=about)
        claims = listed(parsed.claims or (), Claim, of=about)
        detail = parsed.detail or (row.detail if parsed.status == row.status else "")
        try:
            return replace(
                row, status=parsed.status, detail=detail, turns=tuple(turns) or None, claims=tuple(claims)
            )
        except DataError as error:
            raise PluginError(f"{about}: {error.what}", hint=error.hint) from error

    return read


def annotate_settings(specialist: MadeSpecialist, overrides: Sequence[str]) -> AnnotateSpec:
    """How a specialist is asked: as its recipe said, with ``KEY=VALUE`` changed.

    Raises:
        RecipeError: a setting that does not exist, or a value that it does not take.
    """
    values = dict(specialist.provenance["annotate"])
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or name not in AnnotateSpec.model_fields:
            raise RecipeError(
                f"--set {override}: no such setting", hint=did_you_mean(name, AnnotateSpec.model_fields)
            )
        values[name] = read_setting(text, where=f"--set {override}").value
    try:
        return AnnotateSpec.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(
            f"--set {first['loc'][0]}: {first['msg']}", hint="see the plugin's recipe"
        ) from error


def find_dataset(origin: Origin, name: str | None) -> Path:
    """The folder of a run's dataset, by default of the one whose captions are rewritten.

    Raises:
        RunError: the run has no such dataset, or there is no run.
    """
    if not origin.run:
        raise RunError(
            f"{origin.name} is not the folder of a run, so it has no dataset",
            hint="give the folder of a run (runs/NAME), or of a dataset",
        )
    wanted = name or origin.recaptioned
    if wanted not in origin.datasets:
        raise RunError(
            f"{origin.run} has no dataset {wanted!r}", hint=did_you_mean(str(wanted), origin.datasets)
        )
    return origin.datasets[wanted]


def summarise_layer(layer: Layer) -> dict[str, Any]:
    """Statuses, exchanges and claims of a layer, counted."""
    claims: Counter[str] = Counter()
    exchanges = 0
    for row in layer.rows():
        claims.update(claim.kind for claim in row.claims)
        exchanges += sum(turn.role == "assistant" for turn in row.turns or ())
    return {
        "layer": str(layer.folder),
        "annotations": layer.count,
        "statuses": dict(layer.statuses),
        "exchanges": exchanges,
        "claims": dict(sorted(claims.items())),
        **{name: layer.info[name] for name in ("without_image",) if name in layer.info},
    }
