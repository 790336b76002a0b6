"""Questions and recipes that the miniature world is trained with."""

import json
import re
from importlib.resources import files

import pytest
from vila2 import Sample
from vila2.recipe.specialist_recipe import read_specialist_recipe

from vila2_ocr.builder import OcrBuilder, OcrConfig
from vila2_ocr.wording import TEMPLATES


@pytest.mark.parametrize("kind", ["sign", "only-sign", "description", "no-text"])
def test_questions_about_signs_use_words_that_the_miniature_knows(kind):
    tokenizer = json.loads((files("vila2.sources.world") / "parts/language/tokenizer.json").read_text())
    for template in TEMPLATES[kind]:
        words = re.findall(r"[a-z]+", template.replace("{on}", "red cube").lower())
        assert [word for word in words if word not in tokenizer["model"]["vocab"]] == []


@pytest.mark.parametrize("name", ["recipe.yaml", "recipes/paper.yaml"])
def test_a_packaged_recipe_trains_on_what_the_builder_fills(name, tmp_path):
    recipe = read_specialist_recipe((files("vila2_ocr") / name).read_text(), where=name)
    built = [dataset for dataset in recipe.datasets() if not dataset.startswith("run:")]
    assert built == list(OcrBuilder.subsets)
    OcrBuilder(OcrConfig(data=tmp_path, **recipe.build))


def test_scenes_are_asked_what_their_signs_say(vila2_world):
    recipe = read_specialist_recipe(
        (files("vila2_ocr") / "recipe.yaml").read_text(), where="recipe", miniature=True
    )
    builder = OcrBuilder(OcrConfig(data=vila2_world, **recipe.build))
    samples = [one for shard in builder.shards() for one in builder.build(shard) if isinstance(one, Sample)]
    assert {kind for one in samples for kind in one.meta["kinds"]} <= {
        "sign",
        "only-sign",
        "description",
        "no-text",
    }
    written = {text["text"] for one in samples for text in one.meta["evidence"].get("texts", ())}
    signs = [
        turn.text
        for one in samples
        for turn, kind in zip(one.turns[2::2], one.meta["kinds"], strict=True)
        if kind in ("sign", "only-sign")
    ]
    assert len(signs) > 20 and set(signs) <= written
