"""Pixels of our family: at most two gray levels from Pillow's, for every image, filter and tiling."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings, strategies as st
from PIL import Image
from transformers import CLIPImageProcessorPil, SiglipImageProcessorPil

from tests.model.tiny_models import characters
from vila2.model.image_tokens import ImageTokens
from vila2.model.pixels import LARGEST_DIFFERENCE, as_bytes, resized
from vila2.model.processing import Vila2Processor

BILINEAR, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC
EXTREMES = [(1, 1), (1, 20_000), (20_000, 1), (3, 2), (2500, 2), (2, 2500), (3000, 2000), (500, 375)]


def drawn_image(kind: str, height: int, width: int) -> Image.Image:
    """Noise and sharp edges, where rounding and cutting off at black and white show most."""
    random = numpy.random.default_rng(height * 31 + width)
    if kind == "noise":
        values = random.integers(0, 256, (height, width, 3))
    elif kind == "black and white":
        values = random.integers(0, 2, (height, width, 3)) * 255
    elif kind == "stripes":
        values = numpy.zeros((height, width, 3)) + (numpy.arange(height)[:, None, None] // 3 % 2) * 255
    else:
        values = numpy.full((height, width, 3), 255)
    return Image.fromarray(values.astype(numpy.uint8))


def difference(image: Image.Image, size: tuple[int, int], resample: Image.Resampling) -> int:
    ours = resized(as_bytes(image), size, resample)[0].permute(1, 2, 0).numpy().astype(int)
    return int(abs(ours - numpy.asarray(image.resize(size[::-1], resample))).max())


KINDS = st.sampled_from(["noise", "black and white", "stripes", "white"])
FILTERS = st.sampled_from([BILINEAR, BICUBIC])


@settings(max_examples=150, deadline=None)
@given(KINDS, st.integers(1, 300), st.integers(1, 300), st.integers(1, 200), st.integers(1, 200), FILTERS)
def test_resized_as_pillow_does(
    kind: str, height: int, width: int, rows: int, columns: int, resample: Image.Resampling
) -> None:
    image = drawn_image(kind, height, width)
    assert difference(image, (rows, columns), resample) <= LARGEST_DIFFERENCE


@pytest.mark.parametrize("resample", [BILINEAR, BICUBIC])
@pytest.mark.parametrize(("height", "width"), EXTREMES)
def test_tiny_and_huge_images_too(height: int, width: int, resample: Image.Resampling) -> None:
    for size in ((384, 384), (14, 14), (224, 448)):
        image = drawn_image("black and white", height, width)
        assert difference(image, size, resample) <= LARGEST_DIFFERENCE


SETTINGS = [
    {},
    {"max_tiles": 6},
    {"s2_scales": (1, 2)},
    {"s2_scales": (1, 2), "max_tiles": 6, "projector": "mlp_downsample_2x2_fix"},
]


def processor_with(image_processor: Any, **changes: Any) -> Vila2Processor:
    settings = {"projector": "linear", "image_size": 56} | changes
    return Vila2Processor(image_processor, characters("<image>", pad="</s>"), **settings)


def both(processor: Vila2Processor, images: list[Image.Image]) -> tuple[Any, Any]:
    """What the processor makes, and what the image processor makes, which a setting of the call asks for."""
    asked: Any = {"text": ["<image>" * len(images)], "images": [images], "return_tensors": "pt"}
    return processor(**asked), processor(**asked, do_rescale=True)


@pytest.mark.parametrize("changes", SETTINGS)
@pytest.mark.parametrize("resample", [BILINEAR, BICUBIC])
def test_the_processor_gives_what_the_image_processor_gives(
    changes: dict[str, Any], resample: Image.Resampling
) -> None:
    std = (0.2, 0.3, 0.4)
    image_processor = SiglipImageProcessorPil(
        size={"height": 56, "width": 56}, resample=resample, image_mean=(0.1, 0.5, 0.9), image_std=std
    )
    images = [drawn_image("noise", 120, 300), drawn_image("stripes", 130, 57), Image.new("RGB", (56, 56))]
    ours, theirs = both(processor_with(image_processor, **changes), images)
    assert ours.keys() == theirs.keys() and torch.equal(ours["input_ids"], theirs["input_ids"])
    apart = (ours["pixel_values"] - theirs["pixel_values"]).abs() * torch.tensor(std).view(3, 1, 1) * 255
    assert apart.shape[0] == theirs["pixel_values"].shape[0] and apart.max() <= LARGEST_DIFFERENCE + 0.01
    assert torch.equal(ours.get("image_grids", apart), theirs.get("image_grids", apart))


class OwnWay(SiglipImageProcessorPil):
    def normalize(self, image: Any, mean: Any, std: Any, **kwargs: Any) -> Any:
        return super().normalize(image, mean, std, **kwargs) * 2


@pytest.mark.parametrize(
    "image_processor",
    [
        OwnWay(size={"height": 56, "width": 56}),
        SiglipImageProcessorPil(size={"height": 56, "width": 56}, resample=Image.Resampling.LANCZOS),
        CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}),
    ],
)
def test_an_image_processor_that_does_more_is_used_itself(image_processor: Any) -> None:
    ours, theirs = both(processor_with(image_processor), [drawn_image("noise", 90, 200)])
    assert torch.equal(ours["pixel_values"], theirs["pixel_values"])


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_so_it_is_for_an_image_that_is_not_rgb(mode: str) -> None:
    processor = processor_with(SiglipImageProcessorPil(size={"height": 56, "width": 56}))
    ours, theirs = both(processor, [drawn_image("noise", 90, 200).convert(mode)])
    assert torch.equal(ours["pixel_values"], theirs["pixel_values"])


def test_without_normalization_pixels_stay_what_they_are() -> None:
    plain = SiglipImageProcessorPil(size={"height": 56, "width": 56}, do_normalize=False, do_rescale=False)
    image = drawn_image("noise", 56, 56)
    made = processor_with(plain)(text=["<image>"], images=[[image]], return_tensors="pt")["pixel_values"]
    assert torch.equal(made[0].byte(), as_bytes(image)[0])


@pytest.mark.parametrize("image_end", ["", "\n", "end"])
@pytest.mark.parametrize("changes", SETTINGS)
def test_images_without_a_text_are_what_they_are_in_one(changes: dict[str, Any], image_end: str) -> None:
    image_processor = SiglipImageProcessorPil(size={"height": 56, "width": 56})
    processor = processor_with(image_processor, **changes, image_end=image_end)
    images = [drawn_image("noise", height, width) for height, width in ((60, 50), (40, 300), (500, 90))]
    expected, _ = both(processor, images)
    rows, tensors = processor.read_images(images)
    assert [token for row in rows for token in row] == expected.pop("input_ids")[0].tolist()
    expected.pop("attention_mask")
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in tensors)
    assert [len(row) for row in rows] == [
        ImageTokens(processor, image_token="<image>").length(image.size, several=False, where="", exact=True)
        for image in images
    ]
