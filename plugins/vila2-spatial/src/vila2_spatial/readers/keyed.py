"""What readers with one key per image share: pieces of some hundred scenes, read in any order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from vila2.data.sample import Sample
from vila2.data.shards import Reject

#: Scenes of a piece.
PIECE = 200


class KeyedReader(ABC):
    """Scenes by key."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def keys(self) -> Sequence[str]:
        """Of all scenes, in order; cheap."""

    @abstractmethod
    def scene(self, key: str) -> Sample | Reject:
        """The scene of a key."""

    @cached_property
    def _keys(self) -> Sequence[str]:
        return self.keys()

    def pieces(self) -> Sequence[str]:
        """Names of the pieces."""
        return [f"{number:05d}" for number in range(-(-len(self._keys) // PIECE))]

    def scenes(self, piece: str) -> Iterator[Sample | Reject]:
        """The scenes of a piece."""
        first = int(piece) * PIECE
        for key in self._keys[first : first + PIECE]:
            yield self.scene(key)
