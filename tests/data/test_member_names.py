"""Names of tar members: safe for every reader, and never shared by two keys."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from vila2.data.member_names import image_place, member_base, member_kind, split_member, split_members
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


def split(*names: str) -> dict[str, tuple[str | None, str]]:
    """Base and extension that each member gets in a tar of just these."""
    found = split_members(names, where="x.tar")
    return {name: (one.base, one.extension) for name, one in zip(names, found, strict=True)}


@pytest.mark.parametrize(
    ("members", "base"),
    [
        (["shop v1.0 front.jpg", "shop v1.0 front.txt", "shop v1.0 back.jpg"], "shop v1.0 front"),
        (["2024.05.01_1.jpg", "2024.05.01_2.jpg"], "2024.05.01_1"),
        (["img.0001.jpg", "img.0001.txt", "img.0002.txt"], "img.0001"),
        (["a.0.jpg", "a.1.jpg", "a.0.txt"], "a.0"),
        (["a.0.jpg", "a.jpg", "a.txt"], "a.0"),
        (["shop.v2.jpg", "shop.jpg", "shop.txt"], "shop.v2"),
        (["w.photo.jpg", "w.photo.txt", "w.image.jpg", "w.image.txt"], "w.photo"),
        (["d.e/f.v1.JPG", "d.e/f.v2.JPG"], "d.e/f.v1"),
        (["s0.image.jpg", "s0.caption.txt"], "s0"),
        (["s0.image.jpg", "s0.image.txt", "s0.meta.json"], "s0"),
        (["s0.0.jpg", "s0.1.jpg", "s0.json"], "s0"),
        (["s0.jpg", "s0.alt_text.txt"], "s0"),
    ],
)
def test_a_name_with_dots_is_read_by_what_stands_beside_it(members, base):
    assert split(*members)[members[0]][0] == base


def test_what_is_no_part_of_a_sample_is_left_alone():
    hidden = ("._a.jpg", "x/.DS_Store", "__MACOSX/a.jpg", ".git/a.txt")
    found = split("./a.jpg", "a.seg.png", "/a.TXT", "README", *hidden)
    assert found["./a.jpg"] == ("a", "jpg") and found["/a.TXT"] == ("a", "txt")
    assert found["a.seg.png"] == (None, "seg.png"), "a mask is no photo"
    assert found["README"] == (None, "no extension")
    assert all(found[name] == (None, "hidden") for name in hidden)


STEMS = st.lists(
    st.sampled_from(["a", "v1", "0", "2", "b c", "image", "caption", "x"]), min_size=1, max_size=4
)


@given(st.lists(STEMS.map(".".join), min_size=1, max_size=8, unique=True), st.randoms())
def test_photos_with_their_texts_are_never_joined_to_one_another(stems, random):
    names = [f"{stem}.{extension}" for stem in stems for extension in ("jpg", "txt", "json")]
    random.shuffle(names)
    found = split(*names)
    bases = {found[f"{stem}.jpg"][0] for stem in stems}
    assert len(bases) == len(stems), "each photo is a sample of its own"
    for stem in stems:
        assert found[f"{stem}.txt"][0] == found[f"{stem}.json"][0] == found[f"{stem}.jpg"][0]


@given(st.lists(STEMS.map(".".join), min_size=1, max_size=8, unique=True))
def test_photos_without_any_text_are_never_joined(stems):
    found = split(*(f"{stem}.jpg" for stem in stems))
    assert [found[f"{stem}.jpg"] for stem in stems] == [(stem, "jpg") for stem in stems]
