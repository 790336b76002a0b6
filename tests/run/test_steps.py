"""Steps: done once, redone when what they depend on changes, resumable, one process at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest

from tests.run.killable_run import go
from tests.run.plain_steps import Plain, plain_step
from vila2.errors import DataError, RunError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.recipe.parts.values import Later, NotDigested, Part
from vila2.run.digests import digest_path
from vila2.run.step_kinds import StepKind, step_kind
from vila2.run.steps import Run

HERE = Path(__file__).parent


def starts(folder: Path) -> dict[str, int]:
    """How often each step was begun, by the name of its folder without the digest."""
    found: dict[str, int] = {}
    for log in sorted((folder / "steps").glob("*/starts.log")):
        name = log.parent.name.partition("-")[0]
        found[name] = found.get(name, 0) + len(log.read_text().splitlines())
    return found


def copy_text(folder, settings, inputs, progress):
    text = Path(inputs["file"]).read_text() if "file" in inputs else settings["text"]
    (folder / "text").write_text(text)
    return {"length": len(text)}


def test_finished_steps_are_not_done_again(tmp_path: Path):
    first = go(tmp_path, 0, 2)
    again = go(tmp_path, 0, 2)
    assert starts(tmp_path) == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert again == first
    assert again["d"].results == {"total": 390} and again["d"].done


def test_a_changed_setting_does_again_only_what_depends_on_it(tmp_path: Path):
    first = go(tmp_path, 0, 2)
    changed = go(tmp_path, 0, 2, b=3)
    assert starts(tmp_path) == {"a": 1, "b": 2, "c": 1, "d": 2}
    assert changed["c"] == first["c"]
    assert changed["d"].results["total"] > first["d"].results["total"]
    assert go(tmp_path, 0, 2) == first  # and back: both versions are kept
    assert starts(tmp_path) == {"a": 1, "b": 2, "c": 1, "d": 2}


class Told(Part):
    x: int
    processes: Annotated[int, NotDigested] = 1
    younger: Annotated[str, Later] = "as ever"


def test_what_the_machine_decides_reaches_the_function_but_makes_no_other_step(tmp_path: Path):
    told = []

    @step_kind("listen", Told)
    def listen(folder, settings, inputs, progress):
        told.append(settings)

    for processes in (1, 2):
        with Run.open(tmp_path, dry=processes == 1) as run:
            step = run.step("a", listen, settings=Told(x=0, processes=processes), inputs={})
    assert told == [Told(x=0, processes=2)]
    with Run.open(tmp_path) as run:
        assert run.step("a", listen, settings=Told(x=0, processes=3), inputs={}) == step
    assert len(told) == 1 and "processes" not in (step.folder / "done.json").read_text()


def test_a_setting_that_is_younger_than_a_run_does_nothing_again_until_it_is_given(tmp_path: Path):
    @step_kind("listen", Told)
    def listen(folder, settings, inputs, progress):
        return {}

    class Before(Part):
        x: int

    with Run.open(tmp_path) as run:
        before = run.step(
            "a",
            StepKind("listen", Before, listen.work, digested_as="listen"),
            settings=Before(x=0),
            inputs={},
        )
        assert run.step("a", listen, settings=Told(x=0), inputs={}).digest == before.digest
        assert run.step("a", listen, settings=Told(x=0, younger="new"), inputs={}).digest != before.digest


def test_a_steps_digest_does_not_depend_on_where_its_function_lives(tmp_path: Path):
    def here(folder, settings, inputs, progress):
        return {}

    class Elsewhere:
        @staticmethod
        def renamed(folder, settings, inputs, progress):
            return {}

    with Run.open(tmp_path) as run:
        steps = [
            run.step("a", step_kind("one", Plain)(work), settings=Plain(x=1), inputs={})
            for work in (here, Elsewhere.renamed)
        ]
        other = run.step("a", step_kind("other", Plain)(here), settings=Plain(x=1), inputs={})
    assert steps[0] == steps[1] and other.digest != steps[0].digest


def test_a_step_met_twice_is_one_step(tmp_path: Path):
    for dry in (True, False):
        with Run.open(tmp_path, dry=dry) as run:
            first, again = (
                run.step("copy", plain_step(copy_text), settings=Plain(**{"text": "x"}), inputs={})
                for _ in range(2)
            )
        assert again == first
        assert [step.name for step in run.plan] == ["copy"]
    assert [(step.name, step.state) for step in run.board.steps] == [("copy", "done")]


def test_a_newer_function_is_run_again(tmp_path: Path):
    with Run.open(tmp_path) as run:
        one = run.step("copy", plain_step(copy_text), settings=Plain(**{"text": "x"}), inputs={})
        two = run.step("copy", plain_step(copy_text), settings=Plain(**{"text": "x"}), inputs={}, version=2)
    assert one.digest != two.digest and one.folder != two.folder


def test_a_file_from_outside_counts_by_its_content(tmp_path: Path):
    file = tmp_path / "in.txt"
    lengths = []
    for text in ("one", "three", "one"):
        file.write_text(text)
        with Run.open(tmp_path / "run") as run:
            step = run.step("copy", plain_step(copy_text), settings=Plain(), inputs={"file": str(file)})
        lengths.append(step.results["length"])
    assert lengths == [3, 5, 3]
    assert len(list((tmp_path / "run/steps").iterdir())) == 2


def test_a_dry_run_writes_nothing_and_says_what_is_to_do(tmp_path: Path):
    folder = tmp_path / "run"
    with Run.open(folder, dry=True) as run:
        step = run.step("copy", plain_step(copy_text), settings=Plain(**{"text": "x"}), inputs={})
        later = run.step(
            "more", plain_step(copy_text), settings=Plain(**{"text": "y"}), inputs={"before": step}
        )
    assert not folder.exists()
    assert [(planned.name, planned.state) for planned in run.plan] == [
        ("copy", "pending"),
        ("more", "pending"),
    ]
    assert not later.done and later.results == {}
    with Run.open(folder) as run:
        assert (
            run.step("copy", plain_step(copy_text), settings=Plain(**{"text": "x"}), inputs={}).digest
            == step.digest
        )
    (folder / "steps" / later.folder.name).mkdir()
    with Run.open(folder, dry=True) as run:
        step = run.step("copy", plain_step(copy_text), settings=Plain(**{"text": "x"}), inputs={})
        run.step("more", plain_step(copy_text), settings=Plain(**{"text": "y"}), inputs={"before": step})
    assert [planned.state for planned in run.plan] == ["done", "partial"]
    assert step.done and step.results == {"length": 1}


def test_a_failed_step_leaves_its_error_until_it_succeeds(tmp_path: Path):
    def fragile(folder, settings, inputs, progress):
        if not (tmp_path / "mended").exists():
            raise DataError("photo 7 is torn", hint="scan it again")
        return {}

    for attempt in range(2):
        with pytest.raises(DataError), Run.open(tmp_path / "run") as run:
            run.step("fragile", plain_step(fragile), settings=Plain(), inputs={})
        [error] = (tmp_path / "run/steps").glob("*/error.txt")
        assert error.read_text() == "photo 7 is torn\n  hint: scan it again\n", attempt
    (tmp_path / "mended").touch()
    with Run.open(tmp_path / "run") as run:
        assert run.step("fragile", plain_step(fragile), settings=Plain(), inputs={}).done
    assert not error.exists()


def test_an_unexpected_error_leaves_its_traceback(tmp_path: Path):
    def broken(folder, settings, inputs, progress):
        return {"x": 1 / 0}

    with pytest.raises(ZeroDivisionError) as caught, Run.open(tmp_path) as run:
        run.step("broken", plain_step(broken), settings=Plain(), inputs={})
    assert "in step broken" in caught.value.__notes__[0]
    [error] = tmp_path.glob("steps/*/error.txt")
    assert "1 / 0" in error.read_text()


def test_what_can_not_be_kept_is_refused(tmp_path: Path):
    def odd(folder, settings, inputs, progress):
        return {"path": folder}

    with Run.open(tmp_path) as run:
        with pytest.raises(RunError, match="settings of step 'odd' cannot be kept"):
            run.step("odd", plain_step(odd), settings=Plain(**{"loss": float("nan")}), inputs={})
        with pytest.raises(RunError, match="results of step 'odd' cannot be kept"):
            run.step("odd", plain_step(odd), settings=Plain(), inputs={})
        with pytest.raises(RunError, match="cannot name a step"):
            run.step("../odd", plain_step(odd), settings=Plain(), inputs={})


def test_settings_and_results_are_the_same_in_the_first_and_in_later_runs(tmp_path: Path):
    seen = []

    def tuples(folder, settings, inputs, progress):
        seen.append(settings["parts"])
        return {"parts": settings["parts"], "by_number": {1: "x"}}

    for _ in range(2):
        with Run.open(tmp_path) as run:
            step = run.step("tuples", plain_step(tuples), settings=Plain(**{"parts": ("a", "b")}), inputs={})
        seen.append(step.results)
    assert seen[0] == ["a", "b"]
    assert seen[1] == seen[2] == {"parts": ["a", "b"], "by_number": {"1": "x"}}


def test_a_damaged_done_file_is_named(tmp_path: Path):
    with Run.open(tmp_path) as run:
        step = run.step("copy", plain_step(copy_text), settings=Plain(**{"text": "x"}), inputs={})
    (step.folder / "done.json").write_text('{"results":')
    with Run.open(tmp_path) as run, pytest.raises(RunError, match=r"done\.json is damaged"):
        run.step("copy", plain_step(copy_text), settings=Plain(**{"text": "x"}), inputs={})


def test_two_processes_do_not_run_one_folder(tmp_path: Path):
    script = (
        "import sys; from vila2.run.steps import Run\n"
        "with Run.open(sys.argv[1]): print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(RunError, match=f"process {other.pid}"):
            Run.open(tmp_path)
        with Run.open(tmp_path, dry=True):  # looking does not need the lock
            pass
        other.communicate("\n")
    with Run.open(tmp_path):
        pass


def test_a_worker_that_outlives_the_run_does_not_hold_it(tmp_path: Path):
    run = Run.open(tmp_path)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    run.close()
    try:
        Run.open(tmp_path).close()
    finally:
        os.close(write)
        os.waitpid(child, 0)


def test_something_made_outside_stands_in_for_a_step(tmp_path: Path):
    (tmp_path / "data/shards").mkdir(parents=True)
    (tmp_path / "data/dataset.json").write_text("{}")
    with Run.open(tmp_path / "run", dry=True) as run:
        before = run.existing("data", tmp_path / "data")
    (tmp_path / "data/layers").mkdir()
    (tmp_path / "data/layers/self-1.parquet").write_text("new")
    with Run.open(tmp_path / "run", dry=True) as run:
        assert run.existing("data", tmp_path / "data").digest == before.digest
        with pytest.raises(RunError, match="nowhere"):
            run.existing("data", tmp_path / "nowhere")
    (tmp_path / "data/dataset.json").write_text('{"count": 1}')
    assert digest_path(tmp_path / "data") != before.digest


def test_a_folders_digest_sees_names_sizes_and_times(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/a.txt").write_text("a")
    digests = [digest_path(tmp_path)]
    (tmp_path / "deep/b.txt").write_text("b")
    digests.append(digest_path(tmp_path))
    os.utime(tmp_path / "deep/a.txt", (1, 1))
    digests.append(digest_path(tmp_path))
    assert len(set(digests)) == 3 and digests[-1] == digest_path(tmp_path)


def test_a_large_file_is_not_read_whole_but_its_ends_count(tmp_path: Path):
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(80 << 20)
    digests = []
    for end in (b"x", b"y"):
        with path.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(end)
        os.utime(path, (1, 1))
        digests.append(digest_path(path))
    assert digests[0] != digests[1]


def test_the_recipe_is_kept_as_it_is_run(tmp_path: Path):
    example = HERE.parents[1] / "examples/miniature.yaml"
    recipe = load_recipe(example, ["seed=5"])
    with Run.open(tmp_path) as run:
        run.keep_recipe(recipe)
    assert load_recipe(tmp_path / "recipe.yaml") == recipe


def test_done_json_says_what_was_done(tmp_path: Path):
    with Run.open(tmp_path) as run:
        first = run.step("copy", plain_step(copy_text), settings=Plain(**{"text": "x"}), inputs={})
        run.step("more", plain_step(copy_text), settings=Plain(**{"text": "y"}), inputs={"before": first})
    done = json.loads(next(tmp_path.glob("steps/more-*/done.json")).read_text())
    assert done["inputs"] == {"before": first.digest}
    assert done["function"].endswith("copy_text") and done["settings"] == {"text": "y"}
    assert done["results"] == {"length": 1} and done["seconds"] >= 0
