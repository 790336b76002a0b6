"""The table of all benchmarks: what it says of a missed limit and of a benchmark that did not end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.benchmarks import every
from tests.benchmarks.every import BENCHMARKS, LONG, Benchmark, run_all, write_block
from tests.benchmarks.harness import Comparison, figure


def test_a_row_survives_its_line_of_json():
    row = Comparison("decode", 341.2, 121.0, "images/s", 4.5, "Pillow", "Pillow decodes")
    assert Comparison.from_json(row.to_json()) == row
    assert '"of_limit": 0.626' in row.to_json() and '"limit": 4.5' in row.to_json()


@pytest.mark.parametrize("value, shown", [(0, "0"), (0.0123, "0.0123"), (1.234, "1.23"), (12345, "12,300")])
def test_figures_have_three_digits(value, shown):
    assert figure(value) == shown


def test_each_benchmark_has_a_function_and_all_end_within_25_minutes():
    assert sum(one.seconds for one in BENCHMARKS.values()) <= 25 * 60
    assert all(callable(one.function()) for one in (BENCHMARKS | LONG).values())


def found_two_and_goes_on() -> Iterator[Comparison]:
    """A benchmark that is ended before its end."""
    yield Comparison("first", 3.0, 2.0, "images/s", 1.0, "a loop")
    yield Comparison("second", 1.0, 2.0, "images/s", 1.0, "a loop", "it is slow")
    while True:
        pass


def test_of_a_benchmark_that_was_ended_the_table_has_what_it_found(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("<!-- python -m tests.benchmarks all -->\n<!-- end of all -->\n", encoding="utf-8")
    endless = {"decode": Benchmark("test_every:found_two_and_goes_on", 4)}
    monkeypatch.setattr(every, "BENCHMARKS", endless)
    assert [one.name for one in run_all(page)] == ["first", "second"]
    lines = page.read_text(encoding="utf-8").splitlines()
    assert "| first | 3.00 images/s | 2.00, a loop | 1.50 | 1.00 | yes |" in lines
    assert "| second | 1.00 images/s | 2.00, a loop | 0.500 | 1.00 | 50%: it is slow |" in lines
    assert "| decode: the rest | | | | | did not end within 4 CPU seconds |" in lines


def test_all_writes_the_table_and_names_what_did_not_end(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text(
        "Above.\n<!-- python -m tests.benchmarks all -->\nold\n<!-- end of all -->\nBelow.\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(every, "BENCHMARKS", {"captioning": Benchmark("captioning:compare", 1)})
    assert list(run_all(page)) == []
    text = page.read_text(encoding="utf-8")
    assert text.startswith("Above.\n<!-- python") and text.endswith("<!-- end of all -->\nBelow.\n")
    assert "old" not in text and "| captioning | | | | | did not end within 1 CPU seconds |" in text
    write_block(page, "all", "new")
    assert "did not end" not in page.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="growth"):
        write_block(page, "growth", "")
