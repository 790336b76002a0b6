"""Processors of every family without torchvision and num2words, as in the environment of the tests."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from transformers.utils import is_num2words_available, is_torchvision_available

from tests.families import tiny
from tests.model.tiny_families import UNREADABLE
from vila2.errors import ModelError
from vila2.model.generalist import load_processor

WITH_VIDEOS = [
    name
    for name in ("llava_onevision", "smolvlm", "internvl", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v")
    if name not in UNREADABLE
]
REFUSED = {"florence2", *UNREADABLE}  # florence2 whatever its processor
FAMILIES = [name for name in tiny.FAMILIES if name not in REFUSED]


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    for name in FAMILIES:
        tiny.FAMILIES[name](root / name)
    return {name: root / name for name in FAMILIES}


def change(folder: Path, file: str, **settings: object) -> None:
    (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | settings))


def read(processor, family: str):
    """A photo and a question as the processor gives them to a model."""
    image = Image.open(io.BytesIO(tiny.photo(1))).convert("RGB")
    if family == "paligemma":  # it has no chat template
        return processor(text=["<image>hi"], images=[image], return_tensors="pt")
    parts = [{"type": "image", "image": image}, {"type": "text", "text": "hi"}]
    return processor.apply_chat_template(
        [[{"role": "user", "content": parts}]],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        add_generation_prompt=True,
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_reads_an_image(saved, family: str) -> None:
    inputs = read(load_processor(saved[family]), family)
    assert inputs["pixel_values"].isfinite().all() and inputs["input_ids"].shape[0] == 1


@pytest.mark.skipif(is_torchvision_available(), reason="with torchvision the video part is loaded")
@pytest.mark.parametrize("family", WITH_VIDEOS)
def test_what_is_saved_again_reads_images_and_keeps_the_settings_for_videos(
    saved, tmp_path, family: str
) -> None:
    folder = shutil.copytree(saved[family], tmp_path / "start")
    (folder / "video_preprocessor_config.json").write_text('{"video_processor_type": "Own", "fps": 3}')
    first = load_processor(folder)
    first.save_pretrained(tmp_path / "again")
    shutil.copy(folder / "config.json", tmp_path / "again")
    kept = json.loads((tmp_path / "again" / "processor_config.json").read_text())
    assert kept["video_processor"] == {"video_processor_type": "Own", "fps": 3}
    assert kept["processor_class"] == type(first).__name__
    again = load_processor(tmp_path / "again")
    assert read(again, family)["input_ids"].tolist() == read(first, family)["input_ids"].tolist()
    again.save_pretrained(tmp_path / "third")
    assert json.loads((tmp_path / "third" / "processor_config.json").read_text()) == kept


@pytest.mark.skipif(is_num2words_available(), reason="num2words is there")
@pytest.mark.skipif("smolvlm" in UNREADABLE, reason="SmolVLM's processor needs torchvision here")
def test_videos_are_refused_and_nothing_of_transformers_stays_changed(saved) -> None:
    from transformers.models.smolvlm import processing_smolvlm

    processor = load_processor(saved["smolvlm"])
    assert processing_smolvlm.num2words is None
    with pytest.raises(ModelError, match="videos are not supported"):
        processor.video_processor([])


@pytest.mark.parametrize(
    "kind", ["Qwen2VLImageProcessorFast", "Qwen2VLImageProcessor", "Qwen2VLImageProcessorPil"]
)
def test_older_and_newer_names_of_image_processors(saved, tmp_path, kind: str) -> None:
    folder = shutil.copytree(saved["qwen2_5_vl"], tmp_path / "model")
    change(folder, "preprocessor_config.json", image_processor_type=kind)
    (folder / "processor_config.json").unlink()  # as checkpoints were before it
    assert read(load_processor(folder), "qwen2_5_vl")["pixel_values"].shape[0]


@pytest.mark.skipif(is_torchvision_available(), reason="torchvision is there")
@pytest.mark.parametrize("family", ["Llama4", "Lfm2Vl"])
def test_who_cannot_read_images_without_torchvision_is_told_so(saved, tmp_path, family: str) -> None:
    folder = shutil.copytree(saved["llava"], tmp_path / "model")
    change(folder, "preprocessor_config.json", image_processor_type=f"{family}ImageProcessorFast")
    for file in ("preprocessor_config.json", "processor_config.json"):
        change(folder, file, processor_class=f"{family}Processor")
    with pytest.raises(ModelError, match=rf"{family}ImageProcessor[\s\S]*hint: install the torchvision"):
        load_processor(folder)


def test_a_processor_that_reads_texts_alone(saved, tmp_path) -> None:
    folder = shutil.copytree(saved["llava"], tmp_path / "model")
    for file in ("preprocessor_config.json", "processor_config.json"):
        change(folder, file, processor_class="FarAwayProcessor")
    change(folder, "tokenizer_config.json", processor_class=None)
    change(folder, "config.json", model_type="llama")
    with pytest.raises(ModelError, match=r"model is a \w+, which is not for images and text"):
        load_processor(folder)


def test_an_unknown_name_gives_way_to_the_class_of_the_family(saved, tmp_path) -> None:
    folder = shutil.copytree(saved["llava"], tmp_path / "model")
    for file in ("preprocessor_config.json", "processor_config.json"):
        change(folder, file, processor_class="FarAwayProcessor")
    change(folder, "tokenizer_config.json", processor_class=None)
    assert type(load_processor(folder)).__name__ == "LlavaProcessor"


def test_an_image_token_that_the_tokenizer_lacks(saved, tmp_path) -> None:
    from vila2.model.generalist import load_generalist

    folder = shutil.copytree(saved["llava"], tmp_path / "model")
    change(folder, "processor_config.json", image_token="<picture>")
    change(folder, "tokenizer_config.json", extra_special_tokens=[])
    with pytest.raises(ModelError, match="'<picture>', which its tokenizer does not know"):
        load_generalist(folder, device="cpu")
