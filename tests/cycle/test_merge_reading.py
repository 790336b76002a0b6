"""Free captions read into claims, answers taken apart into sentences and put together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vila2.cycle.merge.answers import joined, sentences_of
from vila2.cycle.merge.names import Vocabulary, agree, clash, name_of
from vila2.cycle.merge.reading import read_claims
from vila2.data.claims import Claim
from vila2.data.sample import BoxPart, TextPart

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


def test_claims_are_found_again_where_a_parser_took_something_out():
    said = "A cube [0.9,0.1] stands here. There is a dog."
    (answer,) = sentences_of([[TextPart("A cube stands here. There is a dog.")]], said, [
        Claim("object", said.index("a dog"), said.index("a dog") + 5, "unverified", subject="dog")
    ])  # fmt: skip
    assert [[c.subject for c in one.claims] for one in answer] == [[], ["dog"]]


def test_a_claim_of_words_that_are_gone_is_every_sentences():
    (answer,) = sentences_of([[TextPart("One. Two.")]], "xxxxx yyyyy", [Claim("object", 0, 5, "unverified")])
    assert [len(one.claims) for one in answer] == [1, 1]


PIECES = st.lists(
    st.one_of(
        st.text(alphabet='ab C.!?"\n,', max_size=12).map(TextPart),
        st.just(BoxPart((0.1, 0.1, 0.5, 0.5))),
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
