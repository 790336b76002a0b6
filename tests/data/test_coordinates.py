"""The coordinate codec: reads back what a model writes, and names what it cannot have meant."""

import itertools

import pytest
from hypothesis import given, strategies as st

from vila2.data.coordinates import CoordinateScheme
from vila2.data.sample import BoxPart, PointPart, PolygonPart, TextPart
from vila2.data.tokens import LOCATION_TOKENS, TokenSpec
from vila2.errors import DataError

SCHEMES = {
    "shikra": CoordinateScheme(frame="padded"),
    "paper": CoordinateScheme(decimals=2),
    "qwen": CoordinateScheme(decimals=None, bins=1000),
    "florence": CoordinateScheme("tokens"),
    "paligemma": CoordinateScheme("tokens", order="yxyx", bins=1024, template="<loc{:04d}>"),
    "coarse, padded": CoordinateScheme("tokens", bins=7, template="<p{}>", frame="padded"),
}
UNIT = st.floats(0, 1)
BOX = st.tuples(UNIT, UNIT, UNIT, UNIT).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)
SIZE = st.tuples(st.integers(1, 4000), st.integers(1, 4000))
schemes = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)


def statuses(scheme, text, **kwargs):
    return [found.status for found in scheme.parse(text, **kwargs)]


def near(scheme, place, other, size):
    """Within half a step of the frame, whose sides are the image's longer one where it is padded."""
    scale = [side / max(size) if scheme.frame == "padded" else 1.0 for side in size]
    return all(
        abs(a - b) <= scheme.half_step / scale[n % 2] + 1e-6
        for n, (a, b) in enumerate(zip(place, other, strict=True))
    )


@schemes
@given(box=BOX, size=SIZE)
def test_every_box_comes_back_within_half_a_step(scheme, box, size):
    text = f"a dog {scheme.render(box, size)}, in a field"
    (found,) = scheme.parse(text, size)
    assert found.status in ("ok", "degenerate")
    assert near(scheme, found.box, box, size)
    assert text[found.start : found.end] == scheme.render(box, size)


@schemes
@given(point=st.tuples(UNIT, UNIT), size=SIZE)
def test_every_point_comes_back_within_half_a_step(scheme, point, size):
    (found,) = scheme.parse_points(f"there: {scheme.render(point, size)}.", size)
    assert found.status == "ok" and near(scheme, found.point, point, size)


PLACE = st.one_of(
    st.tuples(UNIT, UNIT).map(PointPart),
    # Not thinner than a bin of the coarsest scheme.
    st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)).map(lambda p: BoxPart((*p, p[0] + 0.5, p[1] + 0.5))),
    st.lists(st.tuples(UNIT, UNIT), min_size=3, max_size=9).map(lambda c: PolygonPart(tuple(c))),
)


def numbers(place):
    match place:
        case PolygonPart(polygon):
            return [number for corner in polygon for number in corner]
        case BoxPart(found) | PointPart(found):
            return found


@schemes
@given(st.lists(st.one_of(PLACE, st.sampled_from([TextPart(" "), TextPart("\n"), TextPart(" and ")]))))
def test_neighboring_places_of_any_kind_come_back_as_they_were(scheme, parts):
    size = (300, 200)
    read = scheme.to_parts(scheme.to_text(parts, size), size)
    given_places, places = ([p for p in some if not isinstance(p, TextPart)] for some in (parts, read))
    assert [type(place) for place in places] == [type(place) for place in given_places]
    for place, other in zip(places, given_places, strict=True):
        assert near(scheme, numbers(place), numbers(other), size)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("[[0.1,0.2],[0.3,0.4],[0.5,0.1]]", [PolygonPart]),
        ("a [ [0.1, 0.2] , [0.3, 0.4],\n[0.5, 0.1] ] b", [PolygonPart]),
        ("[[0.1,0.2],[0.3,0.4]]", [PointPart] * 2),
        ("[[0.1,0.2],[0.3,0.4],[0.5,0.1]", [PointPart] * 3),
        ("[0.1,0.2],[0.3,0.4],[0.5,0.1]", [PointPart] * 3),
        ("[[0.1,0.2],[0.3,0.4],[0.5,1.1]]", [PointPart] * 2),
        ("[[0.1,0.2],[0.3,0.4] and [0.5,0.1]]", [PointPart] * 3),
        ("[0.1,0.2,0.3,0.4] [[0.1,0.2],[0.3,0.4],[0.5,0.1]][0.1,0.2]", [BoxPart, PolygonPart, PointPart]),
    ],
)
def test_three_points_in_brackets_are_a_polygon(text, places):
    read = CoordinateScheme().to_parts(text)
    assert [type(part) for part in read if not isinstance(part, TextPart)] == places


@schemes
@given(st.text("[],.0189 <loc_p>3", max_size=80))
def test_any_text_of_brackets_and_numbers_is_read(scheme, text):
    scheme.to_parts(text, (30, 40))


@schemes
@given(boxes=st.lists(BOX, max_size=5), between=st.sampled_from(["", " and ", "\n"]))
def test_several_boxes_are_several(scheme, boxes, between):
    text = between.join(scheme.render(box, (640, 480)) for box in boxes)
    found = scheme.parse(text, (640, 480))
    assert len(found) == len(boxes)
    assert all(near(scheme, a.box, b, (640, 480)) for a, b in zip(found, boxes, strict=True))


@schemes
@given(text=st.text(st.sampled_from("[]0123456789.,-+e% <>locp_x\n"), max_size=60) | st.text(max_size=60))
def test_any_text_is_read_and_only_boxes_within_the_image_are_given(scheme, text):
    for found in (*scheme.parse(text, (300, 200)), *scheme.parse_points(text, (300, 200))):
        assert 0 <= found.start < found.end <= len(text)
        place = getattr(found, "box", None) or getattr(found, "point", None)
        assert (place is None) == (found.status in ("out-of-range", "wrong-arity"))
        assert place is None or all(0 <= value <= 1 for value in place)
    joined = "".join(p.text if isinstance(p, TextPart) else "" for p in scheme.to_parts(text, (300, 200)))
    assert len(joined) <= len(text)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("[0.1,0.2,0.3,0.4]", ["ok"]),
        ("[ .1, 0.2 ,0.3, 1.]", ["ok"]),
        ("[ 0. 100, 0. 200, 0. 500, 1. 000 ]", ["ok"]),
        ("[[0.1,0.2,0.3,0.4]]", ["ok"]),
        ("[0.3,0.2,0.1,0.4]", ["swapped"]),
        ("[0.1,0.2,0.1,0.4]", ["degenerate"]),
        ("[0.1,0.2,0.3]", ["wrong-arity"]),
        ("[0.1,0.2,0.3,0.4,]", ["wrong-arity"]),
        ("[0.1,0.2,0.3,0.4,0.5]", ["wrong-arity"]),
        ("[0.1,0.2,left,0.4]", ["wrong-arity"]),
        ("[0.1,0.2,0.3,0.4", ["wrong-arity"]),
        ("[0.1,0.2,0.3 [0.1,0.2,0.3,0.4]", ["wrong-arity", "ok"]),
        ("[0.1,0.2,0.3,1.4]", ["out-of-range"]),
        ("[-0.1,0.2,0.3,0.4]", ["out-of-range"]),
        ("[12,40,300,200]", ["out-of-range"]),
        ("[10%, 20 %, 50%, 60%]", ["out-of-range"]),
        ("[10px,20px,50px,60px]", ["out-of-range"]),
        ("[0,0,1,1e400]", ["out-of-range"]),
        ("he said [sic], [see note], {0.1,0.2,0.3,0.4}, [], [2 dogs, 1 cat]", []),
    ],
)
def test_what_a_text_has_is_told_apart(text, expected):
    assert statuses(CoordinateScheme(), text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("<loc_100><loc_200><loc_300><loc_400>", ["ok"]),
        ("<loc_100> <loc_200> <loc_300> <loc_400>", ["ok"]),
        ("<loc_300><loc_200><loc_100><loc_400>", ["swapped"]),
        ("<loc_100><loc_200><loc_100><loc_400>", ["degenerate"]),
        ("<loc_100><loc_200><loc_300>", ["wrong-arity"]),
        ("<loc_100><loc_200><loc_300><loc_400><loc_500>", ["wrong-arity"]),
        ("<loc_100><loc_200>, <loc_300><loc_400>", ["wrong-arity", "wrong-arity"]),
        ("<loc_100><loc_200><loc_300><loc_1000>", ["out-of-range"]),
        ("<loc_100><loc_200><loc_300><loc_40>", ["out-of-range"]),
        ("<loc_100><loc_200><loc_300><loc_4", ["wrong-arity"]),
        ("[0.1,0.2,0.3,0.4]", []),
    ],
)
def test_what_a_run_of_tokens_has_is_told_apart(text, expected):
    assert statuses(CoordinateScheme("tokens"), text) == expected


def test_the_scale_comes_from_the_scheme_and_is_never_guessed():
    assert statuses(SCHEMES["qwen"], "[0.1,0.2,0.3,0.4]") == ["out-of-range"]
    assert SCHEMES["qwen"].parse("[0,0,1,1]")[0].box == (0.0005, 0.0005, 0.0015, 0.0015)
    assert CoordinateScheme().parse("[0,0,1,1]")[0].box == (0, 0, 1, 1)


def test_each_convention_writes_as_its_model_does():
    box = (0.1, 0.2, 0.5, 1.0)
    assert CoordinateScheme().render(box) == "[0.100,0.200,0.500,1.000]"
    assert SCHEMES["qwen"].render(box) == "[100,200,500,999]"
    assert SCHEMES["florence"].render(box) == "<loc_100><loc_200><loc_500><loc_999>"
    assert SCHEMES["paligemma"].tokens(box) == ("<loc0204>", "<loc0102>", "<loc1023>", "<loc0512>")
    assert SCHEMES["shikra"].render((0, 0, 1, 1), (200, 100)) == "[0.000,0.250,1.000,0.750]"


def test_a_box_in_the_padding_is_not_in_the_image():
    assert statuses(SCHEMES["shikra"], "[0.1,0.1,0.5,0.2]", size=(200, 100)) == ["out-of-range"]


def test_an_answer_becomes_parts_and_the_parts_the_same_answer():
    box, point = BoxPart((0.125, 0.25, 0.5, 0.75)), PointPart((0.5, 0.5))
    for scheme in (CoordinateScheme(), CoordinateScheme("tokens", bins=8, template="<b{}>")):
        text = f"a dog {scheme.render(box.box)} looks at {scheme.render(point.point)}. [sic] [7,7,7]"
        parts = scheme.to_parts(text)
        assert [type(part) for part in parts] == [TextPart, BoxPart, TextPart, PointPart, TextPart]
        assert scheme.to_text(parts) == text
    six = "<loc_100><loc_200>" * 3
    assert CoordinateScheme("tokens").to_parts(six) == (TextPart(six),), "a box and a half, or three points?"


@pytest.mark.parametrize("filling", ["9", "[", "[0.1,", "[9 ", " ", "<loc_", "<loc_9", "<loc_001> "])
def test_a_long_text_takes_no_quadratic_time(filling):
    # 30 000 repetitions take a fraction of a second when linear, and hours when not.
    for opening in ("", "[0.1,", "<loc_001> <loc_"):
        for scheme in (CoordinateScheme(), CoordinateScheme("tokens")):
            assert all(found.status != "ok" for found in scheme.parse(opening + filling * 30_000))


@pytest.mark.parametrize(
    "box", [(0, 0, 1.01, 1), (-0.1, 0, 1, 1), (0, 0, float("nan"), 1), (0.5, 0, 0.4, 1), (0, 9, 20, 30)]
)
def test_a_box_that_is_none_is_refused_when_written(box):
    with pytest.raises(DataError):
        CoordinateScheme().render(box)


def test_a_padded_frame_asks_for_the_size():
    with pytest.raises(DataError, match="size"):
        SCHEMES["shikra"].render((0, 0, 1, 1))


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_a_scheme_is_kept_as_json(scheme):
    assert CoordinateScheme.from_json(scheme.to_json()) == scheme
    with pytest.raises(DataError, match="unknown setting"):
        CoordinateScheme.from_json({"scale": 3})


@pytest.mark.parametrize("template", ["{:03d}", "<loc>", "<{}{}>", "loc_{}", "<{:.2f}>", "<{name}>", "<{"])
def test_tokens_that_would_capture_ordinary_text_are_refused(template):
    with pytest.raises(DataError, match="like <loc_"):
        TokenSpec("loc", template, 10)
    with pytest.raises(DataError, match="like <loc_"):
        CoordinateScheme("tokens", template=template)


def test_token_groups_name_their_tokens_and_refuse_nonsense():
    assert LOCATION_TOKENS.tokens[::333] == ("<loc_000>", "<loc_333>", "<loc_666>", "<loc_999>")
    assert TokenSpec.from_json(LOCATION_TOKENS.to_json() | {"first": 7}) == LOCATION_TOKENS
    assert "".join(itertools.islice(TokenSpec("t", "<t{{{}}}>", 3).tokens, 2)) == "<t{0}><t{1}>"
    for wrong in ({"count": 0}, {"sigma": 0}, {"sigma": float("inf")}, {"init": "zero"}, {"loss": "l2"}):
        with pytest.raises(DataError, match="'x'"):
            TokenSpec(**{"name": "x", "template": "<x{}>", "count": 3} | wrong)
