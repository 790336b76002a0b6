"""The command line: quick to answer, errors with their hint, and what run and status print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.run.plain_steps import Plain, plain_step
from vila2 import __version__
from vila2.cli.main import app
from vila2.data.atomic import write_text_atomic
from vila2.errors import TrainingError
from vila2.run.steps import Run

ROOT = Path(__file__).parents[2]
MINIATURE = ROOT / "examples/miniature.yaml"
HEAVY = (
    "torch",
    "transformers",
    "pyarrow",
    "PIL",
    "numpy",
    "rich.table",
    "rich.progress",
    "yaml",
)


def test_run_names_the_controls_of_a_recipe_and_does_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["run", str(MINIATURE), "--list-controls", "--json"])
    controls = {one["name"]: one for one in json.loads(result.stdout)["controls"]}
    assert "other images" in controls["shuffled-captions"]["shows"]
    assert controls["twice-sft"]["hindered"] is None
    assert "needs specialists" in controls["plain-append"]["hindered"]
    result = CliRunner().invoke(app, ["run", str(MINIATURE), "--list-controls"])
    assert "twice-sft: twice the last stage" in result.stdout and "needs specialists" in result.stdout
    assert not list(tmp_path.iterdir())


def vila2(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "vila2", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )


def invoke(*words: str, code: int = 0):
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["data", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(words: list[str]):
    # The help of a single command has pydantic in it, which typer itself reads the options with.
    heavy = HEAVY if len(words) > 1 else (*HEAVY, "pydantic")
    code = (
        "import sys\nfrom vila2.cli.main import app\n"
        f"try: app({words!r})\nexcept SystemExit as end: assert not end.code\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stderr.strip() == "[]"
    assert result.stdout


def test_version():
    assert vila2("--version").stdout == f"vila2 {__version__}\n"


def test_every_command_has_help():
    listed = invoke("--help").output
    for command in ("data", "run", "status", "recaption", "report", "env"):
        assert f"  {command} " in listed
        assert "Usage" in invoke(command, "--help").output


def test_a_wrong_recipe_is_an_error_with_line_key_and_mend_and_no_traceback(tmp_path: Path):
    recipe = tmp_path / "wrong.yaml"
    recipe.write_text(MINIATURE.read_text().replace("learning_rate: 2.0e-3", "learning_rat: 2.0e-3", 1))
    result = vila2("run", str(recipe), cwd=tmp_path)
    assert result.returncode == 2
    line = recipe.read_text().splitlines().index("    learning_rat: 2.0e-3") + 1
    what = "stages.align.learning_rat: there is no such key; did you mean 'learning_rate'?"
    expected = f"error: {recipe}:{line}: {what}"
    assert result.stderr.splitlines()[0] == expected
    assert result.stderr.splitlines()[1].startswith("hint: ")
    assert "Traceback" not in result.stderr and result.stdout == ""
    assert os.listdir(tmp_path) == ["wrong.yaml"]
    assert "Traceback" in vila2("--debug", "run", str(recipe)).stderr
    assert "Traceback" in vila2("run", str(recipe), VILA2_DEBUG="1").stderr


def test_a_wrong_setting_is_named_as_it_was_given():
    result = vila2("run", str(MINIATURE), "--set", "stages.sft.epoch=3")
    assert result.returncode == 2
    assert (
        "--set stages.sft.epoch=3: stages.sft.epoch: there is no such key; did you mean 'epochs'?"
        in result.stderr
    )


@pytest.fixture
def small_cycle(monkeypatch: pytest.MonkeyPatch):
    """Stands in for the rounds, so that what surrounds them is seen without their minutes of work."""
    import vila2.cycle.improve as improve

    calls = []

    def run_recipe(recipe, folder, *, dry_run, progress):
        calls.append((recipe, folder, dry_run))
        print("a library says something")

        def work(folder, settings, inputs, board):
            if settings["fail"] == "error":
                raise TrainingError("the loss is nan", hint="lower the learning rate")
            if settings["fail"] == "interrupt":
                raise KeyboardInterrupt
            with board.task("train sft", 2) as task:
                task.advance(2)
            write_text_atomic(folder / "model", "x")
            return {}

        with Run.open(folder, dry=dry_run, progress=progress) as run:
            run.keep_recipe(recipe)
            fail = recipe.report.title or ""
            run.step("vila0-sft", plain_step(work), settings=Plain(fail=fail), inputs={})
        if dry_run:
            sample = {
                "dataset": "pretrain",
                "tokens": 9,
                "trained_tokens": 3,
                "text": "a\nb",
                "trained_text": "b",
            }
            return {
                "plan": run.plan,
                "samples": {"sft": sample},
                "memory": {"sft": {"weights": 3_500_000_000}},
            }
        (folder / "report.html").touch()
        rows = [["questions: depth [all]", "51.0 ±2.9", "83.1 ±2.6 ↑"]]
        summary = {"columns": ["measure", "VILA_0", "VILA_1"], "rows": rows}
        results = {"gains": [{"round": 1, "answer": "undecided"}], "best": "VILA_1", "merge": None}
        told = ["Round 1 is undecided [so far]."]
        found = {"report": str(folder / "report.html"), "summary": summary, "told": told, "results": results}
        folders = {
            "model": {"name": "VILA_1", "folder": folder / "model"},
            "models": {"VILA_1": folder / "m"},
        }
        return found | folders | {"datasets": {"pretrain": folder / "d"}, "layers": {"self-1": folder / "l"}}

    monkeypatch.setattr(improve, "run_recipe", run_recipe)
    return calls


def test_run_prints_the_summary_and_the_reports_path(small_cycle, tmp_path: Path):
    result = invoke("run", str(MINIATURE), "--out", str(tmp_path / "run"), "--set", "seed=4")
    assert "questions: depth [all]" in result.stdout and "83.1 ±2.6 ↑" in result.stdout
    assert f"\nRound 1 is undecided [so far].\nreport: {tmp_path / 'run/report.html'}\n" in result.stdout
    assert f"model:  {tmp_path / 'run/model'} (VILA_1)\n" in result.stdout
    assert "[1/1] vila0-sft: done" in result.stderr
    [(recipe, folder, dry)] = small_cycle
    assert (recipe.seed, folder, dry) == (4, tmp_path / "run", False)


def test_run_as_json_is_one_object_on_standard_output(small_cycle, tmp_path: Path):
    result = invoke("run", str(MINIATURE), "--out", str(tmp_path), "--json", "--quiet")
    shown = json.loads(result.stdout)
    assert shown["summary"]["columns"] == ["measure", "VILA_0", "VILA_1"]
    assert shown["report"] == str(tmp_path / "report.html")
    assert (shown["model"], shown["model_name"]) == (str(tmp_path / "model"), "VILA_1")
    assert shown["models"] == {"VILA_1": str(tmp_path / "m")} and shown["layers"] == {
        "self-1": str(tmp_path / "l")
    }
    assert shown["told"] == ["Round 1 is undecided [so far]."]
    assert shown["gains"][0]["answer"] == "undecided" and shown["best"] == "VILA_1"
    assert result.stderr == "a library says something\n"


def test_a_dry_run_shows_the_steps_a_sample_and_the_memory(small_cycle, tmp_path: Path):
    result = invoke("run", str(MINIATURE), "--out", str(tmp_path / "run"), "--dry-run")
    assert "vila0-sft" in result.stdout and "pending" in result.stdout
    assert "first sample of pretrain, 9 tokens, 3 of them counted" in result.stdout
    assert "3.5 GB" in result.stdout
    assert not (tmp_path / "run").exists()
    plan = json.loads(invoke("run", str(MINIATURE), "--out", str(tmp_path / "run"), "-n", "--json").stdout)[
        "plan"
    ]
    assert [(step["name"], step["state"]) for step in plan] == [("vila0-sft", "pending")]


def test_a_failed_run_says_which_step_and_status_says_it_again(small_cycle, tmp_path: Path):
    words = ["run", str(MINIATURE), "--out", str(tmp_path), "--set", "report.title="]
    result = invoke(*words[:-1], words[-1] + "error", code=2)
    assert "error: the loss is nan\n  in step vila0-sft" in result.stderr
    assert "hint: lower the learning rate\n" in result.stderr
    shown = invoke("status", str(tmp_path)).stdout
    assert "failed, 0 of 1 steps done" in shown
    assert "error in vila0-sft: the loss is nan" in shown
    assert "again to go on" in shown
    found = json.loads(invoke("status", str(tmp_path), "--json").stdout)
    assert (found["state"], found["steps"][0]["state"]) == ("failed", "failed")


def test_ctrl_c_says_how_to_go_on(small_cycle, tmp_path: Path):
    words = ["run", str(MINIATURE), "--out", str(tmp_path), "--set", "report.title=interrupt"]
    result = invoke(*words, code=130)
    assert "the same command goes on" in result.stderr
    assert "begun, goes on when run again" in invoke("status", str(tmp_path)).stdout


def test_status_of_no_run_is_an_error(tmp_path: Path):
    result = invoke("status", str(tmp_path), code=2)
    assert result.stderr.startswith(f"error: {tmp_path} holds no run\nhint: ")
