"""Relations and cleaning: margins, dead bands, unique answers, and reasons of refusals."""

from __future__ import annotations

import numpy as np
import pytest
from vila2.data.evidence import Camera, Evidence, SceneObject

from vila2_spatial import relations
from vila2_spatial.cleaning import clean
from vila2_spatial.readers.frames import box3d, rotation_about

CAMERA = Camera(K=((500, 0, 500), (0, 500, 250), (0, 0, 1)), width=1000, height=500)


def thing(
    label: str, x: float, z: float, *, y: float = 0.0, size: float = 0.5, yaw: float = 0.0, **known
) -> SceneObject:
    return SceneObject(label=label, solid=box3d((x, y, z), (size,) * 3, rotation_about(1, yaw)), **known)


def scene(*objects: SceneObject, domain: str = "indoor", complete: bool = False):
    return clean(Evidence(objects=objects, camera=CAMERA, all_objects=complete), domain)


def pair(one: SceneObject, other: SceneObject):
    return scene(one, other).things


def test_left_needs_a_gap_of_eight_hundredths_of_the_width():
    found = relations.side(*pair(thing("a", -0.5, 4), thing("b", 0.5, 4)))
    assert (found.relation, found.margin) == ("left", pytest.approx(0.129, abs=0.001))
    assert relations.side(*pair(thing("a", -0.28, 4), thing("b", 0.28, 4))) is None


def test_left_in_the_image_but_right_in_space_is_neither():
    near, far = pair(thing("a", 0.6, 2), thing("b", 1.0, 9))
    assert near.u > far.u and near.centre[0] < far.centre[0]
    assert abs(near.u - far.u) > relations.SIDE_GAP
    assert relations.side(near, far) is None


def test_in_front_needs_intervals_that_lie_apart():
    assert relations.depth(*pair(thing("a", 0, 2), thing("b", 1, 4))).relation == "front"
    assert relations.depth(*pair(thing("b", 1, 4), thing("a", 0, 2))).relation == "behind"
    # 0.5 m deep each: centers 0.55 m apart leave 5 cm.
    assert relations.depth(*pair(thing("a", 0, 2), thing("b", 1, 2.55))) is None
    # At 20 m a tenth of a meter is not enough: five per cent are a meter.
    assert relations.depth(*pair(thing("a", 0, 20, size=1.5), thing("b", 3, 22, size=1.5))) is None


def test_a_turned_long_thing_has_a_deep_interval():
    bus = SceneObject(label="bus", solid=box3d((0, 0, 8), (2, 2, 8), rotation_about(1, np.pi / 2)))
    car = thing("car", 2, 11, size=1, visibility=1.0)
    assert relations.depth(*pair(bus, car)) is None  # the bus goes from 4 to 12 m


@pytest.mark.parametrize(
    ("z", "domain", "expected"),
    [(1.9, "indoor", "camera_close"), (3.0, "indoor", None), (4.1, "indoor", "camera_far"),
     (9.9, "outdoor", "camera_close"), (20.0, "outdoor", None), (30.1, "outdoor", "camera_far")],
)  # fmt: skip
def test_close_and_far_depend_on_the_domain(z, domain, expected):
    (one,) = scene(thing("a", 0, z, size=z / 10), domain=domain).things
    found = relations.camera_distance(one, domain)
    assert (found.relation if found else None) == expected


def test_an_unknown_domain_is_told_by_depth():
    assert relations.domain_of(None, [3.0, 40.0]) == "outdoor"
    assert relations.domain_of("nonsense", [3.0]) == "indoor"
    assert relations.domain_of("tabletop", [40.0]) == "tabletop"


def test_the_closest_must_be_clear_of_the_runner_up():
    clear = scene(thing("a", 0, 2), thing("a", 1, 3), thing("a", -2, 5))
    found = relations.only_one(clear, "a", "camera_closest", None)
    assert found[0].number == 0
    assert (found[1].runner_up, found[1].margin) == (1, pytest.approx(np.hypot(1, 3) / 2))
    assert (
        relations.only_one(scene(thing("a", 0, 2), thing("a", 1, 2.1)), "a", "camera_closest", None) is None
    )


def test_one_thing_alone_is_not_the_closest():
    assert relations.only_one(scene(thing("a", 0, 2), thing("b", 1, 4)), "a", "camera_closest", None) is None


def test_a_question_has_one_answer_or_is_not_asked():
    anchor = thing("table", 0, 4)
    one = scene(anchor, thing("chair", -1, 4), thing("chair", 1, 4))
    assert relations.only_one(one, "chair", "left", one.things[0])[0].number == 1
    two = scene(anchor, thing("chair", -1, 4), thing("chair", -2, 4))
    assert relations.only_one(two, "chair", "left", two.things[0]) is None
    unsure = scene(anchor, thing("chair", -2, 4), thing("chair", -0.3, 4, y=0.6))
    assert relations.only_one(unsure, "chair", "left", unsure.things[0]) is None


def test_what_cannot_be_asked_of_still_competes():
    hidden = scene(thing("table", 0, 4), thing("chair", -1, 4), thing("chair", -2, 4, visibility=0.1))
    assert [refusal.reason for refusal in hidden.refusals] == ["hidden"]
    assert relations.only_one(hidden, "chair", "left", hidden.things[0]) is None


def test_a_region_that_nobody_labelled_may_hold_another():
    region = SceneObject(label="unlabelled", box=(0.1, 0.1, 0.2, 0.2))
    street = scene(thing("car", -4, 12, size=2), thing("car", 4, 24, size=2), region, domain="outdoor")
    assert relations.only_one(street, "car", "camera_left", None) is None
    assert relations.only_one(street, "car", "camera_farthest", None) is None
    assert relations.only_one(street, "car", "camera_closest", None)[0].number == 0
    assert not street.named_alone(street.things[0])


def test_which_object_is_only_asked_where_all_are_known():
    objects = thing("a", 0, 2), thing("b", 1, 4)
    assert relations.only_one(scene(*objects), None, "camera_closest", None) is None
    assert relations.only_one(scene(*objects, complete=True), None, "camera_closest", None)[0].number == 0


def test_a_lorry_that_begins_before_a_car_and_has_its_middle_behind_it_is_neither_nearer_nor_farther():
    lorry = SceneObject(label="lorry", solid=box3d((0, 0, 12), (2, 3, 16), rotation_about(1, np.pi / 2)))
    one, other = scene(lorry, thing("car", 3, 7), domain="outdoor").things
    assert one.near < other.near and one.distance > 1.2 * other.distance
    assert relations.nearer(one, other, None) is None


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (thing("car", 0, 3, truncation=0.6), "truncated"),
        (thing("car", 2.9, 3, size=1), "truncated"),  # from the solid: most of it is outside
        (thing("car", 0, 3, visibility=0.2), "hidden"),
        (thing("car", 0, 40), "small"),
        (thing("wall", 0, 3), "background"),
        (thing("misc", 0, 3), "vague-label"),
        (thing("car", 0, -3), "behind-camera"),
        (thing("car", 30, 3), "out-of-image"),
        (SceneObject(label="car", box=(0.1, 0.1, 0.5, 0.5)), "no-solid"),
        (SceneObject(label="car", solid=box3d((0, 0, 3), (0, 1, 1), np.eye(3))), "bad-solid"),
        (thing("car", 0, 3, box=(0.8, 0.1, 0.9, 0.3)), "boxes-disagree"),
    ],
)
def test_refusals(refused, reason):
    found = scene(thing("tree", -1, 3), refused)
    assert [(one.number, one.reason) for one in found.refusals] == [(1, reason)]


def test_of_two_labels_on_one_thing_one_stays():
    twice = scene(thing("car", 0, 5), thing("van", 0.01, 5))
    assert [(one.number, one.reason) for one in twice.refusals] == [(1, "duplicate")]
    assert len(twice.present) == 1


def test_a_container_is_refused_and_still_competes():
    shelf = SceneObject(label="shelf", solid=box3d((0, 0, 4), (2, 2, 2), np.eye(3)))
    found = scene(shelf, thing("book", 0.3, 4, size=0.3, visibility=0.9))
    assert [(one.number, one.reason) for one in found.refusals] == [(0, "container")]
    assert len(found.present) == 2


def test_what_stands_behind_another_thing_is_hidden_where_the_data_does_not_say():
    found = scene(thing("a", 0, 2, size=1), thing("b", 0, 6, size=1), thing("c", 3, 6, size=1))
    assert [(one.number, one.reason) for one in found.refusals] == [(1, "hidden")]
