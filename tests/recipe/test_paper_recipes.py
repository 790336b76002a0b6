"""The recipes under examples/: they hold the papers' amounts, and without data they say what to put where."""

from __future__ import annotations

from pathlib import Path

import pytest

from vila2.data.mixtures import select_range
from vila2.data.portions import Portion
from vila2.errors import RecipeError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.sources import SOURCES
from vila2.sources.first_samples import first_samples

EXAMPLES = Path(__file__).parents[2] / "examples"
PAPER = sorted((EXAMPLES / "paper").glob("*.yaml"))
KNOWN = {"source": SOURCES, "prompt": ["long-v1", "long-v2", "long-v3"]}


def paper(name: str, **environment: str):
    return load_recipe(EXAMPLES / "paper" / f"{name}.yaml", known=KNOWN, environment=environment)


@pytest.mark.parametrize("path", PAPER, ids=lambda path: path.stem)
def test_without_data_every_missing_path_is_named_with_its_mend(path, tmp_path):
    recipe = load_recipe(path, known=KNOWN, environment={"DATA": str(tmp_path), "LAYERS": str(tmp_path)})
    with pytest.raises(RecipeError) as caught:
        first_samples(recipe.data_in_use)
    said = str(caught.value)
    for name, spec in recipe.data_in_use.items():
        assert f"data.{name}: {spec.path}" in said
    assert "--set data.NAME.path=" in said


def test_the_stages_have_the_settings_of_table_8():
    stages = paper("8b").stages
    assert [stage.learning_rate for stage in stages.values()] == [1e-3, 5e-5, 2e-5]
    assert [stage.deepspeed for stage in stages.values()] == [2, 3, 3]
    assert {
        (s.batch_size, s.schedule, s.warmup_ratio, s.weight_decay, s.epochs) for s in stages.values()
    } == {(1024, "cosine", 0.03, 0, 1)}


@pytest.mark.parametrize("name", ["7b", "8b", "13b"])
def test_the_models_of_a_4_1_differ_in_the_language_model_alone(name):
    recipe, other = paper(name), paper("8b")
    assert recipe.data == other.data
    assert [stage.mixture for stage in recipe.stages.values()] == [
        stage.mixture for stage in other.stages.values()
    ]
    assert recipe.data["align"].options["count"] == 595_000
    assert [entry.dataset for entry in recipe.stages["pretrain"].mixture] == ["coyo", "mmc4", "sharegpt4v"]


def test_the_large_sft_blend_holds_the_small_one():
    small, large = (
        {e.dataset: e for e in paper(n).stages["sft"].mixture} for n in ("ablation-5-percent", "8b")
    )
    assert (len(small), len(large)) == (19, 36), "A.3 and Table 7"
    assert small.items() <= large.items()
    assert (small["flan"].count, large["sharegpt4v-100k"].count) == (1_000_000, 100_000)


def test_half_of_the_five_percent_are_recaptioned():
    recipe = paper("ablation-5-percent")
    assert recipe.cycle.rounds == 4, "VILA_1 to VILA_4 of Table 3"
    keys = [f"k{number}" for number in range(20_000)]
    entry = recipe.stages["pretrain"].mixture[0]
    trained = Portion(entry.weight, entry.count, entry.select).numbers(len(keys), lambda: keys, recipe.seed)
    rewritten = [n for n, key in enumerate(keys) if select_range(key, *recipe.cycle.part, recipe.seed)]
    assert set(rewritten) < set(trained.tolist())
    assert 0.45 < len(rewritten) / len(trained) < 0.55
    assert "sharegpt4v" not in recipe.data_in_use


def test_the_three_subsets_of_the_40b_model_are_disjoint():
    recipe = paper("40b-three-subsets")
    keys = [f"k{number}" for number in range(25_000)]  # a thousandth of COYO-25M
    taken = [
        set(
            Portion(e.weight, e.count // 1000, e.select)
            .numbers(len(keys), lambda: keys, recipe.seed)
            .tolist()
        )
        for e in recipe.stages["pretrain"].mixture
    ]
    assert [len(numbers) for numbers in taken] == [2500, 2500, 2500]
    assert len(set.union(*taken)) == 7500
    assert [e.view for e in recipe.stages["pretrain"].mixture] == [
        "only(original)", "only(by-vila-3)", "only(by-vila-3-spatial)"
    ]  # fmt: skip


def test_the_other_40b_recipe_goes_on_from_a_checkpoint():
    recipe = paper("40b-continued", STAGE2="/runs/40b/model")
    assert (recipe.model.pretrained, recipe.model.language) == ("/runs/40b/model", None)
    assert [entry.count for entry in recipe.stages["pretrain"].mixture] == [3_750_000, 200_000]
