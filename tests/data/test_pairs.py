"""Pairs are read without most of their JSON values, and are what the whole way of reading makes of them."""

from __future__ import annotations

from hypothesis import given, strategies as st

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.tar_sample import pack_sample, unpack_sample
from vila2.errors import DataError

JPEG = b"\xff\xd8\xff\xe0 an image"
texts = st.text(st.characters(exclude_categories=["Cs"]))
meta = st.dictionaries(texts, st.none() | st.integers() | texts | st.lists(texts, max_size=2), max_size=3)


def read(members):
    """The sample, or why there is none."""
    try:
        sample = unpack_sample("a", members, where="a.tar")
    except DataError as error:
        return error.what
    return sample, [(type(key), key) for key in sample.meta]


def read_whole(members):
    """The same with a member beside it that counts for nothing, so that it does not look like a pair."""
    return read([*members, ("bin", b"")])


def members_of(sample):
    return [(name.partition(".")[2], data) for name, data in pack_sample(sample)]


@given(text=texts, meta=meta)
def test_a_pair_is_read_as_it_was_written(text, meta):
    sample = Sample("a", (JPEG,), (user(ImagePart()), assistant(text)), meta)
    assert read(members_of(sample)) == read_whole(members_of(sample))
    assert unpack_sample("a", members_of(sample), where="a.tar") == sample


@given(text=texts, meta=meta, where=st.floats(0, 1), put=st.binary(max_size=3), out=st.integers(0, 3))
def test_a_pair_with_bytes_put_in_or_left_out_is_read_or_refused_as_any_sample(text, meta, where, put, out):
    sample = Sample("a", (JPEG,), (user(ImagePart()), assistant(text)), meta)
    (_, _), (_, data) = members_of(sample)
    place = int(where * len(data))
    broken = [("jpg", JPEG), ("json", data[:place] + put + data[place + out :])]
    assert read(broken) == read_whole(broken)


def test_a_pair_whose_json_has_more_in_it_is_no_plain_pair():
    sample = Sample("a", (JPEG,), (user(ImagePart()), assistant("a dog")), {"url": "x"})
    (_, _), (_, data) = members_of(sample)
    for end in (b', "key": "b"}', b', "meta": {}}', b"} ", b"", b"}}", b', "meta": 3}'):
        changed = [("jpg", JPEG), ("json", data.removesuffix(b"}") + end)]
        assert read(changed) == read_whole(changed)
    named = [("jpg", JPEG), ("json", data.removesuffix(b"}") + b', "key": "b"}')]
    assert unpack_sample("a", named, where="a.tar").key == "b"
