"""Boxes of other tools: VOC and GRIT with odd sizes, turned pictures and broken entries.

The readers use what fits and report the rest.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import ROW, picture, row_file
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image
from vila2.data.images import decode_image
from vila2.errors import DataError

from vila2_grounding import readers
from vila2_grounding.__main__ import main
from vila2_grounding.builder import GroundingBuilder, GroundingConfig
from vila2_grounding.grounded import Grounded

BOX = (10, 6, 30, 15)  # pixels of a stored image of 40 x 30, first and one after the last


def all_of(path: Path, **options):
    items = [item for piece in readers.pieces(path) for item in readers.read(path, piece, **options)]
    return [i for i in items if isinstance(i, Grounded)], [i for i in items if not isinstance(i, Grounded)]


def voc(folder: Path, objects: str, size: str = "", name: str = "a.jpg", data: bytes | None = None) -> Path:
    for sub in ("Annotations", "JPEGImages"):
        (folder / sub).mkdir(exist_ok=True)
    (folder / "JPEGImages" / "a.jpg").write_bytes(data or picture())
    text = f"<annotation><filename>{name}</filename>{size}{objects}</annotation>"
    (folder / "Annotations" / "a.xml").write_text(text)
    return folder


def thing(box: tuple, name: str = "dog") -> str:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    return (
        f"<object><name>{name}</name><bndbox>{''.join(f'<{s}>{v}</{s}>' for s, v in sides)}</bndbox></object>"
    )


def size(width: object, height: object) -> str:
    return f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"


def turned(orientation: int) -> bytes:
    """A stored image of 40 x 30 with a white box, which EXIF turns."""
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 255
    exif, file = Image.Exif(), io.BytesIO()
    exif[274] = orientation
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    return file.getvalue()


def shown_box(data: bytes) -> tuple[float, ...]:
    pixels = np.asarray(decode_image(data, where="a"))[..., 0] > 128
    rows, columns = np.nonzero(pixels.any(1))[0], np.nonzero(pixels.any(0))[0]
    height, width = pixels.shape
    return (columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height)


def box_of(found: list[Grounded]) -> tuple[float, ...]:
    return found[0].phrases[0].boxes[0]


@pytest.mark.parametrize("given_size", ["", size(0, 0), size(40, 30), size(80, 60), size("40", "30.0")])
def test_voc_boxes_are_of_the_size_that_is_given_or_else_of_the_image(tmp_path, given_size):
    found, refused = all_of(voc(tmp_path, thing((11, 7, 30, 15)), given_size))
    factor = 2 if "80" in given_size else 1
    assert not refused
    assert box_of(found) == pytest.approx(
        [10 / 40 / factor, 6 / 30 / factor, 30 / 40 / factor, 15 / 30 / factor]
    )


def test_voc_with_a_0_counts_from_0(tmp_path):
    found, _ = all_of(voc(tmp_path, thing((0, 6.5, 30, 15)) + thing((10, 6, 20, 9), "cat")))
    assert box_of(found)[:2] == pytest.approx((0, 6.5 / 30))
    assert found[0].phrases[1].boxes[0][:2] == pytest.approx((10 / 40, 6 / 30))


@pytest.mark.parametrize("orientation", [6, 8])
def test_voc_of_a_turned_photo_goes_by_its_size(tmp_path, orientation):
    data = turned(orientation)
    first = (BOX[0] + 1, BOX[1] + 1, *BOX[2:])
    found, _ = all_of(voc(tmp_path, thing(first), size(40, 30), data=data))
    assert box_of(found) == pytest.approx(shown_box(data))
    found, _ = all_of(voc(tmp_path, thing(first), size(30, 40), data=data))
    assert box_of(found) == pytest.approx((10 / 30, 6 / 40, 30 / 30, 15 / 40))
    found, refused = all_of(voc(tmp_path, thing((2, 2, 20, 20)), data=data))
    assert (
        not found
        and refused[0].reason == "rotated-image"
        and f"orientation {orientation}" in refused[0].detail
    )


@pytest.mark.parametrize(
    ("objects", "detail"),
    [
        (thing(("x", 1, 2, 3)), "xmin is 'x'"),
        (thing(("nan", 1, 2, 3)), "xmin is 'nan'"),
        (thing((30, 15, 10, 6)), "no area"),
        (thing((50, 1, 60, 9)), "(40x30)"),
        (thing((0.1, 0.1, 0.5, 0.5)), "parts of the image"),
        ("<object><name>dog</name><polygon/></object>", "no bndbox"),
        ("<object><bndbox/></object>", "no name"),
    ],
)
def test_an_odd_object_is_refused_by_its_number_and_the_others_are_kept(tmp_path, objects, detail):
    found, (refused,) = all_of(voc(tmp_path, thing((11, 7, 30, 15), "cat") + objects, size(40, 30)))
    assert [found[0].words(phrase) for phrase in found[0].phrases] == ["a cat"]
    assert (
        refused.where.endswith("a.xml: object[1]")
        and refused.reason == "bad-box"
        and detail in refused.detail
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<annotation>", "bad-xml"),
        ("<html/>", "bad-xml"),
        ("<?xml version='1.0' encoding='nonsense'?><annotation/>", "bad-xml"),
        (f"<annotation>{size('wide', 30)}</annotation>", "bad-size"),
        (f"<annotation>{size(30, 40)}{thing((2, 2, 9, 9))}</annotation>", "rotated-image"),
        ("<annotation><filename>b.jpg</filename></annotation>", "unreadable-file"),
    ],
)
def test_an_xml_file_that_can_not_be_used_does_not_stop_the_others(tmp_path, text, reason):
    folder = voc(tmp_path, thing((11, 7, 30, 15)))
    name = "b.xml" if "b.jpg" in text else "a.xml"
    (folder / "Annotations" / "z.xml").write_text((folder / "Annotations" / "a.xml").read_text())
    (folder / "Annotations" / name).write_text(text)
    found, refused = all_of(folder)
    assert found[-1].key == "z" and [one.reason for one in refused] == [reason]
    assert refused[0].where.endswith(name)


def test_the_image_is_found_by_the_name_of_its_xml_where_the_file_name_is_stale(tmp_path):
    for name in ("a", "", "C:\\old\\photo.jpg"):
        assert len(all_of(voc(tmp_path, thing((11, 7, 30, 15)), name=name))[0]) == 1
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "a.xml").write_text((tmp_path / "Annotations" / "a.xml").read_text())
    (flat / "a.jpg").write_bytes(picture())
    assert len(all_of(flat)[0]) == 1
    (flat / "a.jpg").rename(tmp_path / "a.jpg")
    assert len(all_of(flat, images=tmp_path)[0]) == 1


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_grit_boxes_of_a_turned_photo_go_by_the_size_of_the_row(tmp_path, orientation):
    data = turned(orientation)
    unit = [BOX[0] / 40, BOX[1] / 30, BOX[2] / 40, BOX[3] / 30]
    row = {**ROW, "noun_chunks": [[2, 13, *unit, 0.9]], "ref_exps": []}
    rows = row_file(tmp_path, row)
    (tmp_path / "000000012.jpg").write_bytes(data)
    assert box_of(all_of(rows)[0]) == pytest.approx(shown_box(data))
    row_file(tmp_path, {**row, "width": 30, "height": 40})
    (tmp_path / "000000012.jpg").write_bytes(data)
    assert box_of(all_of(rows)[0]) == pytest.approx(unit)
    rows.write_text(json.dumps({**row, "width": None, "height": None}))
    found, refused = all_of(rows)
    assert not found and refused[0].reason == "rotated-image"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ([2, 13, 0.3, 0.5, 0.1, 0.2, 1], "bad-box"),
        ([2, 13, 10**400, 0.5, 0.1, 0.2, 1], "bad-annotation"),
        ([10**400, 13, 0.1, 0.2, 0.3, 0.5, 1], "bad-annotation"),
        ([2, 99, 0.1, 0.2, 0.3, 0.5, 1], "bad-span"),
        (None, "bad-annotation"),
    ],
)
def test_an_odd_entry_of_grit_is_refused_and_the_others_are_kept(tmp_path, entry, reason):
    found, refused = all_of(row_file(tmp_path, {**ROW, "noun_chunks": [*ROW["noun_chunks"], entry]}))
    assert len(found[0].phrases) == 2 and [one.reason for one in refused] == [reason]


@pytest.mark.parametrize("setting", ["images", "image_root"])
def test_image_root_is_heeded(tmp_path, build, setting):
    rows = row_file(tmp_path, ROW)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "000000012.jpg").rename(tmp_path / "elsewhere" / "000000012.jpg")
    assert build(rows)[1][0].reason == "unreadable-file"
    assert len(build(rows, **{setting: tmp_path / "elsewhere"})[0]) == 1
    with pytest.raises(DataError, match="is not a folder"):
        build(rows, **{setting: tmp_path / "nowhere"})


def test_the_command_shows_examples_of_what_was_refused(tmp_path, capsys):
    rows = row_file(tmp_path, ROW, {**ROW, "key": "gone", "image": "gone.jpg"}, {**ROW, "caption": 3})
    (tmp_path / "gone.jpg").unlink(missing_ok=True)
    main([str(rows)])
    said = capsys.readouterr().out
    assert "for example" in said and "rows.jsonl:2" in said
    for argument in ("spans=x", "resize=border", "split"):
        assert main([str(rows), argument]) == 1
        assert "hint:" in capsys.readouterr().err


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_random_edits_of_voc_give_samples_or_rejects(tmp_path, data):
    folder = voc(tmp_path, thing((11, 7, 30, 15)) + thing((1, 1, 9, 9), "cat"), size(40, 30))
    file = folder / "Annotations" / "a.xml"
    text = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        text[place : place + data.draw(st.integers(0, 12))] = data.draw(
            st.sampled_from([b"", b"nan", b"-", b"9" * 400, b"<", b"</object>", b"\xff", b"\0", b"1e999"])
        )
    file.write_bytes(bytes(text))
    builder = GroundingBuilder(GroundingConfig(data=folder))
    items = [item for shard in builder.shards() for item in builder.build(shard)]
    assert all(item.where and item.reason for item in items if hasattr(item, "reason")) and items


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 50) | st.floats() | st.text(max_size=3) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=10,
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(fields=st.dictionaries(st.sampled_from([*ROW, "image"]), _ANY))
def test_any_row_gives_samples_or_rejects(tmp_path, fields):
    rows = row_file(tmp_path, ROW)
    rows.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, **fields}) + "\n")
    found, refused = all_of(rows)
    assert found[0].key == "000000012" and all(one.where and one.reason for one in refused)
