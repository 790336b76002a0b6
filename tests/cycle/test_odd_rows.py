"""Runs on rows without images, on rows that a stage cannot train on, and rounds with unusable captions."""

import json
import logging

import pytest
from PIL import Image

from tests.model.tiny_families import FAMILIES
from vila2.cli.tables import print_plan
from vila2.cycle.improve import improve, run_recipe
from vila2.cycle.usable import check_usable, unusable_line
from vila2.data.layers import Layer
from vila2.errors import RecipeError, RunError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.board import Board
from vila2.run.steps import Run

TEMPLATE = (
    "{% for m in messages %}{{ m.role }}:{% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}"
    "{{ p.text }}{% endif %}{% endfor %}<s>{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)
RECIPE = """
name: odd
threads: 1
processes: 1
data:
  rows: {{source: llava, path: {rows}, options: {{image_root: {images}}}}}
model: {{pretrained: {model}}}
stages:
  pretrain: {{style: chat, train: [projector], mixture: [{{dataset: rows}}],
             learning_rate: 1.0e-3, batch_size: 4,
              max_length: 300, deepspeed: null}}
cycle: {{rounds: {rounds}, max_new_tokens: 1, batch_size: 4}}  # no caption can end
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    FAMILIES["llava"][0](folder / "model")
    (folder / "model" / "chat_template.jinja").write_text(TEMPLATE)
    (folder / "images").mkdir()
    for number in range(4):
        Image.new("RGB", (48, 40), (60 * number, 80, 90)).save(folder / "images" / f"{number}.png")
    return folder


def shown(number: int, question: str = "What?") -> dict:
    said = [
        {"from": "human", "value": f"<image>\n{question}"},
        {"from": "gpt", "value": f"Picture {number}."},
    ]
    return {"id": f"shown-{number}", "image": f"{number}.png", "conversations": said}


def told(number: int) -> dict:
    said = [{"from": "human", "value": f"Say {number}."}, {"from": "gpt", "value": f"{number}."}]
    return {"id": f"told-{number}", "conversations": said}


def recipe(place, name: str, rows: list[dict], *, rounds: int = 0, sets: tuple[str, ...] = ()):
    (place / f"{name}.json").write_text(json.dumps(rows))
    text = RECIPE.format(
        rows=place / f"{name}.json", images=place / "images", model=place / "model", rounds=rounds
    )
    (place / f"{name}.yaml").write_text(text)
    return load_recipe(place / f"{name}.yaml", [f"name={name}", *sets])


def done(place, loaded, **options):
    return run_recipe(loaded, place / "runs" / loaded.name, dry_run=False, progress=Board(), **options)


MIXED = [*(told(n) for n in range(30)), *(shown(n) for n in range(4))]


def test_a_round_over_rows_of_which_most_are_texts_ends_in_a_report(place, caplog):
    with caplog.at_level(logging.WARNING, "vila2"):
        outcome = done(place, recipe(place, "mixed", MIXED, rounds=1))
    examples = outcome["results"]["examples"]
    assert {example["key"] for example in examples} == {f"shown-{n}" for n in range(4)}
    assert all(example["image"] for example in examples)
    folder = place / "runs" / "mixed"
    (layer,) = [Layer.open(path) for path in folder.glob("steps/self-1-*")]
    assert layer.count == 4 and layer.info["without_image"] == 30 and "error" not in layer.statuses
    notes = outcome["results"]["notes"]
    assert "Layer self-1: 30 samples have no image and stay as they are." in notes
    assert any("none of 4 captions can be used" in note for note in notes), "four tell nothing: it goes on"
    assert any("none of 4 captions can be used" in record.getMessage() for record in caplog.records)
    assert (folder / "report.html").read_text().count("<img") == 4
    stage = next(
        json.loads(path.read_text())["results"] for path in folder.glob("steps/vila1-pretrain-*/done.json")
    )
    assert stage["samples"] == 34, "texts are trained on as before"


def test_a_run_on_texts_alone_has_a_report_too(place):
    outcome = done(place, recipe(place, "texts", [told(n) for n in range(6)]))
    examples = outcome["results"]["examples"]
    assert len(examples) == 6 and not any(example["image"] for example in examples)
    assert "Say 3." in (place / "runs" / "texts" / "report.html").read_text()


def test_a_round_over_texts_alone_is_refused_before_the_training(place):
    with pytest.raises(RecipeError, match="no sample of 'rows' has an image") as caught:
        done(place, recipe(place, "nothing", [told(n) for n in range(30)], rounds=1))
    assert "cycle.rounds: 0" in caught.value.hint
    assert not (place / "runs" / "nothing").exists()


def test_a_dry_run_names_the_samples_that_will_be_left_out(place, capsys):
    rows = [shown(0, "Why? " * 100), shown(1), shown(2), told(0)]
    outcome = run_recipe(recipe(place, "dry", rows), place / "runs" / "dry", dry_run=True, progress=Board())
    found = outcome["samples"]["pretrain"]
    assert found["key"] == "shown-1", "what is shown is the first that can be trained on"
    assert found["left_out"]["rows"]["looked_at"] == 4
    (row,) = found["left_out"]["rows"]["left_out"]
    assert row["key"] == "shown-0" and "max_length=300" in row["reason"]
    print_plan(outcome, place / "runs" / "dry", False)
    printed = capsys.readouterr().out
    assert "left out         1 of the first 4 samples of rows:" in printed and "shown-0: " in printed


def test_a_run_whose_samples_all_do_not_fit_ends_before_it_begins(place):
    rows = [shown(n, "Why? " * 100) for n in range(4)]
    with pytest.raises(RecipeError, match="stage pretrain: none of the first 4 samples of 'rows'") as caught:
        done(place, recipe(place, "all", rows))
    assert "raise the stage's max_length" in caught.value.hint
    assert "stages.pretrain.max_left_out=1" in caught.value.hint


def test_what_a_stage_left_out_stands_in_the_report(place):
    outcome = done(
        place,
        recipe(place, "some", [shown(0, "Why? " * 100), *map(shown, range(1, 4)), *map(told, range(4))]),
    )
    (note,) = [note for note in outcome["told"] if "left out" in note]
    assert note.startswith(
        "VILA_0, stage pretrain: 1 of 8 samples cannot be trained on and are left out (1 x nothing"
    )
    assert note in outcome["results"]["notes"] and "left_out.jsonl" in note


def test_the_two_shares_change_no_step(place):
    def digests(*sets: str) -> list[str]:
        loaded = recipe(place, "shares", MIXED, rounds=1, sets=sets)
        run = Run.open(place / "runs" / "shares", dry=True)
        improve(loaded, run)
        return [step.digest for step in run.plan]

    assert digests() == digests("stages.pretrain.max_left_out=0.5", "cycle.max_unusable=0.3")
    (training, *_) = [stage.digested() for stage in recipe(place, "shares", MIXED).stages.values()]
    assert "max_left_out" not in training


def results(**status: int) -> dict:
    return {"captions": sum(status.values()), "status": status}


@pytest.mark.parametrize(
    "status, told",
    [
        ({"ok": 0, "truncated": 30, "empty": 2}, "none of 32 captions can be used (30 truncated, 2 empty)"),
        ({"ok": 1, "repetition": 39}, "1 of 40 captions can be used (39 repetition)"),
    ],
)
def test_a_round_without_usable_captions_stops_with_the_counts_and_what_to_do(status, told):
    status = {name: count for name, count in status.items() if count}
    with pytest.raises(RunError) as caught:
        check_usable("self-1", results(**status), 0.95)
    assert told in caught.value.what and "cycle.max_unusable" in caught.value.what
    hint = {"truncated": "cycle.max_new_tokens", "repetition": "cycle.repetition_penalty"}
    commonest = max((name for name in status if name != "ok"), key=status.__getitem__)
    assert hint[commonest] in caught.value.hint and "cycle.max_unusable=1" in caught.value.hint
    check_usable("self-1", results(**status), 1.0)


def test_few_unusable_captions_are_no_matter(caplog):
    with caplog.at_level(logging.WARNING, "vila2"):
        check_usable("self-1", results(ok=60, truncated=40), 0.5)
        assert not caplog.records and unusable_line("self-1", results(ok=60, truncated=40)) == ""
        check_usable("self-1", results(ok=20, truncated=80), 0.95)
    assert "20 of 100 captions can be used (80 truncated)" in caplog.text


def test_a_run_stops_before_it_trains_on_captions_of_no_use(place):
    rows = [{**shown(n % 4), "id": f"shown-{n}"} for n in range(12)]
    loaded = recipe(place, "useless", rows, rounds=1)
    with pytest.raises(RunError, match="none of 12 captions can be used"):
        done(place, loaded)
    steps = [path.parent.name for path in (place / "runs" / "useless").glob("steps/*/done.json")]
    assert any(name.startswith("self-1") for name in steps) and not any("vila1" in name for name in steps)
    again = recipe(place, "useless", rows, rounds=1, sets=("cycle.max_unusable=1",))
    assert done(place, again)["results"]["best"] == "VILA_1"
