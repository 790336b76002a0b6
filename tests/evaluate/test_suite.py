"""`vila2 eval`: the papers' thirteen benchmarks from the files that their authors publish."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.engine.unruly_server import Reply, completion, serving
from tests.evaluate.published import put_choices, put_judged, put_mirrors, put_vqa, put_yes_no, said
from vila2.cli.main import app
from vila2.model.loading import builtin_models

ALL = (
    *("VQAv2", "GQA", "VizWiz", "ScienceQA", "TextVQA", "POPE", "MME", "MMBench", "MMBench-CN", "SEED"),
    *("LLaVA-Bench", "MM-Vet", "MMMU"),
)
#: By hand, of what the server says to the questions of tests/evaluate/published.py.
EXPECTED = {
    ("VQAv2", "accuracy"): (0.6 + 1.0) / 2,  # two of ten say red; the third question has no image
    ("GQA", "accuracy"): 0.5,
    ("VizWiz", "accuracy"): 1.0,
    ("ScienceQA", "accuracy"): 0.5,
    ("TextVQA", "accuracy"): 0.9,
    ("POPE", "all: accuracy"): 1.0,
    ("POPE", "random: F1"): 1.0,
    ("MME", "perception"): 200.0,
    ("MME", "cognition"): 50.0,
    ("MMBench", "accuracy"): 0.5,  # the letter stays when the choices turn
    ("MMBench-CN", "accuracy"): 0.0,
    ("SEED", "accuracy"): 1.0,
    ("MMMU", "accuracy"): 1.0,
}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*words: object, code: int = 0):
    result = CliRunner().invoke(app, ["eval", *map(str, words)])
    assert result.exit_code == code, result.output
    return result


def answering(prompt: str, before: int) -> Reply:
    return Reply(body=completion(said(prompt)))


def by_server(*words: object) -> dict:
    with serving(answering) as server:
        engine = ("--engine", "openai", "--engine-option", f"url={server.url}")
        return json.loads(invoke("tiny", "--json", "-q", *engine, *words).stdout)


def values(told: dict) -> dict[tuple[str, str], float]:
    return {
        (one["benchmark"], one["name"]): one["value"] for row in told["benchmarks"] for one in row["measures"]
    }


def test_the_authors_files_are_asked_and_scored(place):
    data = place / "benchmarks"
    for put in (put_vqa, put_choices, put_yes_no, put_judged):
        put(data)
    told = by_server()
    assert [row["title"] for row in told["benchmarks"]] == list(ALL)
    found = values(told)
    assert {key: found[key] for key in EXPECTED} == pytest.approx(EXPECTED)
    states = {row["title"]: row for row in told["benchmarks"]}
    assert states["VQAv2"]["left_out"] == {"missing-image": 1} and states["SEED"]["left_out"] == {"video": 1}
    assert states["POPE"]["questions"] == 6 and states["ScienceQA"]["questions"] == 2
    judged = {name: Path(states[name]["told"]).read_text() for name in ("LLaVA-Bench", "MM-Vet")}
    assert all(states[name]["state"] == "answered" and not states[name]["measures"] for name in judged)
    assert json.loads(judged["MM-Vet"]) == {"v1_0": "yes"}
    row = {"question_id": 0, "prompt": "What is this place?", "text": "yes", "model_id": "tiny"}
    assert json.loads(judged["LLaVA-Bench"]) == row
    page = Path(told["report"]).read_text()
    assert "MMBench-CN" in page and "questions about videos" not in page and "1 questions; video 1" in page


def test_lmms_labs_tables_give_the_same_scores(place):
    put_mirrors(place / "benchmarks")
    told = by_server()
    found = values(told)
    assert {key: found[key] for key in EXPECTED} == pytest.approx(EXPECTED)
    states = {row["title"]: row["state"] for row in told["benchmarks"]}
    assert {name for name, state in states.items() if state == "missing"} == {"LLaVA-Bench", "MM-Vet"}


def test_what_is_not_here_is_named_with_its_place(place):
    told = invoke("no/such-model", "--data", "my data").stdout
    assert all(f"{title}: not here; fetch" in told for title in ALL)
    assert "v2_mscoco_val2014_annotations.json into my data/vqav2/" in told
    assert not any(place.iterdir())


def test_a_run_gets_the_scores_into_its_report_and_asks_nothing_twice(place):
    put_yes_no(place / "benchmarks")
    put_vqa(place / "benchmarks")
    words = ("builtin:miniature", "--only", "gqa", "--only", "mme", "-q", "--out", "out", "--json")
    first = json.loads(invoke(*words).stdout)
    assert {row["state"] for row in first["benchmarks"]} == {"measured"}
    kept = Path("out/asked-gqa.jsonl").read_bytes()
    assert json.loads(invoke(*words).stdout) == first and Path("out/asked-gqa.jsonl").read_bytes() == kept
    assert "another --limit" in invoke(*words, "--limit", 1, code=2).output


def test_files_that_belong_together_are_asked_for(place):
    put_vqa(place / "benchmarks")
    (place / "benchmarks/vqav2/v2_mscoco_val2014_annotations.json").unlink()
    (place / "benchmarks/gqa/testdev_balanced_questions.json").write_text("{broken")
    told = by_server("--only", "vqav2", "--only", "gqa")
    assert [row["state"] for row in told["benchmarks"]] == ["wrong", "wrong"]
    assert "no v2_mscoco_val2014_annotations.json" in told["benchmarks"][0]["told"]
    assert "testdev_balanced_questions.json" in told["benchmarks"][1]["told"]


@pytest.mark.parametrize(("words", "hint"), [(["--only", "gqaa"], "'gqa'"), (["--suite", "papers"], "paper")])
def test_a_wrong_name_is_told(place, words: list[str], hint: str):
    assert hint in invoke("x", *words, code=2).output


def test_a_finished_runs_report_shows_the_scores_and_keeps_them(place):
    put_vqa(place / "benchmarks")
    run = place / "runs/mine"
    (run / "steps").mkdir(parents=True)
    (run / "recipe.yaml").write_text("name: mine\n")
    (run / "model").symlink_to(builtin_models()["builtin:miniature"])
    results = {"title": "mine", "recipe": {"name": "mine", "seed": 0}, "vila2_version": "0"}
    (run / "results.json").write_text(json.dumps(results))
    told = json.loads(invoke(run, "--only", "gqa", "-q", "--json").stdout)
    assert told["report"] == str(run / "report.html")
    page = Path(told["report"]).read_text()
    assert "<h1>mine</h1>" in page and "Published benchmarks" in page and "GQA" in page
    Path(told["report"]).unlink()
    assert CliRunner().invoke(app, ["report", str(run)]).exit_code == 0
    assert Path(told["report"]).read_text() == page
