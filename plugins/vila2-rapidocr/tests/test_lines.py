"""Pieces of text become lines in reading order."""

from __future__ import annotations

from hypothesis import given, strategies

from vila2_rapidocr.lines import Fragment, lines_of


def piece(text: str, left: float, top: float, right: float, height: float = 0.04) -> Fragment:
    return Fragment(text, (left, top, right, top + height))


def texts(*pieces: Fragment, gap: float = 1.0, aspect: float = 1.0) -> list[str]:
    return [line.text for line in lines_of(pieces, gap=gap, aspect=aspect)]


def test_neighbors_are_one_line_and_what_is_far_is_another():
    pieces = piece("9.00", 0.8, 0.302, 0.9), piece("Total", 0.1, 0.3, 0.2), piece("(RM):", 0.22, 0.305, 0.3)
    assert texts(*pieces) == ["Total (RM):", "9.00"]
    assert texts(*pieces, gap=20) == ["Total (RM): 9.00"]


def test_lines_go_from_top_to_bottom_however_they_were_found():
    assert texts(piece("c", 0.1, 0.5, 0.2), piece("a", 0.5, 0.1, 0.6), piece("b", 0.1, 0.3, 0.2)) == [*"abc"]


def test_a_gap_is_measured_in_heights_of_the_text_on_a_narrow_page_too():
    pieces = piece("a", 0.1, 0.1, 0.4), piece("b", 0.5, 0.1, 0.8)
    assert texts(*pieces, aspect=1) == ["a", "b"]
    assert texts(*pieces, aspect=0.3) == ["a b"]


def test_a_quotation_holds_no_quotation_mark_that_ends_it():
    assert texts(piece('5" pipe', 0.1, 0.1, 0.3)) == ["5'' pipe"]


boxes = strategies.tuples(*[strategies.floats(0, 0.9)] * 2, *[strategies.floats(0.001, 0.1)] * 2)


@given(strategies.lists(boxes, max_size=30, unique=True), strategies.floats(0, 3), strategies.floats(0.2, 5))
def test_every_piece_is_in_one_line(places, gap, aspect):
    pieces = [Fragment(str(n), (x, y, x + w, y + h)) for n, (x, y, w, h) in enumerate(places)]
    lines = lines_of(pieces, gap=gap, aspect=aspect)
    assert sorted(one.text for line in lines for one in line.pieces) == sorted(one.text for one in pieces)
    assert lines == lines_of(pieces[::-1], gap=gap, aspect=aspect)
