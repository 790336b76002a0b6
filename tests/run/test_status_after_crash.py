"""`vila2 status` tells how a run stands whatever a crash has left of its folder, and never fails itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.run.plain_steps import Plain, plain_step
from vila2.cli.main import app
from vila2.run.run_model import link_model, run_model
from vila2.run.status import status
from vila2.run.steps import Run

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.run.plain_steps import Plain, plain_step
from vila2.run.steps import Run
def make(folder, settings, inputs, progress):
    (folder / "half").touch()
    with progress.task("training", 10) as task:
        task.advance(3)
        if settings["die"]:
            progress.displays[-1].write(progress)
            os.kill(os.getpid(), signal.SIGKILL)
with Run.open(Path(sys.argv[1])) as run:
    run.step("data", plain_step(make), settings=Plain(**{"die": False}), inputs={})
    run.step("train", plain_step(make), settings=Plain(**{"die": True}), inputs={})
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """A run whose process died in its second step."""
    folder = tmp_path_factory.mktemp("runs") / "a run"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], env=environment)
    assert done.returncode == -signal.SIGKILL
    return folder


def show(folder: Path) -> str:
    result = CliRunner().invoke(app, ["status", str(folder)])
    assert result.exit_code == 0, result.output
    as_json = CliRunner().invoke(app, ["status", str(folder), "--json"])
    assert json.loads(as_json.stdout)["folder"] == str(folder)
    return result.stdout


def test_a_killed_run_is_stopped_and_not_running(killed):
    shown = show(killed)
    assert f"'{killed}': stopped, 1 of 2 steps done (its process ended without a message" in shown
    assert "begun, goes on when run again" in shown and "now " not in shown and "again to go on" in shown


@pytest.mark.parametrize(
    "left",
    ["", "{", "[]", "null", '{"state": "running"}',
     '{"state": 7, "steps": [{}, 3], "tasks": [{}], "updated": "x"}',
     '{"steps": {"a": 1}}', '{"state": "running", "steps": null, "error": null}'],
)  # fmt: skip
def test_a_damaged_progress_file_hides_no_step(killed, tmp_path, left: str):
    folder = tmp_path / "run"
    subprocess.run(["cp", "-r", killed, folder], check=True)
    (folder / "progress.json").write_text(left)
    assert "stopped, 1 of 2 steps done" in show(folder)
    (folder / "progress.json").unlink()
    assert "stopped, 1 of 2 steps done" in show(folder)


def test_a_damaged_step_is_said_to_be_so(killed, tmp_path):
    folder = tmp_path / "run"
    subprocess.run(["cp", "-r", killed, folder], check=True)
    next(folder.glob("steps/data-*")).joinpath("done.json").write_text("{")
    shown = show(folder)
    assert "0 of 2 steps done" in shown and "done.json is damaged" in shown


@pytest.mark.parametrize(
    "left", [["lock", "progress.json"], ["recipe.yaml", "lock"], ["steps/"], ["steps/", "lock"]]
)
def test_a_run_that_was_killed_while_it_began(tmp_path, left: list[str]):
    for name in left:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    assert "stopped, 0 of 0 steps done" in show(tmp_path)


def test_an_old_error_is_not_told_of_a_later_attempt(tmp_path):
    tries = []

    def work(folder, settings, inputs, progress):
        tries.append(1)
        raise ValueError("at first") if len(tries) == 1 else KeyboardInterrupt

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), Run.open(tmp_path) as run:
            run.step("a", plain_step(work), settings=Plain(), inputs={})
    assert status(tmp_path).steps[0].state == "partial" and "at first" not in show(tmp_path)


def test_a_misspelled_run_is_asked_back(killed):
    result = CliRunner().invoke(app, ["status", str(killed.with_name("a rum"))])
    assert result.exit_code == 2 and f"did you mean {killed}?" in result.output


def model_in(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_the_model_of_a_run_is_found_by_its_link_which_a_copy_keeps(tmp_path):
    run = tmp_path / "runs/one"
    first, second = (model_in(run / f"steps/vila{n}-sft-0/model") for n in range(2))
    for model in (first, second, second):
        link_model(run, model)
        assert run_model(run) == model and (run / "model/config.json").is_file()
    assert sorted(path.name for path in run.iterdir()) == ["model", "steps"]
    run.rename(tmp_path / "moved")
    assert run_model(tmp_path / "moved") == tmp_path / "moved/steps/vila1-sft-0/model"


def test_where_there_are_no_links_a_file_leads_to_the_model(tmp_path, monkeypatch):
    def refuse(*names, **options):
        raise OSError("not supported")

    monkeypatch.setattr(os, "symlink", refuse)
    model = model_in(tmp_path / "run/steps/vila0-sft-0/model")
    assert link_model(tmp_path / "run", model).is_file()
    assert run_model(tmp_path / "run") == model


def test_a_run_without_a_model_says_what_to_do(killed):
    from vila2.errors import RunError
    from vila2.model.loading import locate

    with pytest.raises(RunError, match="is not finished, so it has no model yet"):
        locate(killed)
    words = ["recaption", str(killed.parent), "--model", str(killed)]
    (killed.parent / "a.png").touch()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2 and "vila2 status" in result.output


def test_a_folder_with_a_subfolder_of_that_name_is_no_run(tmp_path):
    (tmp_path / "steps").mkdir()
    from vila2.run.run_model import is_run

    assert not is_run(tmp_path)
