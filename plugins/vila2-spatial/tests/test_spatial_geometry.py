"""Solids in the image: the near plane, the edge of the image, and agreement with people's boxes."""

from __future__ import annotations

import numpy as np
import pytest
from vila2.data.boxes import iou
from vila2.data.evidence import Camera, Evidence

from vila2_spatial.geometry import contains, cut_off, projected_box
from vila2_spatial.readers.frames import box3d, rotation_about
from vila2_spatial.readers.kitti import KittiObject

CAMERA = Camera(K=((500, 0, 320), (0, 500, 240), (0, 0, 1)), width=640, height=480)
UPRIGHT = np.eye(3)


def test_a_box_before_the_camera_has_the_box_of_its_corners():
    solid = box3d(
        (0, 0, 5), (2, 2, 2), UPRIGHT
    )  # its near face is 4 m away: 500 / 4 = 125 pixels to each side
    assert projected_box(solid, CAMERA) == pytest.approx((195 / 640, 115 / 480, 445 / 640, 365 / 480))


def test_a_box_that_crosses_the_camera_plane_reaches_the_bottom_of_the_image():
    # From 1 m behind the camera to 9 m before it, below the camera: it goes on beyond the lower edge.
    solid = box3d((0, 1.5, 4), (10, 1, 1), UPRIGHT)
    box = projected_box(solid, CAMERA)
    assert box[3] == pytest.approx(1.0)
    assert 0.5 < box[1] < box[3]
    assert cut_off(solid, CAMERA) > 0.5


@pytest.mark.parametrize("centre", [(0, 0, -5), (0, 0, 0.05), (100, 0, 5)])
def test_what_is_behind_the_camera_or_beside_the_image_has_no_box(centre):
    assert projected_box(box3d(centre, (0.1, 0.1, 0.1), UPRIGHT), CAMERA) is None


def test_a_box_is_never_outside_of_the_image():
    random = np.random.default_rng(0)
    for _ in range(300):
        turn = rotation_about(1, random.uniform(0, 6)) @ rotation_about(0, random.uniform(0, 6))
        solid = box3d(random.uniform(-4, 4, 3), random.uniform(0.1, 5, 3), turn)
        box = projected_box(solid, CAMERA)
        assert box is None or (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1)


def test_a_room_contains_its_chair_and_not_the_other_way_round():
    room, chair = (
        box3d((0, 0, 4), (6, 3, 6), UPRIGHT),
        box3d((1, 1, 4), (0.5, 1, 0.5), rotation_about(1, 0.7)),
    )
    assert contains(room, chair, 0.9)
    assert not contains(chair, room, 0.9)


def test_kittis_solids_agree_with_the_boxes_that_people_drew(kitti):
    reader = KittiObject(kitti)
    overlaps = []
    for key in reader.keys():  # noqa: SIM118 - no dict
        evidence = Evidence.of(reader.scene(key))
        overlaps += [
            iou(projected_box(one.solid, evidence.camera), one.box) for one in evidence.objects if one.solid
        ]
    assert len(overlaps) == 49
    assert np.mean(overlaps) >= 0.95
