"""Reproduces studies: trains their arms in one run folder, where alike steps are done once, and judges their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vila2 import __version__
from vila2.cycle import work
from vila2.cycle.generalist import Cycle
from vila2.cycle.scores import items_of
from vila2.cycle.studies import STUDIES
from vila2.cycle.studies.base import Size, base_recipe
from vila2.cycle.studies.study import Arm, Cell, Study, changed
from vila2.cycle.verdict import outcomes, overall, sentence, told_difference, told_expectation
from vila2.data.atomic import write_json_atomic
from vila2.errors import RunError
from vila2.evaluate.captions import Items, measure_row
from vila2.report.studies_page import NOT_IN_SOURCE, write_studies_page
from vila2.run.nearest import did_you_mean
from vila2.run.recipe import Recipe
from vila2.run.steps import Run, StepResult


def find_studies(names: Sequence[str]) -> list[Study]:
    """The studies of these names, each once; all where there are none.

    Raises:
        RunError: an unknown name.
    """
    for name in names:
        if name not in STUDIES:
            raise RunError(
                f"there is no study {name!r}",
                mend=f"{did_you_mean(name, STUDIES)}; see `vila2 reproduce --list`",
            )
    return [STUDIES[name] for name in dict.fromkeys(names or STUDIES)]


def reproduce(
    studies: Sequence[Study], folder: Path, *, size: Size, seed: int, progress: Any
) -> dict[str, Any]:
    """Does studies, or goes on with them.

    Args:
        studies: to do; steps that they share, with each other or with studies done before in this folder, are
            done once.
        folder: of the run.
        size: of all arms.
        seed: of everything random, the scenes included.
        progress: shows what is under way.

    Returns:
        ``report`` (path of the HTML page) and ``results``, which are also written to ``results.json``: of these
        studies alone.

    Raises:
        Vila2Error: what keeps a step from being done.
    """
    plan = Run.open(folder, dry=True)
    for study in studies:
        scored_arms(study, plan, size, seed)
    with Run.open(folder, progress=progress, planned=plan.plan) as run:
        results = {
            "vila2_version": __version__,
            "size": size.name,
            "seed": seed,
            "studies": [study_results(study, scored_arms(study, run, size, seed), seed) for study in studies],
        }
        write_json_atomic(folder / "results.json", results)
        write_studies_page(results, folder / "report.html")
    return {"report": str(folder / "report.html"), "results": results}


def scored_arms(study: Study, run: Run, size: Size, seed: int) -> dict[str, dict[str, StepResult]]:
    """The steps that score each arm, by benchmark; where ``run`` is dry, nothing is done."""
    wanted = dict.fromkeys(measure.partition("/")[0] for measure in study.measures)
    return {arm.name: _scores(arm, list(wanted), run, size, seed) for arm in study.arms}


def _scores(arm: Arm, wanted: Sequence[str], run: Run, size: Size, seed: int) -> dict[str, StepResult]:
    recipe = Recipe.model_validate(changed(base_recipe(size, seed), arm.changes))
    benchmarks = [benchmark for benchmark in recipe.evaluate if benchmark.name in wanted]
    stages = _until(recipe, arm.after)
    used = {entry.dataset for stage in stages.values() for entry in stage.mixture}
    used |= {benchmark.dataset for benchmark in benchmarks}
    cycle = Cycle(recipe.model_copy(update={"stages": stages}), run)
    cycle.data = {
        name: work.open_dataset(run, name, spec) for name, spec in recipe.data.items() if name in used
    }
    cycle.parts = run.step(
        "parts", work.assemble, settings=work.model_settings(recipe), inputs=work.model_inputs(recipe)
    )
    model = [cycle.parts, *cycle.train_stages("vila0").values()][-1]
    return {
        benchmark.name: run.step(
            f"score-{benchmark.name}",
            work.evaluate,
            settings={
                "benchmarks": [benchmark.model_dump(mode="json")],
                "seed": recipe.seed,
                "dtype": recipe.model.dtype,
            },
            inputs={"model": model, f"data.{benchmark.dataset}": cycle.data[benchmark.dataset]},
        )
        for benchmark in benchmarks
    }


def _until(recipe: Recipe, after: str | None) -> dict[str, Any]:
    """The stages up to the one whose model is measured."""
    names = list(recipe.stages)
    if after == "parts":
        return {}
    kept = names if after is None else names[: names.index(after) + 1]
    return {name: recipe.stages[name] for name in kept}


def study_results(study: Study, scored: Mapping[str, Mapping[str, StepResult]], seed: int) -> dict[str, Any]:
    """A study's table and verdict, as plain values.

    Args:
        study: done.
        scored: its arms' scoring steps, of :func:`scored_arms`.
        seed: of the bootstrap.
    """
    items = {
        Cell(arm, measure): items_of(benchmarks[measure.partition("/")[0]], measure)
        for arm, benchmarks in scored.items()
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
                "cells": {m: _cell(study, Cell(arm.name, m), items, seed) for m in study.measures},
            }
            for arm in study.arms
        ],
        "expectations": [
            {
                "expected": told_expectation(study, outcome.expectation),
                "found": told_difference(outcome),
                "answer": outcome.answer,
                "difference": outcome.difference.value,
                "low": outcome.difference.low,
                "high": outcome.difference.high,
                "unit": outcome.unit,
            }
            for outcome in found
        ],
    }


def _cell(study: Study, cell: Cell, items: Mapping[Cell, Items], seed: int) -> dict[str, Any]:
    row = measure_row("", cell.measure, items[cell], seed=seed)
    shown = {name: row[name] for name in ("value", "low", "high", "count", "unit")}
    return shown | {"paper": study.paper.get(cell, NOT_IN_SOURCE)}
