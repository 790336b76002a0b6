"""What a plugin's builder gives: its shards, and the samples of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.errors import PluginError
from vila2.plugin.references import call, listed
from vila2.plugin.samples import MOST_OF_A_SHARD, samples_from

#: Most shards that a builder may have.
_MOST_SHARDS = 100_000


def shards_of(builder: Any, of: str) -> list[str]:
    """Returns the names of a builder's shards, of which there may be a hundred thousand.

    Args:
        builder: builder of a plugin.
        of: name of the builder, for errors.

    Raises:
        PluginError: the builder fails, or returns something else.
    """
    given = call(builder.shards, of=of)
    some = islice(given, _MOST_SHARDS + 1) if isinstance(given, Iterator) else given
    shards = listed(some, str, of=f"{of}, shards()")
    if len(shards) > _MOST_SHARDS:
        raise PluginError(
            f"{of}: shards() gives more than {_MOST_SHARDS:,} names",
            hint="end it, and let a shard stand for more of the data",
        )
    if len(set(shards)) < len(shards):
        twice = next(name for name, count in Counter(shards).items() if count > 1)
        raise PluginError(f"{of}: shards() names {twice!r} twice", hint="give each shard a name of its own")
    return shards


def samples_of(builder: Any, shard: str, of: str) -> Iterator[Sample | Reject]:
    """Builds the samples of a shard, one after the other.

    Args:
        builder: builder of a plugin.
        shard: name of the shard.
        of: name of the builder, for errors.

    Raises:
        PluginError: the builder fails, or gives something else.
    """
    of = f"{of}, shard {shard!r}"
    given = call(builder.build, shard, of=of, gives=Iterable)
    return samples_from(given, of=of, most=MOST_OF_A_SHARD)
