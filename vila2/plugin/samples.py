"""What plugins give as training data: samples and rejects, checked where they come in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from reprlib import repr as shortened
from typing import Any

from vila2.data.rejects import Reject
from vila2.data.sample import Sample, Turn
from vila2.errors import PluginError
from vila2.plugin.references import each

#: Most samples and rejects of one shard of a builder. One that never ends would fill the disk.
MOST_OF_A_SHARD = 5_000_000


def samples_from(given: Any, *, of: str, most: int | None = None) -> Iterator[Sample | Reject]:
    """The samples and rejects that a plugin's generator gives.

    Args:
        given: What the plugin's function returned.
        of: Name of the function, for errors.
        most: Largest number of samples and rejects; None where there may be any number.

    Raises:
        PluginError: The generator fails, it does not end, or it gives something else.
    """
    for number, item in enumerate(each(given, Sample | Reject, of=of)):
        if most is not None and number >= most:
            raise PluginError(
                f"{of}: gave {most:,} samples and rejects, and does not end",
                hint="end the generator, or cut the work into more shards",
            )
        wrong = _wrong_fields(item)
        if wrong:
            kind = type(item).__name__
            raise PluginError(f"{of}: gave a {kind} whose {wrong}", hint=f"see vila2.plugin.{kind}")
        yield item


def _wrong_fields(item: Sample | Reject) -> str:
    """What is wrong with the types of the fields; empty where nothing is."""
    if isinstance(item, Reject):
        names = [name for name in ("where", "key", "reason") if not isinstance(getattr(item, name), str)]
        return f"{names[0]} is {shortened(getattr(item, names[0]))}, not a text" if names else ""
    if not isinstance(item.key, str):
        return f"key is {shortened(item.key)}, not a text"
    for name, kind, told in (("images", bytes, "of bytes"), ("turns", Turn, "of turns")):
        values = getattr(item, name)
        if not isinstance(values, tuple | list) or not all(isinstance(value, kind) for value in values):
            return f"{name} are {shortened(values)}, not a tuple {told} ({item.key})"
    if not isinstance(item.meta, Mapping):
        return f"meta is {shortened(item.meta)}, not a mapping ({item.key})"
    return ""
