"""What the plugins' verifiers said in a merge, counted, so that one that always says the same is noticed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from vila2.data.atomic import write_json_atomic
from vila2.merge.judging import NamedVerifier

_FOLDER = "verifiers"
#: Number of decided claims from which on it is odd that all have one verdict.
_MANY = 20


def keep_counts(folder: Path, shard_no: int, verifiers: Iterable[NamedVerifier]) -> None:
    """Writes what the verifiers said about a shard's images, beside the layer, and begins to count anew."""
    counts = {one.of: dict(sorted(one.said.items())) for one in verifiers}
    if counts:
        (folder / _FOLDER).mkdir(exist_ok=True)
        write_json_atomic(folder / _FOLDER / f"{shard_no:06d}.json", counts)
    for one in verifiers:
        one.said.clear()


def one_sided(folder: Path) -> list[str]:
    """A sentence about each verifier that gave all claims which it decided the same verdict.

    Args:
        folder: folder of the merged layer.
    """
    return list(_told(_read(folder)))


def _read(folder: Path) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for path in sorted((folder / _FOLDER).glob("[0-9]*.json")):
        for verifier, said in json.loads(path.read_bytes()).items():
            counts.setdefault(verifier, Counter()).update(said)
    return counts


def _told(counts: Mapping[str, Counter[str]]) -> Iterator[str]:
    for verifier, said in counts.items():
        decided = {name: said[name] for name in ("supported", "contradicted") if said[name]}
        if len(decided) == 1 and sum(decided.values()) >= _MANY:
            ((verdict, count),) = decided.items()
            advice = (
                "it may compare the wrong things, and true sentences are lost"
                if verdict == "contradicted"
                else "it may look at nothing, and invented sentences stay"
            )
            yield f"{verifier}: every one of {count} claims that it decided is {verdict}; {advice}"
