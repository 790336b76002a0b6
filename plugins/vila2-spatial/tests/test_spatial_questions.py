"""SpatialRelationQA: words, balance and mirrored images.

Other code derives every stored answer again, on all real data.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import vila2.sources.world
from hypothesis import given, strategies as st
from PIL import Image
from spatial_pictures import picture
from vila2.data.evidence import Evidence
from vila2.data.sample import BoxPart, Sample
from vila2.errors import DataError
from vila2.sources.world import Scene, scene_relations as world_relations
from vila2.sources.world.world_source import read as read_world

from vila2_spatial.builder import SpatialBuilder, SpatialConfig
from vila2_spatial.cleaning import clean
from vila2_spatial.facts import Fact, answer_of
from vila2_spatial.geometry import corners, projected_box
from vila2_spatial.mirror import mirrored, mirrored_evidence, mirrored_words
from vila2_spatial.relations import OPPOSITE, RELATIONS
from vila2_spatial.wording import FULL, GROUPS, PLAIN


def build(path: Path, **settings) -> list[Sample]:
    builder = SpatialBuilder(SpatialConfig(data=path, **settings))
    return [one for piece in builder.shards() for one in builder.build(piece) if isinstance(one, Sample)]


@pytest.fixture(scope="module")
def from_real(real) -> list[Sample]:
    return build(real / "scenes3d", draws=6)


@pytest.fixture(scope="module")
def from_world(world) -> list[Sample]:
    return build(world, draws=6)


SAID = {"camera_close": "close|near"}


def facts(samples: list[Sample]):
    for sample in samples:
        turns = {turn.branch: [] for turn in sample.turns if turn.branch}
        for turn in sample.turns:
            if turn.branch:
                turns[turn.branch].append(turn)
        for branch, fact in enumerate(sample.meta["facts"], start=1):
            yield sample, Fact.from_json(fact), *turns[branch]


@pytest.mark.parametrize("source", ["real", "kitti", "world"])
def test_every_stored_answer_follows_from_the_boxes(source, request):
    samples = (
        build(request.getfixturevalue("kitti"), draws=6)
        if source == "kitti"
        else request.getfixturevalue(f"from_{source}")
    )
    assert sum(len(sample.meta["facts"]) for sample in samples) > 100
    for sample in samples:
        scene = clean(Evidence.of(sample), sample.meta["domain"])
        for fact in map(Fact.from_json, sample.meta["facts"]):
            assert answer_of(fact, scene) == fact.answer, (sample.key, fact)


def test_every_stored_answer_follows_from_the_labels_by_other_code(from_real, rows):
    """From the numbers of the file, with its own projections, and none of the package's geometry."""
    checked = Counter()
    for sample, fact, _, _ in facts(from_real):
        if sample.meta.get("mirrored"):
            continue
        row = rows[sample.key]
        boxes = row["boxes"]
        u = [
            (max(b["bbox2D_proj"][0], 0) + min(b["bbox2D_proj"][2], row["width"])) / 2 / row["width"]
            for b in boxes
        ]
        centre = np.array([b["center_cam"] for b in boxes])
        reach = [0.5 * np.abs(np.array(b["R_cam"])[2]) @ np.array(b["dimensions"])[[2, 1, 0]] for b in boxes]
        one, anchor, other = fact.subject, fact.anchor, fact.other

        def away(n: int) -> float:
            return float(np.linalg.norm(centre[n] - (centre[anchor] if anchor is not None else 0)))  # noqa: B023

        def truth(n: int) -> str | None:
            group = GROUPS[fact.predicate]  # noqa: B023
            if group == "side":
                return "left" if u[n] < u[anchor] else "right"  # noqa: B023
            if group == "depth":
                if centre[n, 2] + reach[n] < centre[anchor, 2] - reach[anchor]:  # noqa: B023
                    return "front"
                return "behind" if centre[n, 2] - reach[n] > centre[anchor, 2] + reach[anchor] else None  # noqa: B023
            if group == "camera_side":
                return "camera_left" if u[n] < 0.5 else "camera_right"  # noqa: B023
            near, far = (2, 4) if sample.meta["domain"] == "indoor" else (10, 30)  # noqa: B023
            return "camera_close" if away(n) <= near else "camera_far" if away(n) >= far else None

        best = max if fact.predicate == "camera_farthest" else min
        if other is not None:
            winner = best((one, other), key=away)
            expected = ("yes" if winner == one else "no") if fact.form == "yes-no" else winner
        elif fact.form == "box":
            same = [
                n
                for n, b in enumerate(boxes)
                if b["category"].lower().replace("_", " ") == fact.label and n != anchor
            ]
            if "closest" in fact.predicate or "farthest" in fact.predicate:
                expected = best(same, key=away)
            else:
                (expected,) = [n for n in same if truth(n) == fact.predicate]
        else:
            found = truth(one)
            expected = found if fact.form != "yes-no" else ("yes" if found == fact.predicate else "no")
        assert expected == fact.answer, (sample.key, fact)
        checked[fact.form] += 1
    assert set(checked) == {"box", "choice", "yes-no", "sentence"}
    assert sum(checked.values()) > 300


def test_the_worlds_own_relations_agree(from_world):
    """Two definitions with other margins: where both speak, they say the same."""
    scenes = {s.key: Scene.from_json(s.meta["scene"]) for s in read_world(split="specialist", count=40)}
    said = Counter()
    for sample, fact, _, _ in facts(from_world):
        if sample.meta.get("mirrored") or fact.form not in ("choice", "name"):
            continue
        scene = scenes[sample.key]
        one = scene.objects[fact.subject]
        if fact.form == "choice" and GROUPS[fact.predicate] in ("side", "depth"):
            test = (
                world_relations.left_right
                if GROUPS[fact.predicate] == "side"
                else world_relations.front_behind
            )
            assert test(one, scene.objects[fact.anchor]) in (fact.answer, None)
            said["pair"] += 1
        if fact.form == "name" and fact.predicate in ("camera_closest", "camera_farthest"):
            test = getattr(world_relations, fact.predicate.removeprefix("camera_"))
            assert test(scene) in (scene.objects[fact.answer], None)
            said["extreme"] += 1
    assert said["pair"] > 20 and said["extreme"] > 10


def test_answers_say_what_is_stored(from_real, from_world):
    for sample, fact, question, answer in facts([*from_real, *from_world]):
        evidence = Evidence.of(sample)
        boxes = [part.box for part in answer.parts if isinstance(part, BoxPart)]
        if fact.form == "box":
            true = projected_box(evidence.objects[fact.answer].solid, evidence.camera)
            assert boxes[0] == pytest.approx(true) and len(answer.parts) == 1
            assert evidence.objects[fact.answer].label in question.text
        elif fact.form == "yes-no":
            assert answer.text.lower() == fact.answer
        elif isinstance(fact.answer, int):
            assert evidence.objects[fact.answer].called in answer.text
        else:
            words = [fact.answer, OPPOSITE[fact.answer]]
            said, not_said = (SAID.get(word, word.removeprefix("camera_")) for word in words)
            assert re.search(rf"\b({said})\b", answer.text.lower())
            assert not re.search(rf"\b({not_said})\b", answer.text.lower())


def test_a_thing_that_its_name_does_not_tell_carries_its_box(from_real):
    scenes = {sample.key: clean(Evidence.of(sample), sample.meta["domain"]) for sample in from_real}
    for sample, fact, question, _ in facts(from_real):
        scene = scenes[sample.key]
        named = {thing.number: thing for thing in scene.things}
        numbers = [fact.anchor, fact.other, None if fact.form == "box" else fact.subject]
        boxes = [part.box for part in question.parts if isinstance(part, BoxPart)]
        for thing in (named[number] for number in numbers if number is not None):
            assert scene.named_alone(thing) or any(box == pytest.approx(thing.box) for box in boxes)


def test_every_relation_and_form_is_asked(from_real, from_world):
    asked = {(fact.predicate, fact.form) for _, fact, _, _ in facts([*from_real, *from_world])}
    assert {predicate for predicate, _ in asked} == set(RELATIONS)
    assert {form for _, form in asked} == {"box", "name", "choice", "yes-no", "sentence"}


def test_left_and_right_are_asked_equally_often(from_real):
    sides = Counter(fact.predicate.removeprefix("camera_") for _, fact, _, _ in facts(from_real))
    assert sides["left"] == sides["right"] > 50
    answers = Counter(fact.answer for _, fact, _, _ in facts(from_real) if fact.form == "choice")
    assert answers["left"] == answers["right"]


def test_yes_and_no_are_near_to_even(from_real, from_world):
    answers = Counter(
        fact.answer for _, fact, _, _ in facts([*from_real, *from_world]) if fact.form == "yes-no"
    )
    assert 0.4 < answers["yes"] / answers.total() < 0.6


def test_templates_come_in_twos_at_least():
    for wording in (FULL, PLAIN):
        assert all(len({one.question for one in some}) >= 2 for some in wording.templates.values())
        assert {group for group, _ in wording.templates} == set(GROUPS.values())
        assert set(wording.phrases) == set(RELATIONS)


def test_the_miniature_is_asked_in_words_that_its_tokenizer_has(from_world):
    file = Path(vila2.sources.world.PARTS) / "language" / "tokenizer.json"
    vocabulary = set(json.loads(file.read_text())["model"]["vocab"])
    for _, _, *turns in facts(from_world):
        for turn in turns:
            assert set(re.findall(r"[a-z]+", turn.text.lower())) <= vocabulary
            assert not any(isinstance(part, BoxPart) for part in turn.parts)


def test_building_twice_in_any_order_gives_the_same(world):
    config = SpatialConfig(data=world, mirror="half")
    first, second = SpatialBuilder(config), SpatialBuilder(config)
    list(second.build("00000"))
    assert list(first.build("00000")) == list(second.build("00000"))
    assert list(first.build("00000")) != list(
        SpatialBuilder(config.model_copy(update={"seed": 1})).build("00000")
    )


def test_weights_choose_relations(world):
    only = {name: 0.0 for name in RELATIONS if name != "camera_farthest"}
    assert {fact.predicate for _, fact, _, _ in facts(build(world, weights=only))} == {"camera_farthest"}
    assert {fact.form for _, fact, _, _ in facts(build(world, forms={"name": 0, "sentence": 0}))} == {
        "choice",
        "yes-no",
    }
    with pytest.raises(DataError, match="above"):
        build(world, weights={"above": 1.0})


def test_images_without_solids_are_rejected_with_a_reason(tmp_path):
    (tmp_path / "a.png").write_bytes(picture(64, 48, "PNG"))
    row = {"image": "a.png", "evidence": {"objects": [{"label": "cup", "box": [0.1, 0.1, 0.5, 0.5]}]}}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    builder = SpatialBuilder(SpatialConfig(data=tmp_path))
    (rejected,) = [one for piece in builder.shards() for one in builder.build(piece)]
    assert rejected.reason == "no-solids"


def test_a_mirrored_image_shows_the_other_side(from_real):
    originals = {sample.key: sample for sample in from_real}
    sample = next(one for key, one in originals.items() if f"{key}-mirror" in originals)
    mirror = originals[f"{sample.key}-mirror"]
    assert mirror.meta["image"] == sample.meta["image"]
    before, after = (
        np.asarray(Image.open(io.BytesIO(one.images[0])).convert("RGB"), float) for one in (sample, mirror)
    )
    assert np.abs(after - before[:, ::-1]).mean() < 3 < np.abs(after - before).mean()
    one, other = Evidence.of(sample), Evidence.of(mirror)
    for known, flipped in zip(one.objects, other.objects, strict=True):
        x0, y0, x1, y1 = projected_box(known.solid, one.camera) or (0, 0, 1, 1)
        assert (projected_box(flipped.solid, other.camera) or (0, 0, 1, 1)) == pytest.approx(
            (1 - x1, y0, 1 - x0, y1)
        )
        assert np.linalg.det(np.array(flipped.solid.rotation)) == pytest.approx(1, abs=1e-3)


def test_a_mirror_in_a_mirror_shows_what_is_there(from_real):
    for sample in from_real[:6]:
        evidence = Evidence.of(sample)
        again = mirrored_evidence(mirrored_evidence(evidence))
        for one, other in zip(evidence.objects, again.objects, strict=True):
            assert np.allclose(corners(one.solid), corners(other.solid))
        assert np.allclose(evidence.camera.K, again.camera.K)
        assert [turn.text for turn in mirrored(mirrored(sample)).turns] == [
            turn.text for turn in sample.turns
        ]


@given(st.text(alphabet="leftrighLEFTRIGH Left right bright lefts.-", max_size=60))
def test_swapping_words_twice_changes_nothing(text):
    if not re.search(
        r"\b(?!left|right|LEFT|RIGHT|Left|Right)(?i:left|right)\b", text
    ):  # "lEfT" is no word of ours
        assert mirrored_words(mirrored_words(text)) == text


def test_words_that_only_contain_a_side_stay():
    assert (
        mirrored_words("Left of the bright leftover, on the RIGHT")
        == "Right of the bright leftover, on the LEFT"
    )
