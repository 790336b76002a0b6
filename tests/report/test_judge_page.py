"""The judge's page: trust comes first, a preference only beyond chance, and every text is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vila2.report.judge_page import match_table, sentences, strength_table, write_judge_page


def results(**changes: Any) -> dict[str, Any]:
    match = {
        "first": "original",
        "second": "self-1",
        "kinds": {"decided": 30, "tie": 6, "inconsistent": 4, "unparsed": 5},
        "scored": 40,
        "won": 20,
        "lost": 10,
        "win_rate": [0.625, 0.5125, 0.7375],
        "preferred": "self-1",
        "can_control": True,
        "longer_share": 0.3,
        "controlled": [0.55, 0.41, 0.68],
        "words": [8.25, 28.5],
    }
    base = {
        "vila2_version": "0",
        "dataset": "photos",
        "layers": ["original", "self-1"],
        "judge": {"kind": "engine", "name": "a <b>judge</b>", "prompt": "Which <one>?"},
        "seed": 3,
        "images": 60,
        "left_out": {"self-1: refusal": 15},
        "pairs": {"chosen": 45, "scored": 40, "kinds": match["kinds"]},
        "matches": [match],
        "strengths": [
            {"layer": "original", "strength": [0.0, 0.0, 0.0], "controlled": None},
            {"layer": "self-1", "strength": [0.69, 0.1, 1.3], "controlled": None},
        ],
        "trust": {
            "votes": 130,
            "verdicts": {"A": 60, "B": 60, "unparsed": 10},
            "agrees": [0.9, 0.8, 0.975],
            "inconsistent": 4,
            "twice": 40,
            "shown_first": [0.5, 0.45, 0.55],
        },
        "check": {
            "count": 20,
            "scored": 20,
            "kinds": {"decided": 20},
            "right": [0.9, 0.75, 1.0],
            "sees": "yes",
        },
        "examples": [
            {
                "key": "k<1>",
                "image": None,
                "layers": ["original", "self-1"],
                "texts": ["a dog", "<script>alert(1)</script> \x00"],
                "kind": "decided",
                "score": 1.0,
                "said": [{"shown": 0, "verdict": "B", "said": "B"}],
            }
        ],
    }
    base["matches"] = [match | changes.pop("match", {})]
    return base | changes


def test_the_judges_trust_comes_before_what_it_prefers():
    said = sentences(results())
    assert said[0].startswith("The judge sees. It told an image's own caption from one moved there")
    assert "90.0 (75.0–100.0)% right" in said[0]
    assert said[1] == "10 of 130 answers were no verdict; their pairs do not count."
    assert "agrees with itself on 90.0 (80.0–97.5)% of 40 pairs; the other 4 count as ties" in said[2]
    assert said[4].startswith("self-1 is preferred to original: self-1 wins 62.5 (51.2–73.8)%")
    assert said[4].endswith("at equal length 55.0 (41.0–68.0)%.")
    assert "self-1: refusal 15" in said[5] and "40 count (5 unparsed)" in said[6]


def test_a_blind_judge_is_called_so_first():
    check = {"count": 200, "scored": 190, "kinds": {}, "right": [0.52, 0.45, 0.59], "sees": "no"}
    said = sentences(results(check=check))
    assert said[0].startswith("The judge cannot see: what follows says nothing about the captions.")
    assert "in 190 of 200 checks that count: 52.0 (45.0–59.0)% right" in said[0]
    assert "not checked" in sentences(results(check=None))[0]
    none = check | {"right": None, "sees": None, "kinds": {"unparsed": 20}}
    assert "none of its checks ended in a verdict" in sentences(results(check=none))[0]
    assert "no check was judged yet" in sentences(results(check=none | {"kinds": {"open": 20}}))[0]


def test_no_preference_and_no_rate_at_equal_length_are_said():
    match = {"preferred": None, "controlled": None, "can_control": False, "longer_share": 0.01}
    said = sentences(results(match=match))[4]
    assert said.startswith("Between original and self-1 no preference can be told from chance")
    assert "the one that is mostly shorter is at least as long in 1.0% of the pairs" in said
    empty = {"win_rate": None, "scored": 0}
    assert "too few pairs" in sentences(results(match=empty))[4]


def test_tables_for_the_page_and_the_terminal():
    headings, [row] = match_table(results())
    assert dict(zip(headings, row, strict=True))["orders disagree"] == "4"
    assert row[-1] == "28.5 / 8.2" and row[0] == "self-1 against original"
    assert match_table(results(), short=True)[1] == [row[:4]]
    assert [cells[1] for cells in strength_table(results())[1]] == ["0, by definition", "0.69 (0.10–1.30)"]


def test_the_page_loads_nothing_and_escapes_what_models_wrote(tmp_path: Path):
    write_judge_page(results(), tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text()
    assert "default-src 'none'" in page and "http" not in page.replace("http-equiv", "")
    assert "<script>" not in page and "&lt;script&gt;alert(1)" in page and "\x00" not in page
    assert "won by self-1" in page and "a &lt;b&gt;judge" in page and "original shown first: B" in page
    write_judge_page(results(), tmp_path / "b.html")
    assert (tmp_path / "b.html").read_bytes() == page.encode()
