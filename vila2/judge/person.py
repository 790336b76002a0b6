"""A person as the judge: the next pair, the side of each text, and votes that may be stale."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vila2.data.shards import ShardDataset
from vila2.errors import DataError, Vila2Error
from vila2.judge.examples import picture
from vila2.judge.pairs import Pair, place
from vila2.judge.votes import Verdict, Vote, VoteBook

#: Verdict for each choice that a person has.
CHOICES: dict[str, Verdict] = {"left": "A", "right": "B", "tie": "tie", "skip": "skip"}
_SIDE = 1024  # pixels


class StaleError(Vila2Error):
    """A vote on what was shown before: a vote was given or taken back since, perhaps in another tab."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person sees; nothing in it tells which layer is which.

    Attributes:
        turn: number that a vote must bring back; it changes with every vote, and with every vote taken back.
        done: number of pairs that have a vote.
        total: number of pairs.
        texts: left and right text; None where all pairs have a vote.
        images: number of images.
        can_undo: whether there is a vote to take back.
    """

    turn: int
    done: int
    total: int
    texts: tuple[str, str] | None
    images: int
    can_undo: bool

    def to_json(self) -> dict[str, Any]:
        """Returns the values for the page."""
        return asdict(self)


class Session:
    """Shows pairs one by one, and keeps every vote before it shows the next pair.

    A hash decides the order of comparisons and checks, and the side of each text. Pairs whose texts are the
    same are not shown. Pairs whose images cannot be read get a vote "error".

    Args:
        pairs: comparisons and checks.
        dataset: dataset with the images.
        book: book that takes the votes.
        seed: seed of order and sides.
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
        """Returns the pair to judge now."""
        with self._lock:
            return self._show()

    def vote(self, turn: int, choice: str) -> Shown:
        """Takes a vote, which is on disk when this returns, and returns the next pair.

        Args:
            turn: turn of what was shown.
            choice: one of :data:`CHOICES`.

        Raises:
            StaleError: a vote was given or taken back since, or all pairs have a vote.
            DataError: there is no such choice.
        """
        if choice not in CHOICES:
            raise DataError(f"there is no choice {choice!r}", hint=f"use one of {', '.join(CHOICES)}")
        with self._lock:
            pair = self._current(turn)
            self._book.add([Vote(pair.id, self._shown_first(pair), CHOICES[choice])])
            return self._show()

    def undo(self, turn: int) -> Shown:
        """Takes back the last vote, of this session or of an earlier one.

        Raises:
            StaleError: a vote was given or taken back since, or there is no vote.
        """
        with self._lock:
            self._check(turn)
            last = self._last()
            if last is None:
                raise StaleError("there is no vote to take back")
            self._book.undo(last)
            return self._show()

    def image(self, turn: int, number: int) -> bytes:
        """Returns an image of the pair that is shown, as a new JPEG.

        Args:
            turn: turn of what is shown.
            number: number of the image, from 0.

        Raises:
            StaleError: another pair is shown by now.
            DataError: the pair has no such image.
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
