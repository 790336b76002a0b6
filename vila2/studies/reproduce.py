"""Reproduces studies: trains their arms in one run folder, measures them, and judges their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from vila2 import __version__
from vila2.cycle.controls.catalog import controls_of
from vila2.cycle.improve import improve
from vila2.cycle.rounds import History
from vila2.cycle.training import Cycle
from vila2.data.atomic import write_json_atomic
from vila2.data.layers import Layer, ReadLayer, original_layer
from vila2.data.shards import ShardDataset
from vila2.errors import RunError
from vila2.evaluate.measures.intervals import over_seeds
from vila2.evaluate.measures.items import Items, measure_row
from vila2.evaluate.measures.stored import items_of
from vila2.model.assemble_step import starting_parts
from vila2.nearest import did_you_mean
from vila2.recipe.changed import changed
from vila2.recipe.parts.stage import StageSpec
from vila2.recipe.recipe import Recipe
from vila2.report.studies_page import NOT_IN_SOURCE, write_studies_markdown, write_studies_page
from vila2.report.study_results import CellResult, ExpectationResult, SeedValues, StudiesResults, StudyResult
from vila2.run.board import Board
from vila2.run.step_files import StepResult
from vila2.run.steps import Run
from vila2.sources.import_step import open_dataset
from vila2.studies import GROUPS, STUDIES
from vila2.studies.base import Size, base_recipe
from vila2.studies.cycle_base import cycle_recipe, specialists
from vila2.studies.expectations import (
    ExpectationOutcome,
    outcomes,
    overall,
    sentence,
    told_difference,
    told_expectation,
)
from vila2.studies.study import Arm, Cell, Study


class Reproduced(TypedDict):
    """The outcome of :func:`reproduce`.

    Attributes:
        report: path of the HTML page.
        results: results of the studies, as they stand in ``results.json``.
    """

    report: str
    results: StudiesResults


def find_studies(names: Sequence[str], *, quick: bool = False) -> list[Study]:
    """Finds studies by their names or the names of their groups, each once.

    Args:
        names: names; without any, the tables of the VILA² paper are meant.
        quick: whether the smoke test is meant instead, where there are no names.

    Raises:
        RunError: a name is unknown.
    """
    for name in names:
        if name not in STUDIES and name not in GROUPS:
            raise RunError(
                f"there is no study {name!r}",
                hint=f"{did_you_mean(name, [*STUDIES, *GROUPS])}; see `vila2 reproduce --list`",
            )
    wanted = names or (["smoke"] if quick else ["vila2"])
    found = [study for name in wanted for study in GROUPS.get(name, (name,))]
    return [STUDIES[name] for name in dict.fromkeys(found)]


def reproduce(
    studies: Sequence[Study], folder: Path, *, size: Size, seeds: Sequence[int], progress: Board
) -> Reproduced:
    """Does studies, or goes on with them; writes ``results.json`` and reports of these studies alone.

    Args:
        studies: studies to do. A step that several of them share, or that an earlier call has done in this
            folder, is done once.
        folder: folder of the run.
        size: size of all arms.
        seeds: seeds of everything random, the scenes included; every arm is trained and measured with each.
        progress: board that shows the work.

    Raises:
        Vila2Error: a step cannot be done.
    """
    plan = Run.open(folder, dry=True)
    for study in studies:
        for seed in seeds:
            measured_arms(study, plan, size, seed)
    with Run.open(folder, progress=progress, planned=plan.plan) as run:
        results: StudiesResults = {
            "vila2_version": __version__,
            "size": size.name,
            "seeds": list(seeds),
            "studies": [
                study_results(study, [measured_arms(study, run, size, seed) for seed in seeds], seeds[0])
                for study in studies
            ],
        }
        write_json_atomic(folder / "results.json", results)
        write_studies_page(results, folder / "report.html")
        write_studies_markdown(results, folder / "report.md")
    return {"report": str(folder / "report.html"), "results": results}


@dataclass(frozen=True, slots=True)
class MeasuredArm:
    """An arm, trained and measured.

    Attributes:
        scores: scoring steps by benchmark.
        captions: layer that the arm was trained on, or the dataset with the original captions; None where the
            study measures no captions.
        tokens: number of tokens of all stages; 0 where it is not known.
        stopped: reason why the rounds ended; empty where the recipe does not say when.
    """

    scores: Mapping[str, StepResult]
    captions: StepResult | None = None
    tokens: int = 0
    stopped: str = ""

    def items(self, measure: str) -> Items:
        """Reads the item scores of a measure, named as in :class:`vila2.studies.study.Cell`.

        Raises:
            RunError: there is nothing of that name.
        """
        benchmark = measure.partition("/")[0]
        if benchmark == "layer":
            if self.captions is None:
                raise RunError(f"no layer for {measure!r}", hint="measure captions of whole cycles only")
            return caption_words(self.captions.folder)
        return items_of(self.scores[benchmark], measure)


def measured_arms(study: Study, run: Run, size: Size, seed: int) -> dict[str, MeasuredArm]:
    """Trains and measures every arm of a study, by its name; where ``run`` is dry, it only plans."""
    if study.whole_cycle:
        return {arm.name: _outcome(arm, run, size, seed) for arm in study.arms}
    wanted = dict.fromkeys(measure.partition("/")[0] for measure in study.measures)
    return {arm.name: MeasuredArm(_scores(arm, list(wanted), run, size, seed)) for arm in study.arms}


def arm_recipe(arm: Arm, size: Size, seed: int) -> Recipe:
    """Makes the recipe of an arm that is a whole cycle."""
    base = cycle_recipe(size.cycle, seed) | {"specialists": specialists(size.cycle, seed, *arm.specialists)}
    recipe = Recipe.model_validate(changed(base, arm.changes))
    return controls_of(recipe)[arm.control].applied_to(recipe) if arm.control else recipe


def _outcome(arm: Arm, run: Run, size: Size, seed: int) -> MeasuredArm:
    """Does the cycle of an arm, and takes the model at its end with its newest captions."""
    cycle, history = improve(arm_recipe(arm, size, seed), run)
    model = history.outcome
    captions = cycle.layers[model.layer] if model.layer else cycle.data[cycle.recipe.recaptioned]
    tokens = sum(stage.results.get("tokens", 0) for stage in model.stages.values())
    scores = {benchmark.name: model.scores for benchmark in cycle.recipe.evaluate}
    return MeasuredArm(scores, captions, tokens, _why_stopped(history))


def _why_stopped(history: History) -> str:
    if not history.gains:
        return ""
    return (
        f"{history.models[-1].name} over the round before: {history.gains[-1]}; {history.best.name} goes on"
    )


def caption_words(folder: Path) -> Items:
    """Counts the words of every image's captions in a layer, or in the original captions of a dataset."""
    if (folder / "layer.json").exists():
        layer: ReadLayer = Layer.open(folder)
    else:
        layer = original_layer(ShardDataset.open(folder))
    words: Counter[str] = Counter()
    for row in layer.rows():
        if row.status == "ok":
            words[row.key] += len(row.text.split())
    return Items.of_means(list(words), list(words.values()), "words", None)


def _scores(arm: Arm, wanted: Sequence[str], run: Run, size: Size, seed: int) -> dict[str, StepResult]:
    """Trains an arm that is a VILA_0, or the beginning of one, and scores it on these benchmarks."""
    recipe = Recipe.model_validate(changed(base_recipe(size, seed), arm.changes))
    benchmarks = [benchmark for benchmark in recipe.evaluate if benchmark.name in wanted]
    stages = _until(recipe, arm.after)
    used = {entry.dataset for stage in stages.values() for entry in stage.mixture}
    used |= {benchmark.dataset for benchmark in benchmarks}
    cycle = Cycle(recipe.model_copy(update={"stages": stages}), run)
    cycle.data = {name: open_dataset(run, name, spec) for name, spec in recipe.data.items() if name in used}
    cycle.parts = starting_parts(run, recipe)
    model = [cycle.parts, *cycle.train_stages("vila0").values()][-1]
    return {
        benchmark.name: cycle.score(f"score-{benchmark.name}", model, [benchmark]) for benchmark in benchmarks
    }


def _until(recipe: Recipe, after: str | None) -> dict[str, StageSpec]:
    """The stages up to the one whose model is measured."""
    names = list(recipe.stages)
    if after == "parts":
        return {}
    kept = names if after is None else names[: names.index(after) + 1]
    return {name: recipe.stages[name] for name in kept}


def study_results(study: Study, measured: Sequence[Mapping[str, MeasuredArm]], seed: int) -> StudyResult:
    """Makes the table and the verdict of a study.

    Args:
        study: study that was done.
        measured: arms for every seed, as :func:`measured_arms` returns them.
        seed: seed of the bootstrap.
    """
    items = {
        Cell(arm.name, measure): [arms[arm.name].items(measure) for arms in measured]
        for arm in study.arms
        for measure in study.measures
    }
    found = outcomes(study, items, seed=seed)
    return {
        "name": study.name,
        "title": study.title,
        "section": study.section,
        "finding": study.finding,
        "note": study.note,
        "verdict": overall([outcome.answer for outcome in found]),
        "sentence": sentence(study, found),
        "measures": dict(study.measures),
        "arms": [
            {
                "name": arm.name,
                "label": arm.label,
                "tokens": [arms[arm.name].tokens for arms in measured],
                "stopped": [arms[arm.name].stopped for arms in measured],
                "cells": {m: _cell(study, Cell(arm.name, m), items, seed) for m in study.measures},
            }
            for arm in study.arms
        ],
        "expectations": [_expectation(study, outcome) for outcome in found],
    }


def _expectation(study: Study, outcome: ExpectationOutcome) -> ExpectationResult:
    difference, low, high = outcome.difference or (None, None, None)
    return {
        "expected": told_expectation(study, outcome.expectation),
        "found": told_difference(outcome),
        "answer": outcome.answer,
        "unit": outcome.unit,
        "difference": difference,
        "low": low,
        "high": high,
    }


def _cell(study: Study, cell: Cell, items: Mapping[Cell, Sequence[Items]], seed: int) -> CellResult:
    """One number of the table: of one seed with its interval over items, of several with that over seeds."""
    rows = [measure_row("", cell.measure, one, seed=seed) for one in items[cell]]
    first = rows[0]
    value, low, high = first["value"], first["low"], first["high"]
    values = [row["value"] for row in rows if row["value"] is not None]
    each: SeedValues = {}
    if len(values) < len(rows):  # a mean over the other seeds would be one over easier seeds
        value = low = high = None
    elif len(rows) > 1:
        value, low, high = over_seeds(values)
        each = {"seeds": values}
    return {
        "value": value,
        "low": low,
        "high": high,
        "count": sum(row["count"] for row in rows),
        "unit": first["unit"],
        "higher_is_better": first["higher_is_better"],
        **each,
        "paper": study.paper.get(cell, NOT_IN_SOURCE),
    }
