"""What the page shows, as values for its templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from vila2.browse.collection import Collection
from vila2.browse.corrections import Correction, Corrections
from vila2.data.annotations import Annotation
from vila2.data.claims import Claim
from vila2.data.images import image_size
from vila2.data.sample import BoxPart, PlacePart, PointPart, Sample
from vila2.errors import DataError
from vila2.merge.fates import Fate
from vila2.report.marked_text import Mark, MarkedSpan, claim_line, cut_into_segments
from vila2.report.preview import meta_line
from vila2.report.preview_page import STYLES, DrawnImage, DrawnPlace, drawn_place, turn_places
from vila2.report.results_page import ClaimMark

_SNIPPET = 160  # characters
_MARKS: dict[str, Mark] = {"supported": "fact", "contradicted": "hallucination"}


@dataclass(frozen=True, slots=True)
class GridCard:
    """A sample among others; ``flags`` are the statuses of its unusable answers, each with its layer."""

    number: int
    key: str
    has_image: bool
    layer: str
    snippet: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerView:
    """An answer of a layer, with what the merge or a person said of its pieces."""

    row: int
    prompt: str
    text: str
    status: str
    detail: str
    segments: tuple[MarkedSpan, ...]
    checks: tuple[str, ...]
    editable: bool
    said: Correction | None


@dataclass(frozen=True, slots=True)
class LayerView:
    """What a layer says about a sample; ``style`` is the color of its places, None where it has none."""

    name: str
    style: int | None
    answers: tuple[AnswerView, ...]


@dataclass(frozen=True, slots=True)
class SampleView:
    """A sample with all its layers."""

    number: int
    key: str
    images: tuple[DrawnImage, ...]
    layers: tuple[LayerView, ...]
    fates: tuple[Fate, ...]
    meta: str
    problem: str

    @property
    def places(self) -> tuple[DrawnPlace, ...]:
        """All places on the sample's images."""
        return tuple(place for image in self.images for place in image.places)


def grid_cards(collection: Collection, numbers: Iterable[int], layer: str) -> list[GridCard]:
    """The cards of a grid.

    Args:
        collection: what is looked at.
        numbers: numbers of the samples.
        layer: name of the layer whose text a card shows; "" for the last layer that has one.
    """
    return [_card(collection, number, layer) for number in numbers]


def _card(collection: Collection, number: int, layer: str) -> GridCard:
    key = collection.key(number)
    shown, snippet, flags = "", "", []
    for name, rows in collection.rows.items():
        # In the first seconds, sixty cards without the text of every layer are better than a wait.
        for row in rows.of(number, key) if rows.are_quick else ():
            if row.status != "ok":
                flags.append(f"{name}: {row.status}")
            if row.text.strip() and (name == layer or (not layer and shown != name)):
                shown, snippet = name, row.text.strip()
    shard_no, at = collection.dataset.locate(number)
    has_image = bool(collection.dataset.shard_images(shard_no)[at])
    cut = snippet if len(snippet) <= _SNIPPET else snippet[:_SNIPPET] + " …"
    return GridCard(number, key, has_image, shown, cut, tuple(dict.fromkeys(flags)))


def sample_view(collection: Collection, corrections: Corrections, number: int) -> SampleView:
    """A sample in full."""
    sample = collection.dataset[number]
    said = {name: rows.of(number, sample.key) for name, rows in collection.rows.items()}
    fates = collection.fates(number, sample.key)
    found = list(_places(collection, sample, said))
    styles = {
        name: (place + 1) % STYLES for place, name in enumerate(dict.fromkeys(name for name, *_ in found))
    }
    images, problem = [], ""
    for index, data in enumerate(sample.images):
        try:
            size = image_size(data, where=f"{sample.key}[{index}]")
        except DataError as error:
            problem = error.what
            continue
        own = [(at, one) for at, one in enumerate(found, start=1) if one[1] == index]
        drawn = tuple(
            replace(drawn_place(at, label, place, size), style=styles[name], origin=name)
            for at, (name, _, label, place) in own
        )
        images.append(DrawnImage(f"image?n={number}&i={index}", *size, "", drawn))
    layers = tuple(
        LayerView(
            name,
            styles.get(name),
            tuple(
                _answer(place, row, fates, name, corrections.about(sample.key, name, place))
                for place, row in enumerate(rows)
            ),
        )
        for name, rows in said.items()
    )
    meta = meta_line(sample) if sample.meta else ""
    return SampleView(number, sample.key, tuple(images), layers, tuple(fates), meta, problem)


def _places(
    collection: Collection, sample: Sample, said: dict[str, tuple[Annotation, ...]]
) -> Iterator[tuple[str, int, str, PlacePart]]:
    """Layer, image, label and place; what a merged layer repeats is drawn once, as its source's."""
    seen: set[tuple[int, PlacePart]] = set()
    for name, rows in said.items():
        for row in rows[:1] if name == "original" else rows:
            # A claim says what a place is; the words before it in a turn may be half a sentence.
            named: dict[PlacePart, str] = {
                place: f"{claim.subject or claim.value} ({claim.status})"
                for claim in row.claims
                for place in _places_of(claim)
            }
            of_turns = turn_places(collection.turns(name, row, sample))
            for image, label, place in (
                *((image, named.get(place, label), place) for image, _, label, place in of_turns),
                *((0, label, place) for place, label in named.items()),
            ):
                if (image, place) not in seen:
                    seen.add((image, place))
                    yield name, image, label, place


def _places_of(claim: Claim) -> Iterator[PlacePart]:
    yield from map(BoxPart, claim.boxes)
    yield from map(PointPart, claim.points)


def _answer(
    place: int, row: Annotation, fates: Sequence[Fate], layer: str, said: Correction | None
) -> AnswerView:
    claims = [
        ClaimMark(
            kind=claim.kind,
            start=claim.start,
            end=claim.end,
            status=claim.status,
            detail=claim.detail,
            subject=claim.subject,
        )
        for claim in row.claims
        if 0 <= claim.start < claim.end <= len(row.text)
    ]
    if any(claim.status != "unverified" for claim in claims):
        segments = cut_into_segments(row.text, claims)
    else:
        segments = _by_sentence(row.text, [one for one in fates if one.source == layer and one.sentence >= 0])
    return AnswerView(
        place,
        row.prompt,
        row.text,
        row.status,
        row.detail,
        segments,
        tuple(dict.fromkeys(map(claim_line, claims))),
        not row.turns,
        said,
    )


def _by_sentence(text: str, fates: Sequence[Fate]) -> tuple[MarkedSpan, ...]:
    """The text with the verdict of the merge on each of its sentences."""
    found, at = [], 0
    for fate in fates:
        start = text.find(fate.text, at)
        if start < 0 or not fate.text:
            continue
        end = start + len(fate.text)
        what = f"{fate.verdict}; {'kept' if fate.kept else f'dropped, {fate.reason}'}"
        title = f"{what}: {fate.detail}" if fate.detail else what
        found += [MarkedSpan(text[at:start])] if start > at else []
        found.append(MarkedSpan(fate.text, _MARKS.get(fate.verdict, ""), title))
        at = end
    return (*found, MarkedSpan(text[at:]))
