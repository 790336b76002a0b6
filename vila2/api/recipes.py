"""Reads a recipe with all names that it may use on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vila2.caption.prompts import PROMPTS
from vila2.engine.registry import engine_names
from vila2.errors import Vila2Error
from vila2.evaluate.benchmarks import benchmark_kinds
from vila2.model.loading import builtin_models
from vila2.plugin.discovery import installed_plugins
from vila2.recipe.file.recipe_file import load_recipe
from vila2.recipe.recipe import Recipe
from vila2.sources import source_names, source_options


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a recipe; also checks its names of sources, prompts, benchmarks, engines, plugins and models.

    Args:
        path: YAML file.
        overrides: changes, as ``KEY=VALUE``.

    Raises:
        RecipeError: the recipe is not sound.
    """
    known = {
        "source": source_names(),
        "prompt": list(PROMPTS),
        "benchmark": benchmark_kinds(),
        "engine": engine_names(),
        "plugin": [plugin.name for plugin in installed_plugins()],
        "builtin": list(builtin_models()),
    }
    return load_recipe(path, list(overrides), known=known, options=_options_of)


def _options_of(source: str) -> list[str] | None:
    """The options of a source; None if it is unknown or broken, which other checks report."""
    try:
        return [name for name in source_options(source) if name != "path"]
    except Vila2Error:
        return None
