"""Recipes that vila2 ships, named from anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from vila2.errors import RecipeError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.recipe.file.shipped_recipes import shipped_recipes, summary_of


def test_a_shipped_recipe_is_run_and_extended_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe("builtin:miniature").name == "miniature"
    own = tmp_path / "own.yaml"
    own.write_text("extends: [builtin:miniature-cycle]\nname: own\n")
    assert (load_recipe(own).name, load_recipe(own).cycle.rounds) == ("own", 4)


def test_every_shipped_recipe_reads_and_says_what_it_is_for():
    for name, file in shipped_recipes().items():
        assert load_recipe(Path(name)).name == file.stem
        assert len(summary_of(file)) > 20 and not summary_of(file).startswith("#")


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(RecipeError, match=r"(?s)ships no such recipe.*'builtin:miniature'"):
        load_recipe("builtin:minature")
