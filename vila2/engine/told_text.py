"""A text that is told piece by piece, without the white space around it."""

from __future__ import annotations

from collections.abc import Callable


class ToldText:
    """What is told so far of a text whose pieces come one by one.

    Args:
        heard: function that is given the pieces; joined they are the text.
    """

    def __init__(self, heard: Callable[[str], None]) -> None:
        self._heard, self._held = heard, ""
        self.text = ""

    def add(self, piece: str) -> None:
        """Tells a piece; white space at its end waits until more follows."""
        piece = self._held + piece if self.text else (self._held + piece).lstrip()
        kept = piece.rstrip()
        self._held = piece[len(kept) :]
        if kept:
            self.text += kept
            self._heard(kept)
