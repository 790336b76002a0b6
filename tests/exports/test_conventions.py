"""Coordinates as readers expect them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from tests.exports.conftest import BOX, WIDE
from vila2.errors import DataError
from vila2.exports.conventions import CONVENTIONS, choose_convention, resized_by_qwen


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("unit", "[0.125,0.250,0.500,0.750]"),
        ("thousandths", "[125,250,500,750]"),
        ("pixels", "[10, 10, 40, 30]"),
        ("resized-pixels", "[10, 14, 42, 42]"),  # 80 x 40 becomes 84 x 56
        ("tokens", "<loc_125><loc_250><loc_500><loc_750>"),
        ("paligemma", "<loc0256><loc0128><loc0768><loc0512>"),
    ],
)
def test_a_box(name, written):
    assert CONVENTIONS[name].write(BOX, WIDE) == written


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Qwen/Qwen2-VL-2B-Instruct", "thousandths"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "resized-pixels"),
        ("Qwen/Qwen3-VL-8B-Instruct", "thousandths"),
        ("OpenGVLab/InternVL3-8B", "thousandths"),
        ("llava-hf/llava-1.5-7b-hf", "unit"),
        ("google/paligemma2-3b-pt-224", "paligemma"),
    ],
)
def test_a_model_chooses_its_convention(model, name):
    assert choose_convention(None, model).name == name


def test_a_model_folder_tells_its_own_limits(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"}))
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"min_pixels": 3136, "max_pixels": 28 * 28 * 4})
    )
    write = choose_convention(None, str(tmp_path)).write
    assert write((0.0, 0.0, 1.0, 1.0), (560, 560)) == "[0, 0, 56, 56]"


def test_a_model_of_our_own_tells_its_scheme(tmp_path):
    scheme = {"kind": "text", "order": "xyxy", "decimals": 2}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"coordinates": scheme}))
    assert choose_convention(None, str(tmp_path)).write(BOX, WIDE) == "[0.12,0.25,0.50,0.75]"


def test_an_unknown_model_is_an_error_that_says_what_to_do():
    with pytest.raises(DataError, match="not known how this model") as raised:
        choose_convention(None, "acme/eyes-1b")
    assert "--coordinates" in raised.value.hint
    with pytest.raises(DataError, match="both choose"):
        choose_convention("unit", "Qwen/Qwen2-VL-2B-Instruct")


@given(st.integers(30, 5000), st.integers(30, 5000))
def test_resizing_is_that_of_the_real_processor(width, height):
    real = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    high, wide = real.smart_resize(height, width, factor=28, min_pixels=56 * 56, max_pixels=12_845_056)
    assert resized_by_qwen((width, height)) == (wide, high)
