"""The results of a judge, as they stand in judged.json. An interval is [value, low, high]."""

from __future__ import annotations

from typing import NotRequired, TypedDict

Interval = list[float]


class Judge(TypedDict):
    """Who judged, and what it was asked; a person has no prompt."""

    kind: str
    name: str
    prompt: NotRequired[str]


class JudgedPairs(TypedDict):
    """Numbers of pairs; ``kinds`` counts how they ended."""

    chosen: int
    scored: int
    kinds: dict[str, int]


class Match(TypedDict):
    """Two layers against each other; rates are those of the second."""

    first: str
    second: str
    kinds: dict[str, int]
    scored: int
    won: int
    lost: int
    preferred: str | None
    words: list[float | None]
    win_rate: Interval | None
    can_control: bool
    longer_share: float | None
    controlled: Interval | None


class Strength(TypedDict):
    """The Bradley-Terry strength of a layer; without ends where it won or lost everything."""

    layer: str
    strength: list[float | None] | None
    controlled: list[float | None] | None


class Trust(TypedDict):
    """How the judge agrees with itself over both orders, and whether it favors what is shown first."""

    votes: int
    verdicts: dict[str, int]
    twice: int
    inconsistent: int
    agrees: Interval | None
    shown_first: Interval | None


class SightCheck(TypedDict):
    """Whether the judge sees: how often it told an image's own caption from another's."""

    count: int
    scored: int
    kinds: dict[str, int]
    right: Interval | None
    sees: str | None


class JudgeAnswer(TypedDict):
    """One answer of the judge; ``shown`` is the number of the text shown first."""

    shown: int
    verdict: str
    said: str


class JudgedExample(TypedDict):
    """A judged pair; ``image`` is a ``data:`` URI."""

    key: str
    image: str | None
    layers: list[str]
    texts: list[str]
    kind: str
    score: float
    said: list[JudgeAnswer]


class JudgedResults(TypedDict):
    """Everything that the page of a judge shows."""

    vila2_version: str
    dataset: str
    layers: list[str]
    judge: Judge
    seed: int
    images: int
    left_out: dict[str, int]
    pairs: JudgedPairs
    matches: list[Match]
    strengths: list[Strength]
    trust: Trust
    check: SightCheck | None
    examples: list[JudgedExample]
