"""Recipes of any content: they are read back as they were written, and no text breaks the reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from tests.recipe.small_recipe import GOOD
from vila2.errors import RecipeError
from vila2.recipe.file.recipe_file import load_recipe, recipe_to_yaml
from vila2.recipe.parts.values import LARGEST
from vila2.recipe.recipe import Recipe

plain_text = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12
).filter(lambda text: "${" not in text)
looks_like_something = st.sampled_from(
    ["1e-3", "yes", "null", "12:30", "<<", "0x1F", "~", "- a", "a: b", ".5", "1_0"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-LARGEST, LARGEST)
    | st.floats(allow_nan=False)
    | plain_text
    | looks_like_something
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        plain_text | looks_like_something,
        st.recursive(
            scalars,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_text, inner, max_size=3),
        ),
        max_size=4,
    )
)
def test_whatever_a_recipe_holds_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, options: dict
):
    path = tmp_path_factory.mktemp("recipe") / "r.yaml"
    path.write_text(GOOD)
    raw = load_recipe(path).model_dump()
    raw["data"]["pictures"]["options"] = options
    recipe = Recipe.model_validate(raw)
    path.write_text(recipe_to_yaml(recipe), encoding="utf-8")
    assert load_recipe(path) == recipe


@pytest.mark.parametrize("number", [LARGEST, -LARGEST, LARGEST + 1, -LARGEST - 1, 10**30])
def test_a_recipe_holds_no_number_that_its_file_cannot(good: Path, number: int):
    raw = load_recipe(good).model_dump()
    raw["data"]["pictures"]["options"] = {"deep": [{"number": number}]}
    good.write_text(GOOD.replace("count: 3", f"deep: [{{number: {number}}}]"))
    if abs(number) <= LARGEST:
        assert load_recipe(good) == Recipe.model_validate(raw)
        return
    with pytest.raises(ValidationError, match="more than 64 bits"):
        Recipe.model_validate(raw)
    with pytest.raises(RecipeError, match="digits is too large"):
        load_recipe(good)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.integers(0, len(GOOD)))
def test_no_text_breaks_the_reader(tmp_path_factory: pytest.TempPathFactory, inserted: str, at: int):
    path = tmp_path_factory.mktemp("recipe") / "r.yaml"
    path.write_text(GOOD[:at] + inserted + GOOD[at:], encoding="utf-8", errors="surrogatepass")
    try:
        load_recipe(path, environment={})
    except RecipeError as error:
        assert str(path) in str(error)
