"""The miniature world's documents, tasks in context, and texts without images."""

from collections import Counter

import pytest

from vila2.data.sample import ImagePart
from vila2.errors import DataError
from vila2.sources import open_source
from vila2.sources.world import generator, sample_scene
from vila2.sources.world.documents import ASPECTS, remarks
from vila2.sources.world.text_only import exchanged, told


def world(content, **options):
    return list(open_source("world", path=None, content=content, **{"split": "sft", "count": 12, **options}))


def order_of(sample) -> str:
    return "".join(
        "i" if isinstance(part, ImagePart) else "t" for turn in sample.turns for part in turn.parts
    )


def test_three_orders_of_the_same_documents():
    interleaved, pairs, reordered = (
        world("documents", order=order) for order in ("interleaved", "pairs", "reordered")
    )
    assert {image for s in interleaved for image in s.images} == {s.images[0] for s in pairs}
    assert [s.images for s in interleaved] == [s.images for s in reordered]
    assert all(order_of(sample) == "t" + "it" * len(sample.images) for sample in interleaved)
    assert all(order_of(sample) == "it" for sample in pairs)
    assert all(order_of(sample) == "i" * len(sample.images) + "t" for sample in reordered)
    assert {len(sample.images) for sample in interleaved} == {3, 4, 5}
    texts = [" ".join(turn.text for turn in sample.turns if turn.text) for sample in interleaved]
    assert texts == [sample.turns[-1].text for sample in reordered], "nothing but the order differs"
    with pytest.raises(DataError, match="backwards"):
        world("documents", order="backwards")


def test_a_task_is_the_same_with_and_without_examples():
    without, with_four = world("in_context", shots=0), world("in_context", shots=4)
    assert Counter(sample.meta["kind"] for sample in with_four) == dict.fromkeys(ASPECTS, 4)
    for bare, full in zip(without, with_four, strict=True):
        assert (bare.key, bare.meta, bare.images[0]) == (full.key, full.meta, full.images[-1])
        assert (len(bare.images), len(full.images)) == (1, 5)
        choices = full.meta["choices"]
        assert [turn.text for turn in full.turns if turn.trained] == [choices[full.meta["answer"]]]
        assert len(set(choices)) == len(choices) == 4
        # The examples say which: of the choices the right one alone is of their aspect and true of the image.
        assert ("objects" in choices[full.meta["answer"]]) == (full.meta["kind"] == "count")


def test_what_is_remarked_is_true():
    for index in range(50):
        scene = sample_scene("test", 0, index)
        said = remarks(scene)
        names = [f"{thing.name}." for thing in sorted(scene.objects, key=lambda one: one.box[0] + one.box[2])]
        assert (said["leftmost"], said["rightmost"]) == (names[0], names[-1])


def test_texts_without_images_hold_their_answers():
    for sample in world("text_instructions"):
        assert not sample.images and sample.turns[0].text.startswith("From left to right there is")
    wording = [sample for sample in world("text_test") if sample.meta["kind"] == "wording"]
    assert len(wording) == 12 and {sample.meta["answer"] for sample in wording} == {0, 1}
    for sample in wording:
        one, other = sample.meta["choices"]
        assert one != other and sorted(one.split()) == sorted(other.split())
    asked = [sample for sample in world("text_test") if sample.meta["kind"] == "told"]
    for sample in (*wording, *asked):
        assert sample.turns[-1].text == sample.meta["choices"][sample.meta["answer"]]


def test_an_exchange_of_words_is_always_seen():
    for index in range(50):
        scene = sample_scene("test", 1, index)
        text = told(scene)
        assert exchanged(text, generator("exchange", index)) != text
