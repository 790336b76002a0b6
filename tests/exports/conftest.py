"""A small dataset with two layers: captions of a model, and a specialist's exchanges with boxes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from vila2.data.annotations import Annotation
from vila2.data.importing import write_dataset
from vila2.data.layers import Layer, LayerWriter
from vila2.data.sample import BoxPart, ImagePart, PointPart, PolygonPart, Sample, assistant, user
from vila2.data.shards import ShardDataset

BOX = (0.125, 0.25, 0.5, 0.75)
ROOF = ((0.0, 0.5), (0.5, 0.0), (1.0, 0.5))
WIDE = (80, 40)


def photo(number: int, size: tuple[int, int] = WIDE, kind: str = "JPEG", **saved) -> bytes:
    buffer = io.BytesIO()
    image = Image.new("RGB", size, (number * 40 % 256, 90, 30))
    image.paste((255, 255, 255), (0, 0, size[0] // 2, size[1] // 2))
    image.save(buffer, kind, **saved)
    return buffer.getvalue()


def turned_photo() -> bytes:
    """A photo whose camera was held upright: stored 80 x 40, shown 40 x 80."""
    exif = Image.Exif()
    exif[274] = 6
    return photo(4, exif=exif)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> ShardDataset:
    folder = tmp_path_factory.mktemp("export") / "photos"
    samples = [
        Sample("dog", (photo(1),), (user(ImagePart()), assistant("our dog"))),
        Sample(
            "a/b c", (photo(2, kind="PNG"),), (user(ImagePart(), "What?"), assistant("Zwei Bäume\nim Park"))
        ),
        Sample("tag", (photo(3),), (user(ImagePart()), assistant("write <image> here"))),
        Sample("upright", (turned_photo(),), (user(ImagePart()), assistant("a tower"))),
        Sample("two", (photo(5), photo(6)), (user(ImagePart(0), ImagePart(1)), assistant("two photos"))),
        Sample("words", (), (user("What is 2 + 2?"), assistant("4"))),
    ]
    write_dataset(folder, samples, name="photos", shard_size=4)
    opened = ShardDataset.open(folder)
    _write(
        opened,
        "self-1",
        {
            "dog": [Annotation("dog", "Describe.", "A dog.", "ok")],
            "upright": [Annotation("upright", "Describe.", "no no no", "repetition")],
        },
    )
    where = (user("Where is it?"), assistant("At ", BoxPart(BOX), "."))
    point = (user("Point at it."), assistant(PointPart((0.5, 0.25))))
    roof = (user("Outline it."), assistant("At ", BoxPart(BOX), ": ", PolygonPart(ROOF)))
    _write(opened, "outlines", {"dog": [Annotation("dog", "Outline it.", "", "ok", turns=roof)]})
    _write(
        opened,
        "boxes",
        {
            "dog": [
                Annotation("dog", "Where is it?", "At .", "ok", turns=where),
                Annotation("dog", "Point at it.", "", "ok", turns=point),
            ]
        },
    )
    return opened


def _write(dataset: ShardDataset, name: str, rows: dict[str, list[Annotation]]) -> Layer:
    writer = LayerWriter(dataset.folder / "layers" / name, name)
    for shard_no in range(len(dataset.shards)):
        keys = dataset.shard_keys(shard_no)
        writer.write_shard(shard_no, [row for key in keys for row in rows.get(key, ())])
    made = {"engine": "transformers", "digest": "ab" * 32, "prompt_texts": {"long": "Describe it at length."}}
    return writer.finish({"layer": name, "dataset": dataset.digest, **made, "license": "Apache-2.0"})


@pytest.fixture
def export(dataset: ShardDataset, tmp_path: Path):
    """``export(to, layer, ..., **settings)``: exports the dataset and gives its folder and facts."""
    from vila2.data.views import View
    from vila2.exports.conventions import choose_convention
    from vila2.exports.exporting import default_view, export_dataset

    def run(to: str, *layers: str, view: str = "", coordinates: str | None = None, **settings):
        shown = View.parse(view) if view else default_view(layers)
        found = {
            name: Layer.open(dataset.folder / "layers" / name) for name in shown.layers if name != "original"
        }
        convention = choose_convention(coordinates, None)
        out = settings.pop("out", tmp_path / to)
        made = export_dataset(dataset, found, shown, out, to=to, convention=convention, **settings)
        return out, made

    return run
