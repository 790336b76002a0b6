"""The report: hostile text stays text, marks are in place, and the same results give the same bytes."""

from __future__ import annotations

import random
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tests.report.report_results import caption, claim, example, measure, small
from vila2.errors import DataError
from vila2.report.merge_tables import merge_line
from vila2.report.page import render_page, write_report
from vila2.report.results_page import parse_results
from vila2.report.summary import summary_table

_VOID = {"meta", "img", "input", "br", "link", "hr"}


class Page(HTMLParser):
    """Reads a page strictly: every element is closed in order; keeps the captions' text and marks."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.captions: list[str] = []
        self.marks: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = dict(attrs)
        self.tags.append((tag, own))
        if tag == "p" and own.get("class") == "text":
            self.captions.append("")
        if tag == "mark" and self._in_caption():
            self.marks.append((own["class"] or "", "", own.get("title") or ""))
        if tag not in _VOID:
            self.open.append((tag, own))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1][0] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if any(tag == "style" for tag, _ in self.open):
            return
        self.text += data
        if self._in_caption():
            self.captions[-1] += data
            if self.open[-1][0] == "mark":
                kind, text, title = self.marks[-1]
                self.marks[-1] = (kind, text + data, title)

    def _in_caption(self) -> bool:
        return any(tag == "p" and own.get("class") == "text" for tag, own in self.open)


def page_of(*captions: dict[str, Any], key: str = "scene-1") -> Page:
    return Page(render_page(small(examples=[example(key, *captions)])))


NOTHING = {"claims": 0, "coverage": None, "contradiction_rate": None}
ORIGINAL = {
    "exchanges": {"kept": 4, "dropped": {}},
    "sentences": {"kept": 8, "dropped": {}},
    "verdicts": {"supported": 0, "contradicted": 0, "unverified": 8},
    **{"before": NOTHING, "after": NOTHING, "words_before": 6.0, "words_after": 6.0},
}
OCR = {
    "exchanges": {"kept": 9, "dropped": {"empty": 2}},
    "sentences": {"kept": 20, "dropped": {"contradicted": 3, "repeated": 1}},
    "verdicts": {"supported": 15, "contradicted": 3, "unverified": 6},
    "before": {"claims": 50, "coverage": 0.4, "contradiction_rate": 0.15},
    "after": {"claims": 44, "coverage": 0.364, "contradiction_rate": 0.0},
    **{"words_before": 12.5, "words_after": 11.0},
}
BOTH = OCR | {"sentences": {"kept": 28, "dropped": {"contradicted": 3, "repeated": 1}}}
MERGE = {"images": 4, "rows": 13, "sources": {"original": ORIGINAL, "ocr": OCR}, "all": BOTH}


HOSTILE = [
    "<script>alert(1)</script>",
    "</p></div></style><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x=\'',
    "{{ 7 * 7 }} {% raw %} &amp; &lt;b&gt;",
    "<!-- --> ]]> <![CDATA[",
    "été 日本 👩‍👩‍👧 \u202eabc",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_it_is_wherever_it_stands(text: str) -> None:
    plain = Page(render_page(small()))
    results = small(title=text, notes=[text])
    results["recipe"] |= {"name": text, "text": text}
    results["layers"][1] |= {"name": text, "written_by": text, "status": {text: 3}}
    results["models"][0]["stages"][0]["name"] = text
    results["models"][0]["measures"][0]["name"] = text
    mark = claim("object", 0, len(text), "contradicted", text, text)
    results["examples"][0] = example(text, caption(text, mark, layer=text, status=text)) | {"truth": text}
    page = Page(render_page(results))
    assert page.captions[0] == text
    assert page.marks[0][:2] == ("hallucination", text) and text in page.marks[0][2]
    assert page.text.count(text) >= 8
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"details", "summary"}
    assert not any(name.startswith("on") for _, own in page.tags for name in own)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_text_with_any_spans_reads_as_the_text(data: st.DataObject) -> None:
    text = data.draw(
        st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1, max_size=30)
    )
    spans = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text))).filter(lambda s: s[0] < s[1])
    kinds = st.sampled_from(["object", "attribute", "relation", "text", "count"])
    states = st.sampled_from(["supported", "contradicted", "unverified"])
    rows = data.draw(st.lists(st.tuples(kinds, spans, states), max_size=6))
    page = page_of(caption(text, *(claim(kind, *span, state, "<&>\"'") for kind, span, state in rows)))
    clean = text.replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
    assert page.captions == [clean]
    wrong = {n for _, (start, end), state in rows if state == "contradicted" for n in range(start, end)}
    shown = "".join(part for kind, part, _ in page.marks if kind == "hallucination")
    assert shown == "".join(clean[n] for n in sorted(wrong))


def test_what_html_or_utf8_cannot_hold_becomes_visible_one_sign_for_one(tmp_path: Path) -> None:
    text = "a\x00b\x1bc\ud83dd\ne"
    write_report(
        small(examples=[example("k", caption(text, claim("object", 4, 5, "supported")))]), tmp_path / "r.html"
    )
    page = Page((tmp_path / "r.html").read_text("utf-8"))
    assert page.captions == ["a␀b␛c\ufffdd\ne"]
    assert page.marks == [("fact", "c", "object supported")]


def test_overlaps_show_contradicted_then_spatial_then_facts_and_tell_all_in_the_title() -> None:
    page = page_of(
        caption(
            "a small red cube left of it",
            claim("object", 0, 16, "supported", "", "small red cube"),
            claim("attribute", 8, 11, "contradicted", "it is blue", "red"),
            claim("relation", 12, 24, "supported", "", "cube left it"),
            claim("count", 0, 7, "unverified", "not counted", "a"),
        )
    )
    assert [(kind, text) for kind, text, _ in page.marks] == [
        ("fact", "a small "),
        ("hallucination", "red"),
        ("fact", " "),
        ("spatial", "cube left of"),
    ]
    assert page.marks[0][2].splitlines() == [
        "object “small red cube” supported",
        "count “a” unverified: not counted",
    ]
    assert page.marks[1][2].startswith("attribute “red” contradicted: it is blue\n")


def test_marks_at_both_ends_and_of_the_same_claim_stay_whole() -> None:
    page = page_of(
        caption(
            "red cube and ball",
            claim("object", 0, 8, "supported", "", "red cube"),
            claim("attribute", 0, 3, "supported", "", "red"),
            claim("object", 13, 17, "supported", "", "ball"),
        )
    )
    assert [text for _, text, _ in page.marks] == ["red cube", "ball"]
    assert "2 supported facts" in page.text


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (0, 7), (4, 2), (3, 3), (99, 120)])
def test_a_span_outside_its_text_is_an_error_that_names_the_example(
    start: int, end: int, tmp_path: Path
) -> None:
    wrong = example("scene-77", caption("a ball", claim("object", start, end, "supported", "", "ball")))
    with pytest.raises(DataError, match=r"scene-77.*'original'.*'ball'"):
        write_report(small(examples=[wrong]), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_same_results_give_the_same_bytes_whatever_the_order_of_keys(tmp_path: Path) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in random.Random(5).sample(sorted(value), len(value))}
        return [shuffled(one) for one in value] if isinstance(value, list) else value

    write_report(small(), tmp_path / "one.html")
    write_report(shuffled(small()), tmp_path / "two.html")
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_nothing_is_loaded_from_outside_and_no_script_is_needed() -> None:
    page = Page(render_page(small()))
    for tag, own in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "base")
        assert all(name not in own for name in ("srcset", "action", "style"))
        assert (own.get("href") or "#").startswith("#")
        assert own.get("src", "data:").startswith("data:")
    assert "url(" not in render_page(small()) and "@import" not in render_page(small())


@pytest.mark.parametrize(
    "image", ["https://example.org/x.png", "x.png", "data:image/svg+xml;base64,AAAA", "javascript:1"]
)
def test_an_image_that_is_not_inside_the_page_is_refused(image: str) -> None:
    with pytest.raises(DataError, match=r"examples\[0\]\.image"):
        render_page(small(examples=[example("k") | {"image": image}]))


def test_a_run_with_little_to_show_still_gives_a_page() -> None:
    bare = {key: value for key, value in small().items() if key in ("title", "recipe", "vila2_version")}
    assert "A small run" in Page(render_page(bare)).text
    empty = small(models=[], changes=[], layers=[], examples=[], notes=[])
    assert [own["id"] for tag, own in Page(render_page(empty)).tags if tag == "section"] == ["recipe", "made"]


def test_undefined_numbers_and_diverged_losses_are_shown_as_such() -> None:
    results = small()
    results["models"][1]["stages"][0]["loss"][3:5] = [[4, float("nan")], [5, None]]
    results["models"][1]["measures"][0] = measure("object precision", None)
    results["layers"][1] |= {"words_mean": float("nan"), "words_sd": None}
    page = render_page(results)
    assert "nan" not in page.replace("nowrap", "").lower().split("</style>")[1]
    assert "2 logged losses were not finite and are not drawn" in Page(page).text
    for losses in ([], [[1, float("inf")]], [[1, 2.0]]):
        results["models"][1]["stages"][0]["loss"] = losses
        Page(render_page(results))


def test_photos_without_claims_say_so_and_have_no_legend() -> None:
    page = page_of(caption("Two dogs run."), caption("Dogs run on grass.", layer="self-1"))
    assert "nothing in the captions is marked" in page.text
    assert "supported fact" not in page.text


def test_badges_status_shares_and_filters() -> None:
    page = Page(render_page(small()))
    assert [own for tag, own in page.tags if tag == "span" and own.get("class") == "badge"] == [
        {"class": "badge"}
    ]
    assert "97.0% ok, 3.0% truncated" in " ".join(page.text.split())
    classes = [own["class"] for tag, own in page.tags if tag == "article"]
    assert classes == ["example changed lost", "example"]
    text = " ".join(page.text.split())
    assert "all 2" in text and "only examples that changed (1)" in text
    assert "appeared" not in text


def test_best_is_bold_and_arrows_follow_the_interval() -> None:
    page = render_page(small())
    assert page.count('<span class="arrow">↑</span><span class="hidden"> better</span>') == 1
    assert page.count('<span class="arrow">↓</span><span class="hidden"> better</span>') == 1
    assert page.count('<span class="arrow">↑</span><span class="hidden"> changed</span>') == 1
    assert page.count('class="number change untold"') == 1
    for best in ("<b>79.0</b>", "<b>0.60</b>"):
        assert best in page
    assert "<b>81.0</b>" not in page and "<b>38.0</b>" not in page


def test_a_measure_says_what_not_looking_would_score() -> None:
    models = [
        {
            "name": "VILA_0",
            "round": 0,
            "measures": [measure("accuracy", 0.7, baseline=0.5), measure("words", 9)],
        }
    ]
    results = small(models=models, changes=[])
    assert "%, baseline 50.0" in render_page(results)
    rows = [row[0] for row in summary_table(results)["rows"]]
    assert rows == ["captions: accuracy (%, baseline 50.0)", "captions: words (%)"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"title": None}, "title"),
        ({"extra": 1}, "extra"),
        ({"notes": [3]}, r"notes\[0\]"),
        ({"changes": [{"benchmark": "captions"}]}, r"changes\[0\]\.from"),
    ],
)
def test_wrong_results_are_named_by_their_place(change: dict[str, Any], place: str) -> None:
    with pytest.raises(DataError, match=place):
        render_page(small(**change))


def test_two_models_of_one_name_are_refused() -> None:
    results = small()
    results["models"][1]["name"] = "VILA_0"
    with pytest.raises(DataError, match="'VILA_0' stands there twice"):
        render_page(results)


def test_of_a_layer_with_many_answers_the_first_is_shown_and_the_others_unfold():
    texts = ["a dog", "a red dog", "two dogs", "no cat"]
    captions = [caption(texts[0]), *(caption(text, layer="merged") for text in texts[1:])]
    page = render_page(small(examples=[example("x", *captions)]))
    _, _, after = page.partition('<details class="others')
    folded, _, _ = after.partition("</details>")
    assert "2 more of merged" in folded and [text in folded for text in texts] == [False, False, True, True]
    assert Page(page).captions == texts


def test_a_merge_is_shown_by_layer_with_both_rates_together() -> None:
    assert "What the merge kept" not in Page(render_page(small())).text
    page = Page(render_page(small(merge=MERGE)))
    text = "".join(page.text.split())
    for line in (
        "sentences kept contradicted repeated  original 8 0 0  ocr 20 3 1  all 28 3 1",
        "before>after claims coverage contradicted words",
        "ocr 50>44 40%>36% 15%>0% 12.5>11.0",
    ):
        assert "".join(line.split()) in text
    assert merge_line(parse_results(small(merge=MERGE)).merge) == (
        "Merged: 28 of 32 sentences kept (dropped: contradicted 3, repeated 1); coverage 40% > 36%, "
        "contradicted 15% > 0%."
    )
