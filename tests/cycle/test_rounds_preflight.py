"""The checks before the rounds: the measure that stops them, and the images whose captions are rewritten."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from PIL import Image

from vila2.cycle.preflight.recipe_preflight import check_names
from vila2.cycle.preflight.rounds_preflight import check_rounds
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import write_dataset
from vila2.errors import ModelError, RecipeError
from vila2.recipe.recipe import Recipe


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def data(tmp_path: Path) -> dict[str, dict]:
    """Pairs of an image and a text, and documents of which some have two images."""
    for name, images in (("coyo", 1), ("mmc4", 2)):
        samples = []
        for number in range(4):
            own = tuple(jpeg() for _ in range(images if number else 1))
            turns = (user(*map(ImagePart, range(len(own)))), assistant("a square"))
            samples.append(Sample(f"{name}-{number}", own, turns))
        write_dataset(tmp_path / name, samples, name=name)
    return {name: {"source": "shards", "path": str(tmp_path / name)} for name in ("coyo", "mmc4")}


def recipe(data: dict[str, dict], mixture: list[str | dict], **more) -> Recipe:
    entries = [{"dataset": one} if isinstance(one, str) else one for one in mixture]
    parts = {"vision": "builtin:world/vision", "language": "builtin:world/language"}
    raw = {"name": "r", "data": data, "model": parts, "stages": {"pretrain": {"mixture": entries}}}
    return Recipe.model_validate(raw | more)


def test_documents_are_left_alone_unless_they_are_named(data, caplog):
    check_rounds(recipe(data, ["coyo", "mmc4"]))
    with pytest.raises(RecipeError, match=r"'mmc4' have several images \(mmc4-1 has 2\)") as caught:
        check_rounds(recipe(data, ["mmc4", "coyo"]))
    assert "cycle.recaption: coyo" in caught.value.hint
    check_rounds(recipe(data, ["mmc4", "coyo"], cycle={"recaption": "coyo"}))
    check_rounds(recipe(data, ["mmc4", "coyo"], cycle={"rounds": 0}))
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        check_rounds(recipe(data, ["mmc4"], cycle={"recaption": "mmc4"}))
    assert "would get one caption for all" in caplog.text


def test_captions_that_nothing_is_trained_on_are_told(data, caplog):
    few = [{"dataset": "coyo", "select": [0, 0.05]}]
    check_rounds(recipe(data, few, cycle={"share": 0.05}))
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        check_rounds(recipe(data, few))
    assert "stage 'pretrain' trains on 5.0% of the images that get captions" in caplog.text


@pytest.mark.parametrize(
    ("kind", "measure", "why"),
    [
        ("captions", "it/wrong attributes", "more of it is not better"),
        ("captions", "it", "the measures of kind captions do not add up"),
        ("pope", "it/random: said yes", "more of it is not better"),
        ("pope", "it/random: accuracy", None),
        ("questions", "it", None),
    ],
)
def test_a_measure_that_cannot_say_when_to_stop_is_refused_before_vila_0(data, kind, measure, why):
    made = recipe(
        data,
        ["coyo"],
        evaluate=[{"name": "it", "kind": kind, "dataset": "coyo"}],
        cycle={"saturation": {"measure": measure}},
    )
    if why is None:
        check_rounds(made)
    else:
        with pytest.raises(RecipeError, match=f"{measure} cannot say when to stop: {why}"):
            check_rounds(made)


def test_a_tokenizer_that_is_not_there_is_named_before_the_rounds(data):
    with pytest.raises(ModelError, match="there is no folder /no/such"):
        check_names(recipe(data, ["coyo"], specialists={"ocr": {}}, merge={"tokenizer": "/no/such"}))
