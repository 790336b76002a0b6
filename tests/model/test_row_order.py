"""A picture's rows stay rows: the order in which the language model gets the tokens of an image."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from PIL import Image
from torch import nn

from vila2.model.assemble import assemble
from vila2.model.configuration import Vila2Config
from vila2.recipe.parts.model import ModelSpec

SIDE, TOKENS = 96, 6  # of a tile: pixels, and tokens in a row
VISION, LANGUAGE = "builtin:world/vision", "builtin:world/language"


def shown(model, processor, picture: Image.Image) -> list[torch.Tensor]:
    """The features that each image token stands for, [tokens, C], tile by tile or for the whole image."""
    inputs = processor(text=["<image>"], images=[[picture]], return_tensors="pt")
    with torch.no_grad():
        found = model.model.get_image_features(inputs["pixel_values"], inputs.get("image_grids"))
    return list(found.pooler_output)


def banded(size: int, top: int, height: int, *, upright: bool = False) -> Image.Image:
    """A gray picture with one white band across it, or from top to bottom."""
    picture = Image.new("RGB", (size, size), (90, 90, 90))
    box = (top, 0, top + height, size) if upright else (0, top, size, top + height)
    picture.paste((255, 255, 255), box)
    return picture


def strength(model, processor, picture: Image.Image) -> Iterator[torch.Tensor]:
    """How much a picture changes each token of a plain one, as [rows, columns] read row by row."""
    plain = banded(picture.width, 0, 0)
    for seen, nothing in zip(shown(model, processor, picture), shown(model, processor, plain), strict=True):
        across = round(len(seen) ** 0.5)
        yield (seen - nothing).norm(dim=-1).view(across, across)


@pytest.fixture(scope="module", params=[{}, {"max_tiles": 4}, {"s2_scales": [1, 2]},
                                        {"s2_scales": [1, 2], "max_tiles": 4}],
                ids=["one tile", "tiles", "S2", "dynamic S2"])  # fmt: skip
def plainly(request):
    """The miniature with the default projector, without its layers: what it is given is what it returns."""
    model, processor = assemble(VISION, LANGUAGE, vision_feature_layer=-1, **request.param)
    model.model.multi_modal_projector.layers = nn.Identity()
    return model.eval(), processor


@pytest.mark.parametrize("band", [0, 1, 4, 5])
def test_a_band_across_the_picture_is_a_row_of_tokens(plainly, band: int) -> None:
    model, processor = plainly
    cut = processor.max_tiles > 1
    size = 2 * SIDE if cut else SIDE
    pictures = {upright: banded(size, band * size // TOKENS, size // TOKENS, upright=upright)
                for upright in (False, True)}  # fmt: skip
    across = list(strength(model, processor, pictures[False]))
    upright = list(strength(model, processor, pictures[True]))
    # Of tiles the last one shows the whole picture; the two scales of dynamic S2 share one grid of tokens.
    row, column = across[-1], upright[-1]
    side = len(row) // TOKENS
    assert int(row.mean(1).argmax()) // side == band == int(column.mean(0).argmax()) // side
    # Within its row a band is everywhere; transposed, it would be in one token of every row.
    assert row.mean(1).std() > 2 * row.mean(0).std() and column.mean(0).std() > 2 * column.mean(1).std()
    if len(across) == 5:  # four tiles in rows of two: the upper or the lower ones show the band
        assert {int(n) // 2 for n in torch.stack([tile.mean() for tile in across[:4]]).topk(2).indices} == {
            band // 3
        }


def test_a_recipe_and_the_family_have_the_same_default() -> None:
    family = Vila2Config(vision_config={"model_type": "siglip_vision_model"}).projector
    assert ModelSpec().projector == family == "mlp_downsample_2x2_fix"


def test_a_model_trained_with_columns_keeps_them(tmp_path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model, processor = assemble(VISION, LANGUAGE, vision_feature_layer=-1, projector="mlp_downsample")
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    again.model.multi_modal_projector.layers = nn.Identity()
    reader = AutoProcessor.from_pretrained(tmp_path)
    (seen,) = strength(again, reader, banded(SIDE, 16, 16))
    assert int(seen.mean(0).argmax()) == 1 and seen.mean(0).std() > 2 * seen.mean(1).std()
