"""Questions by rule: what is asked, and what is not because its answer is not the only one."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from conftest import page, picture, text
from vila2 import BoxPart, Evidence, Sample
from vila2.data.evidence import WrittenText
from vila2.errors import DataError
from vila2.plugin import python_generator

from vila2_ocr.builder import OcrBuilder, OcrConfig
from vila2_ocr.checking import faults
from vila2_ocr.documents import read
from vila2_ocr.facts import Fact, Page, Refusal
from vila2_ocr.layout import layout_of
from vila2_ocr.rules import rules


def found(kind: str, evidence: Evidence) -> list:
    return list(rules()[kind](Page(evidence, python_generator(0))))


def answers(kind: str, evidence: Evidence) -> list[str]:
    return [one.answer for one in found(kind, evidence) if isinstance(one, Fact)]


def reasons(kind: str, evidence: Evidence) -> list[str]:
    return [one.reason for one in found(kind, evidence) if isinstance(one, Refusal)]


BILL = (
    text("CORNER SHOP", 0.3, 0.05, 0.4, 0.12),
    text("Date: 01/02/2020", 0.1, 0.2),
    text("Tea", 0.1, 0.3), text("2.50", 0.7, 0.301),
    text("Total:", 0.1, 0.4), text("2.50", 0.7, 0.4),
    text("Cash:", 0.1, 0.5), text("5.00", 0.7, 0.5),
)  # fmt: skip


def test_lines_are_read_from_left_to_right_and_from_the_top():
    shuffled = page(*sorted(BILL, key=lambda one: one.text))
    lines = ["CORNER SHOP", "Date: 01/02/2020", "Tea 2.50", "Total: 2.50", "Cash: 5.00"]
    assert answers("full-text", shuffled) == ["\n".join(lines)]
    assert answers("nth-line", shuffled) == lines
    assert answers("largest-text", shuffled) == ["CORNER SHOP"]


@pytest.mark.parametrize("degrees", [-12, -4, 5, 12])
def test_a_turned_page_reads_the_same(degrees):
    turn = math.radians(degrees)

    def turned(point):
        x, y = point[0] - 0.5, point[1] - 0.5
        return 0.5 + x * math.cos(turn) - y * math.sin(turn), 0.5 + x * math.sin(turn) + y * math.cos(turn)

    tilted = page(*(one.model_copy(update={"outline": tuple(map(turned, one.outline))}) for one in BILL))
    assert answers("full-text", tilted) == answers("full-text", page(*BILL))


def test_where_boxes_leave_the_order_open_nothing_is_asked():
    stair = page(text("one", 0.1, 0.1), text("two", 0.4, 0.132), text("three", 0.7, 0.164))
    assert answers("full-text", stair) == answers("nth-line", stair) == []
    assert reasons("full-text", stair) == ["unclear order"]


def test_parts_and_repetitions_of_a_text_are_not_read_twice():
    twice = page(
        text("NO ENTRY", 0.1, 0.1, 0.4), text("NO", 0.1, 0.1, 0.1), text("ENTRY", 0.25, 0.1, 0.25),
        text("NO ENTRY", 0.101, 0.1, 0.4), text("Exit", 0.1, 0.3),
    )  # fmt: skip
    assert [piece.text for piece in layout_of(twice).pieces] == ["NO ENTRY", "Exit"]
    assert answers("nth-line", twice) == ["NO ENTRY", "Exit"]


def test_a_text_under_another_one_is_not_asked_about():
    stacked = page(text("under", 0.1, 0.1), text("STAMP", 0.1, 0.1), text("free", 0.1, 0.5))
    assert answers("text-in-box", stacked) == ["free"]


def test_a_question_about_a_box_gives_the_box():
    sample = Sample("k", (picture(),), (), page(text("Exit", 0.1, 0.2, 0.3, 0.1)).to_meta())
    only_boxes = {kind: float(kind == "text-in-box") for kind in rules()}
    asked = OcrBuilder(OcrConfig(data=Path("."), weights=only_boxes)).ask(sample)
    boxes = [part.box for part in asked.turns[1].parts if isinstance(part, BoxPart)]
    assert boxes == [pytest.approx((0.1, 0.2, 0.4, 0.3))]
    assert asked.turns[2].text == "Exit"


@pytest.mark.parametrize(
    ("texts", "value"),
    [(BILL, {"Date": "01/02/2020", "Total": "2.50", "Cash": "5.00"}),
     ((text("Total", 0.1, 0.4), text("2.50", 0.7, 0.4)), {}),
     ((text("Total:", 0.1, 0.4), text("RM", 0.5, 0.4), text("2.50", 0.7, 0.4)), {}),
     ((text("Total: RM", 0.1, 0.4), text("2.50", 0.7, 0.4)), {}),
     ((text("Total:", 0.1, 0.4),), {}),
     ((text("Total: 1.00", 0.1, 0.4), text("TOTAL: 2.00", 0.1, 0.6)), {}),
     ((text("TEL: 07-123", 0.1, 0.4), text("FAX: 07-555", 0.6, 0.4)), {"TEL": "07-123", "FAX": "07-555"}),
     ((text("8:13:39 PM", 0.1, 0.4), text("http://a.b", 0.1, 0.6)), {}),
     ((text("Note: a text that very likely goes on below", 0.1, 0.4),), {})],
)  # fmt: skip
def test_a_keys_value_is_asked_only_where_there_is_one(texts, value):
    facts = [one for one in found("key-value", page(*texts)) if isinstance(one, Fact)]
    assert {fact.named["key"]: fact.answer for fact in facts} == value


def test_a_value_that_differs_from_the_field_is_not_asked():
    assert "2.50" in answers("key-value", page(*BILL, total="2.50"))
    assert "differs from the field of that name" in reasons("key-value", page(*BILL, total="9.00"))


def test_a_field_is_asked_where_it_can_be_read():
    assert answers("field", page(*BILL, company="Corner shop", address="Elm Road")) == ["Corner shop"]


TABLE = (
    text("Pears", 0.4, 0.1, kind="column"), text("Figs", 0.7, 0.1, kind="column"),
    text("Oslo", 0.1, 0.3, kind="row"), text("12", 0.45, 0.3, 0.1, kind="cell"),
    text("7", 0.75, 0.3, 0.1, kind="cell"),
    text("Rome", 0.1, 0.5, kind="row"), text("30", 0.45, 0.5, 0.1, kind="cell"),
    text("8", 0.75, 0.5, 0.1, kind="cell"),
)  # fmt: skip


def test_a_tables_cells_and_sums():
    facts = [one for one in found("cell", page(*TABLE)) if isinstance(one, Fact)]
    assert {(one.named["row"], one.named["column"]): one.answer for one in facts} == {
        ("Oslo", "Pears"): "12", ("Oslo", "Figs"): "7", ("Rome", "Pears"): "30", ("Rome", "Figs"): "8"
    }  # fmt: skip
    sums = {one.answer: one.computation for one in found("sum", page(*TABLE))}
    assert sums == {"42": "12 + 30 = 42", "15": "7 + 8 = 15"}


def chart(*values: int) -> Evidence:
    texts = []
    for number, value in enumerate(values):
        x = 0.1 + 0.2 * number
        texts += [
            text("ABCD"[number] * 3, x, 0.9, 0.1, kind="category"),
            text(str(value), x, 0.5, 0.1, kind="value"),
        ]
    return page(*texts)


def test_a_charts_bars():
    assert answers("bar", chart(20, 50, 10)) == ["20", "50", "10", "BBB", "CCC"]
    assert reasons("bar", chart(50, 49, 10)) == ["two bars nearly as high"]
    assert answers("sum", chart(20, 50, 10)) == ["80"]
    assert answers("difference", chart(20, 50, 10)) == ["30", "40"]
    assert answers("full-text", chart(20, 50, 10)) == []


def test_what_appears_is_asked_with_a_near_miss():
    facts = {one.answer: one.named["word"] for one in found("appears", page(*BILL))}
    words = {"corner", "shop", "date", "total", "cash"}
    assert facts["Yes"] in words
    miss = facts["No"]
    assert any(
        sum(a != b for a, b in zip(miss, word, strict=True)) == 1 for word in words if len(word) == len(miss)
    )
    assert set({one.answer for one in found("appears", page(*BILL, all_texts=False))}) == {"Yes"}


def test_a_word_is_counted_only_where_it_is_no_part_of_others():
    lines = [text("tea and tea", 0.1, 0.1), text("bee bee", 0.1, 0.3), text("ant", 0.1, 0.5)]
    assert {"tea": "2", "bee": "2"}.items() & counted(*lines).items()
    assert "1" in counted(*lines).values()
    with_part = counted(*lines, text("teapot", 0.1, 0.7))
    assert "tea" not in with_part and with_part["bee"] == "2"


def test_where_no_word_is_repeated_none_is_counted():
    assert counted(text("tea", 0.1, 0.1), text("ant", 0.1, 0.5)) == {}


def counted(*texts: WrittenText) -> dict[str, str]:
    return {one.named["word"]: one.answer for one in found("count", page(*texts)) if isinstance(one, Fact)}


def test_signs_in_a_scene():
    one = page(text("mop", 0.1, 0.1, on="red cube"))
    assert answers("sign", one) == ["mop", "mop"]
    assert answers("description", one) == ['The sign on the red cube says "mop".']
    same = page(text("mop", 0.1, 0.1, on="red cube"), text("vex", 0.6, 0.1, on="red cube"))
    assert answers("sign", same) == answers("description", same) == []
    assert answers("description", page()) == ["There is no text in the image."]
    assert answers("description", page(all_texts=False)) == []
    assert answers("full-text", one) == []


def test_every_answer_by_rule_on_drawn_documents_is_checked_in_another_way():
    builder = OcrBuilder(OcrConfig(data=Path("."), questions=30))
    kinds = Counter()
    for sample in read(count=24, rotation=4):
        asked = builder.ask(sample)
        for fact in asked.meta["facts"]:
            kinds[fact["kind"]] += 1
            assert list(faults(fact, Evidence.of(asked))) == [], sample.key
    assert {"full-text", "nth-line", "text-in-box", "largest-text", "key-value", "field", "cell", "bar-value",
            "bar-extreme", "appears", "sum", "difference", "count"} <= set(kinds)  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "key-value", "answer": "9.99", "texts": [4, 5], "named": {"key": "Total"}},
     {"kind": "key-value", "answer": "2.50", "texts": [6, 5], "named": {"key": "Total"}},
     {"kind": "nth-line", "answer": "Tea 2.51", "texts": [2, 3]},
     {"kind": "full-text", "answer": "CORNER SHOP", "texts": [0]},
     {"kind": "field", "answer": "3.00", "named": {"field": "total"}},
     {"kind": "appears", "answer": "Yes", "named": {"word": "corned"}},
     {"kind": "difference", "answer": "2.50", "texts": [5, 7], "computation": "5.00 - 2.00 = 2.50"},
     {"kind": "difference", "answer": "3.00", "texts": [5, 7], "computation": "5.00 - 2.00 = 3.00"},
     {"kind": "count", "answer": "2", "texts": [0], "named": {"word": "shop"}, "computation": "1 + 1 = 2"}],
)  # fmt: skip
def test_the_check_finds_wrong_answers(wrong):
    assert list(faults(wrong, page(*BILL, total="2.50")))


def test_on_real_receipts_every_answer_agrees_with_the_transcript_and_the_key_fields(receipts):
    rows = {row["id"]: row for row in map(json.loads, (receipts / "sroie100.jsonl").read_text().splitlines())}
    builder = OcrBuilder(OcrConfig(data=receipts, questions=40))
    asked, fields = Counter(), Counter()
    for sample in builder.build("data"):
        assert isinstance(sample, Sample)
        row = rows[sample.key]
        transcript = [line["text"] for line in row["lines"]]
        evidence = Evidence.of(sample)
        assert [one.text for one in evidence.texts] == transcript
        for fact in sample.meta["facts"]:
            asked[fact["kind"]] += 1
            assert list(faults(fact, evidence)) == [], sample.key
            if fact["kind"] == "field":
                fields[fact["named"]["field"]] += 1
                assert fact["answer"] == " ".join(row["fields"][fact["named"]["field"]].split())
    assert len(rows) == 100 and sum(asked.values()) > 1500
    assert {"full-text", "nth-line", "text-in-box", "largest-text", "key-value", "field", "appears",
            "difference", "count"} <= set(asked)  # fmt: skip
    assert set(fields) == {"company", "date", "address", "total"} and fields["total"] > 90


def test_images_without_text_are_asked_about_now_and_then():
    empty = [Sample(f"k{number}", (picture(),), (), page().to_meta()) for number in range(200)]
    builder = OcrBuilder(OcrConfig(data=Path("."), empty_share=0.25))
    kept = [one for one in map(builder.ask, empty) if isinstance(one, Sample)]
    assert 30 <= len(kept) <= 70
    assert {turn.text for one in kept for turn in one.turns if turn.trained} == {
        "There is no text in the image."
    }


def test_unknown_text_is_no_absent_text():
    unknown = Sample("k", (picture(),), (), Evidence(objects=[{"label": "cube"}]).to_meta())
    assert OcrBuilder(OcrConfig(data=Path("."))).ask(unknown).reason == "no-texts"


def test_a_weight_of_an_unknown_kind_is_refused():
    with pytest.raises(DataError, match="unknown kind of question 'sings'"):
        OcrBuilder(OcrConfig(data=Path("."), weights={"sings": 1}))


def test_outlines_with_crossed_corners_are_understood():
    crossed = WrittenText(text="Exit", outline=((0.1, 0.1), (0.4, 0.2), (0.4, 0.1), (0.1, 0.2)))
    assert answers("text-in-box", page(crossed)) == ["Exit"]
