"""Finds the images to annotate: of a run, of a dataset, or photos in a folder."""

from __future__ import annotations

from pathlib import Path

from vila2.data.shards import ShardDataset
from vila2.errors import RunError
from vila2.nearest import did_you_mean
from vila2.progress import Progress
from vila2.recipe.parts.engine import DEFAULT_SPEC, EngineSpec
from vila2.run.finding import find_described, is_described
from vila2.run.step_files import StepResult
from vila2.specialist.origin import Origin, find_origin
from vila2.specialist.photo_dataset import dataset_of_photos


def images_for_tool(source: Path, dataset: str | None, out: Path | None, progress: Progress) -> ShardDataset:
    """Opens the images that a tool annotates. A run need not have trained anything yet.

    Args:
        source: folder of a run, of a dataset, or of photos.
        dataset: name of the run's dataset; by default the one that is recaptioned.
        out: folder of the dataset that photos become; see :func:`dataset_of_photos`.
        progress: what the copying of photos reports to.

    Raises:
        DataError: there is no such folder, or no photo in it.
        RunError: the run has no such dataset, or has not imported it yet; or an argument is of no use.
    """
    if is_described(source):
        if out is not None:
            raise RunError(f"{source} is no folder of photos, so --out says nothing", hint="leave --out out")
        return find_described(source, dataset)[0]
    if dataset is not None:
        raise RunError(f"{source} is not a run, so it has no dataset {dataset!r}", hint="leave --dataset out")
    return dataset_of_photos(source, out, progress)


def images_for_specialist(
    source: Path, dataset: str | None, out: Path | None, specialist: Path | None, progress: Progress
) -> tuple[ShardDataset, EngineSpec]:
    """Opens the images that a trained specialist annotates, and gives the engine that generates.

    Args:
        source: folder of the run that the specialist lies in, or any of :func:`images_for_tool` where
            ``specialist`` is given.
        dataset: name of the run's dataset.
        out: folder of the dataset that photos become.
        specialist: folder of the specialist; None where it lies in the run.
        progress: what the copying of photos reports to.

    Raises:
        RunError: there is no such run or dataset.
    """
    if specialist is not None and not (source / "steps").is_dir():
        return images_for_tool(source, dataset, out, progress), DEFAULT_SPEC
    if out is not None:
        raise RunError(f"{source} is no folder of photos, so --out says nothing", hint="leave --out out")
    origin = find_origin(source)
    return ShardDataset.open(find_dataset(origin, dataset)), origin.engine


def find_dataset(origin: Origin, name: str | None) -> Path:
    """Returns the folder of a run's dataset.

    Args:
        origin: run.
        name: name of the dataset; by default the one that is recaptioned.

    Raises:
        RunError: the run has no such dataset, or there is no run.
    """
    if not origin.run:
        raise RunError(
            f"{origin.name} is not the folder of a run, so it has no specialist",
            hint="give the folder of a run (runs/NAME), or --specialist FOLDER with a dataset",
        )
    wanted = name or origin.recaptioned or ""
    found = origin.datasets.get(wanted)
    if found is None:
        raise RunError(f"{origin.run} has no dataset {wanted!r}", hint=did_you_mean(wanted, origin.datasets))
    return found.folder if isinstance(found, StepResult) else found
