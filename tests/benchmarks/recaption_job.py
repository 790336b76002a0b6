"""A whole recaptioning job of photos by a small model, against the usual script at the same batch size.

The script reads webdataset shards, opens photos with Pillow, pads a batch to its longest, generates until its
longest answer ends, and writes a line of JSON for each caption. Both sides say the same of every photo.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
import webdataset

from tests.benchmarks.captioning import LONGEST, usual_captions
from tests.benchmarks.decode import made_photo
from tests.benchmarks.harness import Comparison, rates
from tests.caption.tiny_llava import build_tiny_llava
from vila2.caption.prompts import choose_prompt
from vila2.caption.recaption import recaption
from vila2.data.layers import Layer
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.engine.protocol import GenerationSettings, Request
from vila2.engine.transformers_engine import open_transformers

_PHOTOS, _BATCH = 192, 64
_PROMPTS = ["what is it", "what is it, and where"]
_CAUSE = "photos are opened and resized on both sides; random weights give few long answers"


def compare() -> Iterator[Comparison]:
    """Measures from shards to files."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_tiny_llava(folder / "model", width=256)
        engine = open_transformers(str(folder / "model"), dtype="float32", device="cpu")
        photos = (
            Sample(f"{number:04d}", (made_photo(number),), (user(ImagePart()), assistant("photo")))
            for number in range(_PHOTOS)
        )
        write_dataset(folder / "photos", photos, name="photos")
        dataset = ShardDataset.open(folder / "photos")
        numbers = itertools.count()
        made: list[Layer] = []

        def ours() -> int:
            made.append(
                recaption(
                    dataset, engine, folder=folder / f"layer{next(numbers)}", layer="self-1",
                    prompts=_PROMPTS, settings=GenerationSettings(max_new_tokens=LONGEST), seed=0,
                    batch_size=_BATCH,
                )
            )  # fmt: skip
            return _PHOTOS

        def usual() -> int:
            with (folder / "captions.jsonl").open("w") as file:
                samples = iter(
                    webdataset.WebDataset([str(path) for path in dataset.paths], shardshuffle=False)
                )
                while batch := list(itertools.islice(samples, _BATCH)):
                    requests = [
                        Request(key, (one["jpg"],), choose_prompt(_PROMPTS, key, 0).text)
                        for key, one in ((one["__key__"], one) for one in batch)
                    ]
                    for request, text in zip(requests, usual_captions(engine, requests), strict=True):
                        file.write(json.dumps({"key": request.key, "text": text}) + "\n")
            return _PHOTOS

        mine, peer = rates(ours, usual, repeats=1)
        rows = map(json.loads, (folder / "captions.jsonl").read_text().splitlines())
        assert {row.key: row.text for row in made[-1].rows()} == {row["key"]: row["text"] for row in rows}
    yield Comparison("recaption: a whole job", mine, peer, "images/s", 1.6, "usual script", _CAUSE)
