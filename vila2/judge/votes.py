"""Votes: what a judge said about a pair, the journal that keeps them, and the outcome of a pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from vila2.data.journal import Journal
from vila2.errors import DataError
from vila2.judge.pairs import Pair

#: A: the text shown first (left) is better; error: the image cannot be read; skip: a person passed.
Verdict = Literal["A", "B", "tie", "unparsed", "error", "skip"]
#: How a pair ended; only the first four count in the statistics.
Kind = Literal["decided", "tie", "inconsistent", "identical", "unparsed", "error", "skip", "open"]


@dataclass(frozen=True, slots=True)
class Vote:
    """The verdict of a judge that saw a pair once.

    Attributes:
        pair: id of the pair.
        shown: number of the text that was shown first, as A or on the left: 0 for the pair's first, 1 for its
            second.
        verdict: verdict in terms of what was shown.
        said: answer of the judge in its own words.
    """

    pair: str
    shown: int
    verdict: Verdict
    said: str = ""

    @property
    def score(self) -> float | None:
        """1 where the second text is better, 0 for the first, 0.5 for a tie; None without verdict."""
        if self.verdict == "tie":
            return 0.5
        if self.verdict not in ("A", "B"):
            return None
        return float((self.verdict == "B") == (self.shown == 0))


@dataclass(frozen=True, slots=True)
class VoteOutcome:
    """How a pair ended.

    Attributes:
        pair: pair of texts.
        kind: kind of the ending, see :data:`Kind`.
        score: 1 for the second text, 0 for the first, 0.5 for a tie of any kind; None where the pair does not
            count.
        votes: votes on the pair.
    """

    pair: Pair
    kind: Kind
    score: float | None
    votes: tuple[Vote, ...] = ()


def decide(pair: Pair, votes: Sequence[Vote]) -> VoteOutcome:
    """Decides a pair by its votes: two of an engine, one of a person.

    Votes that differ between the two orders make a tie of kind "inconsistent". A pair does not count where
    one vote has no verdict; nothing is guessed from the other vote.
    """
    votes = tuple(votes)
    if pair.identical:
        return VoteOutcome(pair, "identical", 0.5)
    if not votes:
        return VoteOutcome(pair, "open", None)
    scores = [vote.score for vote in votes]
    if None in scores:
        verdicts = {vote.verdict for vote in votes}
        kind = next(kind for kind in ("error", "skip", "unparsed") if kind in verdicts)
        return VoteOutcome(pair, kind, None, votes)
    if len(set(scores)) > 1:
        return VoteOutcome(pair, "inconsistent", 0.5, votes)
    return VoteOutcome(pair, "tie" if scores[0] == 0.5 else "decided", scores[0], votes)


def kinds(outcomes: Iterable[VoteOutcome]) -> dict[str, int]:
    """Counts outcomes by kind, in the order of :data:`Kind`; kinds without any are left out."""
    counts = Counter(outcome.kind for outcome in outcomes)
    return {kind: counts[kind] for kind in get_args(Kind) if counts[kind]}


class VoteBook:
    """The votes of one judge, each on disk before the next is asked for.

    Taking a vote back is an entry of its own in the journal.

    Args:
        path: path of the journal, which appears with the first vote.

    Raises:
        DataError: a line in the middle of the journal is broken; a torn last line is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path, only_last=True)
        self._votes: dict[str, tuple[Vote, ...]] = {}
        for number, entry in enumerate(self._journal.entries, start=1):
            try:
                self._take(entry)
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{path}, entry {number}: is no vote ({error})", hint="delete it") from error

    @property
    def turn(self) -> int:
        """Number of entries, which grows with every vote and with every vote taken back."""
        return len(self._journal.entries)

    def votes(self, pair: str) -> tuple[Vote, ...]:
        """Returns the votes on a pair; none where it is open."""
        return self._votes.get(pair, ())

    def add(self, votes: Sequence[Vote]) -> None:
        """Adds votes, which are on disk when this returns; the votes on one pair must come together."""
        entry = {"votes": [asdict(vote) for vote in votes]}
        self._journal.append(entry)
        self._take(entry)

    def last(self, among: Iterable[str]) -> str | None:
        """Returns the id of the pair, of these, that was voted on last."""
        wanted = set(among)
        return next((pair for pair in reversed(self._votes) if pair in wanted), None)

    def undo(self, pair: str) -> None:
        """Takes back the votes on a pair, so that it is open again."""
        entry = {"undo": pair}
        self._journal.append(entry)
        self._take(entry)

    def _take(self, entry: Mapping[str, Any]) -> None:
        if "undo" in entry:
            self._votes.pop(entry["undo"])
            return
        for vote in (Vote(**row) for row in entry["votes"]):
            if vote.verdict not in get_args(Verdict) or vote.shown not in (0, 1):
                raise ValueError(f"unknown verdict {vote.verdict!r}")
            self._votes[vote.pair] = (*self._votes.get(vote.pair, ()), vote)
