"""Every tower with every language model, and every setting: reads, answers, is saved and learns alike."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor, Siglip2ImageProcessorPil

from tests.model.test_registration import LOAD
from tests.model.tiny_models import SIZE, checkpoint, lively, picture, save_language, save_tower
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.errors import ModelError
from vila2.model.assemble import assemble
from vila2.model.conversation import ConversationEncoder
from vila2.model.outline import outline_of_parts
from vila2.model.resolution import set_image_size
from vila2.packing.collate import Collator
from vila2.train.freezing import freeze_all_but

KINDS = [  # Vicuna and Yi are Llama; SmolLM is Llama, SmolLM3 its own
    ("siglip_vision_model", "qwen2"),
    ("siglip2_vision_model", "qwen3"),
    ("clip_vision_model", "llama"),
    ("dinov2", "smollm3"),
    ("dinov2_with_registers", "mistral"),
    ("internvl_vision", "qwen2"),
]
SETTINGS = {
    "linear": {"projector": "linear"},
    "mlp": {"projector": "mlp2x_gelu"},
    "3x3": {"projector": "mlp_downsample_3x3_fix"},
    "transformer": {"projector": "transformer"},
    "tiles": {"max_tiles": 4},
    "s2": {"s2_scales": [1, 2]},
    "dynamic s2": {"s2_scales": [1, 2], "max_tiles": 6, "projector": "mlp_downsample_2x2_fix"},
    "expert": {"visual_expert": 4},
    "dense expert": {"visual_expert": "dense"},
}
VARIANTS = [(*kinds, {}) for kinds in KINDS] + [(*KINDS[0], settings) for settings in SETTINGS.values()]
NAMES = ["+".join(kinds) for kinds in KINDS] + list(SETTINGS)
PICTURES = [picture(1), picture(2, (120, 40)), picture(3, (50, 90))]


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("parts")
    for tower, language in KINDS:
        changes = {"siglip2_vision_model": {"num_patches": 9, "image_size": None}}.get(tower, {})
        if tower == "internvl_vision":
            changes = {"image_size": [SIZE, SIZE], "patch_size": [14, 14]}
        save_tower(folder / tower, tower, **changes)
        save_language(folder / language, language, **LANGUAGES.get(language, {}))
    Siglip2ImageProcessorPil(patch_size=14, max_num_patches=9).save_pretrained(
        folder / "siglip2_vision_model"
    )
    return folder


LANGUAGES = {name: {"num_key_value_heads": 2, "pad_token_id": 2} for name in ("qwen3", "smollm3", "mistral")}


@pytest.fixture(scope="module", params=VARIANTS, ids=NAMES)
def variant(request, parts):
    tower, language, settings = request.param
    model, processor = assemble(parts / tower, parts / language, **settings)
    lively(model.model.multi_modal_projector)
    if model.model.visual_expert is not None:
        lively(model.model.visual_expert)
    return model, processor


def inputs_of(processor) -> dict:
    texts = ["<image> then <image>", "only <image>?"]
    return processor(text=texts, images=[PICTURES[:2], PICTURES[2:]], return_tensors="pt", padding=True)


def test_answers_do_not_depend_on_cache_batch_or_beams(variant) -> None:
    model, processor = variant
    batch = inputs_of(processor)
    settings = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    length = batch["input_ids"].shape[1]
    answers = model.generate(**batch, **settings)[:, length:]
    assert torch.equal(model.generate(**batch, use_cache=False, **settings)[:, length:], answers)
    beams = model.generate(**batch, num_beams=2, **settings)[:, length:]
    for number, (text, own) in enumerate(
        (("<image> then <image>", PICTURES[:2]), ("only <image>?", PICTURES[2:]))
    ):
        alone = processor(text=[text], images=[own], return_tensors="pt")
        start = alone["input_ids"].shape[1]
        assert torch.equal(model.generate(**alone, **settings)[0, start:], answers[number])
        assert torch.equal(model.generate(**alone, num_beams=2, **settings)[0, start:], beams[number])


def test_every_image_matters(variant) -> None:
    model, processor = variant
    batch = inputs_of(processor)
    before = model(**batch).logits[:, -1]
    batch["pixel_values"][-1] *= -1  # the last tile of the second text
    after = model(**batch).logits[:, -1]
    torch.testing.assert_close(after[0], before[0])
    assert (after[1] - before[1]).abs().max() > 1e-4


def test_saved_and_loaded_it_is_the_same(variant, tmp_path) -> None:
    model, processor = variant
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    reader = AutoProcessor.from_pretrained(tmp_path)
    assert reader.tiling == processor.tiling == again.config.tiling
    given, read = inputs_of(processor), inputs_of(reader)
    assert given.keys() == read.keys() and all(torch.equal(given[name], read[name]) for name in given)
    assert torch.equal(again(**read).logits, model(**given).logits)


def test_a_step_changes_what_it_trains_and_nothing_else(variant, tmp_path) -> None:
    model, processor = variant
    model.save_pretrained(tmp_path)
    model = AutoModelForImageTextToText.from_pretrained(tmp_path)
    expert = "visual_expert" if model.model.visual_expert is not None else "language"
    freeze_all_but(model, ["projector", expert])
    encoder = ConversationEncoder(processor)
    samples = [
        Sample(str(n), (_png(image),), (user(ImagePart(), "What?"), assistant("A cat.")))
        for n, image in enumerate(PICTURES)
    ]
    batch = Collator(processor.tokenizer.pad_token_id)([encoder.encode(sample) for sample in samples])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.train()(**batch).loss.backward()
    optimizer.step()
    after = model.state_dict()
    changed = {name.split(".")[1] for name in before if not torch.equal(before[name], after[name])}
    other = {"visual_expert": "visual_expert", "language": "language_model"}[expert]
    assert changed - {"weight"} == {"multi_modal_projector", other}  # "weight": an output layer of its own


def _png(image) -> bytes:
    import io

    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def test_an_outline_has_the_same_shape(parts) -> None:
    for settings in SETTINGS.values():
        model, _ = assemble(parts / "siglip_vision_model", parts / "qwen2", **settings)
        settings = {"projector": "mlp_downsample", "vision_feature_layer": -2} | settings
        drawn, _ = outline_of_parts(parts / "siglip_vision_model", parts / "qwen2", **settings)
        shapes = {name: value.shape for name, value in model.state_dict().items()}
        assert {name: value.shape for name, value in drawn.state_dict().items()} == shapes


def test_a_plain_transformers_process_loads_it(parts, tmp_path) -> None:
    settings = SETTINGS["dynamic s2"] | SETTINGS["expert"]
    model, processor = assemble(parts / "siglip_vision_model", parts / "qwen2", **settings)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    script = (
        "import sys\nfrom transformers import AutoModelForImageTextToText, AutoProcessor\nimport vila2\n"
        + LOAD
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["Vila2ForConditionalGeneration", "Vila2Processor"], done.stderr


def test_tiles_of_another_model_are_refused(parts) -> None:
    _, processor = assemble(parts / "siglip_vision_model", parts / "qwen2", max_tiles=4)
    model, _ = assemble(parts / "siglip_vision_model", parts / "qwen2", projector="linear")
    with pytest.raises(
        ModelError, match=r"images or tiles need \d+ image tokens \(9 each\), but the text has"
    ):
        model(**inputs_of(processor))
    model, other = assemble(parts / "siglip_vision_model", parts / "qwen2", **SETTINGS["dynamic s2"])
    with pytest.raises(ModelError, match="image_grids"):
        model(**inputs_of(processor))
    batch = inputs_of(other)
    batch["pixel_values"] = batch["pixel_values"][:-1]
    with pytest.raises(ModelError, match=r"need \d+ tiles, but there are"):
        model(**batch)


def test_a_fresh_expert_changes_nothing_and_text_never_meets_it(parts) -> None:
    model, processor = assemble(parts / "siglip_vision_model", parts / "qwen2", visual_expert=4)
    plain, _ = assemble(parts / "siglip_vision_model", parts / "qwen2")
    batch = inputs_of(processor)
    assert torch.equal(model(**batch).logits, plain(**batch).logits)
    lively(model.model.visual_expert)
    assert not torch.allclose(model(**batch).logits, plain(**batch).logits)
    text = torch.tensor([[1, 7, 8, 9]])
    assert torch.equal(model(input_ids=text).logits, plain(input_ids=text).logits)
    first = (batch["input_ids"][1] == processor.image_token_id).nonzero()[0, 0]
    torch.testing.assert_close(model(**batch).logits[1, :first], plain(**batch).logits[1, :first])
    with pytest.raises(ModelError, match="inputs_embeds and a visual expert"):
        model(inputs_embeds=torch.zeros(1, 2, 48))


def test_an_expert_learns_the_same_through_checkpointing(parts) -> None:
    gradients = []
    for checkpointing in (False, True):
        model, processor = assemble(parts / "siglip_vision_model", parts / "qwen2", visual_expert=4)
        freeze_all_but(lively(model).train(), ["visual_expert"])
        if checkpointing:
            checkpoint(model)
        batch = inputs_of(processor)
        model(**batch, labels=batch["input_ids"], use_cache=False).loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0] and all("visual_expert" in name for name in gradients[0])
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("tower", [tower for tower, _ in KINDS])
def test_a_higher_resolution_gives_more_tokens_with_the_same_weights(parts, tmp_path, tower: str) -> None:
    model, processor = assemble(parts / tower, parts / "qwen2")
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    assert (inputs_of(processor)["input_ids"] == processor.image_token_id).sum() == 3 * 4
    set_image_size(model, processor, 2 * SIZE)
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    batch = inputs_of(AutoProcessor.from_pretrained(tmp_path))
    assert batch["pixel_values"].shape[-2:] == (2 * SIZE, 2 * SIZE)
    assert (batch["input_ids"] == processor.image_token_id).sum() == 3 * 9
    assert torch.equal(again(**batch).logits, model(**batch).logits)


def test_a_resolution_that_a_tower_or_a_processor_cannot_have(parts) -> None:
    model, processor = assemble(parts / "siglip_vision_model", parts / "qwen2")
    with pytest.raises(ModelError, match="cannot read images of 7x7"):
        set_image_size(model, processor, 7)
    _, processor = assemble(parts / "siglip_vision_model", parts / "qwen2")
    processor.image_processor.size = {"height": 56, "width": 56}
    with pytest.raises(ModelError, match=r"makes images of \(56, 56\) pixels.*\(42, 42\)"):
        inputs_of(processor)


def test_siglip_2_sees_what_its_own_processor_shows(parts) -> None:
    model, processor = assemble(parts / "siglip2_vision_model", parts / "qwen3", vision_feature_layer=-1)
    square = picture(5, (SIZE, SIZE))
    own = Siglip2ImageProcessorPil.from_pretrained(parts / "siglip2_vision_model")
    tower = AutoModel.from_pretrained(parts / "siglip2_vision_model")
    expected = tower(**own(images=[square], return_tensors="pt")).last_hidden_state
    pixels = processor(text=["<image>"], images=[[square]], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(model.get_image_features(pixels).last_hidden_state, expected)
