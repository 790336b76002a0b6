"""Any JSON at all gives samples, rejects with place and reason, or our own error: never another one."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.evidence import open_evidence

_CALM = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
_NUMBERS = st.one_of(
    st.integers(-3, 60), st.floats(), st.sampled_from([10**400, -1, 0, 1, 0.5, True, float("nan"), "7"])
)
_LEAVES = st.one_of(
    st.none(), st.booleans(), _NUMBERS, st.text(max_size=4), st.sampled_from(["a.png", "\0", "b" * 300])
)
_ANY = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_BOXES = st.lists(_NUMBERS, min_size=3, max_size=9)


def _object(**fields):
    """An object most of whose fields are as they should be, each of which may be missing or anything."""
    return st.fixed_dictionaries(
        {}, optional={name: st.one_of(kind, kind, _ANY) for name, kind in fields.items()}
    )


_ID = st.integers(1, 2)
_COCO = st.fixed_dictionaries(
    {
        "images": st.lists(
            st.one_of(
                _object(
                    id=_ID,
                    file_name=st.just("a.png"),
                    width=_NUMBERS,
                    height=_NUMBERS,
                    coco_url=st.text(),
                    neg_category_ids=st.lists(_ID),
                    not_exhaustive_category_ids=st.lists(_ID),
                    K=st.lists(_BOXES),
                ),
                _ANY,
            ),
            max_size=3,
        ),
        "annotations": st.lists(
            st.one_of(
                _object(
                    image_id=_ID,
                    category_id=_ID,
                    bbox=_BOXES,
                    iscrowd=st.integers(0, 1),
                    caption=st.text(),
                    center_cam=_BOXES,
                    dimensions=_BOXES,
                    R_cam=st.lists(_BOXES),
                    valid3D=st.booleans(),
                ),
                _ANY,
            ),
            max_size=4,
        ),
        "categories": st.one_of(st.lists(_object(id=_ID, name=st.text(max_size=3)), max_size=3), _ANY),
    }
)
_TEXT = _object(
    text=_LEAVES, box=_BOXES, quad=st.lists(_NUMBERS, min_size=8, max_size=8), points=st.lists(_BOXES)
)
_ROWS = st.lists(
    st.one_of(
        _object(
            image=st.just("a.png"),
            texts=st.lists(_TEXT, max_size=3),
            scale=st.sampled_from(["unit", "pixels"]),
            fields=_ANY,
            width=_NUMBERS,
            height=_NUMBERS,
            id=_LEAVES,
        ),
        _object(image=st.just("a.png"), question=_LEAVES, answer=_LEAVES, kind=_LEAVES),
        _object(image=st.just("a.png"), evidence=_ANY),
        _object(
            image=st.just("a.png"),
            K=st.lists(_BOXES),
            boxes=st.lists(_object(category=_LEAVES, center_cam=_BOXES)),
        ),
        _ANY,
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz")
    Image.new("RGB", (40, 20)).save(path / "a.png")
    return path


def survives(path) -> None:
    try:
        items = list(open_evidence(path))
    except DataError as error:
        assert path.name in error.what and error.hint
        return
    for item in items:
        assert isinstance(item, Sample | Reject)
        if isinstance(item, Reject):
            assert item.where and item.reason and len(item.detail) < 500


@_CALM
@given(document=_COCO)
def test_any_coco_document(folder, document):
    (folder / "any.json").write_text(json.dumps(document))
    survives(folder / "any.json")


@_CALM
@given(rows=_ROWS)
def test_any_rows(folder, rows):
    (folder / "any.jsonl").write_text("\n".join(map(json.dumps, rows)))
    survives(folder / "any.jsonl")


@_CALM
@given(document=_ANY)
def test_any_document(folder, document):
    (folder / "any.json").write_text(json.dumps(document))
    survives(folder / "any.json")
