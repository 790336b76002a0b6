"""Free captions read into claims, answers taken apart into sentences and put together again."""

import time

import pytest
from hypothesis import given, strategies as st

from vila2.claims.names import Vocabulary, agree, clash, name_of
from vila2.claims.reading import read_claims
from vila2.data.claims import Claim
from vila2.data.coordinates import CoordinateScheme
from vila2.data.sample import BoxPart, PolygonPart, TextPart
from vila2.merge.answer_sentences import Sentence, joined, sentences_of, without_coordinates
from vila2.merge.judging import judged, verdict_of
from vila2.merge.known import known_of

WORDS = Vocabulary.of([("red", "cube"), ("blue", "ball"), ("dog",)])


def told(sentence: str, kind: str) -> list[tuple]:
    return [
        (one.subject, one.predicate, one.object) if kind == "relation" else (one.subject, one.value)
        for one in read_claims(sentence, WORDS)
        if one.kind == kind
    ]


@pytest.mark.parametrize(
    ("sentence", "relations"),
    [
        ("A red cube is to the left of the blue ball.", [("red cube", "left", "blue ball")]),
        ("The dogs are behind a sofa.", [("dog", "behind", "sofa")]),
        ("Behind the sofa there is a lamp.", [("lamp", "behind", "sofa")]),
        ("On the left there is a green cone.", [("green cone", "camera_left", "")]),
        ("A dog sits in the foreground.", [("dog", "camera_close", "")]),
        ("The cup is closer to the camera than the plate of food.", [("cup", "front", "plate")]),
        ("A cat with a hat is right of the table and in front of the door.",
         [("cat", "right", "table"), ("cat", "front", "door")]),
        ("There is a dog, and a cat is under the table.", [("cat", "below", "table")]),
        ("The dog is not left of the cat.", []),
        ("A man turned left.", []),
    ],
)  # fmt: skip
def test_where_things_stand_to_each_other_is_read(sentence, relations):
    assert told(sentence, "relation") == relations


@pytest.mark.parametrize(
    ("sentence", "things"),
    [
        ("large red cube for sale", ["large red cube"]),
        ("The image shows a man riding a horse near the old church.", ["man", "horse", "old church"]),
        ("There is no dog, only a cat.", ["cat"]),
        ("A man runs past the old tree, which the boy climbs.", ["man", "old tree", "boy"]),
        (
            "The photo captures a street where a girl jumped over some sports bags.",
            ["street", "girl", "sports bag"],
        ),
        ("a picture of the day", []),
        ('A sign that says "red cube".', []),
        ("The scene contains a red cube and two women.", ["red cube"]),
    ],
)
def test_things_are_read_by_determiner_or_by_names_that_specialists_use(sentence, things):
    assert [subject for subject, _ in told(sentence, "object")] == things


def test_counts_and_quotes_are_read():
    assert told("There are two dogs and only one ball.", "count") == [("dog", "2"), ("ball", "1")]
    assert told("One dog sleeps.", "count") == []
    assert told('The sign on the red cube says "open late".', "text") == [("red cube", "open late")]
    assert told("On the blue ball we can read the word fox.", "text") == [("blue ball", "fox")]
    assert told("A woman reading books says hello.", "text") == []
    assert told("A book titled 'My Life' and a shop sign reading STOP", "text")[0][1] == "My Life"


LEFT, MIDDLE, RIGHT = (0.05, 0.3, 0.25, 0.6), (0.4, 0.3, 0.6, 0.6), (0.75, 0.3, 0.95, 0.6)
DOG_AND_CAT = [("dog", LEFT), ("cat", RIGHT)]
CAR_DOG_MAN = [("red car", LEFT), ("dog", MIDDLE), ("man", RIGHT)]
DOGS = [("dog", LEFT), ("dog", MIDDLE), ("dog", RIGHT)]


def verdict(sentence: str, things=(), texts=(), looked_for=(), words=("dog", "cat")) -> str:
    """What is said of a sentence where things have boxes, texts were read, and some names were looked for."""
    found = [Claim("object", 0, 1, "unverified", subject=name, boxes=(box,)) for name, box in things]
    found += [Claim("text", 0, 1, "unverified", value=text) for text in texts]
    names = [name_of(name) for name in (*words, *(name for name, _ in things))]
    known = known_of(found, labels=set(looked_for), found={name[-1] for name in names}, all_texts=bool(texts))
    return verdict_of(judged(read_claims(sentence, Vocabulary.of(names)), known), known)


@pytest.mark.parametrize(
    ("things", "sentence", "expected"),
    [
        # A place that opens a clause is that of what follows it.
        (DOG_AND_CAT, "On the left is a dog and on the right is a cat.", "supported"),
        (DOG_AND_CAT, "On the left there is a dog, and on the right there is a cat.", "supported"),
        (DOG_AND_CAT, "To the left is a dog, while to the right is a cat.", "supported"),
        (DOG_AND_CAT, "On the left is a dog, and on the left is a cat.", "contradicted"),
        (
            DOG_AND_CAT,
            "On the left side of the image, a dog is sitting, and on the right, a cat.",
            "supported",
        ),
        (
            CAR_DOG_MAN,
            "The image shows a dog; to the left of the dog is a red car, "
            "and to the right of the dog is a man.",
            "supported",
        ),
        # What is no place of the subject's, or may be another's.
        (DOG_AND_CAT, "The cat is facing to the left.", "supported"),
        (DOG_AND_CAT, "The cat is looking to the left.", "supported"),
        (DOG_AND_CAT, "The cat is running to the left.", "supported"),
        (DOG_AND_CAT, "The cat is lying on the left bench.", "supported"),
        (DOG_AND_CAT, "The cat is chased by the dog on the left.", "supported"),
        (DOG_AND_CAT, "A dog, chased by a cat, is on the left.", "supported"),
        (DOG_AND_CAT, "The dog sits beside a cat, which is on the right.", "supported"),
        (DOG_AND_CAT, "A dog and a cat are on the left and right, respectively.", "supported"),
        (DOG_AND_CAT, "There is a dog and a cat on the left and right.", "supported"),
        (DOG_AND_CAT, "There is a cat behind the dog on the left.", "unverified"),
        (DOG_AND_CAT, "A cat is sitting as a dog is standing on the left.", "supported"),
        (CAR_DOG_MAN, "The man is walking a dog on the left side of the image.", "supported"),
        # What is its place.
        (DOG_AND_CAT, "The dog is brown and sits on the right.", "contradicted"),
        (DOG_AND_CAT, "The dog, which is brown, is on the right.", "contradicted"),
        (DOG_AND_CAT, "A cat with a dog is standing on the left of the image.", "contradicted"),
        (DOG_AND_CAT, "There is a dog on the left, a cat on the left.", "contradicted"),
        (DOG_AND_CAT, "A dog is in the upper right corner of the image.", "contradicted"),
        # Two dogs may be some of three; "there are two dogs" says that there are no more.
        (DOGS, "There are two dogs.", "contradicted"),
        (DOGS, "We see two dogs on the ground.", "contradicted"),
        (DOGS, "There are three dogs.", "supported"),
        (DOGS, "There are four dogs.", "contradicted"),
        (DOGS, "There are at least two dogs.", "unverified"),
        (DOGS, "More than two dogs are playing.", "unverified"),
        (DOGS, "There are fewer than three dogs.", "unverified"),
        (DOGS, "There are two or three dogs.", "unverified"),
        (DOGS, "Two dogs are lying down while another dog is standing.", "unverified"),
        (DOGS, "Two dogs are in the foreground and one dog is in the background.", "unverified"),
        (DOGS, "There are two dogs in the foreground.", "unverified"),
        (DOGS, "There are two dogs and another dog.", "unverified"),
        (DOGS, "Two dogs are brown.", "unverified"),
        (DOGS, "Only one dog is running.", "unverified"),
        ([*DOGS[:2], ("hot dog", RIGHT)], "There are two dogs.", "supported"),
        ([*DOGS[:2], ("hot dog", RIGHT)], "Hot dogs!", "supported"),
        (DOGS[:1], "The man walks two dogs.", "contradicted"),
        # Whether one stands on another is not seen from their middles.
        (
            [("table", (0, 0.2, 1, 1)), ("plate", (0.4, 0.7, 0.6, 0.85))],
            "A plate is on top of the table.",
            "unverified",
        ),
        (
            [("lamp", (0.4, 0, 0.6, 0.2)), ("table", (0, 0.5, 1, 1))],
            "The table is above the lamp.",
            "contradicted",
        ),
    ],
)  # fmt: skip
def test_a_sentence_is_refuted_only_by_what_it_plainly_says(things, sentence, expected):
    assert verdict(sentence, things, looked_for=["dog"]) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "There isn't a dog here.",
        "There isn’t a dog here.",
        "The image does not show a dog.",
        "The image doesn't show a dog.",
        "The man cannot see a dog.",
        "There are no people or dogs in the image.",
        "There are no cats, dogs or birds.",
        "Nothing here is a dog.",
    ],
)
def test_what_is_denied_is_neither_there_nor_missing(sentence):
    assert verdict(sentence, [("dog", LEFT)]) == "unverified"
    assert verdict(sentence, looked_for=["dog", "cat"]) == "unverified"


def test_a_denial_ends_and_a_color_is_no_thing():
    assert verdict("There is no cat but a dog.", looked_for=["dog"]) == "contradicted"
    assert verdict("There is no cat, only a dog.", [("dog", LEFT)]) == "supported"
    fruit = {"looked_for": ["orange"], "words": ("orange", "ball")}
    assert verdict("The ball is orange.", **fruit) == "unverified"
    assert verdict("Oranges lie here.", **fruit) == "contradicted"


@pytest.mark.parametrize(
    ("texts", "sentence", "expected"),
    [
        (["STOP"], 'A sign says "STOP".', "supported"),
        (["STOP"], 'A sign says "GO".', "contradicted"),
        (["STOP"], 'The sign does not say "GO".', "unverified"),
        (["STOP"], "The sign doesn't read STOP.", "unverified"),
        (["STOP"], 'A man gives a "thumbs up".', "unverified"),
        (["STOP"], 'A man flashes a "peace" sign.', "unverified"),
        (["STOP"], 'The image has a "retro" feel.', "unverified"),
        (["STOP"], "The clock reads 10:10.", "unverified"),
        (["STOP"], 'It measures 5" by 7" and shows a dog.', "unverified"),
        (["Don't stop"], "A sign reads 'Don't walk'.", "contradicted"),
        (["Don't stop"], "A sign says 'DON'T STOP'.", "supported"),
        (["NO PARKING", "ANY TIME"], 'A sign reads "NO PARKING ANY TIME" in red.', "supported"),
        (["NO PARKING", "ANY TIME"], 'A sign reads "NO TIME".', "contradicted"),
    ],
)
def test_only_what_is_said_to_be_written_is_refuted(texts, sentence, expected):
    assert verdict(sentence, texts=texts) == expected


@pytest.mark.parametrize(
    "unit",
    [
        "a dog is in front of a cat, ",
        "a dog is on the left and ",
        "no dog, ",
        "dog ",
        'says "GO" ',
        "etc. ",
    ],
)
def test_a_long_text_is_read_in_little_time(unit):
    text, began = unit * (120_000 // len(unit)), time.monotonic()
    read_claims(text, WORDS)
    sentences_of([[TextPart(text)]])
    assert time.monotonic() - began < 30


def test_names_agree_unless_they_say_something_else():
    assert agree(name_of("a small red cube"), name_of("red cubes"))
    assert agree(name_of("the cube"), name_of("red cube"))
    assert not agree(name_of("wooden cube"), name_of("red cube"))
    assert clash(name_of("green cube"), name_of("red cube")) and not clash(
        name_of("wooden cube"), name_of("red cube")
    )


def test_sentences_end_where_they_do():
    text = 'Dr. Smith sees a 2.5 m tall sign. It says "Stop. Go." twice! no capital follows\nlast line'
    found = [one.text for (answer,) in [sentences_of([[TextPart(text)]])] for one in answer]
    assert found == [
        "Dr. Smith sees a 2.5 m tall sign.",
        'It says "Stop. Go." twice!',
        "no capital follows",
        "last line",
    ]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ('A 12" ruler lies here. A red car is there.', ['A 12" ruler lies here.', "A red car is there."]),
        ('A 12" ruler. It says "Go. Now." A cat.', ['A 12" ruler.', 'It says "Go. Now."', "A cat."]),
        ('It says "Stop. No more follows.', ['It says "Stop.', "No more follows."]),
        ("1. A car.\n2. A red car.", ["1. A car.", "2. A red car."]),
        ("Chairs, tables, etc. A dog sits.", ["Chairs, tables, etc.", "A dog sits."]),
        ("Chairs, etc. and Mr. Smith.", ["Chairs, etc. and Mr. Smith."]),
    ],
)
def test_marks_that_end_no_sentence_and_those_that_do(text, sentences):
    assert [one.text for one in sentences_of([[TextPart(text)]])[0]] == sentences


def test_claims_go_with_their_sentence_and_point_at_the_same_words():
    box = (0.1, 0.2, 0.3, 0.4)
    said = "There is a cube [0.100,0.200,0.300,0.400]. A ball [0.100,0.200,0.300,0.400] lies there."
    parts = [
        TextPart("There is a cube "),
        BoxPart(box),
        TextPart(". A ball "),
        BoxPart(box),
        TextPart(" lies there."),
    ]
    claims = [
        Claim("object", 9, 41, "unverified", subject="cube", boxes=(box,)),
        Claim("object", 43, 75, "unverified", subject="ball", boxes=(box,)),
    ]
    assert said[9:41].startswith("a cube [") and said[43:75].startswith("A ball [")
    (answer,) = sentences_of([parts], said, claims)
    assert [one.text[c.start : c.end] for one in answer for c in one.claims] == [said[9:41], said[43:75]]
    whole = joined(answer)
    assert whole.text == said and [whole.text[c.start : c.end] for c in whole.claims] == [
        said[9:41],
        said[43:75],
    ]


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        ("A boy ", " in a blue shirt.", "A boy in a blue shirt."),
        ("A boy  ", "  in a blue shirt.", "A boy in a blue shirt."),
        ("There is a cube ", ".", "There is a cube."),
        ("A cube", " and a ball.", "A cube and a ball."),
    ],
)
def test_where_coordinates_stood_one_space_is_left_and_claims_stay_on_their_words(before, after, left):
    box = (0.1, 0.2, 0.3, 0.4)
    parts = (TextPart(before), BoxPart(box), TextPart(after))
    end = len("[0.100,0.200,0.300,0.400]") + len(before) + len(after)
    last = Claim("object", end - len(after.strip()), end, "unverified")
    bare = without_coordinates(Sentence(parts, (last,)))
    assert bare.text == left
    (claim,) = bare.claims
    assert bare.text[claim.start : claim.end] == after.strip()


def test_claims_are_found_again_where_a_parser_took_something_out():
    said = "A cube [0.9,0.1] stands here. There is a dog."
    (answer,) = sentences_of([[TextPart("A cube stands here. There is a dog.")]], said, [
        Claim("object", said.index("a dog"), said.index("a dog") + 5, "unverified", subject="dog")
    ])  # fmt: skip
    assert [[c.subject for c in one.claims] for one in answer] == [[], ["dog"]]


@pytest.mark.parametrize(("word", "sentence"), [("cube", 0), ("seven", 1), ("dog", 1), ("cat", 2)])
def test_a_claim_belongs_to_the_sentence_of_its_span_and_to_no_other(word, sentence):
    """Also where the parser took its words out, as it did with "seven"."""
    said = "A cube stands here. There are seven a dog. A cat sleeps."
    claim = Claim("object", said.index(word), said.index(word) + len(word), "unverified", subject=word)
    (answer,) = sentences_of([[TextPart(said.replace("seven ", ""))]], said, [claim])
    assert [len(one.claims) for one in answer] == [int(number == sentence) for number in range(3)]


@given(
    st.data(), st.lists(st.sampled_from(["A cat.", "One dog! ", "Two? ", "[0.1,0.2,0.3,0.4] "]), min_size=1)
)
def test_every_claim_is_in_one_sentence_whatever_the_parser_left(data, pieces):
    said = " ".join(pieces)
    left = " ".join(piece for piece in pieces if data.draw(st.booleans()))
    start = data.draw(st.integers(0, len(said)))
    claim = Claim("object", start, data.draw(st.integers(start, len(said))), "unverified")
    (answer,) = sentences_of([CoordinateScheme().to_parts(left)], said, [claim])
    held = [(one, found) for one in answer for found in one.claims]
    assert len(held) == bool(answer)
    assert all(0 <= found.start <= found.end <= len(one.text) for one, found in held)


PIECES = st.lists(
    st.one_of(
        st.text(alphabet='ab C.!?"\n,', max_size=12).map(TextPart),
        st.just(BoxPart((0.1, 0.1, 0.5, 0.5))),
        st.just(PolygonPart(((0.1, 0.1), (0.5, 0.5), (0.1, 0.5)))),
    ),
    max_size=8,
)


@given(PIECES)
def test_taking_apart_and_putting_together_loses_nothing_but_spaces(parts):
    (answer,) = sentences_of([parts])
    whole = joined(answer)
    before = "".join(part.text if isinstance(part, TextPart) else "#" for part in parts)
    after = "".join(part.text if isinstance(part, TextPart) else "#" for part in whole.parts)
    assert "".join(after.split()) == "".join(before.split())


@given(st.text(max_size=80))
def test_any_text_can_be_read(text):
    for claim in read_claims(text, WORDS):
        assert 0 <= claim.start < claim.end <= len(text)
