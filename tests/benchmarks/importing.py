"""Importing small photos, against decoding each of them and writing it with webdataset's writer."""

from __future__ import annotations

import io
import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import webdataset
from PIL import Image

from tests.benchmarks.decode import made_photo
from tests.benchmarks.harness import Comparison, rates
from vila2.data.importing import write_dataset
from vila2.data.sample import ImagePart, Sample, assistant, user

_COUNT = 300


def compare() -> Iterator[Comparison]:
    """Measures samples of one image of 224 pixels and a caption."""
    photos = [made_photo(number, (224, 224)) for number in range(20)]
    names = [f"{number:06d}" for number in range(_COUNT)]
    with tempfile.TemporaryDirectory() as folder:
        places = (Path(folder, str(number)) for number in itertools.count())

        def ours() -> int:
            samples = (
                Sample(name, (photos[number % 20],), (user(ImagePart()), assistant("a dog on a beach")))
                for number, name in enumerate(names)
            )
            return write_dataset(next(places), samples, name="photos").count

        def theirs() -> int:
            place = next(places)
            place.mkdir()
            with webdataset.TarWriter(str(place / "0.tar")) as writer:
                for number, name in enumerate(names):
                    data = photos[number % 20]
                    Image.open(io.BytesIO(data)).convert("RGB")
                    writer.write(
                        {"__key__": name, "jpg": data, "json": json.dumps({"text": "a dog"}).encode()}
                    )
            return len(names)

        mine, peer = rates(ours, theirs)
    yield Comparison(
        "import: photos of 224 pixels",
        mine,
        peer,
        "images/s",
        1.0,
        "decoding, webdataset",
        "each file is checked",
    )
