"""Recipes: read with overrides and variables, wrong ones refused with the line and the nearest key."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.recipe.small_recipe import GOOD, KNOWN
from vila2.errors import RecipeError
from vila2.recipe.checks.across import cross_problems
from vila2.recipe.checks.problems import Problem
from vila2.recipe.file.recipe_file import load_recipe, recipe_to_yaml
from vila2.recipe.parts.stage import STAGE_DEFAULTS
from vila2.recipe.recipe import Recipe

FOLDER = Path(__file__).parents[2] / "examples"
# Not those in parts/, which others extend, nor a plugin's own recipe, which is a specialist's.
EXAMPLES = sorted([*FOLDER.glob("*.yaml"), *FOLDER.glob("paper/*.yaml")])


def complaint(path: Path, text: str, *overrides: str) -> str:
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, overrides, known=KNOWN, environment={})
    return str(caught.value).replace(str(path), "small.yaml")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_read_and_written_back_to_the_same(path: Path, tmp_path: Path):
    recipe = load_recipe(path, environment={"VILA2_REALDATA": str(tmp_path)})
    again = tmp_path / "again.yaml"
    again.write_text(recipe_to_yaml(recipe))
    assert load_recipe(again) == recipe


def test_named_stages_have_the_papers_settings_and_can_differ(good: Path):
    recipe = load_recipe(good, ["stages.sft.learning_rate=3e-5", "stages.sft.train=[projector]"])
    align, pretrain, sft = (recipe.stages[name] for name in ("align", "pretrain", "sft"))
    assert (align.learning_rate, pretrain.learning_rate, sft.learning_rate) == (1e-3, 5e-5, 3e-5)
    assert (align.train, pretrain.train) == (("projector",), ("projector", "language"))
    assert sft.train == ("projector",)
    assert (align.deepspeed, pretrain.deepspeed, sft.deepspeed) == (2, 3, 3)
    assert (align.style, sft.style) == ("plain", "chat")
    for stage in recipe.stages.values():
        assert (stage.batch_size, stage.schedule, stage.warmup_ratio) == (1024, "cosine", 0.03)
        assert (stage.weight_decay, stage.epochs) == (0, 1)
    assert list(recipe.stages) == ["align", "pretrain", "sft"] == list(STAGE_DEFAULTS)


def test_a_recipe_says_which_dataset_is_recaptioned_and_where_it_runs(good: Path):
    recipe = load_recipe(good)
    assert (recipe.recaptioned, recipe.folder) == ("pictures", "runs/small")


def test_a_wrong_key_is_named_with_its_line_and_the_nearest(tmp_path: Path):
    text = GOOD.replace("weight: 0.5", "wieght: 0.5")
    said = complaint(tmp_path / "small.yaml", text)
    assert (
        "small.yaml:11: stages.pretrain.mixture.0.wieght: there is no such key; did you mean 'weight'?"
        in said
    )


def test_a_key_in_the_wrong_place_is_shown_its_place(tmp_path: Path):
    said = complaint(tmp_path / "small.yaml", GOOD + "rounds: 3\n")
    assert "small.yaml:16: rounds: there is no such key; did you mean 'cycle.rounds'?" in said


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "source: world",
            "source: wrld",
            "3: data.pictures.source: there is no source 'wrld'; did you mean 'world'?",
        ),
        (
            "dataset: pictures, weight",
            "dataset: picture, weight",
            "11: stages.pretrain.mixture.0.dataset: there is no",
        ),
        (
            "kind: captions",
            "kind: caption",
            "there is no kind of benchmark 'caption'; did you mean 'captions'?",
        ),
        ("weight: 0.5", "weight: 0", "11: stages.pretrain.mixture.0.weight: should be greater than 0, not 0"),
        ("weight: 0.5", "weight: true", "should be a number, not True"),
        (
            "weight: 0.5",
            "weight: 0.5, count: 3",
            "11: stages.pretrain.mixture.0.count: give `weight` (passes) or",
        ),
        ("weight: 0.5", "count: 0", "should be greater than or equal to 1, not 0"),
        (
            "weight: 0.5",
            "select: [0.5, 0.1]",
            "mixture.0.select: [0.5, 0.1]: write [from, to] with 0 <= from < to",
        ),
        ("weight: 0.5", "select: [0.5]", "mixture.0.select: needs at least 2 ent"),
        ("weight: 0.5", "select: [0, 0.1, 1]", "mixture.0.select: Tuple should have at most 2 items"),
        ("weight: 0.5", "view: olny(original)", "11: stages.pretrain.mixture.0.view: unknown view 'olny'"),
        ("weight: 0.5", "view: only(self-1)", "there is no layer 'self-1' when VILA_0 is trained"),
        (
            "weight: 0.5",
            "view: only(ocr)",
            "a layer written before is named under data.pictures.layers",
        ),
        (
            "evaluate:",
            "cycle: {recaption: pictures, view: 'dialogue(original,{layer},ocr)'}\nevaluate:",
            "14: cycle.view: there is no layer under data.pictures.layers: 'ocr'",
        ),
        ("  vision: some/tower\n", "", "4: model: `vision` missing"),
        (
            "  vision:",
            "  projector: mlp_upsample\n  vision:",
            "5: model.projector: 'mlp_upsample' is none of linear, mlp2x_gelu",
        ),
        (
            "  vision:",
            "  visual_expert: 0\n  vision:",
            "5: model.visual_expert: should be dense, or a rank of at least 1",
        ),
        ("  sft:\n", "  sft:\n    train: [visual_expert]\n", "13: stages.sft.train: no visual_expert there"),
        ("  vision: some/tower\n", "  pretrained: x/y\n", "give either `pretrained`, or"),
        (
            "evaluate:",
            "cycle: {share: 1.5}\nevaluate:",
            "14: cycle.share: should be a number above 0 and up to 1, or [from, to] with 0 <= from < to <= "
            "1, not 1.5",
        ),
        (
            "evaluate:",
            "cycle: {stage: pretrian}\nevaluate:",
            "14: cycle.stage: there is no stage 'pretrian'; did you",
        ),
        ("evaluate:", "cycle: {view: only(original)}\nevaluate:", "does not use the newest layer"),
        (
            "evaluate:",
            "cycle: {prompts: [long-v4]}\nevaluate:",
            "there is no prompt 'long-v4'; did you mean 'long-v",
        ),
        (
            "evaluate:",
            "cycle: {recaption: photos}\nevaluate:",
            "cycle.recaption: there is no dataset 'photos'",
        ),
        ("evaluate:", "cycle:\nevaluate:", "14: cycle: should be a mapping of keys, not nothing"),
        ("name: small", "name: ../up", "1: name: '../up' is no name"),
        ("name: small", "name: small\nname: big", "2: name: this key stands twice, also in line 1"),
        ("evaluate:", "cycle: {prompts: []}\nevaluate:", "14: cycle.prompts: needs at least 1 entry"),
        ("some/tower", "''", "5: model.vision: is empty"),
        ("name: small", "name: ${NAME}", "1: name: the environment variable NAME is not set"),
        ("some/tower", "!!python/object:os.system x", "has no meaning in a recipe"),
        (
            "- {name: captions",
            "- {name: captions, kind: captions, dataset: pictures}\n  - {name: captions",
            "two bench",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, expected: str):
    assert old in GOOD
    assert expected in complaint(tmp_path / "small.yaml", GOOD.replace(old, new, 1))


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path):
    text = (
        GOOD.replace("name: small", "nmae: small")
        .replace("source: world", "source: wrld")
        .replace("0.5", "-1")
    )
    lines = complaint(tmp_path / "small.yaml", text).splitlines()
    places = [line.split(": ")[0].strip() for line in lines[1:-1]]
    assert places == ["small.yaml:1", "small.yaml:1", "small.yaml:3", "small.yaml:11"]  # `name` misses too
    assert lines[0].startswith("4 problems")


def test_stages_out_of_order_are_refused(tmp_path: Path):
    text = GOOD.replace("  align:", "  sft:", 1)
    text = text[::-1].replace("  sft:"[::-1], "  align:"[::-1], 1)[::-1]
    assert "stages.align: comes before stage 'sft'" not in GOOD
    assert "write the stages in order of training" in complaint(tmp_path / "small.yaml", text)


def test_lora_trains_the_language_model_only(tmp_path: Path):
    text = GOOD.replace("  sft:\n", "  sft:\n    lora: {rank: 4}\n")
    assert "13: stages.sft.lora: LoRA trains the language model" in complaint(tmp_path / "small.yaml", text)
    (tmp_path / "small.yaml").write_text(
        text.replace("{rank: 4}", "{rank: 4}\n    train: [projector, language]")
    )
    assert load_recipe(tmp_path / "small.yaml").stages["sft"].lora.rank == 4


def test_an_existing_model_needs_no_alignment(tmp_path: Path):
    text = GOOD.replace("  vision: some/tower\n  language: some/model\n", "  pretrained: some/vlm\n")
    assert "stages.align: alignment teaches a fresh projector" in complaint(tmp_path / "small.yaml", text)
    text = text.replace("some/vlm\n", "some/vlm\n  max_tiles: 4\n")
    assert "6: model.max_tiles: `pretrained` has its own" in complaint(tmp_path / "small.yaml", text)


def test_settings_of_the_model_are_read_and_written_back(tmp_path: Path):
    settings = "  s2_scales: [1, 2, 3]\n  max_tiles: 12\n  visual_expert: dense\n  projector: transformer\n"
    text = GOOD.replace("  language:", settings + "  language:").replace(
        "  sft:\n", "  sft:\n    image_size: 448\n"
    )
    (tmp_path / "small.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "small.yaml")
    assert recipe.model.s2_scales == (1, 2, 3) and recipe.model.visual_expert == "dense"
    assert recipe.stages["sft"].image_size == 448
    (tmp_path / "again.yaml").write_text(recipe_to_yaml(recipe))
    assert load_recipe(tmp_path / "again.yaml") == recipe


def test_a_file_that_is_not_yaml_is_named_with_its_line(tmp_path: Path):
    assert "small.yaml:2: this is not YAML" in complaint(tmp_path / "small.yaml", "name: a\n  b: c\n")
    assert "a recipe is a mapping of keys" in complaint(tmp_path / "small.yaml", "- a\n")
    assert "a recipe is a mapping of keys" in complaint(tmp_path / "small.yaml", "")


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"nothing\.yaml"):
        load_recipe(tmp_path / "nothing.yaml")


def test_overrides_reach_into_everything(good: Path):
    recipe = load_recipe(
        good,
        [
            "seed=7",
            "data.pictures.options.count=12",
            "data.pictures.options.new.deep=yes",
            "stages.pretrain.mixture.0.weight=2",
            "stages.sft.train=[projector, language]",
            "stages.sft.lora.rank=8",
            "cycle.rounds=2",
            "report.title=a: b",
        ],
    )
    assert (recipe.seed, recipe.report.title) == (7, "a: b")
    assert recipe.data["pictures"].options == {"count": 12, "new": {"deep": "yes"}}
    assert recipe.stages["pretrain"].mixture[0].weight == 2
    assert (recipe.stages["sft"].lora.rank, recipe.cycle.rounds) == (8, 2)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "stages.sft.epoch=2",
            "--set stages.sft.epoch=2: stages.sft.epoch: there is no such key; did you mean 'epochs'?",
        ),
        (
            "data.picture.options.count=2",
            "data.picture: there is no 'picture' here; did you mean 'pictures'?",
        ),
        (
            "stages.sft.epochs=many",
            "--set stages.sft.epochs=many: stages.sft.epochs: should be a valid number",
        ),
        ("evaluate.4.limit=2", "evaluate.4: the list has 1 entries"),
        ("seed.x=2", "seed: there is no"),
        (
            "learning_rate=1",
            "did you mean 'stages.NAME.learning_rate' or 'cycle.preference.learning_rate'?",
        ),
        ("seed", "--set seed: not of the form key=value"),
        ("seed=[", "--set seed=[: seed: this is not YAML"),
    ],
)
def test_a_wrong_override_is_named_as_such(tmp_path: Path, override: str, expected: str):
    if override == "seed.x=2":
        expected = "seed: holds 1, which has no keys"
    said = complaint(tmp_path / "small.yaml", "seed: 1\n" + GOOD, override)
    assert expected in said
    assert "--set" in said


def test_variables_are_filled_in_and_paths_beside_the_recipe_are_found(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    path = tmp_path / "small.yaml"
    path.write_text(
        GOOD.replace("{source: world, options: {count: 3}}", "{source: folder, path: photos}")
        .replace("some/tower", "${WEIGHTS:-no/such/folder}/tower")
        .replace("some/model", "builtin:world/language")
        .replace("name: small", 'name: ${NAME}\nseed: ${SEED:-4}\noutput: "${OUT}/{name}"')
    )
    recipe = load_recipe(path, environment={"NAME": "of-env", "OUT": "/elsewhere"})
    assert (recipe.name, recipe.seed, recipe.folder) == ("of-env", 4, "/elsewhere/of-env")
    assert recipe.data["pictures"].path == str(tmp_path / "photos")
    assert recipe.model.vision == "no/such/folder/tower"
    assert recipe.model.language == "builtin:world/language"


def test_yaml_of_version_1_2(tmp_path: Path):
    path = tmp_path / "small.yaml"
    options = "{rate: 1e-3, word: no, day: 2024-01-01, big: 1_000, none: ~, quoted: '12', clock: 12:30}"
    path.write_text(GOOD.replace("{count: 3}", options))
    assert load_recipe(path).data["pictures"].options == {
        "rate": 0.001, "word": "no", "day": "2024-01-01", "big": 1000,
        "none": None, "quoted": "12", "clock": "12:30",
    }  # fmt: skip


def test_anchors_and_merges_are_followed(tmp_path: Path):
    path = tmp_path / "small.yaml"
    path.write_text(
        GOOD.replace(
            "  pictures: {source: world, options: {count: 3}}\n",
            "  pictures: &base {source: world, options: {count: 3}}\n  others: {<<: *base, options: {count: "
            "9}}\n",
        )
    )
    data = load_recipe(path).data
    assert (data["others"].source, data["others"].options["count"], data["pictures"].options["count"]) == (
        "world",
        9,
        3,
    )


def test_layers_written_before_are_found_beside_the_recipe(good: Path, tmp_path: Path):
    (tmp_path / "ocr").mkdir()
    text = GOOD.replace("options: {count: 3}", "options: {count: 3}, layers: {ocr: ocr, other: elsewhere}")
    good.write_text(text.replace("weight: 0.5", "view: 'dialogue(original,ocr)'"))
    recipe = load_recipe(good, ["cycle.rounds=0"])
    assert recipe.data["pictures"].layers == {"ocr": str(tmp_path / "ocr"), "other": "elsewhere"}
    assert recipe.stages["pretrain"].mixture[0].view == "dialogue(original,ocr)"


def test_a_recipe_is_checked_once_in_a_file_and_in_python(good: Path, monkeypatch: pytest.MonkeyPatch):
    checked: list[object] = []

    def counted(raw: object, *more: object) -> list[Problem]:
        checked.append(raw)
        return cross_problems(raw, *more)

    monkeypatch.setattr("vila2.recipe.checks.across.cross_problems", counted)
    monkeypatch.setattr("vila2.recipe.file.recipe_file.cross_problems", counted)
    raw = load_recipe(good).model_dump()
    assert len(checked) == 1
    raw["cycle"]["stage"] = "pretrian"
    with pytest.raises(ValidationError, match="there is no stage 'pretrian'"):
        Recipe.model_validate(raw)
    assert len(checked) == 2
