"""The contents of ``judged.json``: what a judge prefers, how far it can be trusted, and examples."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

#: A value with its 95% interval, [value, low, high].
Bounds = list[float]
#: The same for a strength; low and high are None where the votes do not bound it.
OpenBounds = list[float | None]


class JudgeEntry(TypedDict):
    """The judge; another one does not go on with its votes.

    Attributes:
        kind: kind of the judge.
        name: name for a reader.
        digest, prompt, settings: what the votes of an engine depend on: its weights, its prompt, and its
            settings of generation.
    """

    kind: Literal["engine", "person"]
    name: str
    digest: NotRequired[str]
    prompt: NotRequired[str]
    settings: NotRequired[dict[str, Any]]


class PairCounts(TypedDict):
    """The pairs that were chosen.

    Attributes:
        chosen: number of pairs.
        scored: number of pairs that count in the statistics.
        kinds: number of pairs by how they ended.
    """

    chosen: int
    scored: int
    kinds: dict[str, int]


class Match(TypedDict):
    """Two layers, compared.

    Attributes:
        first, second: names of the layers.
        kinds: number of their pairs by how they ended.
        scored: number of their pairs that count.
        won, lost: number of pairs that the second layer won, and that it lost.
        preferred: name of the layer that is preferred beyond chance; None where it is neither.
        words: mean number of words in the texts of the first and of the second layer.
        win_rate: share of pairs that the second layer won, ties half; None where too few pairs count.
        can_control: whether length and layer can be told apart.
        longer_share: share of pairs in which the layer that is mostly shorter is at least as long.
        controlled: win rate at equal length; None where it cannot be told.
    """

    first: str
    second: str
    kinds: dict[str, int]
    scored: int
    won: int
    lost: int
    preferred: str | None
    words: list[float | None]
    win_rate: Bounds | None
    can_control: bool
    longer_share: float | None
    controlled: Bounds | None


class Strength(TypedDict):
    """A layer's Bradley-Terry strength among all layers.

    Attributes:
        layer: name of the layer.
        strength: log-odds against the first layer; None where no comparison connects the two.
        controlled: the same at equal length; None where it cannot be told.
    """

    layer: str
    strength: OpenBounds | None
    controlled: OpenBounds | None


class Trust(TypedDict):
    """How the judge agrees with itself.

    Attributes:
        votes: number of votes.
        verdicts: number of votes by verdict.
        twice: number of pairs with a verdict in both orders.
        inconsistent: number of those whose two verdicts differ.
        agrees: share of those whose two verdicts agree.
        shown_first: share of choices for the text shown first; 0.5 without bias.
    """

    votes: int
    verdicts: dict[str, int]
    twice: int
    inconsistent: int
    agrees: Bounds | None
    shown_first: Bounds | None


class JudgeCheck(TypedDict):
    """The pairs of an image's own text and another image's.

    Attributes:
        count: number of checks.
        scored: number of checks that count.
        kinds: number of checks by how they ended.
        right: share of checks that the own text won, ties half.
        sees: whether the judge can see; None where no check counts.
    """

    count: int
    scored: int
    kinds: dict[str, int]
    right: Bounds | None
    sees: Literal["yes", "no", "unsure"] | None


class Statistics(TypedDict):
    """All statistics of the votes.

    Attributes:
        pairs: counts of the pairs.
        matches: an entry for every two layers that were compared.
        strengths: an entry for each layer; empty where too few pairs count.
        trust: agreement of the judge with itself.
        check: result of the checks; None without checks.
    """

    pairs: PairCounts
    matches: list[Match]
    strengths: list[Strength]
    trust: Trust
    check: JudgeCheck | None


class SaidVote(TypedDict):
    """A vote on an example.

    Attributes:
        shown: number of the text that was shown first, 0 or 1.
        verdict: verdict in terms of what was shown.
        said: answer of the judge.
    """

    shown: int
    verdict: str
    said: str


class JudgedExample(TypedDict):
    """A pair for the page, with its votes.

    Attributes:
        key: key of the sample.
        image: image as a data URI; None where it cannot be read.
        layers, texts: names of the two layers, and their texts.
        kind, score: how the pair ended.
        said: votes.
    """

    key: str
    image: str | None
    layers: list[str]
    texts: list[str]
    kind: str
    score: float | None
    said: list[SaidVote]


class Judged(Statistics):
    """The whole file.

    Attributes:
        vila2_version: version of vila2 that counted the votes.
        dataset: name of the dataset.
        layers: names of the layers, in order.
        judge: judge whose votes they are.
        seed: seed of the choice of pairs, and of the bootstrap.
        images: number of images that were looked at.
        left_out: number of texts that could not be compared, by layer and reason.
        examples: pairs for the page.
    """

    vila2_version: str
    dataset: str
    layers: list[str]
    judge: JudgeEntry
    seed: int
    images: int
    left_out: dict[str, int]
    examples: list[JudgedExample]
