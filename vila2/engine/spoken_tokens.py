"""The text of an answer while its tokens come."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers.generation.streamers import BaseStreamer

from vila2.engine.told_text import ToldText

_HALF_CHARACTER = "\N{REPLACEMENT CHARACTER}"


class SpokenTokens(BaseStreamer):
    """Tells the pieces of a text, given the tokens one by one; the pieces joined are the text.

    A piece is what new tokens add to the text of those before them. Of these the last ones that were told are
    enough: a token's text may depend on its neighbor (a space, half a character), not on the whole answer.

    Args:
        text_of: function from tokens to their text.
        heard: function that is given each piece.
    """

    def __init__(self, text_of: Callable[[list[int]], str], heard: Callable[[str], None]) -> None:
        self._text_of, self._heard = text_of, heard
        self._told = ToldText(heard)
        self._before: list[int] | None = None  # tokens that were told last; None until the prompt has passed
        self._new: list[int] = []

    def put(self, value: torch.Tensor) -> None:
        """Takes the prompt, and then each token."""
        if self._before is None:
            self._before = []
            return
        self._new += value.flatten().tolist()
        before, text = self._text_of(self._before), self._text_of(self._before + self._new)
        if text != before and text.startswith(before) and not text.endswith(_HALF_CHARACTER):
            self._told.add(text[len(before) :])
            self._before, self._new = self._new, []

    def end(self) -> None:
        """Belongs to the interface of ``transformers``; the end is told by :meth:`finish`."""

    def finish(self, text: str) -> None:
        """Tells what is left of the whole text, which has no white space around it."""
        said = self._told.text
        if not text.startswith(said):  # a tokenizer that changes earlier characters at the end
            self._heard("\n" + text)
        elif text != said:
            self._heard(text[len(said) :])
