"""The miniature world's texts: captions and answers that are true, questions that are balanced and clear."""

import re
from collections import Counter

import pytest

from vila2.sources.world import (
    KINDS,
    SFT_MIX,
    alt_text,
    caption_scores,
    check_caption,
    detailed_caption,
    generator,
    questions,
    sample_questions,
    sample_scene,
)
from vila2.sources.world.scene_relations import centre_u
from vila2.sources.world.vocabulary import COLOURS, TEST_SIGN_WORDS

SCENES = [sample_scene("sft", 4, index) for index in range(400)]
ASKED = [(scene, one) for scene in SCENES for one in questions(scene, generator("q", scene.key))]


def _named(scene, text):
    return next(thing for thing in scene.objects if thing.name in text)


@pytest.mark.parametrize("block", range(4))
def test_detailed_captions_are_true(block):
    for index in range(block * 500, block * 500 + 500):
        scene = SCENES[index % len(SCENES)]
        text = detailed_caption(scene, generator("caption", index))
        assert [c for c in check_caption(scene, text) if c.status != "supported"] == [], text
        assert caption_scores(scene, text)["object_precision"] in (1.0, None), text


def test_detailed_captions_vary_in_length():
    lengths = [len(detailed_caption(scene, generator("l", scene.key)).split()) for scene in SCENES]
    assert 25 <= sum(lengths) / len(lengths) <= 40
    assert min(lengths) < 12 and max(lengths) > 55


def test_alt_text_is_short_often_generic_and_often_wrong():
    texts = [(scene, alt_text(scene, generator("alt", scene.key, n))) for scene in SCENES for n in range(3)]
    scored = [(text, caption_scores(scene, text)) for scene, text in texts]
    generic = sum(score["mentioned_objects"] == 0 for _, score in scored) / len(scored)
    wrong = sum(score["hallucinated_objects"] for _, score in scored) / len(scored) / (1 - generic)
    assert 0.15 < generic < 0.25
    assert 0.22 < wrong < 0.40  # a wrong attribute now and then fits another object
    assert max(len(text.split()) for text, _ in scored) <= 8


def test_two_way_answers_are_balanced():
    answers = Counter((one.kind, one.answer) for _, one in ASKED)
    for kind, pair in {"existence": ("yes", "no"), "left_right": ("left", "right"),
                       "front_behind": ("front", "behind")}.items():  # fmt: skip
        share = answers[kind, pair[0]] / (answers[kind, pair[0]] + answers[kind, pair[1]])
        assert 0.45 < share < 0.55, kind


def test_no_answer_dominates_the_open_kinds():
    for kind, bound in {"colour": 0.2, "shape": 0.3, "count": 0.45, "closest": 0.1, "farthest": 0.1,
                        "reading": 0.1}.items():  # fmt: skip
        answers = Counter(one.answer for _, one in ASKED if one.kind == kind)
        assert answers.most_common(1)[0][1] / answers.total() < bound, kind


def test_left_and_right_keep_their_margin():
    asked = [(scene, one) for scene, one in ASKED if one.kind == "left_right"]
    for scene, one in asked:
        first, second = re.match(r"Is the (.*) left or right of the (.*)\?", one.question).groups()
        gap = centre_u(_named(scene, first)) - centre_u(_named(scene, second))
        assert abs(gap) >= 0.08 and (one.answer == "left") == (gap < 0)


def test_depth_answers_keep_their_margin():
    for scene, one in ASKED:
        if one.kind == "front_behind":
            first, second = re.match(r"Is the (.*) in front of or behind the (.*)\?", one.question).groups()
            a, b = _named(scene, first), _named(scene, second)
            assert abs(a.depth - b.depth) > 0.1 + (a.dimensions[2] + b.dimensions[2]) / 2 - 1e-6
            assert (one.answer == "front") == (a.depth < b.depth)
        elif one.kind in ("closest", "farthest"):
            depths = sorted(thing.depth for thing in scene.objects)
            extreme = depths[0] if one.kind == "closest" else depths[-1]
            assert extreme in [thing.depth for thing in scene.objects if thing.name == one.answer]
            ratio = depths[1] / depths[0] if one.kind == "closest" else depths[-1] / depths[-2]
            assert ratio >= 1.15


def test_questions_name_one_object_only():
    for scene, one in ASKED:
        if one.kind in ("left_right", "front_behind"):
            for thing in scene.objects:
                if thing.name in one.question:
                    assert sum(other.name == thing.name for other in scene.objects) == 1


def test_the_sft_mix_is_scarce_where_specialists_come_in():
    drawn = Counter(one.kind for s in SCENES for one in sample_questions(s, generator("m", s.key), 12))
    assert set(SFT_MIX) == set(KINDS) - {"reading_unseen"} and abs(sum(SFT_MIX.values()) - 1) < 1e-9
    for kind in ("closest", "farthest", "reading"):
        assert 0 < drawn[kind] / drawn.total() < 0.04
    for kind in ("existence", "left_right", "front_behind"):
        assert drawn[kind] / drawn.total() > 0.12


def test_words_that_no_training_shows_are_asked_for_apart():
    kinds = ("reading", "reading_unseen")
    asked = [
        one
        for index in range(120)
        for one in questions(sample_scene("test", 5, index), generator("r", index), kinds)
    ]
    for one in asked:
        assert (one.answer in TEST_SIGN_WORDS) == (one.kind == "reading_unseen")
    assert min(Counter(one.kind for one in asked).values()) > 30
    assert not any(questions(scene, generator(0), ["reading_unseen"]) for scene in SCENES)


def test_unknown_kind_is_named():
    with pytest.raises(ValueError, match=r"'smell'.*existence"):
        questions(SCENES[0], generator(0), ["smell"])


def test_a_color_that_is_not_there_is_caught_where_it_stands():
    for scene in SCENES[:100]:
        text = detailed_caption(scene, generator("c", scene.key))
        thing = next((t for t in scene.objects if f" {t.name}" in text), None)
        if thing is None:
            continue
        absent = next(c for c in COLOURS if all(t.colour != c for t in scene.objects))
        false = text.replace(f"{thing.colour} {thing.shape}", f"{absent} {thing.shape}")
        wrong = [c for c in check_caption(scene, false) if c.status == "contradicted"]
        assert any(c.kind == "object" and absent in false[c.start : c.end] for c in wrong), false
        assert any(c.kind == "attribute" and false[c.start : c.end] == absent for c in wrong), false
        assert caption_scores(scene, false)["hallucinated_objects"] >= 1


def test_false_relations_signs_and_counts_are_caught():
    scene = next(s for s in SCENES if len(s.objects) == 2 and s.objects[0].word and not s.objects[1].word
                 and s.objects[0].name != s.objects[1].name
                 and abs(centre_u(s.objects[0]) - centre_u(s.objects[1])) > 0.3)  # fmt: skip
    one, other = scene.objects
    wrong_side = "right" if centre_u(one) < centre_u(other) else "left"
    text = (f"There are three objects. A {one.name} is to the {wrong_side} of a {other.name}. "
            f'The {one.name} has a sign that says " qqq " .')  # fmt: skip
    wrong = [
        (c.kind, text[c.start : c.end]) for c in check_caption(scene, text) if c.status == "contradicted"
    ]
    assert wrong == [("count", "three objects"), ("relation", f"{wrong_side} of"), ("text", "qqq")]


def test_the_same_object_cannot_be_claimed_twice_but_may_be_spoken_of_again():
    scene = next(s for s in SCENES if len({t.name for t in s.objects}) == len(s.objects))
    name = scene.objects[0].name
    again = caption_scores(scene, f"A {name} is there. The {name} is nice.")
    twice = caption_scores(scene, f"A {name} and a {name}.")
    assert (again["mentioned_objects"], again["hallucinated_objects"]) == (1, 0)
    assert (twice["mentioned_objects"], twice["hallucinated_objects"]) == (2, 1)
    assert again["object_recall"] == 1 / len(scene.objects)


def test_the_checker_understands_lower_case_spaced_model_output():
    scene = SCENES[0]
    thing = scene.objects[0]
    text = f"there is a {thing.size} {thing.name} . the closest object is a purple nothing ."
    assert [c.status for c in check_caption(scene, text)] == ["supported"] * 3


def test_text_about_something_else_makes_no_claim():
    assert check_caption(SCENES[0], "Two dogs run over the grass, a man watches.") == ()
    assert caption_scores(SCENES[0], "")["object_precision"] is None
