"""Recipes as people write them wrong: each mistake is named with its place and what to write instead."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from vila2.errors import RecipeError
from vila2.model.loading import builtin_models
from vila2.recipe.file.recipe_file import load_recipe

BASE = """name: y
data:
  rows: {source: llava, path: rows.json}
model: {pretrained: some/model}
stages:
  sft: {train: [projector, language], mixture: [{dataset: rows}], learning_rate: 1e-3, batch_size: 4}
cycle: {rounds: 0}
"""
KNOWN = {"engine": ["transformers"], "plugin": ["ocr", "grounding"], "builtin": list(builtin_models())}


def load(tmp_path: Path, text: str | bytes, *overrides: str):
    path = tmp_path / "r.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_recipe(path, overrides, known=KNOWN)


def complaint(tmp_path: Path, text: str | bytes, *overrides: str) -> str:
    with pytest.raises(RecipeError) as error:
        load(tmp_path, text, *overrides)
    return str(error.value).replace(f"{tmp_path}/", "")


def swapped(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new)


@pytest.mark.parametrize("rate", ["3e-5", "'3e-5'", "3.0e-5", "0.00003", "+3E-5", "${RATE:-3e-5}"])
def test_a_rate_is_a_number_however_it_is_written(tmp_path, rate):
    text = swapped(
        "learning_rate: 1e-3", f'learning_rate: "{rate}"' if "$" in rate else f"learning_rate: {rate}"
    )
    assert load(tmp_path, text).stages["sft"].learning_rate == 3e-5
    if "$" not in rate:
        assert load(tmp_path, BASE, f"stages.sft.learning_rate={rate}").stages["sft"].learning_rate == 3e-5


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "1e-3",
            "'2,5'",
            "r.yaml:6: stages.sft.learning_rate: should be a valid number, not '2,5'; write 2.5",
        ),
        ("1e-3", "50%", "not '50%'; write 0.5"),
        ("1e-3", "1,0e-3", "r.yaml:6: stages.sft.0e-3: there is no such key; a decimal comma ends the value"),
        ("1e-3", ".nan", "r.yaml:6: stages.sft.learning_rate: should be a finite number, not nan"),
        ("batch_size: 4", "batch_size: 010", "write 10, 8 where octal was meant"),
        ("batch_size: 4", "batch_size: 0x10", "not '0x10'; write 16"),
        ("batch_size: 4", "batch_size: '1,000'", "not '1,000'; write 1000"),
        ("batch_size: 4", f"batch_size: {'9' * 5000}", "a number of 5000 digits is too large"),
        ("batch_size: 4", "lora: no", "lora: should be a mapping of keys, not 'no'"),
        ("batch_size: 4", "lora: no", "write null to leave it out"),
        ("batch_size: 4", "lora: yes", "write {} for its defaults"),
        ("batch_size: 4", "gradient_checkpointing: maybe", "should be true or false, not 'maybe'"),
        ("[projector, language]", "language", "should be a list, not 'language'; write [language]"),
        ("[{dataset: rows}]", "{rows: 1.0}", "should be a list, not {'rows': 1.0}; write [{...}]"),
        ("name: y", "name: 12", 'r.yaml:1: name: should be a valid string, not 12; put it in quotes: "12"'),
        ("name: y", "name: !!python/name:os.system [a]", "name: the tag tag:yaml.org,2002:python"),
        ("rows: {source", "- {source", "data: should be a mapping of keys, not [{'source'"),
        ("rows: {source", "- {source", "give each entry a name: NAME: {...}"),
        (
            "cycle: {",
            "cy\u00a0cle: {",
            "r.yaml:7: cy\u00a0cle: there is no such key; it holds a no-break space",
        ),
        (
            "rows.json",
            '"${NOT_SET_ANYWHERE}"',
            "r.yaml:3: data.rows.path: the environment variable NOT_SET_ANYWHERE",
        ),
        ("some/model", "builtin:world/visoin", "r.yaml:4: model.pretrained: there is no shipped model"),
        ("some/model", "builtin:world/visoin", "did you mean 'builtin:world/vision'?"),
        (
            "rounds: 0",
            "rounds: 0, engine: transfomers",
            "r.yaml:7: cycle.engine: there is no engine 'transfomers'; did",
        ),
        (
            "cycle: {",
            "plugins: [orc]\ncycle: {",
            "plugins.0: no plugin 'orc' is installed; did you mean 'ocr'?",
        ),
    ],
)
def test_a_wrong_value_is_named_with_the_right_one(tmp_path, old, new, said):
    assert said in complaint(tmp_path, swapped(old, new))


def test_a_specialist_that_is_not_installed_is_named_with_all_else(tmp_path):
    text = swapped(
        "cycle: {rounds: 0}", "cycle: {rounds: 0, stage: sft}\nspecialists: {grounding: {}, orc: {}}"
    )
    said = complaint(tmp_path, text.replace("batch_size", "batch_sise"))
    assert "r.yaml:8: specialists.orc: no plugin 'orc' is installed; did you mean 'ocr'?" in said
    assert "did you mean 'batch_size'?" in said and "specialists.grounding:" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "r.yaml: a recipe is a mapping of keys, and this is empty"),
        ("- a", "and this is a list"),
        ("hello", "and this is only 'hello'"),
        (BASE.encode("utf-16"), "r.yaml:1: this is UTF-16 text"),
        ((BASE + "# Größe").encode("latin-1"), "r.yaml:8: this is not UTF-8 text (byte 0xf6)"),
        (BASE.encode() + b"\0", "r.yaml:8: this is not YAML: it holds the character U+0000"),
        (BASE.replace("  sft", "\tsft"), "replace the tab with spaces"),
        (BASE.replace("rounds: 0}", "rounds: 0"), "begun in line 7"),
        (BASE + "---\nname: z\n", "a recipe is one document"),
        (BASE.replace("name: y", "name:y"), "put a space after every colon"),
        (BASE.replace("name: y", "name: *y"), "put quotes around a text that begins with *"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        ("b: ${X", "there is no such key"),
    ],
)
def test_a_file_that_is_no_recipe_is_named_as_what_it_is(tmp_path, text, said):
    assert said in complaint(tmp_path, text)


def test_aliases_of_aliases_end_quickly(tmp_path):
    names = "abcdefgh"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{name}: &{name} [{', '.join([f'*{above}'] * 10)}]" for above, name in pairwise(names)]
    assert "aliases make more than" in complaint(tmp_path, "\n".join(lines))


def test_a_folder_names_the_recipes_in_it_and_a_large_file_is_not_read(tmp_path):
    (tmp_path / "good.yaml").write_text(BASE)
    with pytest.raises(RecipeError, match=r"this is a folder\n.*good\.yaml"):
        load_recipe(tmp_path)
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(1 << 33)
    with pytest.raises(RecipeError, match="bytes are no recipe"):
        load_recipe(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("[ocr]", "r.yaml:8: specialists: should be a mapping of keys, not ['ocr']; write {ocr: {}}"),
        ("{ocr: null}", "write {} for its defaults"),
        ("{ocr: {data: texts.jsonl}}", "write {source: ..., path: texts.jsonl}"),
    ],
)
def test_a_specialist_that_is_written_in_another_way_is_told_how(tmp_path, use, said):
    text = swapped("cycle: {rounds: 0}", f"cycle: {{rounds: 0, stage: sft}}\nspecialists: {use}")
    assert said in complaint(tmp_path, text)


def test_an_option_that_its_source_has_not_is_named_at_its_line(tmp_path):
    from vila2.api.recipes import read_recipe

    path = tmp_path / "r.yaml"
    path.write_text(swapped("path: rows.json", "path: rows.json, options: {image_roots: images, count: 3}"))
    with pytest.raises(
        RecipeError, match=r"data\.rows\.options\.image_roots: .*did you mean 'image_root'"
    ) as error:
        read_recipe(path, ["stages.sft.epoch=2"])
    assert "r.yaml:3: " in str(error.value) and "did you mean 'epochs'" in str(error.value)


def test_all_mistakes_come_at_once_from_the_file_and_the_command_line(tmp_path):
    text = (
        BASE.replace("cycle:", "cycel:")
        .replace("batch_size: 4", "batch_sise: 4")
        .replace("source: llava", "sauce: llava")
    )
    said = complaint(
        tmp_path, text, "stages.sft", "seed=[", "threads=0", "stages.sft.mixture=[{dataset: row}]"
    )
    for one in (
        "r.yaml:3: data.rows.sauce: there is no such key; did you mean 'source'?",
        "r.yaml:6: stages.sft.batch_sise: there is no such key; did you mean 'batch_size'?",
        "r.yaml:7: cycel: there is no such key; did you mean 'cycle'?",
        "--set stages.sft: not of the form key=value",
        "--set seed=[: seed: this is not YAML",
        "--set threads=0: threads: should be greater than or equal to 1",
        "--set stages.sft.mixture=[{dataset: row}]: stages.sft.mixture.0.dataset: there is no dataset 'row'",
    ):
        assert one in said, (one, said)
    assert "there is no stage" not in said  # of cycle's default, which nobody wrote


def test_paths_of_specialists_lie_beside_the_recipe_and_variables_are_filled_in(tmp_path, monkeypatch):
    (tmp_path / "boxes.json").write_text("{}")
    (tmp_path / "images").mkdir()
    monkeypatch.setenv("MODELS", "/models")
    text = swapped("some/model", "$MODELS/vlm").replace(
        "cycle: {rounds: 0}", "cycle: {rounds: 0, stage: sft}"
    )
    use = "specialists: {ocr: {data: {source: path, path: boxes.json}, set: {image_root: images}}}\n"
    recipe = load(tmp_path, text + use)
    assert recipe.specialists["ocr"].data.path == str(tmp_path / "boxes.json")
    assert recipe.specialists["ocr"].set == {"image_root": str(tmp_path / "images")}
    assert recipe.model.pretrained == "/models/vlm"
    monkeypatch.chdir(
        tmp_path
    )  # where it was taken from before: as it is written, so that steps stay what they are
    assert load(tmp_path, text + use).specialists["ocr"].data.path == "boxes.json"


def test_no_message_shows_more_than_one_line_of_a_value(tmp_path):
    said = complaint(tmp_path, swapped("name: y", f"name: [{', '.join(['a'] * 500)}]"))
    assert len(re.split("\n", said)[0]) < 300
