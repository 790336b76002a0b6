"""The errors that vila2 raises on purpose: each names what is wrong and how to fix it.

Vila2Error
├── DataError      a file, sample, shard, layer or view
├── RecipeError    a recipe or a setting on the command line
├── ModelError     weights, configuration, or an input that does not fit the model
├── TrainingError  a stage that cannot be trained as asked
├── EngineError    a captioning engine
├── PluginError    a plugin, named with the package it came from
└── RunError       a run folder, a step, a lock
"""

from __future__ import annotations

import re
from typing import Any

# A library's message may name an object's address, which would make two reports of one cause differ.
_ADDRESS = re.compile(r"\s*<[\w.]+ object at 0x[0-9a-f]+>")
_LONGEST_LINE = 300


class Vila2Error(Exception):
    """The base class of all deliberate errors.

    Args:
        what: statement of what is wrong, which names the file, the key or the plugin.
        hint: advice on what to do about it; shown after the message.
    """

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what if not hint else f"{what}\n  hint: {hint}")
        self.what = what
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:  # keeps `hint` when a worker process sends the error home
        return (_rebuild, (type(self), self.what, self.hint))


def _rebuild(kind: type[Vila2Error], what: str, hint: str) -> Vila2Error:
    return kind(what, hint=hint)


class DataError(Vila2Error):
    """A file, sample, shard, layer or view is not as it should be."""


class RecipeError(Vila2Error):
    """A recipe, or a setting given on the command line, is wrong."""


class ModelError(Vila2Error):
    """Weights or a configuration are wrong, or an input does not fit the model."""


class TrainingError(Vila2Error):
    """A stage cannot be trained as asked."""


class EngineError(Vila2Error):
    """A captioning engine failed or was asked for something it cannot do."""


class PluginError(Vila2Error):
    """A plugin is broken, clashes with another, or is missing."""


class RunError(Vila2Error):
    """A run folder, one of its steps or its lock is not as it should be."""


def one_line(error: BaseException) -> str:
    """Gives the text of an error, without its hint, in one line that is the same for the same cause."""
    said = error.what if isinstance(error, Vila2Error) else str(error)
    said = " ".join(_ADDRESS.sub("", said).split())
    if len(said) > _LONGEST_LINE:
        said = said[: _LONGEST_LINE - 3] + "..."
    return said or type(error).__name__
