"""Recaptioning by an engine that answers at once, so that everything else is measured.

The peer is the loop that people write: samples of webdataset, or photos of a folder, and a line of JSON for
each answer. It marks nothing, and a kill loses what it did.
"""

from __future__ import annotations

import itertools
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import webdataset

from tests.benchmarks.harness import Comparison, rates
from tests.benchmarks.reading import made_pairs
from vila2.caption.prompts import find_prompt
from vila2.caption.recaption import recaption
from vila2.engine.protocol import Answer, GenerationSettings, Request

_COUNT, _BATCH = 10_000, 64
_TEXT = (Path(__file__).parents[2] / "docs/architecture.md").read_text(encoding="utf-8")
_WORDS = re.findall(r"[a-z]+[,.]?(?= )", _TEXT)
_CAUSE = "each caption is marked, and each batch is on disk before the next"


class _Echo:
    """An engine that says words that depend on the key."""

    name = digest = "echo"

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        return [Answer(_said(one.key), "stop", 60) for one in requests]


def compare() -> Iterator[Comparison]:
    """Measures a dataset."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = made_pairs(folder / "data", _COUNT)
        tars = [str(path) for path in sorted((folder / "data/shards").glob("*.tar"))]
        numbers = itertools.count()
        made: list[Path] = []

        def ours() -> int:
            made.append(folder / f"layer{next(numbers)}")
            recaption(
                dataset, _Echo(), folder=made[-1], layer="self-1", prompts=["long-v1"],
                settings=GenerationSettings(max_new_tokens=128), seed=0, batch_size=_BATCH,
            )  # fmt: skip
            return _COUNT

        def usual() -> int:
            engine, asked = _Echo(), find_prompt("long-v1").text
            with (folder / "captions.jsonl").open("w") as file:
                samples = webdataset.WebDataset(tars, shardshuffle=False)
                for batch in _batches(samples):
                    requests = [Request(one["__key__"], (one["jpg"],), asked) for one in batch]
                    for request, answer in zip(
                        requests, engine.generate(requests, GenerationSettings()), strict=True
                    ):
                        row = {"key": request.key, "prompt": asked, "text": answer.text}
                        file.write(json.dumps(row) + "\n")
            return _COUNT

        mine, peer = rates(ours, usual)
        _check(made[-1], folder / "captions.jsonl")
    yield Comparison(
        "recaption-plumbing: a dataset", mine, peer, "images/s", 1.25, "webdataset to JSON lines", _CAUSE
    )


def _check(layer: Path, lines: Path) -> None:
    from vila2.data.layers import Layer

    ours = {row.key: row.text for row in Layer.open(layer).rows()}
    theirs = {row["key"]: row["text"] for row in map(json.loads, lines.read_text().splitlines())}
    assert ours == theirs and len(ours) == _COUNT


def _said(key: str) -> str:
    """Sixty words of English in a row; another place of the text for each key."""
    first = int(key) * 7 % (len(_WORDS) - 60)
    return f"{' '.join(_WORDS[first : first + 60])} {key}"


def _batches(samples: Iterator[dict[str, bytes]]) -> Iterator[list[dict[str, bytes]]]:
    samples = iter(samples)
    while batch := list(itertools.islice(samples, _BATCH)):
        yield batch
