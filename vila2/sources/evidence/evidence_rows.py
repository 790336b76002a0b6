"""Recognizes the form of a row of evidence, and makes its sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from vila2.data.evidence import Evidence
from vila2.data.rejects import Reject
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shortening import shown
from vila2.sources.evidence import solids, texts
from vila2.sources.evidence.annotated_images import Images, Picture, Size
from vila2.sources.evidence.solids import has_solids, read_solids, things_of
from vila2.sources.evidence.sound import unsound
from vila2.sources.evidence.texts import read_texts
from vila2.sources.rows import Row

#: Fields that a row of each form has beside ``image``.
FORMS: Mapping[str, tuple[str, ...]] = {
    "evidence": ("evidence",),
    "texts": ("texts",),
    "lines": ("lines",),
    "3D boxes": ("boxes", "K"),
    "questions": ("question", "answer"),
}


def form_of(fields: Mapping[str, Any]) -> str | None:
    """Finds the form of a row by the names of its fields; None if it is unknown."""
    return next((form for form, needed in FORMS.items() if all(name in fields for name in needed)), None)


def sample_of(row: Row, images: Images) -> Iterator[Sample | Reject]:
    """Yields the sample of a row, and a ``Reject`` for each part of it that cannot be used."""
    form = form_of(row.fields)
    if form is None:
        keys = ", ".join(map(repr, list(row.fields)[:8]))
        yield Reject(row.where, "", "bad-row", f"keys {keys} make no known form")
        return
    fields = row.fields
    if form == "3D boxes" and (wrong := _no_solids(fields["boxes"])):
        yield Reject(row.where, "", "bad-row", wrong)
        return
    picture = images.open(fields, where=row.where, reach=_reach(form, fields))
    if isinstance(picture, Reject):
        yield picture
    elif form in ("texts", "lines"):
        yield from read_texts(fields, picture, where=row.where)
    elif form == "3D boxes":
        yield from read_solids(fields, things_of(fields, where=row.where), picture, where=row.where)
    elif form == "questions":
        yield _exchange(row, picture)
    else:
        yield _evidence(row, picture)


def _reach(form: str, fields: Mapping[str, Any]) -> Size | None:
    """Returns the largest x and y of a row's pixel coordinates; None if it has none."""
    if form == "3D boxes":
        return solids.reach_of(fields["boxes"])
    return texts.reach_of(fields) if form in ("texts", "lines") else None


def _no_solids(boxes: object) -> str:
    """Says what is wrong with the ``boxes`` of a row; "" for nothing."""
    if not isinstance(boxes, list):
        return f"boxes is {shown(boxes)}; use a list of objects"
    return "" if not boxes or has_solids(boxes) else "boxes without 'center_cam'"


def _exchange(row: Row, picture: Picture) -> Sample | Reject:
    question, answer = row.fields["question"], row.fields["answer"]
    answer = str(answer) if isinstance(answer, int | float) and not isinstance(answer, bool) else answer
    for name, value in (("question", question), ("answer", answer)):
        if not isinstance(value, str) or not value.strip():
            return Reject(row.where, picture.key, "missing-text", f"{name} is {shown(value)}")
    meta = {"image": picture.name}
    if isinstance(row.fields.get("kind"), str):
        meta["kind"] = row.fields["kind"]
    turns = (user(ImagePart(), question.strip()), assistant(answer.strip()))
    return Sample(picture.key, (picture.data,), turns, meta, where=row.where)


def _evidence(row: Row, picture: Picture) -> Sample | Reject:
    try:
        evidence = Evidence.model_validate(row.fields["evidence"])
    except ValidationError as error:
        first = error.errors()[0]
        detail = f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
        return Reject(row.where, picture.key, "bad-evidence", detail)
    if what := unsound(evidence):
        return Reject(row.where, picture.key, "bad-evidence", what)
    return picture.sample(evidence, {})
