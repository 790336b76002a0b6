"""Answers: parsed to claims, checked against what is written, and scored."""

import pytest
from conftest import page, text
from vila2 import Claim, Sample, TextPart, assistant, user
from vila2.plugin import Asked, Said

from vila2_ocr.metrics import score
from vila2_ocr.parser import parse, quoted
from vila2_ocr.verifier import verify


def said(answer: str) -> Said:
    return Said("k", "What text is in the image?", answer, (TextPart(answer),))


@pytest.mark.parametrize(
    ("answer", "values", "subjects"),
    [('The sign on the red cube says "mop".', ["mop"], ["red cube"]),
     ('The red cube has a sign that says "mop".', ["mop"], ["red cube"]),
     ('The sign on the small red cube says "mop". The sign on the blue ball says "vex".', ["mop", "vex"],
      ["red cube", "blue ball"]),
     ("It reads “NO ENTRY” and “Exit”.", ["NO ENTRY", "Exit"], ["", ""]),
     ("The driver's car isn't there.", [], []),
     ("It says 'stop' there.", ["stop"], [""]),
     ('A sign " mop ".', ["mop"], [""]),
     ('Nothing but "--".', [], [])],
)  # fmt: skip
def test_what_is_quoted_becomes_a_claim(answer, values, subjects):
    claims = parse(said(answer)).claims
    assert [claim.value for claim in claims] == values
    assert [claim.subject for claim in claims] == subjects
    assert all(claim.value in answer[claim.start : claim.end] for claim in claims)


@pytest.mark.parametrize(
    ("answer", "status"),
    [("There is no text in the image.", "empty"), ("The image does not contain any visible words.", "empty"),
     ('There is no sign but a word: "mop".', "ok"), ("mop", "ok")],
)  # fmt: skip
def test_an_answer_that_there_is_nothing_is_empty(answer, status):
    assert parse(said(answer)).status == status


def judged(value: str, evidence, subject: str = ""):
    claim = Claim("text", 0, 1, "unverified", subject=subject, value=value)
    return verify([claim], evidence)[0].status


RECEIPT = (
    text("BOOK TA (TAMAN DAYA)", 0.1, 0.1),
    text("81100 JOHOR BAHRU,", 0.1, 0.2),
    text("TOTAL:", 0.1, 0.3),
)


@pytest.mark.parametrize(
    ("value", "all_texts", "status"),
    [("Johor Bahru", True, "supported"), ("total", True, "supported"),
     ("81100 Johar Bahru", True, "supported"), ("daya) 81100", True, "supported"),
     ("tot", True, "contradicted"), ("tot", False, "unverified"),
     ("toral", True, "unverified"), ("Singapore", True, "contradicted"), ("Singapore", False, "unverified")],
)  # fmt: skip
def test_a_quote_is_checked_against_what_is_written(value, all_texts, status):
    assert judged(value, page(*RECEIPT, all_texts=all_texts)) == status


def test_a_quote_must_stand_where_it_is_said_to_stand():
    signs = page(text("mop", 0.1, 0.1, on="red cube"), text("vex", 0.6, 0.1, on="blue ball"))
    assert judged("mop", signs, "red cube") == "supported"
    assert judged("mop", signs, "blue ball") == "contradicted"
    assert judged("mop", signs) == "supported"
    assert judged("map", signs, "red cube") == "contradicted"


def test_claims_of_other_kinds_are_left_alone():
    claim = Claim("count", 0, 1, "unverified", subject="cube", value="2")
    assert verify([claim], page(*RECEIPT)) == (claim,)


def asked(answer: str, reference: str, kind: str = "", references=()) -> Asked:
    sample = Sample("k", meta={"references": [list(references)]} if references else {})
    return Asked(sample, user("?", branch=1), assistant(reference, branch=1), said(answer), kind)


def value(measure: str, *all_asked: Asked) -> float:
    items = score(all_asked)[measure]
    return sum(items.numerators) / sum(items.denominators)


@pytest.mark.parametrize(
    ("answer", "reference", "kind", "right"),
    [("Mop.", "mop", "sign", 1), ("map", "mop", "sign", 0), ("The sign says mop", "mop", "sign", 0),
     ('A sign says "mop".', 'The sign on the red cube says "mop".', "description", 1),
     ('A "mop" and a "vex".', 'The sign on the red cube says "mop".', "description", 0),
     ("102", "100", "sum", 1), ("102", "100", "cell", 0)],
)  # fmt: skip
def test_what_counts_as_read(answer, reference, kind, right):
    assert value("read right", asked(answer, reference, kind)) == right


def test_yes_and_no_do_not_count_as_reading():
    both = (asked("Yes, it is.", "Yes", "appears"), asked("vex", "mop", "sign"))
    assert value("read right", *both) == 0
    assert value("yes or no right", *both) == 1


def test_every_answer_that_a_data_set_accepts_is_right():
    assert value("read right", asked("Nov 3", "November 3", "docvqa", ("November 3", "Nov 3"))) == 1


def test_quotes_are_found_in_any_text():
    assert [claim.value for claim in quoted('a "b" c')] == ["b"]
