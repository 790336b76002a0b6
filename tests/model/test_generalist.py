"""Any image-text-to-text model as the generalist: loads, answers, shows its parts, or says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
)

from tests.model.tiny_families import FAMILIES
from tests.model.tiny_models import picture, save_language
from vila2.errors import ModelError
from vila2.model.generalist import load_generalist, parts_of


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> dict[str, Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("families")
    for name, (save, _) in FAMILIES.items():
        save(root / name / "model")
    return {name: root / name / "model" for name in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_of_any_family_loads_and_answers(saved, family: str) -> None:
    generalist = load_generalist(saved[family], dtype="float32", device="cpu")
    inputs = generalist.processor(text=[FAMILIES[family][1]], images=[[picture(1)]], return_tensors="pt")
    answer = generalist.model.generate(**inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert answer.shape[1] == inputs["input_ids"].shape[1] + 3
    assert generalist.name == "model" and len(generalist.digest) == 16
    assert not generalist.model.training and generalist.model.dtype == torch.float32


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_are_all_there_is(saved, family: str) -> None:
    model = load_generalist(saved[family], device="cpu").model
    parts = parts_of(model)
    assert list(parts) == ["vision", "projector", "language"]
    owner = {id(parameter): name for name, part in parts.items() for parameter in part.parameters()}
    assert {id(parameter) for parameter in model.parameters()} == set(owner)
    assert id(model.get_input_embeddings().weight) in owner
    assert owner[id(model.get_output_embeddings().weight)] == "language"


def test_only_the_projector_can_be_trained(saved) -> None:
    for family in FAMILIES:
        model = load_generalist(saved[family], device="cpu").model
        model.requires_grad_(False)
        parts_of(model)["projector"].requires_grad_(True)
        trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        assert trained and all("projector" in n or "connector" in n or "merger" in n for n in trained), family


def test_without_its_video_processor_a_model_still_reads_images(saved, tmp_path) -> None:
    generalist = load_generalist(saved["qwen2_vl"], device="cpu")
    generalist.model.save_pretrained(tmp_path)
    generalist.processor.save_pretrained(tmp_path)
    assert (
        json.loads((tmp_path / "processor_config.json").read_text())["processor_class"] == "Qwen2VLProcessor"
    )
    assert load_generalist(tmp_path, device="cpu").processor.image_token == "<|image_pad|>"


def test_the_digest_follows_weights_and_settings(saved, tmp_path) -> None:
    first = load_generalist(saved["ours"], device="cpu")
    assert load_generalist(saved["ours"], dtype="bfloat16", device="cpu").digest == first.digest
    first.processor.tokenizer(["a", "bcd"], padding=True)  # use leaves no trace
    first.model.save_pretrained(tmp_path / "same")
    first.processor.save_pretrained(tmp_path / "same")
    assert load_generalist(tmp_path / "same", device="cpu").digest == first.digest
    parts_of(first.model)["projector"].layers[1].bias.data += 0.01
    first.model.save_pretrained(tmp_path / "trained")
    first.processor.save_pretrained(tmp_path / "trained")
    trained = load_generalist(tmp_path / "trained", device="cpu").digest
    assert trained != first.digest
    (tmp_path / "trained" / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    assert load_generalist(tmp_path / "trained", device="cpu").digest not in (trained, first.digest)


def test_the_checkpoints_numbers_are_kept(saved, tmp_path) -> None:
    model = load_generalist(saved["ours"], dtype="bfloat16", device="cpu")
    model.model.save_pretrained(tmp_path)
    model.processor.save_pretrained(tmp_path)
    assert load_generalist(tmp_path, device="cpu").model.dtype == torch.bfloat16


def test_a_folder_without_a_model(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"has no config.json"):
        load_generalist(tmp_path)
    with pytest.raises(ModelError, match=r"no folder"):
        load_generalist(tmp_path / "nothing")


def test_pickled_weights_are_refused(saved, tmp_path) -> None:
    (tmp_path / "config.json").write_bytes((saved["ours"] / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=r"only as pickle files \(pytorch_model.bin\)"):
        load_generalist(tmp_path)


def test_an_unknown_kind_of_model(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "grand_vlm_9000"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"grand_vlm_9000[\s\S]*hint: check model_type"):
        load_generalist(tmp_path)


def test_a_model_that_does_not_read_images(tmp_path) -> None:
    save_language(tmp_path, "llama")
    with pytest.raises(ModelError, match=r"'llama' model, which does not read images"):
        load_generalist(tmp_path)
    with pytest.raises(ModelError, match=r"cannot identify the vision tower of LlamaForCausalLM"):
        parts_of(AutoModelForCausalLM.from_pretrained(tmp_path))


def test_a_hub_without_connection(monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        ModelError, match=r"someone/no-such-model[\s\S]*offline[\s\S]*hint: unset HF_HUB_OFFLINE"
    ):
        load_generalist("someone/no-such-model")
