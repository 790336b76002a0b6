"""Exchanges: narration, referring, regions; short and long; recipes."""

from __future__ import annotations

import pytest
from conftest import ROW, row_file
from vila2.data.coordinates import CoordinateScheme
from vila2.data.exchanges import exchanges_of
from vila2.data.sample import BoxPart
from vila2.plugin.references import read_packaged
from vila2.recipe.specialist_recipe import read_specialist_recipe
from vila2.specialist.specialist_job import tokens_and_coordinates

from vila2_grounding import PROMPTS, QUESTIONS, vila2_specialists
from vila2_grounding.__main__ import main
from vila2_grounding.builder import GroundingBuilder


def by_kind(sample):
    found = {}
    for one in exchanges_of(sample):
        found.setdefault(one.kind, []).append(one)
    return found


def test_each_kind_of_exchange(tmp_path, build):
    samples, refused = build(row_file(tmp_path, ROW), referring=9, regions=9)
    assert not refused
    found = by_kind(samples[0])
    text = CoordinateScheme().to_text(found["narration"][0].answer.parts)
    assert text == (
        "  a brown dog [0.100,0.200,0.300,0.500] and two cats "
        "[0.300,0.100,0.500,0.400][0.600,0.100,0.800,0.400] on a wall  "
    )
    assert found["narration"][0].question.text in PROMPTS
    asked = {one.question.text: one.answer.parts for one in found["referring"]}
    dog = next(answer for question, answer in asked.items() if "the brown dog" in question)
    assert dog == (BoxPart((0.1, 0.2, 0.3, 0.5)),)
    assert [one.answer.text for one in found["region"]] == ["a brown dog"]
    assert found["region"][0].question.parts[1] == BoxPart((0.1, 0.2, 0.3, 0.5))


def test_what_is_ambiguous_is_not_asked_for(tmp_path, build):
    row = {**ROW, "ref_exps": [], "noun_chunks": ROW["noun_chunks"][:1] + ROW["noun_chunks"][2:]}
    samples, _ = build(row_file(tmp_path, row), referring=9, regions=9)
    assert set(by_kind(samples[0])) == {"narration"}


@pytest.mark.parametrize(
    ("settings", "subset"),
    [
        ({}, "grounded"),
        ({"split": True}, "short"),
        ({"split": True, "long_words": 9}, "long"),
        ({"split": True, "long_words": 10}, "short"),
        ({"split": True, "long_words": 9, "long_boxes": 4}, "short"),
        ({"split": True, "long_words": 9, "long_boxes": 3}, "long"),
    ],
)
def test_short_and_long_by_words_and_boxes(tmp_path, build, settings, subset):
    assert build(row_file(tmp_path, ROW), **settings)[0][0].meta["subset"] == subset


def test_captions_of_one_image_share_it_and_have_keys_of_their_own(tmp_path, build):
    (tmp_path / "a.jpg").write_bytes(b"")
    rows = [{**ROW, "image": f"{ROW['key']}.jpg", "caption_index": n} for n in range(2)]
    samples, _ = build(row_file(tmp_path, *rows))
    assert len({sample.key for sample in samples}) == 2
    assert len({sample.meta["image"] for sample in samples}) == 1


def test_the_command_counts(tmp_path, capsys):
    large = {**ROW, "key": "large", "noun_chunks": [[2, 13, 0, 0, 1, 1, 1]], "ref_exps": []}
    assert main([str(row_file(tmp_path, ROW, large)), "split=true"]) == 0
    printed = capsys.readouterr().out
    assert "samples: 1\n" in printed and "short" in printed and "no-box" in printed
    assert main([str(tmp_path / "nothing")]) == 1


def test_the_prompt_of_the_paper_and_other_questions():
    assert PROMPTS[0].endswith("specify their location with [xmin,ymin,xmax,ymax].")
    assert len(QUESTIONS) > 2 and not set(QUESTIONS) & set(PROMPTS)


def test_a_recipe_chooses_between_location_tokens_and_text():
    specialist = vila2_specialists()[0]
    for override, coordinates in (([], "tokens"), (["coordinates=text"], "text")):
        text = read_packaged("vila2_grounding/recipe.yaml", of="test")
        recipe = read_specialist_recipe(text, where="recipe", overrides=override)
        assert tokens_and_coordinates(specialist, recipe) == {"tokens": [], "coordinates": coordinates}


def test_recipes_are_sound_and_name_what_is_built():
    recipes = {
        name: read_specialist_recipe(read_packaged(f"vila2_grounding/{name}", of="test"), where=name)
        for name in ("recipe.yaml", "recipes/paper.yaml")
    }
    assert recipes["recipe.yaml"].datasets() == ("grounded", "run:sft")
    paper = recipes["recipes/paper.yaml"]
    assert paper.datasets() == ("short", "run:captions", "long", "run:instructions")
    assert [stage.learning_rate for stage in paper.stages.values()] == [2e-5, 1e-4]
    assert paper.build["split"] is True
    for recipe in recipes.values():
        assert {name for name in recipe.datasets() if ":" not in name} <= set(GroundingBuilder.subsets)
