"""`vila2 specialize`: makes a specialist in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, cast

from vila2.data.atomic import write_json_atomic, write_text_atomic
from vila2.data.sample import Sample
from vila2.report.summary import summary_table
from vila2.run.board import Board
from vila2.run.step_files import StepResult
from vila2.run.steps import Run
from vila2.specialist.comparison import SpecialistResults, write_specialist_results
from vila2.specialist.making import make
from vila2.specialist.making_steps import BuildResults
from vila2.specialist.specialist_job import Job, recipe_text

#: Number of samples that the preview shows.
_PREVIEWED = 8

#: Called with what was built, and the page that previews it.
ShowBuilt = Callable[[BuildResults, Path], None]


class SpecialistOutcome(TypedDict):
    """What a finished specialist gives.

    Attributes:
        report: path of the HTML page.
        summary: ``columns`` and ``rows`` for the terminal.
        results: content of results.json.
        model: folder of the specialist's checkpoint.
        built: counts of its data.
    """

    report: str
    summary: Any
    results: SpecialistResults
    model: str
    built: BuildResults


def specialize(
    job: Job, folder: Path, *, progress: Board, show: ShowBuilt | None = None
) -> SpecialistOutcome:
    """Makes a specialist, or goes on with it.

    Args:
        job: what the specialist is made of; see :func:`~vila2.specialist.specialist_job.prepare_job`.
        folder: folder of the specialist. ``specialist.json``, ``results.json`` and ``report.html`` are
            written there.
        progress: board that shows the run.
        show: called before the training.

    Raises:
        Vila2Error: what stands in the way.
    """
    from vila2.specialist.specialist_preflight import check_before_work
    from vila2.train.processes import processes_here

    planned = Run.open(folder, dry=True)
    make(job, planned)
    check_before_work(job, folder, {step.name for step in planned.plan if step.state == "done"})
    with Run.open(folder, progress=progress, planned=planned.plan) as run:
        write_text_atomic(folder / "recipe.yaml", recipe_text(job))
        made = make(
            job,
            run,
            processes=processes_here("auto"),
            before_training=lambda built, start: _preview(job, folder, built, start, show),
        )
        results = write_specialist_results(job, made, folder)
        model = os.path.relpath(made.saved.folder / "model", folder)
        write_json_atomic(folder / "specialist.json", dict(made.saved.results) | {"model": model})
        return {
            "report": str(folder / "report.html"),
            "summary": summary_table(results),
            "results": results,
            "model": str(folder / model),
            "built": _built(made.built),
        }


def _built(step: StepResult) -> BuildResults:
    return cast(BuildResults, dict(step.results))


def _preview(job: Job, folder: Path, step: StepResult, start: StepResult, show: ShowBuilt | None) -> None:
    """Writes ``preview.html``: some samples of every subset, as the model will read them.

    Args:
        job: what the specialist is made of.
        folder: folder of the specialist.
        step: step that built its data.
        start: step that prepared its model.
        show: called at the end.
    """
    from vila2.report.preview import preview_samples
    from vila2.report.preview_page import page

    target, built = folder / "preview.html", _built(step)
    style = next(iter(job.recipe.stages.values())).style
    note = f"{built['built']} samples built from {job.data.path or job.data.source}"
    shown = preview_samples(_some_samples(job, step.folder, built), str(start.folder / "model"), style)
    write_text_atomic(target, page(f"{job.name}: what is trained on", note, shown))
    if show is not None:
        show(built, target)


def _some_samples(job: Job, folder: Path, built: BuildResults) -> list[Sample]:
    """Some samples of every subset that was built, spread evenly."""
    from vila2.data.shards import ShardDataset

    samples: list[Sample] = []
    subsets = [subset for subset in job.subsets if f"train-{subset}" in built["samples"]]
    for subset in subsets:
        dataset = ShardDataset.open(folder / f"train-{subset}")
        count = min(len(dataset), max(1, _PREVIEWED // len(subsets)))
        samples += [dataset[number * len(dataset) // count] for number in range(count)]
    return samples
