"""``vila2 report`` writes the page again from a run's results, and says what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.report.report_results import small
from vila2.cli.report import report
from vila2.errors import DataError, RunError
from vila2.report.results_page import Results, parse_results, read_results


def call(*arguments: str | Path) -> str:
    app = typer.Typer()
    app.command()(report)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_report_is_written_into_the_run_or_where_asked(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(small()))
    assert call(tmp_path).strip() == str(tmp_path / "report.html")
    call(tmp_path, "--out", tmp_path / "new" / "page.html")
    page = (tmp_path / "report.html").read_bytes()
    assert page == (tmp_path / "new" / "page.html").read_bytes() and b"A small run" in page
    assert str(tmp_path).encode() not in page


def test_missing_results_say_which_command_makes_them(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="vila2 run RECIPE") as caught:
        call(tmp_path)
    assert f"vila2 status {tmp_path}" in caught.value.hint
    with pytest.raises(RunError, match="no such run folder"):
        call(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1]", b"{}"])
def test_broken_results_name_the_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_bytes(content)
    with pytest.raises(DataError, match=r"results\.json"):
        call(tmp_path)


def test_typed_results_survive_the_way_through_the_file(tmp_path: Path) -> None:
    results = parse_results(small())
    (tmp_path / "results.json").write_text(json.dumps(results.to_json()))
    assert read_results(tmp_path / "results.json") == results
    assert results.to_json()["changes"][0]["from"] == "VILA_0"
    assert isinstance(parse_results(results), Results)
