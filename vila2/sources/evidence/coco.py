"""COCO JSON (and LVIS, and Omni3D, which add fields to it): images, annotations, categories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vila2.data.evidence import Evidence, SceneObject
from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.evidence.images import Images, Picture, numbers, unit_box
from vila2.sources.evidence.solids import has_solids, read_solids

_LISTS = ("images", "annotations")


def is_coco(document: Mapping[str, Any]) -> bool:
    """Whether a JSON object has COCO's lists."""
    return all(isinstance(document.get(name), list) for name in _LISTS)


def read_coco(document: Mapping[str, Any], images: Images, *, where: str) -> Iterator[Sample | Reject]:
    """One sample per image, those without annotations too; boxes are pixels (x, y, width, height).

    Every object of ``categories`` counts as annotated, as in COCO; an image with a crowd says so of all
    categories but the crowd's, and LVIS' ``neg_category_ids`` and ``not_exhaustive_category_ids`` are kept to.
    A crowd, and a box that is none, is a ``Reject``.

    Raises:
        DataError: an annotation whose image or category is not listed.
    """
    names = {entry.get("id"): str(entry.get("name", "")) for entry in document.get("categories", [])}
    by_image: dict[Any, list[tuple[int, dict[str, Any]]]] = {
        entry.get("id"): [] for entry in document["images"]
    }
    for number, annotation in enumerate(document["annotations"]):
        place = f"{where}: annotations[{number}]"
        if annotation.get("image_id") not in by_image:
            raise DataError(
                f"{place}: no image {annotation.get('image_id')!r}", mend="mend the file's image ids"
            )
        if names and annotation.get("category_id") not in names:
            raise DataError(
                f"{place}: no category {annotation.get('category_id')!r}", mend="mend the file's categories"
            )
        by_image[annotation["image_id"]].append((number, annotation))
    for number, image in enumerate(document["images"]):
        place = f"{where}: images[{number}]"
        own = by_image[image.get("id")]
        picture = images.open({**image, "id": None}, where=place)
        if isinstance(picture, Reject):
            yield picture
        elif has_solids([annotation for _, annotation in own]):
            named = [{"category": names.get(a.get("category_id")), **a} for _, a in own]
            yield from read_solids({**image, "boxes": named}, picture, where=place)
        else:
            yield from _sample(image, own, names, picture, where)


def _sample(
    image: Mapping[str, Any],
    annotations: list[tuple[int, dict[str, Any]]],
    names: Mapping[Any, str],
    picture: Picture,
    where: str,
) -> Iterator[Sample | Reject]:
    objects, crowds = [], set()
    for number, annotation in annotations:
        place = f"{where}: annotations[{number}]"
        label = names.get(annotation.get("category_id"), "").strip().lower()
        box = numbers(annotation.get("bbox"), 4)
        unit = unit_box(box[0], box[1], box[0] + box[2], box[1] + box[3], picture) if box else None
        if annotation.get("iscrowd"):
            crowds.add(annotation["category_id"])
            yield Reject(place, picture.key, "crowd", f"a crowd of {label}")
        elif unit is None or not label:
            what = f"box {annotation.get('bbox')} of {label!r} has no area in the image"
            yield Reject(place, picture.key, "bad-box", what)
        else:
            objects.append(SceneObject(label=label, box=unit))
    listed = _listed(image, annotations, names) - crowds
    evidence = Evidence(
        objects=tuple(objects),
        all_objects=bool(listed),
        labels=tuple(sorted({names[category].strip().lower() for category in listed})),
    )
    yield picture.sample(evidence, {})


def _listed(image: Mapping[str, Any], annotations: list[Any], names: Mapping[Any, str]) -> set[Any]:
    """The categories of which every object in this image is annotated."""
    if "neg_category_ids" not in image and "not_exhaustive_category_ids" not in image:
        return set(names)
    found = {annotation.get("category_id") for _, annotation in annotations}
    absent, unfinished = image.get("neg_category_ids", []), image.get("not_exhaustive_category_ids", [])
    return (found | set(absent)) - set(unfinished) & set(names)
