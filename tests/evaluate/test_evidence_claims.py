"""Captions against what a detector or an OCR saw: confirmed, contradicted, and unknown claims."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from vila2.data.evidence import Evidence, SceneObject, WrittenText
from vila2.data.sample import Sample
from vila2.evaluate.kinds.captions import score_captions
from vila2.evaluate.measures.evidence_claims import check_against_evidence, coverage, known_labels
from vila2.evaluate.measures.thing_words import WORDS, plural_of, words_for

LABELS = ("person", "dog", "sports ball", "dining table", "bear", "teddy bear", "car")


def seen(*objects: tuple[str, float], **more) -> Evidence:
    """Objects side by side: label and left edge."""
    things = tuple(SceneObject(label=label, box=(x, 0.4, x + 0.1, 0.6)) for label, x in objects)
    return Evidence(objects=things, **({"all_objects": True, "labels": LABELS} | more))


def statuses(evidence: Evidence, text: str) -> dict[tuple[str, str], str]:
    claims = check_against_evidence(evidence, text, known_labels([evidence]) or LABELS)
    return {(claim.kind, text[claim.start : claim.end]): claim.status for claim in claims}


def test_things_go_by_many_names():
    found = statuses(
        seen(("person", 0.1), ("dog", 0.5)), "A little girl and her puppies, a car; a hot dog, no bears."
    )
    assert found == {
        ("object", "girl"): "supported",
        ("object", "puppies"): "supported",
        ("object", "car"): "contradicted",
    }


def test_what_is_denied_is_no_hallucination():
    assert statuses(seen(("dog", 0.1)), "There are no bears and the image does not show a car.") == {}


def test_the_longest_name_is_meant():
    assert statuses(seen(("teddy bear", 0.1)), "a teddy bear") == {("object", "teddy bear"): "supported"}


def test_what_was_not_looked_for_is_not_denied():
    partly = seen(("dog", 0.1), all_objects=False)
    assert statuses(partly, "A dog and two cars") == {
        ("object", "dog"): "supported",
        ("object", "cars"): "unverified",
        ("count", "two cars"): "unverified",
    }


@pytest.mark.parametrize(
    ("text", "count", "status"),
    [
        ("There are three people.", "three people", "supported"),
        ("There are two people.", "two people", "contradicted"),
        ("Two people walk.", "Two people", "supported"),  # the third may stand
        ("There are two young women.", "two young women", "unverified"),  # the third may be a man
        ("Two young women walk.", "Two young women", "unverified"),  # two may be men
        ("Four old men laugh.", "Four old men", "contradicted"),
        ("We see 3 persons.", "3 persons", "supported"),
    ],
)
def test_counts_are_those_of_the_boxes(text, count, status):
    people = seen(("person", 0.1), ("person", 0.3), ("person", 0.5))
    assert statuses(people, text)["count", count] == status


def test_places_are_those_of_the_boxes_where_the_names_are_clear():
    def place(evidence: Evidence, text: str) -> str:
        (status,) = (status for (kind, _), status in statuses(evidence, text).items() if kind == "relation")
        return status

    evidence = seen(("dog", 0.1), ("car", 0.7))
    assert place(evidence, "The puppy is to the left of the car.") == "supported"
    assert place(evidence, "A dog sits right of a car.") == "contradicted"
    assert place(evidence, "To the left of the car there is a dog.") == "supported"
    assert place(evidence, "A dog is above a car.") == "unverified"
    twins = seen(("dog", 0.1), ("dog", 0.3), ("car", 0.7))
    assert place(twins, "The dog is left of the car.") == "unverified"


def test_whose_place_is_not_plain_is_not_judged():
    evidence = seen(("dog", 0.1), ("car", 0.7), ("person", 0.4))
    found = statuses(evidence, "A man walks a dog right of a car.")
    assert {kind for kind, _ in found} == {"object"}


def test_quoted_text_is_read_with_some_mercy():
    sign = Evidence(texts=(WrittenText(text="MAIN STREET"), WrittenText(text="Open daily")), all_texts=True)
    assert statuses(sign, 'A sign saying "Main Streat".') == {("text", "Main Streat"): "supported"}
    assert statuses(sign, 'It says "street open".') == {("text", "street open"): "supported"}
    assert statuses(sign, 'It says "closed".') == {("text", "closed"): "contradicted"}
    assert statuses(sign.model_copy(update={"all_texts": False}), "It reads 'closed'") == {
        ("text", "closed"): "unverified"
    }


def test_coverage_is_what_of_a_caption_could_be_decided():
    text = "A brown dog chases the ball happily"
    claims = check_against_evidence(seen(("dog", 0.1), labels=("dog",)), text, LABELS)
    assert coverage(claims, text) == (1, 5)
    assert coverage((), "It is.") == (0, 0)
    text = "A brown dog is left of a shiny car."
    claims = check_against_evidence(seen(("dog", 0.1), ("car", 0.7)), text, LABELS)
    assert coverage(claims, text) == (3, 5), "dog, left, car; not brown, not shiny"


def test_a_thing_is_known_and_what_it_does_or_looks_like_is_not():
    names = {
        "A brown dog chases": "dog",
        "The dog runs": "dog",
        "Two dogs jump": "dogs",
        "A man jumped": "man",
        "a sports ball": "sports ball",
        "the big car": "car",
    }
    for text, name in names.items():
        assert [said for kind, said in statuses(seen(), text) if kind == "object"] == [name]
    assert not statuses(seen(), "A car park, a baseball cap and table tennis.")


def test_silence_confirms_nothing_and_chatter_does_not_hide():
    samples = [Sample(str(n), (b"",), (), seen(("dog", 0.1), ("person", 0.5)).to_meta()) for n in range(2)]
    said = score_captions(samples, ["A man walks his dog.", "A car, a bear and a dog."])
    # The second caption's car and bear are no worse beside the first image, which has the same things.
    assert said["objects that another image's evidence confirms"].value == pytest.approx(3 / 5)
    silent = score_captions(samples, ["Nice.", "Lovely!"])
    assert said["objects that evidence confirms"].value == pytest.approx(3 / 5)
    assert said["labels in evidence that are named"].value == pytest.approx(3 / 4)
    assert said["content words that evidence decides"].value == pytest.approx(5 / 6)
    assert silent["objects that evidence confirms"].value is None
    assert (
        silent["labels in evidence that are named"].value
        == silent["content words that evidence decides"].value
        == 0
    )


@pytest.mark.parametrize(
    ("word", "plural"),
    [
        ("bus", "buses"),
        ("puppy", "puppies"),
        ("boy", "boys"),
        ("fire hydrant", "fire hydrants"),
        ("wine glass", "wine glasses"),
        ("young woman", "young women"),
        ("skis", "skis"),
    ],
)
def test_plurals(word, plural):
    assert plural_of(word) == plural
    assert plural in words_for(word)


@given(st.text(alphabet="aA dogcr.\"'two3 left of", max_size=60))
def test_no_text_breaks_it_and_spans_are_in_the_text(text):
    for claim in check_against_evidence(seen(("dog", 0.1), ("car", 0.7)), text, LABELS):
        assert 0 <= claim.start < claim.end <= len(text)


def test_people_confirm_what_another_says_of_their_photo_and_not_of_the_next():
    """One person's caption against the things that four others name: 98.3%, and 58.1% for the next photo."""
    root = Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[3] / "shared" / "realdata"))
    if not (root / "flickr8k").is_dir():
        pytest.skip("no Flickr8k in VILA2_REALDATA")
    labels = tuple(sorted(WORDS))
    rows = [
        json.loads(line)["captions"] for line in (root / "flickr8k" / "test.jsonl").read_text().splitlines()
    ]

    def things(texts):
        claims = [claim for text in texts for claim in check_against_evidence(Evidence(), text, labels)]
        return sorted({claim.subject for claim in claims if claim.kind == "object"})

    samples = [
        Sample(str(n), (b"",), (), Evidence(objects=tuple(SceneObject(label=one) for one in things(own[1:])),
                                            all_objects=True, labels=labels).to_meta())
        for n, own in enumerate(rows)
    ]  # fmt: skip
    found = score_captions(samples, [own[0] for own in rows])
    assert found["objects that evidence confirms"].value > 0.95
    assert found["objects that another image's evidence confirms"].value < 0.6
