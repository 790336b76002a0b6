"""COCO JSON in practice: ids that clash, odd annotations, LVIS, 3D sets; one bad entry stops nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vila2.data.evidence import Evidence
from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.evidence import open_evidence

CATEGORIES = [{"id": 1, "name": "Dog"}, {"id": 2, "name": "traffic_light"}]
GOOD = {"id": 10, "image_id": 1, "category_id": 1, "bbox": [4, 2, 20, 10]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 20)).save(tmp_path / name)
    return tmp_path


def coco(folder: Path, **changes: Any) -> Path:
    images = [{"id": 1, "file_name": "a.png", "width": 40, "height": 20}]
    document = {"images": images, "annotations": [GOOD], "categories": CATEGORIES} | changes
    path = folder / "coco.json"
    path.write_text(json.dumps(document))
    return path


def read(path: Path, **options: Any) -> tuple[list[Sample], list[Reject]]:
    items = list(open_evidence(path, **options))
    return [i for i in items if isinstance(i, Sample)], [i for i in items if isinstance(i, Reject)]


def known(sample: Sample) -> Evidence:
    evidence = Evidence.of(sample)
    assert evidence is not None
    return evidence


def test_two_files_put_together_are_refused_with_the_id_and_both_images(folder):
    images = [{"id": 7, "file_name": "a.png"}, {"id": "7", "file_name": "b.png"}]
    with pytest.raises(DataError) as error:
        read(coco(folder, images=images, annotations=[GOOD | {"image_id": 7}]))
    assert all(
        part in str(error.value) for part in ("images[0] ('a.png')", "images[1] ('b.png')", "one id, 7")
    )


def test_an_image_listed_twice_is_read_once(folder):
    images = [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "a.png"}]
    samples, rejects = read(coco(folder, images=images))
    assert len(samples) == 1 and len(known(samples[0]).objects) == 1
    assert [(reject.reason, reject.where[-9:]) for reject in rejects] == [("duplicate-image", "images[1]")]


def test_a_category_id_with_two_names_is_refused_and_one_that_repeats_is_not(folder):
    twice = [*CATEGORIES, {"id": 1, "name": "cat"}]
    with pytest.raises(
        DataError, match=r"categories\[0\] \('dog'\) and categories\[2\] \('cat'\) have one id, 1"
    ):
        read(coco(folder, categories=twice))
    samples, rejects = read(coco(folder, categories=CATEGORIES * 2))
    assert not rejects and known(samples[0]).labels == ("dog", "traffic light")


@pytest.mark.parametrize(
    ("annotation", "reason", "detail"),
    [
        (None, "bad-annotation", "None instead"),
        ([1, 2], "bad-annotation", "[1, 2] instead"),
        (GOOD | {"image_id": [1]}, "unknown-image", "no image [1]"),
        (GOOD | {"image_id": 99}, "unknown-image", "no image 99"),
        (GOOD | {"category_id": [1]}, "unknown-category", "no category [1]"),
        (GOOD | {"category_id": 8}, "unknown-category", "no category 8"),
        ({"image_id": 1, "iscrowd": 1, "bbox": [0, 0, 9, 9]}, "crowd", "no known category"),
        (GOOD | {"iscrowd": "yes"}, "bad-annotation", "iscrowd is 'yes'"),
        (GOOD | {"IsGroupOf": 1}, "crowd", "IsGroupOf"),
        (
            GOOD | {"bbox": None, "segmentation": {"counts": "ab", "size": [20, 40]}},
            "bad-box",
            "only segmentation",
        ),
        (GOOD | {"bbox": {"x": 1, "y": 2, "width": 3, "height": 4}}, "bad-box", "'width': 3"),
        (GOOD | {"bbox": ["1", "2", "10", "10"]}, "bad-box", "four numbers"),
        (GOOD | {"bbox": [1, 2, 10, -5]}, "bad-box", "no area"),
        (GOOD | {"bbox": [50, 2, 10, 5]}, "bad-box", "no area in the image"),
        (GOOD | {"bbox": [float("nan"), 2, 10, 5]}, "bad-box", "nan"),
        (GOOD | {"bbox": [10**400, 2, 10, 5]}, "bad-box", "1000"),
        (GOOD | {"bbox": [0.1, 0.2, 0.5, 0.5]}, "bad-box", "shares of the image"),
    ],
)
def test_an_odd_annotation_is_refused_by_its_number_and_the_others_are_kept(
    folder, annotation, reason, detail
):
    samples, rejects = read(coco(folder, annotations=[GOOD, annotation]))
    assert [thing.box for thing in known(samples[0]).objects] == [(0.1, 0.1, 0.6, 0.6)]
    (reject,) = rejects
    assert reject.where == f"{folder / 'coco.json'}: annotations[1]"
    assert reject.reason == reason and detail in reject.detail and len(reject.detail) < 250


def test_a_box_that_is_lost_ends_the_claim_that_all_of_its_category_are_listed(folder):
    lost = [GOOD, GOOD | {"bbox": None}]
    assert known(read(coco(folder, annotations=lost))[0][0]).labels == ("traffic light",)
    unknown = [GOOD, GOOD | {"category_id": 8}]
    assert not known(read(coco(folder, annotations=unknown))[0][0]).all_objects


def test_ids_are_the_same_as_numbers_and_as_text(folder):
    annotation = GOOD | {"image_id": "1", "category_id": 2.0}
    samples, rejects = read(coco(folder, annotations=[annotation]))
    assert not rejects and known(samples[0]).objects[0].label == "traffic light"


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"categories": ["dog", "cat"]}, ["categories[0] is 'dog'", '"name": "dog"']),
        ({"categories": {"1": "dog"}}, ["categories is {'1': 'dog'}"]),
        ({"categories": []}, ["no categories", "annotations[0]"]),
        ({"images": None}, ["images is None"]),
        ({"annotations": {"1": GOOD}}, ["annotations is {'1'"]),
        (
            {"annotations": [GOOD | {"image_id": 5}]},
            ["annotations[0]", "no image 5", "ids of images here: 1"],
        ),
        ({"annotations": [{"image_id": 1, "caption": "A dog."}]}, ["COCO caption file", "source 'captions'"]),
        ({"annotations": [{"image_id": 1, "segments_info": []}]}, ["panoptic", "instances_"]),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_that_names_what_is_wrong(folder, changes, parts):
    with pytest.raises(DataError) as error:
        read(coco(folder, **changes))
    assert all(part in str(error.value) for part in parts), error.value


def test_an_image_entry_that_is_none_is_refused_by_its_number(folder):
    images = [None, {"file_name": "b.png"}, {"id": 1, "file_name": "a.png"}, {"id": 3, "file_name": 7}]
    samples, rejects = read(coco(folder, images=images))
    assert [sample.key for sample in samples] == ["a"]
    assert [(reject.where[-9:], reject.reason) for reject in rejects] == [
        (f"images[{number}]", "bad-row") for number in (0, 1, 3)
    ]


def test_lvis_names_images_by_their_address_and_says_what_was_looked_for(folder):
    (folder / "val2017").mkdir()
    Image.new("RGB", (40, 20)).save(folder / "val2017" / "000000397133.jpg")
    image = {
        "id": 397133,
        "coco_url": "http://images.cocodataset.org/val2017/000000397133.jpg",
        "width": 40,
        "height": 20,
    }
    categories = [
        {"id": number, "name": name} for number, name in enumerate(("bow_(weapon)", "cat", "dog", "ox"), 1)
    ]
    lists = {"neg_category_ids": [2, 77], "not_exhaustive_category_ids": [3]}
    annotations = [{"image_id": 397133, "category_id": c, "bbox": [0, 0, 9, 9]} for c in (1, 3)]
    path = coco(folder, images=[image | lists], categories=categories, annotations=annotations)
    (sample,), rejects = read(path)
    assert not rejects and sample.meta["image"] == "val2017/000000397133.jpg"
    assert known(sample).labels == ("bow (weapon)", "cat")
    # Without such a field, only annotated categories count as looked for; a flat folder works too.
    (folder / "val2017" / "000000397133.jpg").rename(folder / "000000397133.jpg")
    (sample,), _ = read(coco(folder, images=[image | {"neg_category_ids": None}], categories=categories,
                             annotations=annotations))  # fmt: skip
    assert known(sample).labels == ("bow (weapon)", "dog")


def test_3d_sets_keep_the_box_as_coco_writes_it_and_claim_nothing_of_what_is_absent(folder):
    eye = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    K = [[30, 0, 20], [0, 30, 10], [0, 0, 1]]
    solid = {"center_cam": [0, 0, 4], "dimensions": [1, 1, 1], "R_cam": eye}
    unknown = {
        "center_cam": [-1, -1, -1],
        "dimensions": [-1, -1, -1],
        "R_cam": [[-1] * 3] * 3,
        "valid3D": False,
    }
    annotations = [
        GOOD | solid,
        GOOD
        | solid
        | {"bbox2D_tight": [-1] * 4, "bbox2D_trunc": [0, 0, 20, 10], "lidar_pts": 0, "truncation": -1},
        GOOD | unknown | {"bbox": None, "category_id": 2, "bbox2D_proj": [20, 10, 60, 20]},
        GOOD | solid | {"depth_error": 0.9},
        GOOD | unknown | {"bbox": None},
    ]
    images = [{"id": n, "file_name": name, "K": K} for n, name in ((1, "a.png"), (2, "b.png"))]
    (first, empty), (reject,) = read(coco(folder, images=images, annotations=annotations))
    one, two, three, four = known(first).objects
    assert one.box == (0.1, 0.1, 0.6, 0.6) and one.solid is not None and one.solid.centre == (0, 0, 4)
    assert (two.box, two.visibility, two.truncation) == ((0, 0, 0.5, 0.5), 0.0, None)
    assert (three.label, three.box, three.solid) == ("traffic light", (0.5, 0.5, 1, 1), None)
    assert four.solid is None, "half a metre off the measured depth"
    assert reject.where.endswith("annotations[4]") and not known(empty).all_objects


def test_a_size_given_as_text_counts_and_0_is_unknown(folder):
    for sides, box in ((("80", "40"), (0.05, 0.05, 0.3, 0.3)), ((0, 0), (0.1, 0.1, 0.6, 0.6))):
        image = {"id": 1, "file_name": "a.png", "width": sides[0], "height": sides[1]}
        (sample,), _ = read(coco(folder, images=[image]))
        assert known(sample).objects[0].box == box
    _, (reject,) = read(coco(folder, images=[{"id": 1, "file_name": "a.png", "width": [40], "height": 20}]))
    assert reject.reason == "bad-size" and "[40]" in reject.detail


def test_a_group_of_categories_is_not_taken_for_absent(folder):
    categories = [
        {"id": 0, "name": "animal", "supercategory": "none"},
        {"id": 1, "name": "dog", "supercategory": "animal"},
        {"id": 2, "name": "person", "supercategory": "person"},
    ]
    (sample,), _ = read(coco(folder, categories=categories))
    assert known(sample).labels == ("dog", "person"), "a dog is an animal, though nothing is annotated so"


def test_names_with_the_slashes_of_windows_are_found(folder):
    (folder / "train").mkdir()
    (folder / "a.png").rename(folder / "train" / "a.png")
    (sample,), _ = read(coco(folder, images=[{"id": 1, "file_name": "train\\a.png"}]))
    assert sample.key == "train/a"
