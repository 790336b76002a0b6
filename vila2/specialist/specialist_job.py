"""A job: what a specialist is made of (plugin, recipe, generalist and data), checked before any work."""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from pydantic import ValidationError

from vila2.engine.registry import check_engine
from vila2.errors import DataError, PluginError, RecipeError, Vila2Error
from vila2.nearest import did_you_mean
from vila2.plugin.checks import load_part
from vila2.plugin.contract import Specialist
from vila2.plugin.discovery import Installed
from vila2.plugin.host import Host
from vila2.plugin.references import call, read_packaged
from vila2.recipe.checks.problems import Problem, mapping, sequence
from vila2.recipe.file.extends import recipe_text as read_recipe_text
from vila2.recipe.parts.data import DatasetSpec
from vila2.recipe.parts.engine import DEFAULT_SPEC, EngineSpec
from vila2.recipe.specialist_recipe import RUN, SpecialistRecipe, read_specialist_recipe
from vila2.specialist.origin import Origin

if TYPE_CHECKING:
    from vila2.run.step_files import StepResult


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a specialist is made of, checked as far as this is possible before the work.

    Attributes:
        plugin: installed plugin.
        specialist: specialist that the plugin describes.
        recipe: recipe of the plugin or the user, overrides applied.
        recipe_from: file or package that the recipe was read from.
        origin: generalist that it starts from.
        data: what the builder reads: a path, or a source that is imported first.
        mix: folders of datasets that stand in for ``run:STAGE``.
        subsets: names of the subsets that the builder makes.
        builder_version: version of the builder.
        images: the run's own dataset, where the builder reads it and the run is under way.
        engine: engine that asks generalist and specialist the held-out questions.
    """

    plugin: Installed
    specialist: Specialist
    recipe: SpecialistRecipe
    recipe_from: str
    origin: Origin
    data: DatasetSpec
    mix: tuple[Path, ...]
    subsets: tuple[str, ...]
    builder_version: int
    images: StepResult | None = None
    engine: EngineSpec = DEFAULT_SPEC

    @property
    def name(self) -> str:
        """The name of the specialist, which is the plugin's."""
        return self.specialist.name


def prepare_job(
    plugin: str,
    origin: Origin,
    data: DatasetSpec | None,
    *,
    recipe: Path | None = None,
    overrides: Sequence[str] = (),
    mix: Sequence[Path] = (),
    engine: EngineSpec | None = None,
    told_as: str = "--set",
) -> Job:
    """Finds and checks what a specialist is made of.

    Args:
        plugin: name of the plugin.
        origin: generalist to start from; see :func:`vila2.specialist.origin.find_origin`.
        data: what to build from. With source ``path``, the builder reads a file or folder as it lies; any
            other source is imported first. None: what the recipe says, else the run's own images where they
            carry evidence.
        recipe: file of a recipe that replaces the plugin's own.
        overrides: changes of the recipe, as ``KEY=VALUE``.
        mix: folders of datasets that stand in for ``run:STAGE``.
        engine: engine that asks the models; None stands for the origin's.
        told_as: way in which the overrides were given, for errors.

    Raises:
        Vila2Error: the plugin, the recipe, a setting of the builder, a stage or a dataset is missing or
            wrong.
    """
    host = Host()
    installed, specialist = host.plugin(plugin), host.specialist(plugin)
    where, text = _where_and_text(recipe, installed, specialist)
    builder = load_part(specialist, "builder", of=str(installed))
    subsets = tuple(builder.subsets)
    read = read_specialist_recipe(
        text,
        where=where,
        overrides=overrides,
        miniature=origin.miniature,
        told_as=told_as,
        check=lambda raw: _problems(raw, installed, specialist, subsets, origin),
    )
    data = data or read.data
    images = None if data else origin.images_under_way
    engine = engine or origin.engine
    _, found, *_ = _check_all(
        lambda: check_engine(engine),
        lambda: _checked_data(data, images, origin, installed, specialist),
        lambda: origin.start(read.start),
        lambda: _check_mixtures(read, origin, mix),
    )
    return Job(
        installed,
        specialist,
        read,
        where,
        origin,
        cast(DatasetSpec, found),
        tuple(mix),
        subsets,
        builder.version,
        images,
        engine,
    )


def _where_and_text(recipe: Path | None, plugin: Installed, specialist: Specialist) -> tuple[str, str]:
    """The place of the recipe, the user's or else the plugin's own, and its text."""
    if recipe is None:
        return specialist.recipe, read_packaged(specialist.recipe, of=f"{plugin}, recipe")
    return str(recipe), _read(recipe, f"{plugin}, --recipe")


def builder_config(job: Job, data: Path) -> Any:
    """Returns the builder's settings, of the class that the plugin declares, with the data to read."""
    kind = load_part(job.specialist, "config", of=str(job.plugin))
    return call(partial(kind, data=data, **job.recipe.build), of=f"{job.plugin}, config")


def config_settings(job: Job) -> tuple[dict[str, Any], dict[str, Path]]:
    """Returns the builder's settings with their defaults, and apart from them those that are paths.

    Of a path, the content counts and not the name.
    """
    config = builder_config(job, Path(job.data.path or "."))
    paths = {name: value for name, value in config if isinstance(value, Path) and name != "data"}
    settings: dict[str, Any] = config.model_dump(mode="json", exclude={"data", *paths})
    return settings, paths


class VocabularyNeeds(TypedDict):
    """What a specialist needs in a model's vocabulary: tokens, and a way of writing coordinates."""

    tokens: list[dict[str, Any]]
    coordinates: str | None


def tokens_and_coordinates(specialist: Specialist, recipe: SpecialistRecipe) -> VocabularyNeeds:
    """Returns what a specialist needs in a model's vocabulary.

    Coordinates in the recipe win over the plugin's.
    """
    return {
        "tokens": [spec.to_json() for spec in specialist.tokens],
        "coordinates": recipe.coordinates or specialist.coordinates,
    }


def recipe_text(job: Job) -> str:
    """Returns the recipe, as it is run, as YAML."""
    from vila2.recipe.file.yaml import write_yaml

    return write_yaml(job.recipe.model_dump(mode="json"))


def what_it_reads(specialist: Specialist) -> str:
    """Returns the end of a hint: which data a plugin reads, and how to name it."""
    reads = specialist.reads or "COCO JSON, text boxes, 3D boxes, questions, datasets with evidence"
    return (
        f"{specialist.name!r} reads {reads}. Name it: --data PATH, or specialists.{specialist.name}.data: "
        "{source: path, path: PATH} in a run's recipe; docs/specialize.md says more. Toy scenes to try it "
        "out: --data world:split=specialist,count=1000, or "
        "{source: world, options: {split: specialist, count: 1000}}"
    )


def _own_data(origin: Origin, plugin: Installed, specialist: Specialist) -> DatasetSpec:
    """The images that the generalist was trained on.

    Raises:
        RecipeError: there are none, or they carry no evidence.
    """
    from vila2.data.evidence import Evidence
    from vila2.data.shards import ShardDataset

    if images := origin.images_under_way:
        return DatasetSpec(source="path", path=str(images.folder))
    folder = origin.datasets.get(origin.recaptioned or "")
    if isinstance(folder, Path):
        dataset = ShardDataset.open(folder)
        if len(dataset) and Evidence.of(dataset[0]) is not None:
            return DatasetSpec(source="path", path=str(folder))
    raise RecipeError(
        f"{plugin}: no data to build from: "
        + (
            "the images of the run carry no evidence"
            if folder
            else f"{origin.name} is a checkpoint without a run"
        ),
        hint=what_it_reads(specialist),
    )


def _checked_data(
    data: DatasetSpec | None,
    images: StepResult | None,
    origin: Origin,
    plugin: Installed,
    specialist: Specialist,
) -> DatasetSpec:
    """The data that is named, or else the generalist's own images.

    Raises:
        RecipeError: no data is named, and the generalist has no images with evidence.
        DataError: there is no such file or folder.
    """
    data = data or _own_data(origin, plugin, specialist)
    if data.source == "path" and not images and not os.path.exists(str(data.path)):
        raise DataError(
            f"{data.path}: no such file or folder to build from",
            hint=f"check the path; {what_it_reads(specialist)}",
        )
    return data


def _check_mixtures(recipe: SpecialistRecipe, origin: Origin, mix: Sequence[Path]) -> None:
    """Checks that what the generalist was trained on is there, where a mixture names it.

    Raises:
        RunError: there is no such stage, and no ``--mix`` that stands in for it.
        DataError: a folder is not a dataset.
    """
    from vila2.data.shards import ShardDataset

    for name in recipe.datasets():
        paths = origin.mixture(name, mix)[1] if name.startswith(RUN) else {}
        for key, path in paths.items():
            if key.startswith("data.") and isinstance(path, Path):
                ShardDataset.open(path)


def _check_all(*checks: Callable[[], object]) -> list[object]:
    """Makes all checks, and returns what they return.

    Raises:
        Vila2Error: one or more checks failed; a single error names all that is wrong.
    """
    results: list[object] = []
    wrong: list[Vila2Error] = []
    for check in checks:
        try:
            results.append(check())
        except Vila2Error as error:
            wrong.append(error)
    _raise_all(wrong)
    return results


def _raise_all(wrong: Sequence[Vila2Error]) -> None:
    """Raises several errors as one; a single one as it is."""
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        lines = [error.what + (f" ({error.hint})" if error.hint else "") for error in wrong]
        raise RecipeError(
            "\n  ".join([f"{len(wrong)} things are missing", *lines]),
            hint="nothing was done; fix them and give the command again",
        ) from wrong[0]


def _problems(
    raw: Mapping[str, Any],
    plugin: Installed,
    specialist: Specialist,
    subsets: Collection[str],
    origin: Origin,
) -> Iterator[Problem]:
    """Finds datasets that the plugin does not build, and settings that its builder does not have."""
    known = [*subsets, *(RUN + stage for stage in origin.mixtures)]
    for stage, settings in mapping(raw.get("stages")).items():
        for number, entry in enumerate(sequence(mapping(settings).get("mixture"))):
            name = mapping(entry).get("dataset")
            if isinstance(name, str) and not name.startswith(RUN) and name not in subsets:
                what = f"{plugin} does not build {name!r}; {did_you_mean(name, known)}"
                yield Problem(("stages", stage, "mixture", number, "dataset"), what)
    kind = load_part(specialist, "config", of=str(plugin))
    given = mapping(raw.get("build"))
    try:
        call(partial(kind, **{"data": Path("."), **given}), of=f"{plugin}, config")
    except PluginError as failed:
        error = failed.__cause__
        if not isinstance(error, ValidationError):
            raise
        for problem in error.errors():
            name = str(problem["loc"][0]) if problem["loc"] else ""
            what = problem["msg"]
            if problem["type"] == "extra_forbidden":
                fields = [field for field in kind.model_fields if field != "data"]
                what = f"{plugin} has no such setting; {did_you_mean(name, fields)}"
            yield Problem(("build", *problem["loc"]), what)
    if "data" in given:
        yield Problem(("build", "data"), "give the data with --data, or as `data` of the recipe")


def _read(path: Path, of: str) -> str:
    """Reads a recipe in a file, or in a package ("vila2_ocr/recipes/paper.yaml")."""
    if path.exists() or path.is_absolute() or len(path.parts) < 2:
        return read_recipe_text(path)
    return _read_packaged(path, of)


def _read_packaged(path: Path, of: str) -> str:
    """Reads a recipe in an installed package.

    Raises:
        RecipeError: there is no recipe of that name.
    """
    try:
        return read_packaged(path.as_posix(), of=of)
    except PluginError as error:
        package = path.parts[0]
        try:
            there = [f"{package}/{name}" for name in _recipes(importlib.resources.files(package))]
        except (ModuleNotFoundError, ValueError):
            there = []
        raise RecipeError(
            f"{path}: no such file, neither here nor in a package",
            hint=did_you_mean(path.as_posix(), there) if there else "give the path of a specialist's recipe",
        ) from error


def _recipes(folder: Traversable, above: str = "") -> Iterator[str]:
    """The YAML files below a package's folder."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir() and not item.name.startswith(("_", ".")):
            yield from _recipes(item, f"{above}{item.name}/")
        elif item.name.endswith((".yaml", ".yml")):
            yield above + item.name
