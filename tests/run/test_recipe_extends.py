"""Recipes that extend others: joined key by key, every problem at its own file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from vila2.errors import RecipeError
from vila2.recipe.file.recipe_file import load_recipe

BASE = """\
name: base
data:
  pictures: {source: folder, path: photos}
model: {vision: some/tower, language: some/model}
stages:
  pretrain:
    mixture: [{dataset: pictures}]
    batch_size: 8
"""


def write(folder: Path, **texts: str) -> Path:
    """Files by name; the path of the first."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{next(iter(texts))}.yaml"


def complaint(path: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides, environment={})
    return str(caught.value).replace(f"{path.parent}/", "")


def test_mappings_are_joined_and_what_stands_in_both_is_the_extending_ones(tmp_path):
    own = """
extends: base.yaml
name: own
data: {more: {source: world}}
stages:
  pretrain: {learning_rate: 1e-6, mixture: [{dataset: more, weight: 2}]}
  sft: {mixture: [{dataset: pictures}]}
"""
    recipe = load_recipe(write(tmp_path, own=own, base=BASE))
    assert (recipe.name, list(recipe.data), list(recipe.stages)) == (
        "own",
        ["pictures", "more"],
        ["pretrain", "sft"],
    )
    pretrain = recipe.stages["pretrain"]
    assert (pretrain.batch_size, pretrain.learning_rate) == (8, 1e-6)
    assert [entry.dataset for entry in pretrain.mixture] == ["more"], "a list is not joined"


def test_null_takes_out_what_an_extended_recipe_says(tmp_path):
    own = "extends: base.yaml\nspecialists: {ocr: null}\nstages: {pretrain: {batch_size: null}}\n"
    base = (
        BASE + "  sft: {mixture: [{dataset: pictures}]}\nspecialists: {ocr: {}, spatial: {}, grounding: {}}\n"
    )
    recipe = load_recipe(write(tmp_path, own=own, base=base), ["specialists.grounding=null"])
    assert list(recipe.specialists) == ["spatial"]
    assert recipe.stages["pretrain"].batch_size != 8, "the default again"
    # Where it is a value, it is that: the default is not none.
    plain = load_recipe(write(tmp_path, own="extends: base.yaml\n", base=BASE)).stages["pretrain"]
    assert plain.deepspeed is not None
    own = "extends: base.yaml\nstages: {pretrain: {deepspeed: null}}\n"
    base = BASE + "    deepspeed: 3\n"
    assert load_recipe(write(tmp_path, own=own, base=base)).stages["pretrain"].deepspeed is None
    # What is taken out and still named is a problem where it is named.
    gone = write(
        tmp_path, own="extends: base.yaml\ndata: {pictures: null, more: {source: world}}\n", base=BASE
    )
    assert complaint(gone).startswith("base.yaml:7: stages.pretrain.mixture.0.dataset")


def test_of_several_the_later_counts_and_settings_count_most(tmp_path):
    path = write(
        tmp_path, own="extends: [base.yaml, a.yaml, b.yaml]", base=BASE, a="{name: a, seed: 1}", b="seed: 2"
    )
    recipe = load_recipe(path, ["name=set"])
    assert (recipe.name, recipe.seed) == ("set", 2)


def test_paths_are_taken_from_beside_the_file_that_names_them(tmp_path):
    (tmp_path / "parts" / "photos").mkdir(parents=True)
    write(tmp_path / "parts", base=BASE)
    recipe = load_recipe(write(tmp_path, own="extends: parts/base.yaml\n"))
    assert recipe.data["pictures"].path == str(tmp_path / "parts" / "photos")


def test_problems_stand_at_their_own_file_and_line(tmp_path):
    wrong = BASE.replace("batch_size: 8", "batch_size: none\n    name: ${NAME}").replace(
        "dataset: p", "dataset: P"
    )
    path = write(tmp_path, own="extends: base.yaml\nseed: -1\nsede: 2\n", base=wrong)
    lines = [line.strip() for line in complaint(path, "threads=0").splitlines()[1:-1]]
    assert [line.split(": ")[0] for line in lines] == [
        *("base.yaml:7", "base.yaml:8", "base.yaml:9", "base.yaml:9"),
        *("own.yaml:2", "own.yaml:3", "--set threads=0"),
    ]
    assert "stages.pretrain.mixture.0.dataset: there is no dataset 'Pictures'" in lines[0]
    assert "the environment variable NAME is not set" in "".join(lines)


def test_a_place_that_was_replaced_is_not_named(tmp_path):
    own = "extends: base.yaml\nstages:\n  pretrain:\n    mixture: [{dataset: a}]\n"
    assert "own.yaml:4: stages.pretrain.mixture.0.dataset" in complaint(write(tmp_path, own=own, base=BASE))


@pytest.mark.parametrize(
    ("own", "more", "expected"),
    [
        (
            "extends: own.yaml",
            {},
            "own.yaml:1: extends: own.yaml -> own.yaml: a recipe can not extend itself",
        ),
        (
            "seed: 1\nextends: a.yaml",
            {"a": "extends: own.yaml"},
            "a.yaml:1: extends: own.yaml -> a.yaml -> own.yaml",
        ),
        ("seed: 1\nextends: gone.yaml", {}, "own.yaml:2: extends: gone.yaml: no such file"),
        ("extends: 3", {}, "own.yaml:1: extends: 3 is no file"),
        ("extends: {a: b}", {}, "is no file"),
        ("extends: a.yaml", {"a": "- 1"}, "a.yaml: a recipe is a mapping of keys"),
        ("extends: a.yaml", {"a": "x: [1"}, "a.yaml:1: this is not YAML"),
    ],
)
def test_what_can_not_be_extended_is_named(tmp_path, own, more, expected):
    assert expected in complaint(write(tmp_path, own=own, **more))


def test_two_may_extend_the_same(tmp_path):
    path = write(
        tmp_path, own="extends: [a.yaml, b.yaml]", a="extends: base.yaml", b="extends: base.yaml", base=BASE
    )
    assert load_recipe(path).name == "base"
