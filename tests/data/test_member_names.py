"""Names of tar members: safe for every reader, and never shared by two keys."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vila2.data.member_names import image_place, member_base, member_kind, split_member
from vila2.errors import DataError

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


@given(KEYS)
def test_names_are_safe_and_split_back(key):
    base = member_base(key)
    assert re.fullmatch(r"[A-Za-z0-9_/%-]+", base)
    assert len(base) <= 255
    assert split_member(f"{base}.0.JPG") == (base, "0.jpg")
    assert not any(part.startswith("__") or part == "" for part in base.split("/"))


@given(KEYS, KEYS)
def test_two_keys_never_share_a_name(one, other):
    assert (member_base(one) == member_base(other)) == (one == other)


@pytest.mark.parametrize("key", ["000123", "a/b/photo_1", "A-b"])
def test_plain_keys_stay_as_they_are(key):
    assert member_base(key) == key


def test_members_without_extension_are_none():
    assert split_member("folder.d/README") is None
    assert split_member("a/._hidden.jpg") is None
    assert split_member("folder.d/photo.seg.png") == ("folder.d/photo", "seg.png")


@pytest.mark.parametrize("extension", ["pkl", "pyd", "pth", "0.pt", "pickle"])
def test_members_that_can_run_code_are_refused(extension):
    with pytest.raises(DataError, match=r"x\.tar"):
        member_kind(extension, where="x.tar")


def test_images_are_sorted_by_number():
    assert sorted(["10.jpg", "2.jpg", "0.png", "jpg"], key=image_place) == ["jpg", "0.png", "2.jpg", "10.jpg"]
