"""The steps that make a specialist: build its data, prepare its model, ask the held-out questions, save it.

A step may be killed at any moment. Then it goes on from what it finds in its folder.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, cast

from vila2.data.atomic import write_json_atomic
from vila2.errors import DataError, PluginError
from vila2.plugin.checks import load_part
from vila2.plugin.host import Host
from vila2.plugin.references import call, load_reference
from vila2.progress import Progress
from vila2.recipe.parts.engine import EngineSpec
from vila2.recipe.parts.model import Dtype
from vila2.recipe.parts.values import Later, Part
from vila2.recipe.specialist_recipe import AnswerSpec
from vila2.run.step_files import read_results
from vila2.run.step_kinds import Inputs, step_kind
from vila2.specialist.built_samples import samples_of, shards_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from vila2.data.sample import Sample
    from vila2.evaluate.measures.items import MeasureResult
    from vila2.specialist.build_tally import KindCount

#: Name of the dataset of images that are asked about and not trained on.
HELD_OUT = "held-out"


class BuildSettings(Part):
    """What built data depends on, besides the user's data.

    Attributes:
        plugin: name of the plugin.
        plugin_version: version of the plugin.
        config: settings of the builder except paths, as JSON.
        prompts: prompts and questions of the plugin.
        held_out: share of the images that is asked about and not trained on.
        seed: seed of the choice of these images.
    """

    plugin: str
    plugin_version: str
    config: dict[str, Any]
    prompts: tuple[str, ...]
    held_out: float
    seed: int


class PrepareSettings(Part):
    """What a specialist needs in the generalist's vocabulary.

    Attributes:
        dtype: type of the weights.
        tokens: tokens to add, as ``TokenSpec.to_json`` writes them.
        coordinates: way of writing coordinates; None for the generalist's.
    """

    dtype: Dtype
    tokens: tuple[dict[str, Any], ...]
    coordinates: str | None


class AskSettings(AnswerSpec):
    """What scores depend on, besides the model and the held-out images.

    Attributes:
        plugin: name of the plugin.
        plugin_version: version of the plugin.
        seed: seed of the choice of questions, and of the intervals.
        dtype: type of the weights.
    """

    plugin: str
    plugin_version: str
    seed: int
    dtype: Dtype
    engine: Annotated[EngineSpec, Later] = EngineSpec()


class SaveSettings(Part):
    """What a saved specialist depends on, besides its model.

    Attributes:
        provenance: where it comes from, as JSON.
    """

    provenance: dict[str, Any]


class BuildResults(TypedDict):
    """Counts of built data.

    Attributes:
        built: number of samples built.
        samples: numbers of samples by dataset: ``train-SUBSET`` and ``held-out``.
        rejected: numbers of inputs that could not be used, by reason.
        kinds: exchanges by kind.
    """

    built: int
    samples: dict[str, int]
    rejected: dict[str, int]
    kinds: dict[str, KindCount]


class AskResults(TypedDict):
    """Scores on the held-out questions.

    Attributes:
        measures: the plugin's measures, as results.json has them.
        questions: number of questions.
        statuses: numbers of answers by status.
    """

    measures: list[MeasureResult]
    questions: int
    statuses: dict[str, int]


@step_kind("build", BuildSettings, digested_as="vila2.cycle.specialist_work.build")
def build(folder: Path, settings: BuildSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Builds a specialist's data: runs a plugin's builder over the user's data.

    Args:
        folder: folder of the step; the datasets ``train-SUBSET`` and ``held-out`` are made in it.
        settings: plugin, builder's settings, share held out and seed. Prompts and the plugin's version have
            no effect here, but a change of them means another build.
        inputs: ``data``, the user's data, and every other path among the builder's settings.
        progress: what counts the samples.

    Returns:
        The counts of :class:`BuildResults`.

    Raises:
        DataError: nothing was built, or nothing is left to train on or to ask.
        PluginError: the builder fails, or makes a sample of a subset that it does not declare.
    """
    from vila2.data.mixtures import select_share
    from vila2.data.resumable import Pieces
    from vila2.specialist.build_tally import BuildTally, PieceTally, merge_tallies

    name = settings.plugin
    of = f"{Host().plugin(name)}, builder"
    if (folder / "built.json").exists():  # killed between the end of the work and that of the step
        return dict(json.loads((folder / "built.json").read_bytes()))
    specialist = Host().specialist(name)
    kind = load_part(specialist, "builder", of=str(Host().plugin(name)))
    config_of = load_part(specialist, "config", of=str(Host().plugin(name)))
    config = call(partial(config_of, **inputs, **settings.config), of=of)
    builder = call(kind, config, of=of)

    def group(sample: Sample) -> str:
        subset = sample.meta.get("subset", kind.subsets[0])
        if subset not in kind.subsets:
            raise PluginError(
                f"{of}: {sample.key} is of subset {subset!r}",
                hint=f"declare it beside {', '.join(kind.subsets)}",
            )
        image = sample.meta.get("image", sample.key)
        held_out = select_share(str(image), settings.held_out, settings.seed)
        return HELD_OUT if held_out else f"train-{subset}"

    pieces = Pieces(folder)
    shards = shards_of(builder, of)
    with progress.task(f"build {name}", None) as task:
        for number, shard in enumerate(shards):
            if not pieces.has(number):
                samples = samples_of(builder, shard, of)
                pieces.write(number, samples, group=group, tally=BuildTally(), progress=task)
    datasets, rejected, tallies = pieces.join(len(shards))
    tally = merge_tallies(cast(PieceTally, one) for one in tallies)
    counts = {subset: info.count for subset, info in datasets.items()}
    results: BuildResults = {
        "built": tally["samples"],
        "samples": counts,
        "rejected": rejected,
        "kinds": tally["kinds"],
    }
    _check_built(folder, results, settings.held_out)
    write_json_atomic(folder / "built.json", results)
    pieces.discard()
    return dict(results)


def _check_built(folder: Path, results: BuildResults, held_out: float) -> None:
    """Checks that there is something to train on, and something to ask."""
    counts = results["samples"]
    if not counts:
        from vila2.data.rejects import describe_rejects

        rejects = describe_rejects(results["rejected"], folder / "rejected.jsonl") or "none"
        raise DataError(
            f"nothing was built; rejected: {rejects}",
            hint=f"see {folder / 'rejected.jsonl'}, and check --data",
        )
    for missing, there in ((HELD_OUT, HELD_OUT in counts), ("train", set(counts) - {HELD_OUT})):
        if not there:
            raise DataError(
                f"of {results['built']} samples none is left for {missing}",
                hint=f"give more images, or another held_out than {held_out}",
            )


@step_kind("prepare", PrepareSettings, digested_as="vila2.cycle.specialist_work.prepare")
def prepare(folder: Path, settings: PrepareSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Gives the generalist the tokens and the coordinates that a specialist needs.

    Args:
        folder: folder of the step; the model is saved in ``model``.
        settings: type of the weights, tokens and coordinates.
        inputs: ``model``, folder or hub id of the generalist's checkpoint.
        progress: what shows the step.

    Returns:
        ``digest`` of the generalist, and the ``coordinates`` that the model writes.
    """
    from vila2.model.coordinate_scheme import scheme_of
    from vila2.model.generalist import load_generalist
    from vila2.model.saving import save_model

    with progress.task("prepare the model", 1) as task:
        generalist = load_generalist(inputs["model"], dtype=settings.dtype, device="cpu")
        give_tokens(generalist.model, generalist.processor, settings.tokens, settings.coordinates)
        save_model(generalist.model, generalist.processor, folder / "model")
        task.advance()
    return {"digest": generalist.digest, "coordinates": scheme_of(generalist.processor).to_json()}


def give_tokens(
    model: PreTrainedModel, processor: Any, tokens: Sequence[Mapping[str, Any]], coordinates: str | None
) -> None:
    """Adds a specialist's tokens and its way of writing coordinates to a model. What is there already stays.

    Args:
        model: generalist, which is changed.
        processor: processor of the generalist, which is changed.
        tokens: tokens to add, as ``TokenSpec.to_json`` writes them.
        coordinates: way of writing coordinates; None for the generalist's.
    """
    from vila2.data.tokens import TokenSpec
    from vila2.model.coordinate_scheme import scheme_of, set_coordinates
    from vila2.model.special_tokens import add_token_groups

    add_token_groups(model, processor, [TokenSpec.from_json(spec) for spec in tokens])
    if coordinates and scheme_of(processor).kind != coordinates:
        set_coordinates(model, processor, coordinates)  # type: ignore[arg-type]


@step_kind(
    "ask-held-out", AskSettings, digested_as="vila2.cycle.specialist_work.ask_held_out", place="worker"
)
def ask_held_out(folder: Path, settings: AskSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Asks a model the held-out questions, and scores its answers by the plugin's own metrics.

    Args:
        folder: folder of the step; ``items.json`` (item scores) and ``said.json`` (answers) are written in
            it.
        settings: plugin, limits of the answers, and seed.
        inputs: ``model``, folder or hub id of a checkpoint; ``data``, dataset with the held-out images.
        progress: what counts the answers.

    Returns:
        The scores of :class:`AskResults`.

    Raises:
        PluginError: the metrics fail, or return something else than scores.
    """
    from vila2.data.journal import Journal
    from vila2.data.shards import ShardDataset
    from vila2.engine.journalled import JournalledEngine
    from vila2.engine.protocol import GenerationSettings
    from vila2.engine.registry import open_engine
    from vila2.evaluate.held_out import ask, choose_questions, said_rows, score_asked
    from vila2.evaluate.measures.items import measure_row, write_items

    journal, scored = Journal(folder / "asked.partial.jsonl"), folder / "scored.json"
    if scored.exists():  # killed between the end of the work and that of the step
        journal.remove()
        return dict(json.loads(scored.read_bytes()))
    specialist, of = Host().specialist(settings.plugin), f"{Host().plugin(settings.plugin)}, metrics"
    score = load_reference(specialist.metrics, of=of)
    engine = JournalledEngine(open_engine(settings.engine, inputs["model"], dtype=settings.dtype), journal)
    questions = choose_questions(ShardDataset.open(inputs["data"]), settings.limit, settings.seed)
    asked = ask(
        engine,
        questions,
        GenerationSettings(max_new_tokens=settings.max_new_tokens),
        batch_size=settings.batch_size,
        progress=progress,
    )
    items = score_asked(score, asked, of=of)
    write_items(folder, items)
    write_json_atomic(folder / "said.json", said_rows(engine, asked))
    measures = [measure_row(settings.plugin, name, item, seed=settings.seed) for name, item in items.items()]
    statuses = Counter(one.said.status for one in asked)
    results: AskResults = {
        "measures": measures,
        "questions": len(asked),
        "statuses": dict(sorted(statuses.items())),
    }
    write_json_atomic(scored, results)
    journal.remove()
    return dict(results)


@step_kind("save", SaveSettings, digested_as="vila2.cycle.specialist_work.save")
def save(folder: Path, settings: SaveSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Saves the finished specialist with its provenance.

    Args:
        folder: folder of the step; ``model`` in it holds the checkpoint and ``specialist.json``.
        settings: provenance, as far as it is known before the work.
        inputs: folders of the steps ``model``, the last trained stage, ``start``, which knows the
            generalist's digest, and ``built``.
        progress: not used.

    Returns:
        The content of ``specialist.json``.
    """
    made = {
        **settings.provenance,
        "generalist_digest": read_results(inputs["start"])["digest"],
        "samples": read_results(inputs["built"])["samples"],
    }
    model = folder / "model"
    shutil.rmtree(model, ignore_errors=True)
    model.mkdir()
    for file in sorted((inputs["model"] / "model").iterdir()):
        try:
            os.link(file, model / file.name)  # the same weights under a second name
        except OSError:
            shutil.copyfile(file, model / file.name)
    write_json_atomic(model / "specialist.json", made)
    return made
