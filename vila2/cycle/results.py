"""From a finished run to its results: models, changes between them, layers, and captions side by side."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from vila2 import __version__
from vila2.cycle.controls.catalog import Control, find_controls
from vila2.cycle.usable import unusable_line
from vila2.data.atomic import write_json_atomic
from vila2.data.claims import Claim
from vila2.data.images import image_data_uri
from vila2.data.layers import Layer, ReadLayer, original_layer
from vila2.data.mixtures import select_range
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset
from vila2.evaluate.kinds.captions import claims_about, measure_row, score_captions
from vila2.evaluate.measures.items import MeasureResult
from vila2.evaluate.measures.stored import scored_items
from vila2.merge.fate_counts import merge_results
from vila2.recipe.parts.cycle import MERGED
from vila2.report.merge_result import MergeResult
from vila2.report.merge_tables import merge_line
from vila2.report.page import write_report
from vila2.report.published_scores import with_published
from vila2.report.results_page import parse_results
from vila2.report.run_facts import record_facts
from vila2.specialist.result_rows import (
    ChangeRow,
    ModelRow,
    RecipeRow,
    change_row,
    left_out_notes,
    stage_rows,
)
from vila2.train.after_stage import failed_notes

if TYPE_CHECKING:
    from vila2.cycle.rounds import History
    from vila2.cycle.training import Cycle, TrainedGeneralist
    from vila2.recipe.recipe import Recipe

# Layer quality needs no more captions than this for a tight interval.
_LAYER_SAMPLE = 1000


class LayerFigures(TypedDict):
    """A layer of captions.

    Attributes:
        name: name of the layer.
        written_by: name of its writer; None where the run did not write it.
        captions: number of captions.
        words_mean, words_sd: words of a usable caption.
        status: numbers of captions by mark.
        measures: how true its captions are.
    """

    name: str
    written_by: str | None
    captions: int
    words_mean: float
    words_sd: float
    status: dict[str, int]
    measures: list[MeasureResult]


class CaptionRow(TypedDict):
    """A caption of an example, with its checked claims."""

    layer: str
    prompt: str
    text: str
    status: str
    claims: list[dict[str, Any]]


class ExampleRow(TypedDict):
    """An image, as a data URI, with the captions of every layer."""

    key: str
    image: str | None
    truth: None
    captions: list[CaptionRow]


class RunResults(TypedDict):
    """The content of results.json; :class:`vila2.report.results_page.Results` reads it."""

    title: str
    recipe: RecipeRow
    vila2_version: str
    models: list[ModelRow]
    changes: list[ChangeRow]
    gains: list[dict[str, Any]]
    best: str
    layers: list[LayerFigures]
    merge: dict[str, Any] | None
    examples: list[ExampleRow]
    notes: list[str]


def write_results(
    cycle: Cycle, history: History, controls: Mapping[str, TrainedGeneralist], folder: Path
) -> RunResults:
    """Writes ``results.json`` and ``report.html`` into the run's folder.

    Args:
        cycle: recipe whose steps are done.
        history: rounds of the recipe.
        controls: models of its controls, by name.
        folder: folder of the run.

    Returns:
        The content of results.json.
    """
    from vila2.recipe.file.recipe_file import recipe_to_yaml

    recipe = cycle.recipe
    dataset = ShardDataset.open(cycle.images.folder)
    layers: dict[str, ReadLayer] = {"original": original_layer(dataset)}
    layers |= {name: Layer.open(step.folder) for name, step in cycle.layers.items()}
    results: RunResults = {
        "title": recipe.report.title or recipe.name,
        "recipe": {"name": recipe.name, "seed": recipe.seed, "text": recipe_to_yaml(recipe)},
        "vila2_version": __version__,
        "models": [_model(generalist) for generalist in (*history.all_models, *controls.values())],
        "changes": _changes(
            _pairs(history, [(one, controls[one.name]) for one in find_controls(recipe)]), recipe.seed
        ),
        "gains": [{"round": round, **gain.to_json()} for round, gain in enumerate(history.gains, start=1)],
        "best": history.best.name,
        "layers": [
            _layer(name, layer, cycle.writers.get(name), dataset, recipe.seed)
            for name, layer in layers.items()
        ],
        "merge": merge_results(cycle.layers[MERGED].results, list(layers)) if MERGED in layers else None,
        "examples": _examples(recipe, dataset, layers),
        "notes": [
            *recipe.report.notes,
            *_notes_on_rounds(history),
            *_notes_on_controls(recipe),
            *_notes_on_left_out(history, controls),
            *_notes_on_plugins(history, controls),
            *_notes_on_captions(cycle),
        ],
    }
    write_json_atomic(folder / "results.json", results)
    shown = with_published(parse_results(results), folder)
    write_report(shown, folder / "report.html", record_facts(folder))
    return results


def summary_notes(
    results: RunResults, history: History, controls: Mapping[str, TrainedGeneralist]
) -> list[str]:
    """Returns the sentences below the summary: the rounds' gains and end, the merge, losses and failures."""
    merged = results["merge"]
    return [
        *_notes_on_rounds(history),
        *([merge_line(MergeResult.model_validate(merged))] if merged else []),
        *_notes_on_left_out(history, controls),
        *_notes_on_plugins(history, controls),
    ]


def _notes_on_left_out(history: History, controls: Mapping[str, TrainedGeneralist]) -> list[str]:
    """A sentence about every stage that left samples out."""
    notes: dict[str, str] = {}
    for generalist in (*history.all_models, *controls.values()):
        notes |= left_out_notes(generalist.stages, f"{generalist.name}, stage")
    return list(notes.values())


def _notes_on_plugins(history: History, controls: Mapping[str, TrainedGeneralist]) -> list[str]:
    """A sentence about every stage after which a plugin failed."""
    notes: dict[str, str] = {}
    for generalist in (*history.all_models, *controls.values()):
        notes |= failed_notes(generalist.stages, f"{generalist.name}, stage")
    return list(notes.values())


def _notes_on_captions(cycle: Cycle) -> list[str]:
    """A sentence about every layer whose captions are mostly unusable, and about samples without an image."""
    notes = []
    for name, step in cycle.layers.items():
        if "status" in step.results and (line := unusable_line(name, step.results)):
            notes.append(f"{line[0].upper()}{line[1:]}.")
        if bare := step.results.get("without_image"):
            notes.append(f"Layer {name}: {bare} samples have no image and stay as they are.")
    return notes


def _notes_on_controls(recipe: Recipe) -> list[str]:
    return [f"Control {control.name}: {control.shows}." for control in find_controls(recipe)]


def _notes_on_rounds(history: History) -> list[str]:
    """A sentence about every round's gain, and one about why the rounds ended and which of them goes on."""
    if not history.gains:
        return []
    last = len(history.gains)
    gains = [f"Round {round} is {gain}." for round, gain in enumerate(history.gains, start=1)]
    ended = "saturated" if history.gains[-1].answer == "saturated" else "the last that cycle.rounds allows"
    return [
        *gains,
        f"The rounds ended with round {last}, {ended}; {history.best.name} scores best and goes on.",
    ]


def _model(generalist: TrainedGeneralist) -> ModelRow:
    return {
        "name": generalist.name,
        "round": generalist.round,
        "stages": stage_rows(generalist.stages),
        "measures": generalist.scores.results["measures"],
    }


def _pairs(
    history: History, controls: Sequence[tuple[Control, TrainedGeneralist]]
) -> list[tuple[TrainedGeneralist, TrainedGeneralist]]:
    """The pairs of models to compare.

    Each model with the one before it, the last with the first, and every control with the models that it
    controls.
    """
    models = history.all_models
    whole = [(models[0], models[-1])] if len(models) > 2 else []
    return [
        *itertools.pairwise(models),
        *whole,
        *((model, held) for control, model in controls for held in control.compared_with(history)),
    ]


def _changes(pairs: Sequence[tuple[TrainedGeneralist, TrainedGeneralist]], seed: int) -> list[ChangeRow]:
    """The differences between models, measure by measure."""
    changes = []
    for before, after in pairs:
        old = scored_items(before.scores)
        for name, items in scored_items(after.scores).items():
            benchmark, _, measure = name.partition("/")
            row = change_row((benchmark, measure), (before.name, after.name), old.get(name), items, seed=seed)
            changes += [row] if row else []
    return changes


def _layer(name: str, layer: ReadLayer, writer: str | None, dataset: ShardDataset, seed: int) -> LayerFigures:
    statistics = layer.statistics()
    return {
        "name": name,
        "written_by": writer,
        "captions": statistics.count,
        "words_mean": statistics.words_mean,
        "words_sd": statistics.words_sd,
        "status": dict(statistics.statuses),
        "measures": _layer_measures(layer, dataset, seed),
    }


def _layer_measures(layer: ReadLayer, dataset: ShardDataset, seed: int) -> list[MeasureResult]:
    """How true a layer's captions are, where the dataset carries truth, evidence or people's captions."""
    samples, texts = list[Sample](), list[str]()
    for index in range(min(len(dataset), _LAYER_SAMPLE)):
        sample = dataset[index]
        usable = [row.text for row in layer.get(sample.key) if row.status == "ok"]
        if usable and (sample.meta.keys() & {"scene", "evidence"} or sample.meta.get("references")):
            samples.append(sample)
            texts.append(usable[0])
    if not samples:
        return []
    return [
        measure_row("captions", name, item, seed=seed)
        for name, item in score_captions(samples, texts).items()
    ]


def _examples(recipe: Recipe, dataset: ShardDataset, layers: Mapping[str, ReadLayer]) -> list[ExampleRow]:
    """Images with the captions of every round, as in the paper's Figure 4."""
    examples: list[ExampleRow] = []
    for index in _example_numbers(recipe, dataset):
        sample = dataset[index]
        captions: list[CaptionRow] = [
            {
                "layer": name,
                "prompt": row.prompt,
                "text": row.text,
                "status": row.status,
                "claims": [_shown(claim) for claim in claims_about(sample, row.text)],
            }
            for name, layer in layers.items()
            for row in layer.get(sample.key)
        ]
        image = image_data_uri(sample.images[0]) if sample.images else None
        examples.append({"key": sample.key, "image": image, "truth": None, "captions": captions})
    return examples


def _example_numbers(recipe: Recipe, dataset: ShardDataset) -> list[int]:
    """The numbers of the samples to show, spread evenly over the recaptioned ones; not chosen by eye.

    Samples with an image come first; where none has one, samples without.
    """
    part = recipe.cycle.part
    every = part == (0.0, 1.0)
    chosen = [
        (n, key) for n, key in enumerate(dataset.keys()) if every or select_range(key, *part, recipe.seed)
    ]
    bare = dataset.without_image()
    numbers = [n for n, key in chosen if key not in bare] or [n for n, _ in chosen]
    step = max(1, len(numbers) // max(1, recipe.report.examples))
    return numbers[::step][: recipe.report.examples]


def _shown(claim: Claim) -> dict[str, Any]:
    """The fields of a claim that the page shows."""
    return {name: getattr(claim, name) for name in ("kind", "start", "end", "status", "detail", "subject")}
