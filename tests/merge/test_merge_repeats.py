"""Things that an answer introduces more often than they were found, and sentences that are compared."""

import time

import pytest

from tests.merge.merge_jobs import LEFT, everywhere, fates, hand_made, merged
from tests.merge.merge_layers import said
from vila2.claims.names import Vocabulary
from vila2.claims.reading import read_claims
from vila2.data.claims import Claim
from vila2.data.sample import BoxPart, TextPart
from vila2.merge.answer_sentences import sentences_of, with_claims
from vila2.merge.dialogue import Talk
from vila2.merge.hearing import HeardExchange, Spoken
from vila2.merge.known import Known, known_of
from vila2.merge.repeats import refuted_repeats
from vila2.merge.sources import Source
from vila2.recipe.parts.specialists import MergeSpec


def spoken(text, *boxes) -> list[Spoken]:
    """The sentences of a caption with their claims; "#" stands for a box."""
    parts = [TextPart(text.split("#")[0])]
    for box, piece in zip(boxes, text.split("#")[1:], strict=True):
        parts += [BoxPart(box), TextPart(piece)]
    (sentences,) = sentences_of([parts])
    return [Spoken(with_claims(one, read_claims(one.bare, Vocabulary()))) for one in sentences]


def boxed(names) -> Known:
    boxes = [(n / len(names), 0, (n + 1) / len(names), 1) for n in range(len(names))]
    return known_of(
        Claim("object", 0, 1, "unverified", subject=n, boxes=(b,)) for n, b in zip(names, boxes, strict=True)
    )


@pytest.mark.parametrize(
    ("caption", "refuted"),
    [
        ("There is a red cube. There is a red cube.", ["There is a red cube."]),
        ("A large red cube and a small red cube.", ["A large red cube and a small red cube."]),
        ("There is a red cube. The red cube is large.", []),
        ("There is a cube. Another red cube.", ["Another red cube."]),
        ("There is a green cone. There is a green cone.", []),  # nobody found one, so nothing is known
        # What the first names can make room for the second: any thing, then the cube.
        ("There is an object. There is a red cube. There is a blue ball.", ["There is a blue ball."]),
        # What goes introduces nothing.
        ("A red cube and a red cube. There is a red cube.", ["A red cube and a red cube."]),
        # "A" may speak of what was named before.
        ("There is a red cube. The ball is smaller than a cube.", []),
        ("A red cube is there. The blue ball stands next to a cube.", []),
        ("The thing looks like a cube. It could be a red cube. It is a cube of great beauty.", []),
    ],
)
def test_a_thing_that_is_there_once_is_introduced_once(small, tmp_path, caption, refuted):
    layers = hand_made(small, **{"self-1": everywhere(small, lambda key: said(key, caption))})
    merged(small, layers, tmp_path / "m", absence=["repeats"])
    own = [one for one in fates(tmp_path / "m", "self-1") if one.key == small.keys()[0]]
    assert [one.text for one in own if one.reason == "contradicted"] == refuted
    assert all("named before" in one.detail for one in own if one.reason == "contradicted")
    merged(small, layers, tmp_path / "off", absence=())
    assert not [one for one in fates(tmp_path / "off", "self-1") if one.reason == "contradicted"]


def test_what_stands_behind_a_box_is_introduced_too():
    told = spoken("There is a red cube. Behind the ball # there is a red cube.", LEFT)
    found = refuted_repeats(told, boxed(["red cube", "ball"]))
    assert [one.verdict for one in found] == ["unverified", "contradicted"]


def test_as_many_are_introduced_as_were_found_however_many():
    # Each "cube" takes a red one, and all of them have to move when the red ones come.
    names = ["blue cube"] * 600 + ["red cube"] * 600
    told = spoken("There is a cube. " * 600 + "There is a red cube. " * 600 + "There is a blue cube.")
    began = time.monotonic()
    found = refuted_repeats(told, boxed(names[::-1]))
    assert [one.verdict for one in found] == ["unverified"] * 1200 + ["contradicted"]
    assert time.monotonic() - began < 30


def test_a_caption_of_thousands_of_sentences_is_compared_in_little_time():
    told = tuple(spoken("".join(f"There is a thing{n % 2900} of sort {n}. " for n in range(3000))))
    caption = HeardExchange(Source("self-1", "base"), 0, None, told)
    began = time.monotonic()
    (arranged,) = Talk(MergeSpec(), 0, len).arrange("key", [caption])
    assert len(arranged.spoken) == 3000 and time.monotonic() - began < 60
