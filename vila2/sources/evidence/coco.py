"""Reads COCO JSON, and LVIS and Omni3D, which add fields to it: images, annotations, categories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vila2.data.evidence import Evidence, SceneObject
from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.data.shortening import shown
from vila2.errors import DataError
from vila2.sources.evidence.annotated_images import Images, Picture, Size, numbers, within_a_pixel
from vila2.sources.evidence.solids import has_solids, read_solids

_LISTS = ("images", "annotations")
#: Fields of LVIS that say for which categories an image was searched.
_FEDERATED = ("neg_category_ids", "not_exhaustive_category_ids")
#: Fields that mark a region of many things, in COCO and in conversions of OpenImages.
_CROWDS = ("iscrowd", "isgroupof", "is_group_of", "IsGroupOf", "ignore")


def is_coco(document: Mapping[str, Any]) -> bool:
    """Tells whether a JSON object has COCO's lists."""
    return all(isinstance(document.get(name), list) for name in _LISTS)


@dataclass(slots=True)
class _Image:
    """An image and its annotations.

    Attributes:
        number: number of the entry in ``images``.
        fields: fields of the entry.
        annotations: annotations of the image, each with its number.
    """

    number: int
    fields: Mapping[str, Any]
    annotations: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)


def read_coco(document: Mapping[str, Any], images: Images, *, where: str) -> Iterator[Sample | Reject]:
    """Yields a sample for each image, with or without annotations; boxes are pixels (x, y, width, height).

    As in COCO, every object of ``categories`` counts as annotated, with these exceptions: the category of a
    crowd or of an annotation that cannot be used, in its image; what LVIS excludes by ``neg_category_ids``
    and ``not_exhaustive_category_ids``; and files of solids (Omni3D). Anything that cannot be used is a
    ``Reject``. An id may be a number or its text.

    Args:
        document: object with COCO's lists.
        images: images of the file.
        where: path of the file.

    Raises:
        DataError: an id is ambiguous, categories have another form, or no annotation has an image and a name.
    """
    names = _names(document.get("categories"), where)
    annotations = document["annotations"]
    entries: dict[str, _Image] = {}
    yield from _sort(document, entries, where)
    if annotations and not names and not any(_named(one) for one in annotations):
        raise DataError(
            f"{where}: no categories, so annotations[0] and all others have no names",
            hint="add the list 'categories'",
        )
    solids = has_solids(annotations)
    groups = _groups(document.get("categories"), annotations)
    federated = any(key in image.fields for image in entries.values() for key in _FEDERATED)
    for image in entries.values():
        place = f"{where}: images[{image.number}]"
        own = image.annotations
        picture = images.open({**image.fields, "id": None}, where=place, reach=_reach(own))
        if isinstance(picture, Reject):
            yield picture
        elif solids:
            things = [(f"{where}: annotations[{n}]", _thing(one, names)) for n, one in own]
            yield from read_solids(image.fields, things, picture, where=place)
        else:
            looked_for = _looked_for(image, names) if federated else set(names.values()) - groups
            yield from _sample(image, names, picture, where, looked_for)


def _sort(document: Mapping[str, Any], entries: dict[str, _Image], where: str) -> Iterator[Reject]:
    """Sorts annotations to their images.

    Args:
        document: object with COCO's lists.
        entries: images by id, which are filled in.
        where: path of the file.

    Yields:
        A reject for each image and annotation that cannot be used.

    Raises:
        DataError: two images have the same id, or no annotation has an image.
    """
    for number, entry in enumerate(document["images"]):
        refused = _list_image(number, entry, entries, where)
        if refused is not None:
            yield refused
    lost = None
    for number, annotation in enumerate(document["annotations"]):
        refused = _sort_in(number, annotation, entries, where)
        if refused is not None:
            lost = lost or refused
            yield refused
    if lost is not None and not any(image.annotations for image in entries.values()):
        known = ", ".join(list(entries)[:3]) or "none"
        hint = f"give the images of these annotations; ids of images here: {known}"
        raise DataError(f"{lost.where}: {lost.detail}; no annotation of the file has an image", hint=hint)


def _names(categories: Any, where: str) -> dict[str, str]:
    """Reads the names of categories by id; categories without a name are left out.

    Raises:
        DataError: the value is not a list of objects, or two categories have the same id.
    """
    if categories is not None and not isinstance(categories, list):
        raise DataError(f"{where}: categories is {shown(categories)}", hint=_CATEGORIES)
    names: dict[str, tuple[int, str]] = {}
    for number, entry in enumerate(categories or ()):
        key = _id(entry.get("id")) if isinstance(entry, Mapping) else None
        if key is None:
            raise DataError(f"{where}: categories[{number}] is {shown(entry)}", hint=_CATEGORIES)
        name = _label(entry.get("name"))
        before, other = names.setdefault(key, (number, name))
        if name != other:
            what = f"categories[{before}] ({other!r}) and categories[{number}] ({name!r}) have one id, {key}"
            hint = "give every category and its annotations an id of their own"
            raise DataError(f"{where}: {what}", hint=hint)
    return {key: name for key, (_, name) in names.items() if name}


_CATEGORIES = 'use a list of objects, such as {"id": 1, "name": "dog"}'


def _groups(categories: Any, annotations: Sequence[Any]) -> set[str]:
    """Finds categories that only group others, as Roboflow lists "fruit" over "apple".

    Nothing is annotated with them, which does not mean that there is none.
    """
    entries = [entry for entry in categories or () if isinstance(entry, Mapping)]
    over = {
        _label(entry.get("supercategory"))
        for entry in entries
        if _label(entry.get("supercategory")) != _label(entry.get("name"))
    }
    used = {_id(one.get("category_id")) for one in annotations if isinstance(one, Mapping)}
    return {_label(entry.get("name")) for entry in entries if _id(entry.get("id")) not in used} & over


def _list_image(number: int, entry: object, entries: dict[str, _Image], where: str) -> Reject | None:
    """Adds an image to ``entries``, or says why it cannot be used.

    Raises:
        DataError: two images have the same id, so that annotations could belong to either.
    """
    place = f"{where}: images[{number}]"
    if not isinstance(entry, Mapping):
        return Reject(place, "", "bad-row", f"{shown(entry)} instead of an object")
    key = _id(entry.get("id"))
    if key is None:
        return Reject(
            place, "", "bad-row", f"id is {shown(entry.get('id'))}, so no annotation can be its own"
        )
    first = entries.setdefault(key, _Image(number, entry))
    if first.fields is entry:
        return None
    name, other = (_file_name(one) for one in (entry, first.fields))
    if name == other:
        return Reject(
            place, "", "duplicate-image", f"id {key} and {shown(name)} stand at images[{first.number}]"
        )
    what = f"images[{first.number}] ({shown(other)}) and images[{number}] ({shown(name)}) have one id, {key}"
    hint = "joined files need new ids: give each file by itself, or renumber images and annotations"
    raise DataError(f"{where}: {what}", hint=hint)


def _file_name(image: Mapping[str, Any]) -> object:
    names = ("file_name", "image", "file_path", "coco_url")
    return next((image[name] for name in names if image.get(name)), None)


def _sort_in(number: int, annotation: object, entries: Mapping[str, _Image], where: str) -> Reject | None:
    place = f"{where}: annotations[{number}]"
    if not isinstance(annotation, Mapping):
        return Reject(place, "", "bad-annotation", f"{shown(annotation)} instead of an object")
    given = annotation.get("image_id")
    key = _id(given)
    if key is None or key not in entries:
        return Reject(place, "", "unknown-image", f"no image {shown(given)}")
    entries[key].annotations.append((number, annotation))
    return None


def _id(value: object) -> str | None:
    """Makes text of an id, the same for a number and for its text; None if the value is no id."""
    if isinstance(value, float) and value == value and abs(value) < 2**53 and value == int(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _label(name: object) -> str:
    """Makes words in lower case of a category's name; "" if the value is no name."""
    name = str(name) if isinstance(name, int) and not isinstance(name, bool) else name
    return " ".join(name.replace("_", " ").lower().split()) if isinstance(name, str) else ""


def _named(annotation: object) -> str:
    """Returns the category's name in the annotation itself, as in Omni3D; "" if there is none."""
    return _label(annotation.get("category_name")) if isinstance(annotation, Mapping) else ""


def _thing(annotation: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
    """Makes a thing of a row from an annotation: its category by name, its ``bbox`` by corners."""
    key = _id(annotation.get("category_id"))
    thing = {"category": names.get(key) if key else None, **annotation}
    box = numbers(thing.pop("bbox", None), 4)
    return thing | ({"bbox": [box[0], box[1], box[0] + box[2], box[1] + box[3]]} if box else {})


def _reach(annotations: Sequence[tuple[int, Mapping[str, Any]]]) -> Size | None:
    boxes = [box for _, one in annotations if (box := numbers(one.get("bbox"), 4))]
    if not boxes and any("center_cam" in one for _, one in annotations):
        return 0.0, 0.0  # the camera's matrix refers to pixels
    return (max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)) if boxes else None


def _sample(
    image: _Image,
    names: Mapping[str, str],
    picture: Picture,
    where: str,
    looked_for: set[str],
) -> Iterator[Sample | Reject]:
    """Yields the sample of an image, and a reject for each annotation that cannot be used.

    Args:
        image: image and annotations.
        names: names of categories by id.
        picture: image as it was read.
        where: path of the file.
        looked_for: categories whose objects all count as annotated.
    """
    objects, unsure = [], set()
    for number, annotation in image.annotations:
        place = f"{where}: annotations[{number}]"
        key = _id(annotation.get("category_id"))
        label = (names.get(key, "") if key else "") or _named(annotation)
        read = _object(annotation, label, picture)
        if isinstance(read, SceneObject):
            objects.append(read)
        else:
            box = numbers(annotation.get("bbox"), 4)
            if box is None or 0 not in box[2:]:  # a box without area hides no object
                unsure.add(label)
            yield Reject(place, picture.key, *read)
    if "" in unsure:  # it may be a thing of any category
        looked_for = set()
    labels = tuple(sorted(looked_for - unsure))
    yield picture.sample(Evidence(objects=tuple(objects), all_objects=bool(labels), labels=labels), {})


def _object(annotation: Mapping[str, Any], label: str, picture: Picture) -> SceneObject | tuple[str, str]:
    """Reads an object; or reason and detail of its reject."""
    for name in _CROWDS:
        if (flag := annotation.get(name)) not in (None, 0, "0", "", "false", "False"):
            if flag not in (1, "1", "true", "True"):
                return "bad-annotation", f"{name} is {shown(flag)} instead of 0 or 1"
            return "crowd", f"{name}: a crowd of {label or 'no known category'}"
    if not label:
        return "unknown-category", f"no category {shown(annotation.get('category_id'))}"
    given = annotation.get("bbox")
    box = numbers(given, 4)
    if box is None:
        other = next((name for name in ("segmentation", "keypoints") if annotation.get(name)), None)
        what = f"only {other}" if given is None and other else f"bbox is {shown(given)}"
        return "bad-box", f"{label}: {what}; needed is a bbox of four numbers (x, y, width, height in pixels)"
    if within_a_pixel(box) and not all(value == int(value) for value in box):
        return "bad-box", f"{label}: {list(box)} are shares of the image; a bbox is in pixels"
    unit = picture.frame.box(box[0], box[1], box[0] + box[2], box[1] + box[3])
    if unit is None:
        return "bad-box", f"{label}: box {shown(given)} (x, y, width, height) has no area in the image"
    return SceneObject(label=label, box=unit)


def _looked_for(image: _Image, names: Mapping[str, str]) -> set[str]:
    """Finds the categories of which every object in this image is annotated, according to LVIS."""
    absent, unfinished = ({_id(one) for one in _list(image.fields.get(key))} for key in _FEDERATED)
    found = {_id(annotation.get("category_id")) for _, annotation in image.annotations}
    return {names[key] for key in (found | absent) - unfinished if key is not None and key in names}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
