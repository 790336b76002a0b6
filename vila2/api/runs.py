"""``vila2.improve`` and ``vila2.specialize``: whole recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vila2.api.recipes import read_recipe
from vila2.cycle.improve import RunOutcome, run_recipe
from vila2.recipe.parts.data import DatasetSpec
from vila2.run.displays import live_progress
from vila2.specialist.made import specialist_folder
from vila2.specialist.origin import Origin, find_origin
from vila2.specialist.specialist_job import prepare_job
from vila2.specialist.specializing import SpecialistOutcome, specialize as make_specialist


def improve(
    recipe: Path | str,
    out: Path | str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    controls: Sequence[str] = (),
    quiet: bool = True,
) -> RunOutcome:
    """Runs a whole recipe, or goes on with it: trains, recaptions, retrains, measures, reports.

    Args:
        recipe: YAML file of the recipe.
        out: folder of the run; by default ``output`` of the recipe.
        settings: changes of the recipe, such as ``{"stages.sft.epochs": 2}``.
        controls: names of controls to train beside it.
        quiet: whether to show no progress.

    Returns:
        Results, report, and the folders of models and layers.

    Raises:
        Vila2Error: whatever is wrong, before the first work where it can be known by then.

    Example:
        >>> vila2.improve("recipe.yaml")["model"]["folder"]
    """
    changes = [f"{key}={value}" for key, value in (settings or {}).items()]
    loaded = read_recipe(Path(recipe), changes)
    loaded = loaded.model_copy(update={"controls": (*loaded.controls, *controls)})
    folder = Path(out) if out is not None else Path(loaded.folder)
    return run_recipe(loaded, folder, dry_run=False, progress=live_progress(quiet=quiet))


def specialize(
    plugin: str,
    source: Path | str | None = None,
    *,
    data: Path | str | None = None,
    out: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    quiet: bool = True,
) -> SpecialistOutcome:
    """Makes a specialist: builds a plugin's data, fine-tunes the generalist on it, and compares the two.

    Args:
        plugin: name of the plugin.
        source: generalist to start from: a run, a checkpoint or ``builtin:miniature``; by default the latest
            run.
        data: file or folder to build the training set from; by default as the plugin's recipe says.
        out: folder of the specialist.
        settings: changes of the builder or the recipe, such as ``{"stages.sft.epochs": 2}``.
        quiet: whether to show no progress.

    Returns:
        The specialist's checkpoint, its scores beside the generalist's, and the report.

    Raises:
        Vila2Error: whatever is wrong.

    Example:
        >>> vila2.specialize("ocr", "runs/mine", data="receipts.jsonl")["model"]
    """
    origin = find_origin(str(source) if source is not None else None)
    read = None if data is None else DatasetSpec(source="path", path=str(data))
    changes = [f"{key}={value}" for key, value in (settings or {}).items()]
    job = prepare_job(plugin, origin, read, overrides=changes)
    folder = Path(out) if out is not None else default_folder(origin, plugin)
    return make_specialist(job, folder, progress=live_progress(quiet=quiet))


def default_folder(origin: Origin, plugin: str) -> Path:
    """Gives the folder of a specialist that none was named for."""
    if origin.run is not None:
        return specialist_folder(origin.run, plugin)
    return Path("runs") / f"{origin.name}-{plugin}"
