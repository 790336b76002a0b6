"""Charts: round ticks, nothing outside its frame, labels that do not cover each other."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

from hypothesis import example, given, settings, strategies as st

from tests.report.report_results import small
from vila2.report import loss_chart
from vila2.report.arms_chart import arms_panels, arms_svg
from vila2.report.axis import make_axis
from vila2.report.loss_chart import loss_panels
from vila2.report.results_page import parse_results
from vila2.report.words_chart import words_chart

_numbers = st.floats(-1e9, 1e9, allow_nan=False)


@given(_numbers, _numbers, st.integers(1, 8))
@example(5e-324, 5e-324, 4)
@example(1e9, 1e9 + 1e-7, 4)
@settings(deadline=None)
def test_an_axis_holds_its_values_and_has_distinct_ticks(one: float, other: float, wanted: int) -> None:
    low, high = sorted((one, other))
    axis = make_axis(low, high, 10, 210, wanted=wanted)
    for value in (low, high):
        assert 9.9 <= axis.pixel(value) <= 210.1
    labels = [label for _, label in axis.ticks]
    assert 2 <= len(labels) <= wanted + 3
    assert [x for x, _ in axis.ticks] == sorted(x for x, _ in axis.ticks)


def test_ticks_are_round() -> None:
    assert [label for _, label in make_axis(0.53, 2.91, 0, 100).ticks] == ["0", "1", "2", "3"]
    assert [label for _, label in make_axis(0, 0.031, 0, 100).ticks] == [
        "0.00",
        "0.01",
        "0.02",
        "0.03",
        "0.04",
    ]
    assert [label for _, label in make_axis(0, 1440, 0, 100, wanted=3, whole=True).ticks] == [
        "0",
        "500",
        "1,000",
    ]
    assert [label for _, label in make_axis(0, 2, 0, 100, wanted=5, whole=True).ticks] == ["0", "1", "2"]


@given(
    st.lists(st.lists(st.floats(-50, 1e5, allow_nan=False), min_size=1, max_size=40), min_size=1, max_size=7)
)
@example([[0.0], [8366.0], [60001.0, 0.0]])  # two labels at the bottom make room upwards, into a third
@settings(deadline=None, max_examples=50)
def test_curves_stay_in_their_frame_and_labels_apart(curves: list[list[float]]) -> None:
    results = small(changes=[])
    base = results["models"][0]
    stage = base["stages"][0]
    results["models"] = [
        base | {"name": f"VILA_{n}", "stages": [stage | {"loss": [[s + 1, v] for s, v in enumerate(losses)]}]}
        for n, losses in enumerate(curves)
    ]
    (panel,) = loss_panels(parse_results(results).models)
    for curve in panel.curves:
        for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", f"{curve.raw} {curve.smooth}"):
            assert 0 <= float(x) <= loss_chart.WIDTH and 0 <= float(y) <= loss_chart.HEIGHT
    heights = sorted(curve.label_y for curve in panel.curves)
    assert all(b - a >= 12.5 for a, b in pairwise(heights))
    assert heights[0] >= 0 and heights[-1] <= loss_chart.HEIGHT


def test_long_curves_are_thinned_and_equal_facts_are_said_once() -> None:
    results = small()
    for model in results["models"]:
        model["stages"][0]["loss"] = [[step, 1.0] for step in range(1, 100_001)]
    (panel,) = loss_panels(parse_results(results).models)
    assert panel.curves[0].raw.count("L") < 400
    assert panel.facts == ("projector: 612k parameters, 1,000 samples, 40 steps",)
    results["models"][1]["stages"][0]["steps"] = 80
    (panel,) = loss_panels(parse_results(results).models)
    assert [fact.split(":")[0] for fact in panel.facts] == ["VILA_0", "VILA_1"]


def test_whiskers_do_not_go_below_no_words() -> None:
    results = small()
    results["layers"][0] |= {"words_mean": 2.0, "words_sd": 5.0}
    chart = words_chart(parse_results(results).layers)
    assert chart is not None
    assert chart.bars[0].low == chart.axis.start
    assert chart.bars[0].label == "2.0 ± 5.0"


def _study(values: list[float], spread: float, measures: int) -> dict[str, Any]:
    def cell(value: float) -> dict[str, Any]:
        seeds = [value - spread / 8, value + spread / 8]
        return {
            "value": value,
            "low": value - spread,
            "high": value + spread,
            "unit": "share",
            "seeds": seeds,
        }

    arms = [
        {"label": f"arm <{n}> & others {'x' * 9 * n}", "cells": {str(m): cell(v) for m in range(measures)}}
        for n, v in enumerate(values)
    ]
    return {"title": "t", "measures": {str(m): f"measure {m}" for m in range(measures)}, "arms": arms}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0, 50), st.integers(1, 13))
@settings(deadline=None)
def test_arms_stay_in_their_panels_however_wide_their_intervals(values, spread, measures) -> None:
    panels = arms_panels(_study(values, spread, measures))
    assert len(panels) == measures
    for panel in panels:
        for mark in panel.marks:
            places = (mark.low, mark.mean, *mark.seeds, mark.high)
            assert all(panel.axis.start <= x <= panel.axis.end for x in places)
            assert mark.low <= mark.mean <= mark.high
        order = sorted(range(len(values)), key=values.__getitem__)
        assert all(panel.marks[a].mean <= panel.marks[b].mean for a, b in pairwise(order))
        assert panel.origin == panel.marks[0].mean
    assert all(
        one.axis.end < other.axis.start or one.marks[-1].y < other.top for one, other in pairwise(panels)
    )


def test_what_could_not_be_measured_is_left_out_of_the_picture() -> None:
    study = _study([0.5, 0.6], 0.1, 2)
    study["arms"][0]["cells"]["0"] |= {"value": None, "low": None, "high": None}
    for arm in study["arms"]:
        arm["cells"]["1"] = {"value": None, "low": None, "high": None, "unit": "share"}
    one, other = arms_panels(study)
    assert (one.origin, one.marks[0], other.marks) == (None, None, (None, None))
    ElementTree.fromstring(arms_svg(study))


def test_the_picture_of_a_study_is_a_document_of_its_own_with_every_arm() -> None:
    document = ElementTree.fromstring(arms_svg(_study([0.5, 0.6, 0.7], 0.1, 2)))
    texts = [one.text or "" for one in document.iter("{http://www.w3.org/2000/svg}text")]
    assert sum(text.startswith("arm <") for text in texts) == 3
    circles = [one.get("class") for one in document.iter("{http://www.w3.org/2000/svg}circle")]
    assert circles.count("mean") == 6 and circles.count("seed") == 12
