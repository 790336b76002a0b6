"""The step of a run that imports a dataset of its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from vila2.data.links import local_folder
from vila2.data.shards import write_dataset
from vila2.progress import Progress
from vila2.recipe.parts.data import DatasetSpec
from vila2.recipe.parts.values import NotDigested
from vila2.run.step_files import StepResult
from vila2.run.step_kinds import Inputs, step_kind
from vila2.run.steps import Run
from vila2.sources import open_source


class ImportSettings(DatasetSpec):
    """A dataset and its name; the digest depends on the content of the path, not on the path."""

    name: str
    path: Annotated[str | None, NotDigested] = None


def open_dataset(run: Run, name: str, spec: DatasetSpec) -> StepResult:
    """Imports a dataset of the recipe once, or uses it where it lies (source ``shards``).

    Args:
        run: run of the recipe.
        name: name of the dataset.
        spec: source of the dataset.
    """
    if spec.source == "shards":
        return run.existing(f"data-{name}", local_folder(str(spec.path)))
    return run.step(
        f"data-{name}",
        import_dataset,
        settings=ImportSettings(name=name, **dict(spec)),
        inputs={"file": spec.path} if spec.path else {},
    )


@step_kind("import", ImportSettings, digested_as="vila2.cycle.work.import_dataset")
def import_dataset(
    folder: Path, settings: ImportSettings, inputs: Inputs, progress: Progress
) -> dict[str, Any]:
    """Reads a source into shards in the folder of the step."""
    samples = open_source(settings.source, path=inputs.get("file"), **settings.options)
    with progress.task(f"import {settings.name}", settings.options.get("count")) as task:
        info = write_dataset(folder, samples, name=settings.name, progress=task)
    return {"samples": info.count, "rejected": dict(info.rejected)}
