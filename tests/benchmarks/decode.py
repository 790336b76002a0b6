"""From the bytes of an image to the tensors of a model, against Pillow and transformers' image processor.

Also against decoding alone, which nobody can do without.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy
import torch
from PIL import Image
from transformers import SiglipImageProcessorPil

from tests.benchmarks.harness import Comparison, rates
from tests.model.tiny_models import characters
from vila2.data.images import decode_image
from vila2.model.image_tokens import ImageTokens
from vila2.model.pixels import LARGEST_DIFFERENCE
from vila2.model.processing import Vila2Processor

_SIDE = 384
_COUNT = 40
_CAUSE = "Pillow decodes the JPEG, which takes about half of the time"


def compare() -> Iterator[Comparison]:
    """Measures images of one tile, and of several."""
    torch.set_num_threads(1)
    photos = [made_photo(number) for number in range(_COUNT)]
    theirs = SiglipImageProcessorPil(size={"height": _SIDE, "width": _SIDE})
    ours = Vila2Processor(theirs, characters("<image>", pad="</s>"), projector="linear", patch_size=14)

    def tensor(data: bytes) -> torch.Tensor:
        return ours.read_images([decode_image(data, where="photo")])[1]["pixel_values"]

    def their_tensor(data: bytes) -> torch.Tensor:
        return theirs(images=[Image.open(io.BytesIO(data)).convert("RGB")], return_tensors="pt")[
            "pixel_values"
        ]

    for data in photos:  # the mean and the deviation are .5
        assert (tensor(data) - their_tensor(data)).abs().max() <= (LARGEST_DIFFERENCE + 0.01) / 127.5
    mine, peer = rates(lambda: _each(photos, tensor), lambda: _each(photos, their_tensor))
    yield Comparison(
        f"decode: to {_SIDE} pixels", mine, peer, "images/s", 4.5, "Pillow and transformers", _CAUSE
    )
    mine, peer = rates(
        lambda: _each(photos, tensor), lambda: _each(photos, lambda data: decode_image(data, where="photo"))
    )
    yield Comparison("decode: beside decoding alone", mine, peer, "images/s", 0.6, "decoding alone", _CAUSE)
    yield from _measured(ours)


def _measured(processor: Vila2Processor) -> Iterator[Comparison]:
    """Counting the tokens of images of many sizes, against processing an image of each size."""
    sizes = [(300 + 7 * number, 400) for number in range(_COUNT)]

    def counted() -> list[int]:
        tokens = ImageTokens(processor, image_token="<image>")
        return [tokens.length(size, several=False, where="", exact=True) for size in sizes]

    def processed() -> list[int]:
        made = (processor(text=["<image>"], images=[[Image.new("RGB", size)]]) for size in sizes)
        return [len(one["input_ids"][0]) for one in made]

    assert counted() == processed()
    mine, peer = rates(lambda: len(counted()), lambda: len(processed()))
    yield Comparison("decode: tokens of an image size", mine, peer, "sizes/s", 100, "an image of the size")


def _each(photos: list[bytes], work: Callable[[bytes], object]) -> int:
    for data in photos:
        work(data)
    return len(photos)


def made_photo(number: int, size: tuple[int, int] = (500, 375)) -> bytes:
    """A JPEG of soft shapes with some noise, about as large as a photo of this size."""
    random = numpy.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=numpy.uint8))
    smooth = numpy.asarray(coarse.resize(size, Image.Resampling.BICUBIC)).astype(float)
    grain = random.normal(0, 8, smooth.shape)
    file = io.BytesIO()
    Image.fromarray((smooth + grain).clip(0, 255).astype(numpy.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()
