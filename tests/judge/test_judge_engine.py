"""Engines as judges: both orders, resumed after a kill, and told apart by whether they look."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.judge.judging import Judge, blind, first_shown, longer, looking, two_layers, write_layer
from vila2.data.layers import Layer, original_layer
from vila2.data.shards import ShardDataset
from vila2.engine.protocol import GenerationSettings
from vila2.errors import DataError, RunError
from vila2.judge.engine_votes import ask_pairs
from vila2.judge.judging_job import Work, describe_engine, open_votes, write_judged
from vila2.judge.pairs import choose_checks, choose_pairs
from vila2.run.board import Board

SETTINGS = GenerationSettings(max_new_tokens=8)


def judged(work: Work, engine: Judge, folder: Path, batch_size: int = 4):
    described = describe_engine(engine, SETTINGS)
    with open_votes(folder, work, described) as book:
        ask_pairs(
            work.pairs,
            work.dataset,
            engine,
            book,
            settings=SETTINGS,
            batch_size=batch_size,
            progress=Board(),
        )
        return write_judged(folder, work, described, book)


def chosen(folder: Path, count: int = 30, check: bool = True, images: int = 40, **options) -> Work:
    return Work.choose(*two_layers(folder, images, **options), count=count, check=check, seed=0)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    return chosen(tmp_path_factory.mktemp("judge") / "set")


def test_a_judge_that_looks_is_told_so_and_finds_the_right_layer(work: Work, tmp_path: Path):
    engine = Judge("looking", looking)
    found = judged(work, engine, tmp_path)
    assert len(engine.asked) == len(set(engine.asked)) == 2 * (30 + 20)
    [match] = found["matches"]
    assert (match["lost"], match["won"], match["preferred"]) == (30, 0, "original")
    assert match["win_rate"] == [0, 0, pytest.approx(1 - 0.025 ** (1 / 30))]
    assert found["check"]["right"][0] == 1 and found["check"]["sees"] == "yes"
    assert found["trust"]["agrees"][0] == 1


def test_a_judge_that_prefers_by_the_letters_is_told_that_it_cannot_see(tmp_path: Path):
    dataset, layers = two_layers(tmp_path / "set", 200)
    chosen = choose_pairs(dataset, layers, count=20, seed=0)
    checks = choose_checks(dataset, "original", layers["original"], count=200, seed=0)
    found = judged(Work(dataset, layers, chosen, checks, 0), Judge("blind", blind), tmp_path / "out", 64)
    assert found["trust"]["agrees"][0] == 1  # with itself, which is no sign of sight
    assert found["check"]["count"] == 200 and found["check"]["sees"] == "no"
    assert 0.4 < found["check"]["right"][0] < 0.6


def test_a_judge_of_length_prefers_the_longer_layer_and_guesses_in_the_check(work: Work, tmp_path: Path):
    found = judged(work, Judge("longer", longer), tmp_path)
    assert found["matches"][0]["win_rate"][0] == 1
    assert found["matches"][0]["controlled"] is None and not found["matches"][0]["can_control"]
    assert found["check"]["sees"] == "no"  # own and foreign texts are equally long


def test_a_judge_of_places_disagrees_with_itself(work: Work, tmp_path: Path):
    found = judged(work, Judge("first", first_shown), tmp_path)
    assert found["matches"][0]["kinds"] == {"inconsistent": 30}
    assert found["matches"][0]["win_rate"][0] == 0.5 and found["matches"][0]["preferred"] is None
    assert found["trust"]["agrees"][0] == 0 and found["check"]["sees"] == "no"


def test_a_stopped_job_goes_on_and_asks_nothing_twice(work: Work, tmp_path: Path):
    first = Judge("looking", looking, stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        judged(work, first, tmp_path / "a")
    again = Judge("looking", looking)
    found = judged(work, again, tmp_path / "a")
    assert len(first.asked) == 3 * 4 * 2 and not set(first.asked) & set(again.asked)
    whole = judged(work, Judge("looking", looking), tmp_path / "b")
    assert found == whole
    assert (tmp_path / "a/votes.jsonl").read_bytes() == (tmp_path / "b/votes.jsonl").read_bytes()


def killing_itself(folder: Path) -> None:
    """Judges until it is killed within its third batch; runs in a process of its own."""

    class Killed(Judge):
        def stop(self) -> None:
            os.kill(os.getpid(), 9)

    dataset = ShardDataset.open(folder / "set")
    layers = {
        "original": original_layer(dataset),
        "self-1": Layer.open(folder / "set/layers/self-1"),
    }
    work = Work.choose(dataset, layers, count=30, check=False, seed=0)
    judged(work, Killed("looking", looking, stop_after=2), folder / "out")


def test_after_kill_9_the_votes_are_there_and_the_same_command_goes_on(tmp_path: Path):
    work = chosen(tmp_path / "set", check=False)
    code = f"from test_judge_engine import *; killing_itself(Path({str(tmp_path)!r}))"
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    result = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths})
    assert result.returncode == -9
    with (tmp_path / "out/votes.jsonl").open("ab") as file:
        file.write(b"12345678 {torn")
    engine = Judge("looking", looking)
    found = judged(work, engine, tmp_path / "out")
    assert len(engine.asked) == 2 * 30 - 2 * 2 * 4
    assert found["matches"][0]["lost"] == 30


def test_more_pairs_go_on_in_the_same_folder_but_another_judge_does_not(work: Work, tmp_path: Path):
    few = Work.choose(work.dataset, work.layers, count=10, check=False, seed=0)
    judged(few, Judge("looking", looking), tmp_path)
    engine = Judge("looking", looking)
    more = Work.choose(work.dataset, work.layers, count=14, check=False, seed=0)
    assert judged(more, engine, tmp_path)["pairs"]["scored"] == 14
    assert len(engine.asked) == 8
    with pytest.raises(DataError, match=r"judge\.name: looking there, longer now"):
        judged(more, Judge("longer", longer), tmp_path)
    other = Work.choose(work.dataset, work.layers, count=10, check=False, seed=1)
    with pytest.raises(DataError, match="seed: 0 there, 1 now"):
        judged(other, Judge("looking", looking), tmp_path)
    with open_votes(tmp_path, more, describe_engine(engine, SETTINGS)), pytest.raises(RunError):
        judged(more, engine, tmp_path)


def test_an_image_that_cannot_be_read_costs_its_pair_alone(tmp_path: Path):
    work = chosen(tmp_path / "set", count=40, check=False, damaged=[3, 7])
    found = judged(work, Judge("looking", looking), tmp_path / "out")
    assert found["pairs"] == {"chosen": 40, "scored": 38, "kinds": {"decided": 38, "error": 2}}


def test_what_is_no_verdict_is_counted_and_not_used(work: Work, tmp_path: Path):
    def chatty(picture, a: str, b: str) -> str:
        return "A is better" if "surely" in a else "B"

    found = judged(work, Judge("chatty", chatty), tmp_path)
    assert found["matches"][0]["kinds"] == {"unparsed": 30} and found["matches"][0]["win_rate"] is None
    assert found["trust"]["verdicts"]["unparsed"] == 30


def test_the_same_text_is_not_shown_and_is_a_tie(tmp_path: Path):
    dataset, layers = two_layers(tmp_path / "set", 8)
    same = write_layer(dataset, "self-2", lambda number: layers["original"].get(f"{number:04d}")[0].text)
    work = Work.choose(
        dataset, {"original": layers["original"], "self-2": same}, count=8, check=False, seed=0
    )
    engine = Judge("looking", looking)
    found = judged(work, engine, tmp_path / "out")
    assert engine.asked == [] and found["matches"][0]["kinds"] == {"identical": 8}


def test_three_layers_are_ranked(tmp_path: Path):
    dataset, layers = two_layers(tmp_path / "set")

    def right_half_of_the_time(number: int) -> str:
        return layers["original"].get(f"{number:04d}")[0].text + "!" if number % 8 < 4 else "a wall"

    layers["self-2"] = write_layer(dataset, "self-2", right_half_of_the_time)
    work = Work.choose(dataset, layers, count=120, check=False, seed=0)
    found = judged(work, Judge("looking", looking), tmp_path / "out", batch_size=16)
    assert len(found["matches"]) == 3
    strength = {row["layer"]: row["strength"][0] for row in found["strengths"]}
    assert strength["original"] == 0 > strength["self-2"] > strength["self-1"]
