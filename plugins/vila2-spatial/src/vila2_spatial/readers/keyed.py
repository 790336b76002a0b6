"""The base of readers with one key for each image: pieces of some hundred scenes, read in any order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from shapely.errors import ShapelyError
from vila2.plugin import DataError, Evidence, Reject, Sample, unsound

from vila2_spatial.readers.reading import BadFrame

#: Number of scenes in a piece.
PIECE = 200


class KeyedReader(ABC):
    """Scenes by key.

    Attributes:
        takes_images: whether the images may lie in a folder of their own.
        images: folder of the images; None where they lie beside the annotations.
    """

    takes_images: ClassVar[bool] = False

    def __init__(self, path: Path, images: Path | None = None) -> None:
        self.path = path
        self.images = images

    @abstractmethod
    def keys(self) -> Sequence[str]:
        """The keys of all scenes in order; cheap."""

    @abstractmethod
    def scene(self, key: str) -> Sample | Reject:
        """The scene of a key.

        Raises:
            BadFrame: its annotations are unusable.
            DataError: a file that it shares with others is unreadable.
        """

    def lost(self) -> Sequence[Reject]:
        """The annotations that belong to no scene; they come with the first piece."""
        return ()

    @cached_property
    def _keys(self) -> Sequence[str]:
        return self.keys()

    def pieces(self) -> Sequence[str]:
        """Names of the pieces.

        Raises:
            DataError: there is no scene.
        """
        number = -(-len(self._keys) // PIECE)
        if not number and not (lost := self.lost()):
            raise DataError(
                f"{self.path}: no frame in it", hint=f"it is laid out as {type(self).__name__}, but empty"
            )
        elif not number:
            raise DataError(
                f"{lost[0].where}: {lost[0].detail}; no frame in it", hint="fetch what is missing"
            )
        return [f"{number:05d}" for number in range(number)]

    def place(self, key: str) -> str:
        """The place of a scene's annotations, for its reject."""
        return f"{self.path}#{key}"

    def scenes(self, piece: str) -> Iterator[Sample | Reject]:
        """The scenes of a piece. An unusable one is a ``Reject`` and does not stop the others."""
        first = int(piece) * PIECE
        if first == 0:
            yield from self.lost()
        for key in self._keys[first : first + PIECE]:
            yield self._scene(key)

    def _scene(self, key: str) -> Sample | Reject:
        try:
            scene = self.scene(key)
            evidence = None if isinstance(scene, Reject) else Evidence.of(scene)
            what = unsound(evidence) if evidence is not None else ""
            return Reject(self.place(key), scene.key, "bad-evidence", what) if what else scene
        except BadFrame as error:
            return Reject(error.where, key, error.reason, error.detail)
        except DataError as error:
            return Reject(self.place(key), key, "unreadable-file", error.what)
        except OSError as error:
            return Reject(
                error.filename or self.place(key), key, "unreadable-file", error.strerror or str(error)
            )
        # People and tools write anything into annotations. It must not end the build.
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, ShapelyError) as error:
            first_line = str(error).partition("\n")[0]
            return Reject(
                self.place(key), key, "bad-annotation", f"{type(error).__name__}: {first_line:.200}"
            )
