"""Shared by the tests of the judge: pictures of one color, layers that name it or not, and judges."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from vila2.data.layers import Annotation, Layer, LayerWriter, original_layer
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.engine.protocol import Answer, GenerationSettings, Request

COLORS = {"red": (220, 20, 20), "green": (20, 220, 20), "blue": (20, 20, 220), "white": (250, 250, 250)}


def color_of(number: int) -> str:
    return list(COLORS)[number % len(COLORS)]


def color_image(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 12), COLORS[color_of(number)]).save(file, "PNG")
    return file.getvalue()


def write_set(folder: Path, count: int = 40) -> ShardDataset:
    """Images of one color whose original text names it."""
    samples = (
        Sample(
            f"{number:04d}",
            (color_image(number),),
            (user(ImagePart(0)), assistant(f"a {color_of(number)} wall")),
        )
        for number in range(count)
    )
    write_dataset(folder, samples, name="walls", shard_size=16)
    return ShardDataset.open(folder)


def write_foreign_set(folder: Path, damaged: Sequence[int], count: int = 40) -> ShardDataset:
    """The same as a tar made by others, in which nobody has checked the images."""
    folder.mkdir()
    with tarfile.open(folder / "walls.tar", "w") as tar:
        for number in range(count):
            image = color_image(number)[: 50 if number in damaged else None]
            for ending, data in (("png", image), ("txt", f"a {color_of(number)} wall".encode())):
                member = tarfile.TarInfo(f"{number:04d}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return ShardDataset.open(folder)


def write_layer(dataset: ShardDataset, name: str, say, status=lambda number: "ok") -> Layer:
    """A layer in which ``say(number)`` is said of each image."""
    writer = LayerWriter(dataset.folder / "layers" / name, name)
    for shard_no in range(len(dataset.shards)):
        keys = dataset.shard_keys(shard_no)
        writer.write_shard(
            shard_no, [Annotation(key, "Describe.", say(int(key)), status(int(key))) for key in keys]
        )
    return writer.finish({"dataset": dataset.digest})


def wrong(number: int) -> str:
    """A longer text that names another color."""
    return f"this is surely a large and {color_of(number + 1)} wall of some kind"


def two_layers(folder: Path, count: int = 40, damaged: Sequence[int] = ()):
    """The dataset and its layers: the original is always right, self-1 always wrong."""
    dataset = write_foreign_set(folder, damaged, count) if damaged else write_set(folder, count)
    return dataset, {"original": original_layer(dataset), "self-1": write_layer(dataset, "self-1", wrong)}


class Judge:
    """A judge that answers with ``choose(image, text A, text B)``; it can stop the job after some batches."""

    digest = "0" * 64

    def __init__(self, name: str, choose, stop_after: int | None = None) -> None:
        self.name = name
        self.choose = choose
        self.stop_after = stop_after
        self.asked: list[str] = []
        self.batches = 0

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        if self.batches == self.stop_after:
            self.stop()
        self.batches += 1
        pictures = [
            Image.open(io.BytesIO(request.images[0])) for request in requests if self._decoded(request)
        ]
        answers = []
        for request, picture in zip(requests, pictures, strict=True):
            self.asked.append(request.key)
            texts = re.findall(r"<<<\n(.*?)\n>>>", request.prompt, re.DOTALL)
            answers.append(Answer(self.choose(picture, *texts), "stop", 1))
        return answers

    def stop(self) -> None:
        raise KeyboardInterrupt

    @staticmethod
    def _decoded(request: Request) -> bool:
        from vila2.data.images import decode_image

        decode_image(request.images[0], where=request.key)
        return True


def looking(picture, a: str, b: str) -> str:
    """Sees the color, and prefers the text that names it."""
    pixel = picture.convert("RGB").getpixel((0, 0))
    color = next(name for name, value in COLORS.items() if value == pixel)
    names = [color in text for text in (a, b)]
    return "tie" if names[0] == names[1] else "AB"[names[1]]


def first_shown(picture, a: str, b: str) -> str:
    return "A"


def longer(picture, a: str, b: str) -> str:
    return "A" if len(a.split()) > len(b.split()) else "B"


def blind(picture, a: str, b: str) -> str:
    """Prefers a text by its letters, whatever the image, and the same one in both orders."""
    import zlib

    return "A" if zlib.crc32(a.encode()) > zlib.crc32(b.encode()) else "B"
