"""A person as the judge: which pair comes next, on which side each text stands, and votes that may be stale."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vila2.data.shards import ShardDataset
from vila2.errors import DataError, Vila2Error
from vila2.judge.examples import picture
from vila2.judge.pairs import Pair, place
from vila2.judge.votes import Verdict, Vote, VoteBook

#: What a person can choose, and the verdict it stands for.
CHOICES: dict[str, Verdict] = {"left": "A", "right": "B", "tie": "tie", "skip": "skip"}
_SIDE = 1024  # pixels


class StaleError(Vila2Error):
    """A vote on what was shown before: another tab, or the same one, voted or undid since."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person sees: nothing in it tells which layer is which.

    Attributes:
        turn: a vote must bring it back; it differs after every vote and undoing.
        done, total: pairs.
        texts: left and right; None where all is done.
        images: how many.
        can_undo: whether there is a vote to take back.
    """

    turn: int
    done: int
    total: int
    texts: tuple[str, str] | None
    images: int
    can_undo: bool

    def to_json(self) -> dict[str, Any]:
        """For the page."""
        return {name: getattr(self, name) for name in self.__slots__}


class Session:
    """Shows pairs one by one and keeps every vote before it shows the next.

    Checks stand among the comparisons, all in the order of a hash; so does the side of each text. Pairs whose
    texts are the same are not shown; those whose images can not be read are put down as errors.

    Args:
        pairs: comparisons and checks.
        dataset: whose images.
        book: takes the votes.
        seed: of order and sides.
    """

    def __init__(self, pairs: Sequence[Pair], dataset: ShardDataset, book: VoteBook, *, seed: int) -> None:
        asked = [pair for pair in pairs if not pair.identical]
        self._pairs = sorted(asked, key=lambda pair: place(seed, "order", pair.id))
        self._by_id = {pair.id: pair for pair in asked}
        self._dataset = dataset
        self._book = book
        self._seed = seed
        self._lock = threading.Lock()
        self._pictures: tuple[str, list[bytes]] = ("", [])

    def show(self) -> Shown:
        """What is to be judged now."""
        with self._lock:
            return self._show()

    def vote(self, turn: int, choice: str) -> Shown:
        """Takes a vote on what was shown at ``turn``; it is on disk when this returns.

        Raises:
            StaleError: something was voted or undone since, or all is done.
            DataError: no such choice.
        """
        if choice not in CHOICES:
            raise DataError(f"there is no choice {choice!r}", hint=f"use one of {', '.join(CHOICES)}")
        with self._lock:
            pair = self._current(turn)
            self._book.add([Vote(pair.id, self._shown_first(pair), CHOICES[choice])])
            return self._show()

    def undo(self, turn: int) -> Shown:
        """Takes the last vote back, whatever session it is from.

        Raises:
            StaleError: something was voted or undone since, or there is no vote.
        """
        with self._lock:
            self._check(turn)
            last = self._last()
            if last is None:
                raise StaleError("there is no vote to take back")
            self._book.undo(last)
            return self._show()

    def image(self, turn: int, number: int) -> bytes:
        """An image of the pair that is shown at ``turn``, as a new JPEG.

        Raises:
            StaleError: something else is shown by now.
            DataError: it has no such image.
        """
        with self._lock:
            pair = self._current(turn)
            pictures = self._decoded(pair)
            if not 0 <= number < len(pictures):
                raise DataError(f"there is no image {number}")
            return pictures[number]

    def _show(self) -> Shown:
        pair = self._next()
        done = sum(bool(self._book.votes(pair.id)) for pair in self._pairs)
        texts = images = None
        if pair is not None:
            first = self._shown_first(pair)
            texts, images = (pair.texts[first], pair.texts[1 - first]), len(self._decoded(pair))
        undoable = self._last() is not None
        return Shown(self._book.turn, done, len(self._pairs), texts, images or 0, undoable)

    def _next(self) -> Pair | None:
        """The first pair without a vote whose images can be read."""
        for pair in self._pairs:
            if self._book.votes(pair.id):
                continue
            try:
                self._decoded(pair)
            except DataError as error:
                self._book.add([Vote(pair.id, self._shown_first(pair), "error", error.what)])
                continue
            return pair
        return None

    def _last(self) -> str | None:
        """The pair of the last vote that a person gave."""
        given = [id for id in self._by_id if any(vote.verdict != "error" for vote in self._book.votes(id))]
        return self._book.last(given)

    def _current(self, turn: int) -> Pair:
        self._check(turn)
        pair = self._next()
        if pair is None:
            raise StaleError("all pairs are judged")
        return pair

    def _check(self, turn: int) -> None:
        if turn != self._book.turn:
            raise StaleError("something else was judged or taken back since, perhaps in another tab")

    def _shown_first(self, pair: Pair) -> int:
        return place(self._seed, "side", pair.id) % 2

    def _decoded(self, pair: Pair) -> list[bytes]:
        if self._pictures[0] != pair.key:
            images = self._dataset[self._dataset.find(pair.key)].images
            self._pictures = (pair.key, [picture(data, where=pair.key, side=_SIDE) for data in images])
        return self._pictures[1]
