"""`vila2 specialize`: makes a specialist in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vila2.data.atomic import write_json_atomic, write_text_atomic
from vila2.progress import Progress
from vila2.run.step_files import StepResult
from vila2.run.steps import Run
from vila2.specialist.making import make
from vila2.specialist.specialist_job import Job, recipe_text

_PREVIEWED = 8


def specialise(
    job: Job,
    folder: Path,
    *,
    progress: Progress,
    show: Callable[[Mapping[str, Any], Path], None] | None = None,
) -> dict[str, Any]:
    """Makes a specialist, or goes on with it.

    Args:
        job: of :func:`prepare_job`.
        folder: where it goes; ``specialist.json``, ``results.json`` and ``report.html`` are written there.
        progress: shows what is under way.
        show: called before the training with what was built, and the page that previews it.

    Returns:
        ``report``, ``summary`` (columns and rows), ``results``, ``built`` and ``model``.
    """
    from vila2.specialist.comparison import write_specialist_results
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
        outcome = write_specialist_results(job, made, folder)
        model = os.path.relpath(made.saved.folder / "model", folder)
        write_json_atomic(folder / "specialist.json", dict(made.saved.results) | {"model": model})
        return outcome | {"model": str(folder / model), "built": dict(made.built.results)}


def _preview(
    job: Job,
    folder: Path,
    built: StepResult,
    start: StepResult,
    show: Callable[[Mapping[str, Any], Path], None] | None,
) -> None:
    """Writes ``preview.html``: some samples of every subset as the model will read them."""
    from vila2.data.shards import ShardDataset
    from vila2.report.preview import preview_samples
    from vila2.report.preview_page import page

    target = folder / "preview.html"
    style = next(iter(job.recipe.stages.values())).style
    samples = []
    subsets = [subset for subset in job.subsets if f"train-{subset}" in built.results["samples"]]
    for subset in subsets:
        dataset = ShardDataset.open(built.folder / f"train-{subset}")
        count = min(len(dataset), max(1, _PREVIEWED // len(subsets)))
        samples += [dataset[number * len(dataset) // count] for number in range(count)]
    note = f"{built.results['built']} samples built from {job.data.path or job.data.source}"
    shown = preview_samples(samples, str(start.folder / "model"), style)
    write_text_atomic(target, page(f"{job.name}: what is trained on", note, shown))
    if show is not None:
        show(built.results, target)
