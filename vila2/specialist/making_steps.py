"""The work of a specialist's steps: build its data, prepare the model, ask what was held out, save.

Each may be killed at any moment and goes on from what it finds.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from vila2.data.atomic import write_json_atomic
from vila2.errors import DataError, PluginError
from vila2.plugin.host import Host
from vila2.plugin.references import call, checked, listed, load_reference
from vila2.progress import Progress
from vila2.recipe.parts.model import Dtype
from vila2.recipe.parts.values import DEFAULT_ENGINE, Later, Part
from vila2.recipe.specialist_recipe import AnswerSpec
from vila2.run.step_files import read_done
from vila2.run.step_kinds import Inputs, step_kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vila2.data.sample import Sample
    from vila2.data.shards import Reject

HELD_OUT = "held-out"


class BuildSettings(Part):
    """What built data is a function of, besides the user's data.

    Attributes:
        plugin: name of the plugin.
        plugin_version: its version.
        config: settings of the builder that are no paths, as JSON.
        prompts: the plugin's prompts and questions.
        held_out: share of the images that is asked about and not trained on.
        seed: seed of that choice.
    """

    plugin: str
    plugin_version: str
    config: dict[str, Any]
    prompts: tuple[str, ...]
    held_out: float
    seed: int


class PrepareSettings(Part):
    """What a specialist asks of the generalist's vocabulary; the tokens are those of ``TokenSpec.to_json``."""

    dtype: Dtype
    tokens: tuple[dict[str, Any], ...]
    coordinates: str | None


class AskSettings(AnswerSpec):
    """What a specialist's scores are a function of, besides the model and what was held out."""

    plugin: str
    plugin_version: str
    seed: int
    dtype: Dtype
    engine: Annotated[str, Later] = DEFAULT_ENGINE


class SaveSettings(Part):
    """Where a specialist comes from, as JSON."""

    provenance: dict[str, Any]


@step_kind("build", BuildSettings, digested_as="vila2.cycle.specialist_work.build")
def build(folder: Path, settings: BuildSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Runs a plugin's builder over a user's data: a dataset for each subset, and what is held out.

    Args:
        folder: of this step; ``train-SUBSET`` and ``held-out`` are the datasets.
        settings: its plugin, builder's settings, share held out and seed; what else stands there only tells one
            build from another.
        inputs: ``data``, and every other path among the builder's settings.
        progress: shows the samples.

    Raises:
        DataError: nothing was built, or nothing is left to train on or to ask.
        PluginError: the builder fails, or gives a subset that it does not declare.
    """
    from vila2.data.mixtures import select_share
    from vila2.data.resumable import Pieces
    from vila2.specialist.build_tally import BuildTally, merge_tallies

    name = settings.plugin
    of = f"{Host().plugin(name)}, builder"
    if (folder / "built.json").exists():  # killed between the end of the work and that of the step
        return json.loads((folder / "built.json").read_bytes())
    specialist = Host().specialist(name)
    kind = load_reference(specialist.builder, of=of)
    config = load_reference(specialist.config, of=of)(**inputs, **settings.config)
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
    tally = merge_tallies(tallies)
    counts = {subset: info.count for subset, info in datasets.items()}
    results = {"built": tally["samples"], "samples": counts, "rejected": rejected, "kinds": tally["kinds"]}
    _check_built(folder, results, settings.held_out)
    write_json_atomic(folder / "built.json", results)
    pieces.discard()
    return results


def shards_of(builder: Any, of: str) -> list[str]:
    """The names of a builder's shards.

    Raises:
        PluginError: it fails, or gives something else.
    """
    return listed(call(builder.shards, of=of), str, of=f"{of}, shards()")


def samples_of(builder: Any, shard: str, of: str) -> Iterator[Sample | Reject]:
    """A shard's samples, one after the other; what goes wrong in the plugin's code carries its name.

    Raises:
        PluginError: it fails, or gives something else.
    """
    from vila2.data.sample import Sample
    from vila2.data.shards import Reject

    of, done = f"{of}, shard {shard!r}", object()
    samples = iter(call(builder.build, shard, of=of, gives=Iterable))
    while (item := call(next, samples, done, of=of)) is not done:
        yield checked(item, Sample | Reject, of=of)


def _check_built(folder: Path, results: Mapping[str, Any], held_out: float) -> None:
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
    """The generalist with the tokens and the coordinates that a specialist needs.

    Args:
        settings: its type of weights, tokens and coordinates.
        inputs: ``model``, a checkpoint's folder or a hub id.
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
    model: Any, processor: Any, tokens: Sequence[Mapping[str, Any]], coordinates: str | None
) -> None:
    """Adds a specialist's tokens and its way of writing coordinates, in place; what is there already stays."""
    from vila2.data.tokens import TokenSpec
    from vila2.model.coordinate_scheme import scheme_of, set_coordinates
    from vila2.model.special_tokens import add_token_groups

    add_token_groups(model, processor, [TokenSpec.from_json(spec) for spec in tokens])
    if coordinates and scheme_of(processor).kind != coordinates:
        set_coordinates(model, processor, coordinates)  # type: ignore[arg-type]


@step_kind("ask-held-out", AskSettings, digested_as="vila2.cycle.specialist_work.ask_held_out")
def ask_held_out(folder: Path, settings: AskSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Scores a model by a specialist's own metrics on what was held out.

    Writes ``items.json`` and ``said.json``. Returns ``measures``, ``questions`` and ``statuses``.
    """
    from collections import Counter

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
        return json.loads(scored.read_bytes())
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
    results = {"measures": measures, "questions": len(asked), "statuses": dict(sorted(statuses.items()))}
    write_json_atomic(scored, results)
    journal.remove()
    return results


@step_kind("save", SaveSettings, digested_as="vila2.cycle.specialist_work.save")
def save(folder: Path, settings: SaveSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """The finished specialist with its provenance: ``model/`` and, in it, ``specialist.json``.

    Args:
        settings: the provenance.
        inputs: the steps ``model``, ``start`` (which knows the generalist's digest) and ``built``.
    """
    made = {
        **settings.provenance,
        "generalist_digest": read_done(inputs["start"])["results"]["digest"],
        "samples": read_done(inputs["built"])["results"]["samples"],
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
