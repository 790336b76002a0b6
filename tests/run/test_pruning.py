"""Models that nothing starts from any more are deleted; what needs one later makes it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run.plain_steps import Plain, plain_step
from vila2.run.pruning import is_pruned, prune
from vila2.run.steps import Run

#: What was done, in order.
DONE: list[str] = []


def train(folder: Path, settings, inputs, progress):
    for path in inputs.values():
        assert (path / "model/config.json").is_file(), path
    DONE.append(settings["name"])
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model/config.json").write_text(settings["name"])
    return {"loss": 1.0}


def walk(run: Run, *, rounds: int = 2, seed: int = 0):
    """parts -> align -> sft, and of every round another sft from the same align."""
    settings = {"seed": seed}
    parts = run.step("parts", plain_step(train), settings=Plain(**{"name": "parts"}), inputs={})
    align = run.step("align", plain_step(train), settings=Plain(**{"name": "align"}), inputs={"model": parts})
    return [
        run.step(
            f"sft{number}",
            plain_step(train),
            settings=Plain(**{"name": f"sft{number}"} | settings),
            inputs={"model": align},
        )
        for number in range(rounds)
    ]


def plan(folder: Path, **changes):
    dry = Run.open(folder, dry=True)
    return walk(dry, **changes), dry.plan


def names(folder: Path) -> set[str]:
    return {path.parent.name.rpartition("-")[0] for path in folder.glob("steps/*/model")}


@pytest.fixture(autouse=True)
def fresh():
    DONE.clear()


def test_what_an_unfinished_step_starts_from_stays(tmp_path):
    with Run.open(tmp_path) as run:
        walk(run, rounds=1)
    _, steps = plan(tmp_path, rounds=2)  # the second round is still to come
    assert set(prune(steps, [], why="keep: best")) == {"parts", "sft0"}
    assert names(tmp_path) == {"align"}


def test_a_pruned_step_keeps_its_results_and_says_what_became_of_its_model(tmp_path):
    with Run.open(tmp_path) as run:
        walk(run)
    made, steps = plan(tmp_path)
    prune(steps, [made[1].folder], why="keep: best")
    assert names(tmp_path) == {"sft1"}
    with Run.open(tmp_path) as run:
        again = walk(run)
    assert DONE == ["parts", "align", "sft0", "sft1"]  # nothing was done twice
    assert all(step.done and step.results == {"loss": 1.0} for step in again)
    assert is_pruned(again[0].folder) and not is_pruned(again[1].folder)
    assert prune(plan(tmp_path)[1], [made[1].folder], why="keep: best") == {}


def test_what_needs_a_pruned_model_makes_it_again_from_the_beginning(tmp_path):
    with Run.open(tmp_path) as run:
        walk(run)
    prune(plan(tmp_path)[1], [], why="keep: best")
    changed, steps = plan(tmp_path, seed=1)
    assert [(step.name, step.state) for step in steps] == [
        ("parts", "again"), ("align", "again"), ("sft0", "pending"), ("sft1", "pending"),
    ]  # fmt: skip
    DONE.clear()
    with Run.open(tmp_path) as run:
        walk(run, seed=1)
    assert DONE == ["parts", "align", "sft0", "sft1"]
    assert names(tmp_path) == {"parts", "align", "sft0", "sft1"} and not changed[0].done
    assert not any(map(is_pruned, [path.parent for path in tmp_path.glob("steps/*/model")]))


def test_a_kill_while_a_model_is_made_again_leaves_it_to_the_next_run(tmp_path):
    with Run.open(tmp_path) as run:
        made = walk(run)
    prune(plan(tmp_path)[1], [], why="keep: best")

    def stop(*arguments):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Run.open(tmp_path) as run:
        parts = run.step("parts", plain_step(train), settings=Plain(**{"name": "parts"}), inputs={})
        stop.__name__ = train.__name__
        align = run.step(
            "align", plain_step(stop), settings=Plain(**{"name": "align"}), inputs={"model": parts}
        )
        run.need(align)
    assert is_pruned(align.folder)
    with Run.open(tmp_path) as run:
        run.need(walk(run)[1])
    assert (made[1].folder / "model/config.json").read_text() == "sft1"


def test_status_says_that_a_model_was_pruned(tmp_path):
    from typer.testing import CliRunner

    from vila2.cli.main import app

    with Run.open(tmp_path) as run:
        walk(run)
    prune(plan(tmp_path)[1], [], why="keep: best")
    shown = CliRunner().invoke(app, ["status", str(tmp_path)]).stdout
    assert shown.count("its model pruned") == 4
