"""Written text with its places: boxes or outlines in pixels, and the named fields of a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vila2.data.boxes import Point
from vila2.data.evidence import Evidence, WrittenText
from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.sources.evidence.images import Picture, numbers, unit_box, unit_point

#: What data sets write for a text that nobody can read.
UNREADABLE = frozenset({"###", "."})


def read_texts(row: Mapping[str, Any], picture: Picture, *, where: str) -> Iterator[Sample | Reject]:
    """One sample; texts stay in the order they are listed in.

    ``texts`` (or ``lines``) holds objects with ``text`` and one of ``box`` or ``bbox`` (xmin, ymin, xmax,
    ymax), ``quad`` (eight numbers or four points) or ``points``; ``kind`` is kept. Places are pixels, or
    parts of the image where the row says ``"scale": "unit"``. The list counts as all that is written, unless
    one of its texts can not be used or the row says ``"all_texts": false``.
    """
    name = "texts" if "texts" in row else "lines"
    if row.get("scale", "pixels") not in ("pixels", "unit") or not isinstance(row[name], Sequence):
        detail = f"scale {row.get('scale')!r}, {name} {type(row[name]).__name__}"
        yield Reject(where, picture.key, "bad-row", detail)
        return
    frame = Picture("", "", b"", 1, 1) if row.get("scale") == "unit" else picture
    texts = []
    for number, entry in enumerate(row[name]):
        place = f"{where}.{name}[{number}]"
        made = _text(entry, frame) if isinstance(entry, Mapping) else ("bad-text", "no object")
        if isinstance(made, WrittenText):
            texts.append(made)
        else:
            yield Reject(place, picture.key, *made)
    fields = row.get("fields") or {}
    if not isinstance(fields, Mapping) or not all(isinstance(value, str) for value in fields.values()):
        yield Reject(where, picture.key, "bad-fields", f"{fields!r:.80} instead of texts by name")
        fields = {}
    complete = len(texts) == len(row[name]) and row.get("all_texts", True) is True
    evidence = Evidence(texts=tuple(texts), all_texts=complete, fields=dict(fields))
    yield picture.sample(evidence, {})


def _text(entry: Mapping[str, Any], frame: Picture) -> WrittenText | tuple[str, str]:
    """The text, or reason and detail of why there is none."""
    text = entry.get("text")
    if not isinstance(text, str) or not text.strip() or text.strip() in UNREADABLE:
        return "unreadable-text", f"{text!r:.40}"
    outline = _outline(entry, frame)
    if outline is None:
        return "bad-box", f"{text!r:.40} has no place in the image"
    kind = entry.get("kind", "")
    return WrittenText(text=text, outline=outline, kind=kind if isinstance(kind, str) else "")


def _outline(entry: Mapping[str, Any], frame: Picture) -> tuple[Point, ...] | None:
    box = numbers(entry.get("box", entry.get("bbox")), 4)
    if box is not None:
        unit = unit_box(*box, frame)
        if unit is None:
            return None
        x0, y0, x1, y1 = unit
        return (x0, y0), (x1, y0), (x1, y1), (x0, y1)
    given = entry.get("quad", entry.get("points"))
    flat = numbers(given, 8)
    pairs = zip(flat[::2], flat[1::2], strict=True) if flat else _pairs(given)
    points = tuple(unit_point(x, y, frame) for x, y in pairs)
    return points if len(points) >= 4 and _area(points) > 0 else None


def _pairs(value: Any) -> list[tuple[float, ...]]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    pairs = [numbers(point, 2) for point in value]
    return [] if None in pairs else pairs  # type: ignore[return-value]


def _area(points: Sequence[Point]) -> float:
    after = (*points[1:], points[0])
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, after, strict=True))) / 2
