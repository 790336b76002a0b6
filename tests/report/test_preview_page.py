"""The preview's page: places drawn onto images, three digits, marks of layers, hostile text as text."""

from __future__ import annotations

import base64
import re

from tests.report.report_results import DOT
from tests.report.test_report_page import HOSTILE, Page
from vila2.data.annotations import Annotation
from vila2.data.sample import (
    BoxPart,
    ImagePart,
    Part,
    PointPart,
    PolygonPart,
    Sample,
    TextPart,
    Turn,
    assistant,
    user,
)
from vila2.report.preview import preview_samples
from vila2.report.preview_page import page

IMAGE = base64.b64decode(DOT.partition(",")[2])


class Rows:
    """A layer that says something of one sample."""

    def __init__(self, *rows: Annotation) -> None:
        self.rows = rows

    def get(self, key: str) -> tuple[Annotation, ...]:
        return tuple(row for row in self.rows if row.key == key)


def page_of(*turns: Turn, images: int = 1, **layers: Rows) -> str:
    previews = preview_samples([Sample("k", (IMAGE,) * images, turns)], None, "chat", layers)
    return page("set", "1 sample", previews)


def said(*parts: Part) -> Turn:
    return Turn("assistant", parts)


def test_boxes_and_points_are_drawn_with_a_number_a_label_and_three_digits() -> None:
    box, point = BoxPart((0.2, 0.3, 0.5, 0.7000000000000001)), PointPart((0.3512345678901234, 0.5))
    whole = page_of(user(ImagePart()), said(TextPart("a ball at "), box, TextPart(", its center "), point))
    text = " ".join(Page(whole).text.split())
    assert "[0.200, 0.300, 0.500, 0.700]" in text and "[0.351, 0.500]" in text
    assert "0.7000000000000001" not in whole and "0.35123" not in whole
    assert '<rect x="0.2" y="0.3" width="0.3" height="0.4">' in whole and '<circle cx="0.4"' in whole
    [told] = re.findall(r'role="img" aria-label="([^"]*)"', whole)
    assert told.startswith("1: a ball at [0.200") and "2: its center [0.351" in told
    assert 'id="show-places" checked' in whole


def test_a_polygon_is_drawn_by_its_corners() -> None:
    roof = PolygonPart(((0.0, 0.5), (0.5, 0.0), (1.0, 0.5)))
    whole = page_of(user(ImagePart()), said(TextPart("a roof "), roof))
    assert '<polygon points="0.0,0.5 0.5,0.0 1.0,0.5">' in whole
    assert "a roof [[0.000, 0.500],[0.500, 0.000],[1.000, 0.500]]" in " ".join(Page(whole).text.split())


def test_a_place_is_drawn_on_the_image_before_it_and_without_places_there_is_no_switch() -> None:
    turns = (user(ImagePart(0), ImagePart(1), "where?"), said(BoxPart((0.1, 0.2, 0.3, 0.4))))
    first, second = re.findall(r'<figure class="placed">.*?</figure>', page_of(*turns, images=2), re.DOTALL)
    assert "<rect" not in first and "<rect" in second
    assert 'id="show-places"' not in page_of(user(ImagePart()), assistant("a ball"))


def test_layers_tell_their_marks() -> None:
    bad = Annotation("k", "", "a a a a", "repetition", "'a' 4 times")
    good = Annotation("k", "", "a fine caption", "ok")
    text = " ".join(Page(page_of(assistant("x"), **{"self-1": Rows(bad, good)})).text.split())
    assert "self-1 repetition 'a' 4 times a a a a" in text and "self-1 ok a fine caption" in text
    shown = Turn("assistant", (TextPart("a fine caption"),), source="self-1")
    text = Page(page_of(shown, **{"self-1": Rows(bad, good)})).text
    assert text.count("a fine caption") == 1 and "repetition" in text


def test_hostile_text_stays_text() -> None:
    for text in HOSTILE:
        row = Annotation("k", "", text, "refusal", text)
        whole = page_of(said(TextPart(text), BoxPart((0.1, 0.1, 0.2, 0.2))), **{text: Rows(row)})
        read = Page(whole)
        assert read.text.count(text) >= 3
        assert not {tag for tag, _ in read.tags} & {"script", "b><img"}
        assert not any(name.startswith("on") for _, own in read.tags for name in own)
