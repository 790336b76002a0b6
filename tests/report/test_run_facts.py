"""How a run was made: times from its steps, machine and versions from when its results were written."""

from __future__ import annotations

import json
from pathlib import Path

from tests.report.report_results import small
from tests.report.test_report_page import Page
from vila2.report.dates import written_date
from vila2.report.facts_table import fact_rows, step_rows
from vila2.report.machine import vila2_commit
from vila2.report.page import render_page
from vila2.report.results_page import parse_results
from vila2.report.run_facts import FACTS_FILE, RunFacts, read_facts, record_facts

FIRST, LAST = "2026-12-01T00:50:47+0000", "2026-12-01T02:53:20+0100"


def write_step(run: Path, name: str, finished: str = FIRST, seconds: float = 7.079) -> dict[str, str]:
    """A finished step; returns its line in ``progress.json``."""
    digest = f"{name}0123456789ab".ljust(64, "0")
    folder = run / "steps" / f"{name}-{digest[:12]}"
    folder.mkdir(parents=True)
    done = {"name": name, "digest": digest, "results": {}, "seconds": seconds, "finished": finished}
    (folder / "done.json").write_text(json.dumps(done))
    return {"name": name, "digest": digest}


def write_progress(run: Path, *steps: dict[str, str]) -> None:
    (run / "progress.json").write_text(json.dumps({"steps": steps}))


def test_times_are_those_of_the_last_runs_steps_in_order(tmp_path: Path) -> None:
    late = write_step(tmp_path, "b", LAST, 120.4)
    early = write_step(tmp_path, "a")
    write_step(tmp_path, "old", "2026-11-01T00:00:00+0000")
    write_progress(tmp_path, late, early, {"name": "planned", "digest": "f" * 64})
    facts = read_facts(tmp_path)
    assert [step.name for step in facts.steps] == ["a", "b"] and facts.finished == LAST
    rows = dict(fact_rows(parse_results(small()), facts))
    assert rows["finished"] == "December 1, 2026, 02:53 UTC+01:00"
    assert rows["computing time"] == "2 min 07 s in 2 steps"
    assert [(row.name, row.duration) for row in step_rows(facts)] == [("a", "7.1 s"), ("b", "2 min 00 s")]
    (tmp_path / "progress.json").unlink()
    assert [step.name for step in read_facts(tmp_path).steps] == ["old", "a", "b"]


def test_machine_and_versions_are_noted_once_and_kept_until_a_step_is_done(tmp_path: Path) -> None:
    write_progress(tmp_path, write_step(tmp_path, "a"))
    noted = record_facts(tmp_path)
    assert noted.made is not None and noted.made.machine.cores >= 1
    assert {"vila2", "Python", "torch", "transformers"} <= noted.made.versions.keys()
    assert read_facts(tmp_path) == noted
    elsewhere = json.loads((tmp_path / FACTS_FILE).read_text())
    elsewhere["machine"]["cpu"] = "another processor"
    (tmp_path / FACTS_FILE).write_text(json.dumps(elsewhere))
    kept = record_facts(tmp_path)
    assert kept.made is not None and kept.made.machine.cpu == "another processor"
    write_progress(tmp_path, write_step(tmp_path, "b", LAST))
    again = record_facts(tmp_path)
    assert again.made is not None and again.made.machine == noted.made.machine


def test_the_page_says_when_on_what_and_with_what_it_was_made(tmp_path: Path) -> None:
    write_progress(tmp_path, write_step(tmp_path, "vila0-sft", LAST))
    facts = record_facts(tmp_path)
    text = " ".join(Page(render_page(small(), facts)).text.split())
    assert facts.made is not None
    for part in (facts.made.machine.cpu, facts.made.machine.memory, "finished December 1, 2026", "vila0-sft"):
        assert part in text
    assert f"torch {facts.made.versions['torch']}" in text
    assert str(tmp_path) not in text


def test_an_old_or_damaged_run_still_gives_a_page(tmp_path: Path) -> None:
    assert read_facts(tmp_path) == RunFacts()
    assert "machine not noted" in " ".join(Page(render_page(small(), RunFacts())).text.split())
    (tmp_path / FACTS_FILE).write_text('{"machine": 3}')
    (tmp_path / "progress.json").write_text("[")
    for name, content in (("one", "{"), ("two", '{"results": {}}'), ("three", "[1]")):
        (tmp_path / "steps" / name).mkdir(parents=True)
        (tmp_path / "steps" / name / "done.json").write_text(content)
    assert read_facts(tmp_path) == RunFacts()


def test_the_commit_is_twelve_digits_or_unknown() -> None:
    commit = vila2_commit()
    assert commit is None or len(commit.removesuffix(" + changes")) == 12


def test_dates_name_their_time_zone() -> None:
    assert written_date("2026-07-09T18:00:59+0000") == "July 9, 2026, 18:00 UTC"


def test_every_measure_is_defined_once_and_linked_from_its_row() -> None:
    page = render_page(small())
    text = " ".join(Page(page).text.split())
    assert "object precision of the objects that captions name, the share that is in the image" in text
    assert '<a class="term" href="#measure-1">object precision</a>' in page
    assert "An interval says where the value would lie" in text
