"""The verdict and the summary say what the intervals allow, and no more."""

from __future__ import annotations

from typing import Any

from tests.report.report_results import change, measure, small
from vila2.report.results_page import parse_results
from vila2.report.summary import summary_table
from vila2.report.verdict_card import verdict


def said(changes: list[dict[str, Any]], **replaced: Any) -> tuple[str, ...]:
    return verdict(parse_results(small(changes=changes, **replaced)))


def test_verdict_names_what_rose_what_fell_and_what_cannot_be_told() -> None:
    assert verdict(parse_results(small())) == (
        "From VILA_0 to VILA_1, object precision (+5.0 points) and words (+8.0) rose; hallucinated objects "
        "(−0.20, better) fell; no change can be told from chance in existence.",
    )


def test_a_large_change_with_a_wide_interval_is_not_called_a_rise() -> None:
    (sentence,) = said([change("object precision", 0.3, 0.31)])
    assert "rose" not in sentence and "every 95% interval includes zero" in sentence


def test_an_interval_that_touches_zero_includes_it() -> None:
    (sentence,) = said([change("object precision", 0.5, 0.5)])
    assert "rose" not in sentence


def test_a_harmful_rise_is_called_worse() -> None:
    (sentence,) = said([change("hallucinated objects", 0.2, 0.1)])
    assert sentence == "From VILA_0 to VILA_1, hallucinated objects (+0.20, worse) rose."


def test_an_undefined_change_cannot_be_told() -> None:
    (sentence,) = said([change("object precision", float("nan"), 0.1)])
    assert "no change can be told from chance in object precision" in sentence


def test_every_round_has_its_sentence_and_one_model_alone_is_said_to_be_alone() -> None:
    later = change("object precision", -0.1, 0.02) | {"from": "VILA_1", "to": "VILA_2"}
    first, second = said([change("object precision", 0.05, 0.02), later])
    assert first.endswith("object precision (+5.0 points) rose.")
    assert second == "From VILA_1 to VILA_2, object precision (−10.0 points) fell."
    (alone,) = said([], models=small()["models"][:1])
    assert "nothing to compare it with" in alone


def test_many_untold_measures_are_counted_and_equal_names_keep_their_benchmark() -> None:
    many = [change(f"skill {n}", 0.0, 0.1) for n in range(7)]
    (sentence,) = said([change("object precision", 0.05, 0.02), *many])
    assert "in the other 7 measures" in sentence
    (sentence,) = said(
        [change("existence", 0.1, 0.02), change("existence", 0.2, 0.02, benchmark="questions")]
    )
    assert "existence (captions)" in sentence and "existence (questions)" in sentence


def test_summary_table_has_measures_as_rows_and_models_as_columns() -> None:
    assert summary_table(small()) == {
        "columns": ["measure", "VILA_0", "VILA_1"],
        "rows": [
            ["captions: object precision (%)", "74.0 ±2.0", "79.0 ±2.0 ↑"],
            ["questions: existence (%)", "81.0 ±2.0", "81.0 ±2.0"],
            ["captions: hallucinated objects (per image)", "0.80 ±0.05", "0.60 ±0.05 ↓"],
            ["captions: words", "30.0 ±1.0", "38.0 ±1.0 ↑"],
        ],
    }


def test_summary_table_of_uneven_models_leaves_gaps() -> None:
    results = small(changes=[])
    results["models"][0]["measures"] = [measure("CIDEr-D", 0.4217, 0.03, unit="score")]
    results["models"][1]["measures"] = [
        measure("CIDEr-D", None, unit="score"),
        measure("F1", 88.4, 1, unit="percent"),
    ]
    assert summary_table(results)["rows"] == [
        ["captions: CIDEr-D", "0.422 ±0.030", "–"],
        ["captions: F1 (%)", "–", "88.4 ±1.0"],
    ]
    assert summary_table(small(models=[], changes=[])) == {"columns": ["measure"], "rows": []}


def test_summary_table_says_how_much_each_model_was_trained() -> None:
    results = small()
    results["models"][1]["stages"] = [{"name": name, "tokens": 600_000} for name in ("pretrain", "sft")]
    assert summary_table(results)["rows"][-1] == ["tokens trained on", "–", "1.2M"]
