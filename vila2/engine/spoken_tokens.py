"""The text of an answer while its tokens come."""

from __future__ import annotations

from collections.abc import Callable

import torch
from transformers.generation.streamers import BaseStreamer

_HALF_CHARACTER = "\N{REPLACEMENT CHARACTER}"


class SpokenTokens(BaseStreamer):
    """Tells the pieces of a text, given the tokens one by one; the pieces joined are the text.

    Args:
        text_of: function from the tokens so far to their text.
        heard: function that is given each piece.
    """

    def __init__(self, text_of: Callable[[list[int]], str], heard: Callable[[str], None]) -> None:
        self._text_of, self._heard = text_of, heard
        self._tokens: list[int] | None = None  # None until the prompt has passed
        self._said = ""

    def put(self, value: torch.Tensor) -> None:
        """Takes the prompt, and then each token."""
        if self._tokens is None:
            self._tokens = []
            return
        self._tokens += value.flatten().tolist()
        text = self._text_of(self._tokens)
        if not text.endswith(_HALF_CHARACTER) and text.startswith(self._said):
            self._tell(text)

    def end(self) -> None:
        """Belongs to the interface of ``transformers``; the end is told by :meth:`finish`."""

    def finish(self, text: str) -> None:
        """Tells what is left of the whole text."""
        if text.startswith(self._said):
            self._tell(text)
        else:  # a tokenizer that changes earlier characters at the end
            self._heard("\n" + text)

    def _tell(self, text: str) -> None:
        if text != self._said:
            self._heard(text[len(self._said) :])
            self._said = text
