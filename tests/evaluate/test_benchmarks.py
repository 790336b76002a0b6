"""The benchmarks of a recipe: every kind with a real, tiny model, its intervals and what was said."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from vila2.cycle.preflight.recipe_preflight import check_benchmark
from vila2.data.sample import Sample
from vila2.data.shards import write_dataset
from vila2.engine.protocol import Answer
from vila2.errors import ModelError, RecipeError
from vila2.evaluate.benchmarks import KINDS, find_kind, more_is_better
from vila2.evaluate.kinds.captions import captions, score_captions
from vila2.evaluate.score_step import ScoredBenchmark, ScoreSettings, evaluate
from vila2.model.assemble import assemble
from vila2.model.saving import save_model
from vila2.recipe.parts.evaluate import BenchmarkSpec
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.sources.world import Scene, detailed_caption, generator
from vila2.sources.world.vocabulary import COLOURS, SHAPES

ASKING = ("captions", "questions", "pope", "relations", "consistency", "image_text")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    write_dataset(
        folder / "test", open_source("world", split="test", count=4, content="test", questions=1), name="test"
    )
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, folder / "model")
    return {"model": folder, "data.test": folder / "test"}


def run(kind, inputs, folder, **settings):
    spec = BenchmarkSpec(
        name=f"my-{kind}", kind=kind, dataset="test", max_new_tokens=6, repeats=2, **settings
    )
    job = ScoreSettings(benchmarks=(ScoredBenchmark.of(spec),), seed=0, dtype="float32")
    measures = evaluate(folder, job, inputs, Board())["measures"]
    return {row["name"]: row for row in measures}, json.loads((folder / f"said-my-{kind}.json").read_text())


@pytest.mark.parametrize("kind", ASKING)
def test_a_kind_is_measured_with_intervals_and_keeps_what_was_said(kind, inputs, tmp_path):
    measures, said = run(kind, inputs, tmp_path)
    assert measures and said
    items = json.loads((tmp_path / "items.json").read_text())
    for name, row in measures.items():
        item = items[f"my-{kind}/{name}"]
        total = sum(item["denominators"])
        assert row["count"] == len(item["keys"]) <= 4  # images, whatever the number of questions
        more = item["higher_is_better"] is True
        assert more == more_is_better(kind, name), "it is known before it is measured"
        if row["value"] is not None:
            assert row["value"] == pytest.approx(sum(item["numerators"]) / total)
            assert row["low"] <= row["value"] + 1e-9 and row["value"] <= row["high"] + 1e-9
    together = {(item["unit"], item["higher_is_better"]) for item in items.values()}
    assert more_is_better(kind, "") == (together == {("share", True)}), "a whole benchmark is one measure"
    (tmp_path / "again").mkdir()
    assert run(kind, inputs, tmp_path / "again")[0] == measures


def test_every_kind_can_be_loaded_and_those_that_ask_are_tested_here():
    assert {*ASKING, "choices", "alignment"} == set(KINDS)
    assert all(callable(find_kind(kind).run) for kind in KINDS)


def test_a_question_can_be_put_in_other_words(inputs, tmp_path):
    _, said = run("pope", inputs, tmp_path, prompt="{question} Is {object} there?")
    thing = said[0]["item"].split("#")[1]
    assert said[0]["question"] == f"Is there {thing} in the image? Is {thing} there?"


def test_questions_state_what_their_commonest_answer_would_score(inputs, tmp_path):
    measures, said = run("questions", inputs, tmp_path)
    answers = [row["answer"] for row in said if row["kind"] == "count"]
    commonest = max(answers.count(answer) for answer in answers) / len(answers)
    assert measures["count"]["baseline"] == pytest.approx(commonest)


def test_true_captions_are_precise_and_what_they_leave_out_is_not_recalled():
    samples = list(open_source("world", split="test", count=60, content="test", questions=1))
    scenes = [Scene.from_json(sample.meta["scene"]) for sample in samples]
    true = [detailed_caption(scene, generator("c", scene.key), spatial=1, words=1) for scene in scenes]
    found = {name: items.value for name, items in score_captions(samples, true).items()}
    assert all(
        found[f"{kind} precision"] == 1 for kind in ("object", "attribute", "relation", "read-text", "count")
    )
    assert found["absent objects"] == found["repeated objects"] == found["wrong attributes"] == 0
    recalls = ("object recall", "attribute recall", "relation recall", "read-text recall")
    assert all(0.1 < found[name] < 1 for name in recalls)
    first = [text.split(".")[0] + "." for text in true]
    less = {name: items.value for name, items in score_captions(samples, first).items()}
    assert all(less[name] < found[name] for name in recalls)
    swapped = {name: items.value for name, items in score_captions(samples, true[1:] + true[:1]).items()}
    assert swapped["captions with an absent object"] > 0.4 and swapped["wrong attributes"] > 0.5
    assert all(swapped[name] < found[name] for name in recalls)


def test_a_stutter_an_invention_and_a_wrong_color_are_counted_apart():
    samples = list(open_source("world", split="test", count=40, content="test", questions=1))
    faults = ("absent objects", "repeated objects", "wrong attributes")
    texts: dict[str, list[str]] = {fault: [] for fault in faults}
    for sample in samples:
        scene = Scene.from_json(sample.meta["scene"])
        things = Counter(f"{thing.size} {thing.name}" for thing in scene.objects)
        thing = scene.objects[0]
        true = f"There is a {thing.size} {thing.name}."
        unseen = next((one for one in SHAPES if all(t.shape != one for t in scene.objects)), None)
        absent = f" There is a {thing.colour} {unseen}." if unseen else ""
        color = next(one for one in COLOURS if all(t.colour != one for t in scene.objects))
        texts["absent objects"].append(true + absent)
        texts["repeated objects"].append(true * (things[f"{thing.size} {thing.name}"] + 1))
        texts["wrong attributes"].append(f"There is a {color} {thing.shape}.")
    for fault in faults:
        found = score_captions(samples, texts[fault])
        assert found[fault].value > 0.9, fault
        assert all(found[other].value == 0 for other in faults if other != fault), fault
        assert found["object recall"].value > 0.15 or fault == "wrong attributes"


def test_what_a_kind_needs_is_looked_for_before_any_work(tmp_path):
    bare = Sample("photo", (b"",))
    for kind in ("pope", "relations"):
        with pytest.raises(RecipeError, match="neither evidence nor questions"):
            check_benchmark(BenchmarkSpec(name="b", kind=kind, dataset="d"), bare)
    with pytest.raises(ModelError, match="no image-text scorer"):
        check_benchmark(BenchmarkSpec(name="b", kind="image_text", dataset="d", scorer=str(tmp_path)), bare)


def test_marked_captions_are_counted(inputs, tmp_path):
    measures, said = run("captions", inputs, tmp_path)
    marked = [row["status"] != "ok" for row in said]  # cut after six tokens, most of them
    assert measures["marked captions"]["value"] == sum(marked) / 4 > 0


def test_people_s_captions_are_contrasted_too_where_there_are_any(inputs, tmp_path):
    scenes = open_source("world", split="test", count=4, content="test", questions=1)
    samples = [replace(one, meta={**one.meta, "references": [one.turns[-1].text]}) for one in scenes]
    write_dataset(tmp_path / "test", samples, name="test")
    measures, _ = run("image_text", inputs | {"data.test": tmp_path / "test"}, tmp_path)
    for name in ("own image preferred", "gain of the own image, nats per word"):
        assert {name, f"people's captions: {name}"} <= measures.keys()
    assert measures["people's captions: own image preferred"]["baseline"] == 0.5


def test_a_caption_that_contradicts_itself_is_asked_again_and_the_first_consistent_one_is_scored():
    class Stutters:
        """Contradicts itself until its answers are sampled with the second seed."""

        name = digest = "stutters"

        def generate(self, requests, settings):
            said = "A red cube." if settings.seed == 2 else "There is a red cube. There is a red cube."
            return [Answer(said, "stop", 9) for _ in requests]

    samples = list(open_source("world", split="test", count=4, content="test", questions=1))
    spec = BenchmarkSpec(name="c", kind="captions", dataset="d", batch_size=3)
    for attempts, text, marked in ((1, "There is", 0), (2, "There is", 1), (9, "A red cube.", 0)):
        asked = spec.model_copy(update={"attempts": attempts})
        outcome = captions(Stutters(), samples, asked, Board())
        assert all(row["text"].startswith(text) for row in outcome.said)
        assert outcome.items["marked captions"].value == marked
