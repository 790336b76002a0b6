"""From a finished run to its results: models, changes between them, layers, and captions side by side."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2 import __version__
from vila2.cycle.controls.catalogue import Control, find_controls
from vila2.cycle.specialist_augmentation import MERGED
from vila2.cycle.usable import unusable_line
from vila2.data.atomic import write_json_atomic
from vila2.data.claims import Claim
from vila2.data.images import image_data_uri
from vila2.data.layers import Layer, original_layer
from vila2.data.mixtures import select_range
from vila2.data.shards import ShardDataset
from vila2.evaluate.kinds.captions import claims_about, measure_row, score_captions
from vila2.evaluate.measures.intervals import paired_ratio_bootstrap
from vila2.evaluate.measures.stored import scored_items
from vila2.merge.fate_counts import merge_results
from vila2.report.merge_result import MergeResult
from vila2.report.merge_tables import merge_line
from vila2.report.page import write_report
from vila2.report.run_facts import record_facts
from vila2.report.summary import summary_table
from vila2.train.left_out import LEFT_OUT_FILE, left_out_line

if TYPE_CHECKING:
    from vila2.cycle.rounds import History
    from vila2.cycle.training import Cycle, TrainedGeneralist
    from vila2.recipe.recipe import Recipe

# Layer quality needs no more captions than this for a tight interval.
_LAYER_SAMPLE = 1000


def write_results(
    cycle: Cycle, history: History, controls: Mapping[str, TrainedGeneralist], folder: Path
) -> dict[str, Any]:
    """Writes ``results.json`` and ``report.html`` into the run's folder.

    Args:
        cycle, history: of the recipe.
        controls: their models, by name.
        folder: of the run.

    Returns:
        ``report`` (path), ``summary`` (columns and rows for the terminal), ``told`` (sentences below it: of every round's
        gain, why the rounds ended, and of the merge) and ``results``.
    """
    from vila2.recipe.file.recipe_file import recipe_to_yaml

    recipe = cycle.recipe
    dataset = ShardDataset.open(cycle.data[recipe.recaptioned].folder)
    layers = {"original": original_layer(dataset)} | {
        name: Layer.open(step.folder) for name, step in cycle.layers.items()
    }
    results = {
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
            *_told_rounds(history),
            *_told_controls(recipe),
            *_told_left_out(history, controls),
            *_told_unusable(cycle),
        ],
    }
    write_json_atomic(folder / "results.json", results)
    write_report(results, folder / "report.html", record_facts(folder))
    return {
        "report": str(folder / "report.html"),
        "summary": summary_table(results),
        "told": [
            *_told_rounds(history),
            *_told_merge(results),
            *_told_left_out(history, controls),
        ],
        "results": results,
    }


def _told_merge(results: Mapping[str, Any]) -> list[str]:
    return [merge_line(MergeResult.model_validate(results["merge"]))] if results["merge"] else []


def _told_left_out(history: History, controls: Mapping[str, TrainedGeneralist]) -> list[str]:
    """A sentence on every stage that samples were left out of."""
    told = {
        step.folder: f"{generalist.name}, stage {name}: {left_out_line(step.results['left_out'])}; "
        f"they are named in {step.folder.name}/{LEFT_OUT_FILE}."
        for generalist in (*history.all_models, *controls.values())
        for name, step in generalist.stages.items()
        if "left_out" in step.results
    }
    return list(told.values())


def _told_unusable(cycle: Cycle) -> list[str]:
    """A sentence on every round most of whose captions train nothing, and on samples without an image."""
    told = []
    for name, step in cycle.layers.items():
        if "status" in step.results and (line := unusable_line(name, step.results)):
            told.append(f"{line[0].upper()}{line[1:]}.")
        if bare := step.results.get("without_image"):
            told.append(f"Layer {name}: {bare} samples have no image and stay as they are.")
    return told


def _told_controls(recipe: Recipe) -> list[str]:
    return [f"Control {control.name}: {control.shows}." for control in find_controls(recipe)]


def _told_rounds(history: History) -> list[str]:
    """A sentence on every round's gain, and on why the rounds ended and which goes on."""
    if not history.gains:
        return []
    last = len(history.gains)
    told = [f"Round {round} is {gain}." for round, gain in enumerate(history.gains, start=1)]
    ended = "saturated" if history.gains[-1].answer == "saturated" else "the last that cycle.rounds allows"
    return [
        *told,
        f"The rounds ended with round {last}, {ended}; {history.best.name} scores best and goes on.",
    ]


def _model(generalist: TrainedGeneralist) -> dict[str, Any]:
    shown = ("trained", "parameters_trained", "samples", "steps", "tokens", "loss")
    return {
        "name": generalist.name,
        "round": generalist.round,
        "stages": [
            {"name": name} | {field: step.results[field] for field in shown if field in step.results}
            for name, step in generalist.stages.items()
        ],
        "measures": generalist.scores.results["measures"],
    }


def _pairs(
    history: History, controls: Sequence[tuple[Control, TrainedGeneralist]]
) -> list[tuple[TrainedGeneralist, TrainedGeneralist]]:
    """Each model against the one before it, the last against the first, and what is controlled against its controls."""
    models = history.all_models
    whole = [(models[0], models[-1])] if len(models) > 2 else []
    return [
        *itertools.pairwise(models),
        *whole,
        *((model, held) for control, model in controls for held in control.compared_with(history)),
    ]


def _changes(pairs: Sequence[tuple[TrainedGeneralist, TrainedGeneralist]], seed: int) -> list[dict[str, Any]]:
    """The differences of models, item by item."""
    changes = []
    for before, after in pairs:
        old, new = scored_items(before.scores), scored_items(after.scores)
        for name, item in new.items():
            if name not in old or old[name].keys != item.keys:
                continue
            if not (sum(item.denominators) and sum(old[name].denominators)):
                continue  # one of them said nothing that could be measured
            benchmark, _, measure = name.partition("/")
            earlier = old[name]
            difference, low, high = paired_ratio_bootstrap(
                (earlier.numerators, earlier.denominators), (item.numerators, item.denominators), seed=seed
            )
            changes.append(
                {"benchmark": benchmark, "name": measure, "from": before.name, "to": after.name}
                | {"difference": difference, "low": low, "high": high}
            )
    return changes


def _layer(name: str, layer: Any, writer: str | None, dataset: ShardDataset, seed: int) -> dict[str, Any]:
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


def _layer_measures(layer: Any, dataset: ShardDataset, seed: int) -> list[dict[str, Any]]:
    """How true the captions of a layer are, where the dataset carries truth, evidence or people's captions."""
    samples, texts = [], []
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


def _examples(recipe: Recipe, dataset: ShardDataset, layers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Images with the captions of every round, as in the paper's Figure 4; chosen by hash, not by eye.

    Where no sample has an image, their texts.
    """
    part = recipe.cycle.part
    every = part == (0.0, 1.0)
    chosen = [
        (n, key) for n, key in enumerate(dataset.keys()) if every or select_range(key, *part, recipe.seed)
    ]
    bare = dataset.without_image()
    keys = [n for n, key in chosen if key not in bare] or [n for n, _ in chosen]
    step = max(1, len(keys) // max(1, recipe.report.examples))
    examples = []
    for index in keys[::step][: recipe.report.examples]:
        sample = dataset[index]
        captions = []
        for name, layer in layers.items():
            for row in layer.get(sample.key):
                claims = [_mark(claim) for claim in claims_about(sample, row.text)]
                captions.append(
                    {
                        "layer": name,
                        "prompt": row.prompt,
                        "text": row.text,
                        "status": row.status,
                        "claims": claims,
                    }
                )
        image = _data_uri(sample.images[0]) if sample.images else None
        examples.append({"key": sample.key, "image": image, "truth": None, "captions": captions})
    return examples


def _mark(claim: Claim) -> dict[str, Any]:
    """What the page shows of a claim."""
    return {name: getattr(claim, name) for name in ("kind", "start", "end", "status", "detail", "subject")}


def _data_uri(image: bytes) -> str:
    return image_data_uri(image)
