"""A specialist's recipe: defaults, overrides to recipe and builder, and errors at their line."""

import pytest

from vila2.errors import RecipeError
from vila2.recipe.specialist_recipe import read_specialist_recipe

TEXT = """
start: sft
build: {per_image: 2}
stages:
  tune:
    mixture:
      - {dataset: qa}
      - {dataset: "run:sft", weight: 0.5}
    learning_rate: 3.0e-5
"""


def read(text: str = TEXT, *overrides: str):
    return read_specialist_recipe(text, where="some.yaml", overrides=overrides)


def test_what_a_stage_does_not_say_is_as_in_sft():
    recipe = read()
    stage = recipe.stages["tune"]
    assert (stage.style, stage.batch_size, stage.learning_rate) == ("chat", 1024, 3e-5)
    assert recipe.datasets() == ("qa", "run:sft")


def test_an_override_goes_to_the_recipe_where_it_has_such_a_key_else_to_the_builder():
    recipe = read(
        TEXT, "stages.tune.epochs=3", "per_image=4", "names=[a, b]", "held_out=0.2", "evaluate.limit=7"
    )
    assert recipe.stages["tune"].epochs == 3 and recipe.held_out == 0.2 and recipe.evaluate.limit == 7
    assert recipe.build == {"per_image": 4, "names": ["a", "b"]}


@pytest.mark.parametrize(
    ("text", "overrides", "named"),
    [
        (TEXT.replace("start: sft", "stat: sft"), (), ["some.yaml:2", "stat", "'start'"]),
        (TEXT.replace("learning_rate: 3.0e-5", "learning_rat: 3"), (), ["some.yaml:9", "'learning_rate'"]),
        (TEXT, ("held_out=2",), ["held_out", "less than 1"]),
        (TEXT, ("stages.tune.epoch=2",), ["stages.tune.epoch", "'epochs'"]),
        (TEXT, ("epochs",), ["key=value"]),
        (TEXT, ("start.x=1",), ["start holds no keys"]),
        ("start: sft", (), ["stages", "is missing"]),
        ("- a", (), ["some.yaml", "mapping"]),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text, overrides, named):
    with pytest.raises(RecipeError) as error:
        read(text, *overrides)
    assert all(part in str(error.value) for part in named), str(error.value)
