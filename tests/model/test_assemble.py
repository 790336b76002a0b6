"""Assembling: parts as they were, a processor that fits, a folder that gives the same model back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    CLIPConfig,
    CLIPModel,
)

from tests.model.tiny_models import SIZE, characters, lively, picture, save_language, save_tower
from vila2.errors import ModelError
from vila2.model.assemble import assemble

PAIRS = [
    ("siglip_vision_model", "qwen2"),
    ("dinov2", "llama"),
    ("clip_vision_model", "gpt_neox"),
    ("vit", "qwen2"),
]
CHATML = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
QUESTION = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}]


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("parts")
    for tower, language in PAIRS:
        save_tower(folder / tower, tower)
        save_language(folder / language, language, CHATML)
    return folder


@pytest.fixture(scope="module", params=PAIRS, ids="+".join)
def assembled(request, parts):
    tower, language = request.param
    model, processor = assemble(parts / tower, parts / language)
    lively(model.model.multi_modal_projector)
    return model, processor


def inputs_of(processor, prompts: list[str], **settings):
    """One picture for each prompt."""
    pictures = [[picture(number)] for number in range(len(prompts))]
    return processor(text=prompts, images=pictures, return_tensors="pt", padding=True, **settings)


def test_parts_are_taken_over_unchanged(parts) -> None:
    model, _ = assemble(parts / "dinov2", parts / "llama")
    source = AutoModelForCausalLM.from_pretrained(parts / "llama")
    text = torch.tensor([[1, 7, 8, 9]])
    assert torch.equal(model(input_ids=text).logits[..., :99], source(input_ids=text).logits)
    assert model.config.tiling.tokens_per_tile == 4 and model.config.image_size == [SIZE, SIZE]
    assert not model.training


def test_new_tokens_start_as_the_mean_and_tied_weights_stay_tied(assembled) -> None:
    model, processor = assembled
    for layer in (model.get_input_embeddings(), model.lm_head):
        assert layer.weight.shape[0] == len(processor.tokenizer) == model.config.text_config.vocab_size
        torch.testing.assert_close(layer.weight[-1], layer.weight[:99].mean(0))
    tied = model.lm_head.weight is model.get_input_embeddings().weight
    assert tied == model.config.tie_word_embeddings == (model.config.text_config.model_type == "qwen2")


def test_padding_is_never_the_end(assembled) -> None:
    model, processor = assembled
    assert processor.tokenizer.pad_token_id not in model.generation_config.eos_token_id
    assert processor.tokenizer.pad_token_id == model.generation_config.pad_token_id
    assert processor.tokenizer.eos_token_id in model.generation_config.eos_token_id
    assert getattr(model.get_input_embeddings(), "padding_idx", None) != processor.tokenizer.eos_token_id


def test_saved_and_loaded_it_is_the_same(assembled, tmp_path) -> None:
    model, processor = assembled
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors", ".jinja"}
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    reader = AutoProcessor.from_pretrained(tmp_path)
    first, second = again.state_dict(), model.state_dict()
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
    assert again.generation_config.to_dict() == model.generation_config.to_dict()
    prompt = processor.apply_chat_template(QUESTION, add_generation_prompt=True)
    assert reader.apply_chat_template(QUESTION, add_generation_prompt=True) == prompt
    given, read = inputs_of(processor, [prompt]), inputs_of(reader, [prompt])
    assert given.keys() == read.keys() and all(torch.equal(given[name], read[name]) for name in given)
    assert torch.equal(again(**read).logits, model(**given).logits)
    again.save_pretrained(tmp_path / "again")
    reader.save_pretrained(tmp_path / "again")
    for path in (path for path in tmp_path.iterdir() if path.is_file()):
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
    assert "/" not in again.config.vision_config.name_or_path  # where the parts lay is nobody's business


def test_answers_depend_neither_on_the_cache_nor_on_the_batch(assembled) -> None:
    model, processor = assembled
    prompts = ["<image>a", "Look: <image> and say what it is.", "Say <image>"]
    settings = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    batch = inputs_of(processor, prompts)
    length = batch["input_ids"].shape[1]
    answers = model.generate(**batch, **settings)[:, length:]
    assert torch.equal(model.generate(**batch, use_cache=False, **settings)[:, length:], answers)
    assert len({tuple(answer) for answer in answers.tolist()}) == 3
    for number, prompt in enumerate(prompts):
        alone = processor(text=[prompt], images=[[picture(number)]], return_tensors="pt")
        answer = model.generate(**alone, **settings)[0, alone["input_ids"].shape[1] :]
        assert torch.equal(answer, answers[number])


def test_several_images_and_several_beams(assembled) -> None:
    model, processor = assembled
    texts, pictures = ["<image> then <image>", "only <image>"], [[picture(1), picture(2)], [picture(3)]]
    batch = processor(text=texts, images=pictures, return_tensors="pt", padding=True)
    settings = {
        "max_new_tokens": 6,
        "num_beams": 3,
        "do_sample": False,
        "eos_token_id": None,
        "pad_token_id": 0,
    }
    together = model.generate(**batch, **settings)[:, batch["input_ids"].shape[1] :]
    for number in range(2):
        alone = processor(
            text=texts[number : number + 1], images=pictures[number : number + 1], return_tensors="pt"
        )
        answer = model.generate(**alone, **settings)[0, alone["input_ids"].shape[1] :]
        assert torch.equal(answer, together[number])


def test_a_template_of_strings_takes_parts(parts) -> None:
    _, processor = assemble(parts / "dinov2", parts / "llama")
    parted = processor.apply_chat_template(QUESTION, add_generation_prompt=True)
    assert parted == "<|user|><image>What?</s><|assistant|>"
    assert (
        processor.apply_chat_template([{"role": "user", "content": "<image>What?"}])
        == "<|user|><image>What?</s>"
    )
    talk = [*QUESTION, {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]}]
    assert processor.apply_chat_template(talk) == "<|user|><image>What?</s><|assistant|>A cat.</s>"


def test_a_template_of_parts_stays_as_it_is(parts) -> None:
    template = (
        "{% for m in messages %}{% for c in m['content'] if m['content'] is not string %}"
        "{{ '<image>' if c['type'] == 'image' else c['text'] }}"
        "{% else %}{{ m['content'] }}{% endfor %}{% endfor %}"
    )
    _, processor = assemble(parts / "dinov2", parts / "llama", chat_template=template)
    assert processor.chat_template == template


def test_a_tokenizer_without_a_template_gets_a_plain_one(parts, tmp_path) -> None:
    save_language(tmp_path, "llama")
    model, processor = assemble(parts / "dinov2", tmp_path)
    assert (
        processor.apply_chat_template(QUESTION, add_generation_prompt=True)
        == "User: <image>What?\nAssistant:"
    )
    assert model.generation_config.eos_token_id == [processor.tokenizer.eos_token_id]


def test_an_end_of_turn_token_ends_an_answer(parts, tmp_path) -> None:
    save_language(tmp_path, "llama", vocab_size=101)
    characters("<|end|>").save_pretrained(tmp_path)
    template = CHATML.replace("eos_token", "'<|end|>\\n'")
    model, processor = assemble(parts / "dinov2", tmp_path, chat_template=template)
    ends = processor.tokenizer.convert_tokens_to_ids(["</s>", "<|end|>"])
    assert sorted(model.generation_config.eos_token_id) == sorted(ends)


def test_a_model_of_images_and_texts_gives_its_vision_tower(parts, tmp_path) -> None:
    tower = save_tower(tmp_path, "clip_vision_model")
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = assemble(tower, parts / "llama")[0].config.vision_config.to_dict()
    whole = CLIPModel(CLIPConfig(vision_config=vision, text_config=text | {"vocab_size": 9}))
    whole.save_pretrained(tmp_path)
    model, _ = assemble(tmp_path, parts / "llama")
    ours, theirs = model.model.vision_tower.state_dict(), whole.vision_model.state_dict()
    assert {name.removeprefix("vision_model.") for name in ours} == set(theirs)
    assert all(torch.equal(value, theirs[name.removeprefix("vision_model.")]) for name, value in ours.items())


def test_the_seed_makes_the_projector(parts) -> None:
    projectors = [
        assemble(parts / "dinov2", parts / "llama", seed=seed)[0].model.multi_modal_projector.layers[1].weight
        for seed in (1, 1, 2)
    ]
    assert torch.equal(projectors[0], projectors[1]) and not torch.equal(projectors[0], projectors[2])


def test_one_type_of_numbers(parts) -> None:
    model, processor = assemble(
        parts / "siglip_vision_model", parts / "qwen2", dtype="bfloat16", visual_expert=2, s2_scales=[1, 2]
    )
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model(**inputs_of(processor, ["<image>a"])).logits.dtype == torch.bfloat16


def test_a_head_that_is_more_than_linear_is_refused(parts, tmp_path) -> None:
    save_language(tmp_path, "gemma2", final_logit_softcapping=5.0, head_dim=12, num_key_value_heads=2)
    with pytest.raises(ModelError, match=r"gemma2.*more than one linear layer"):
        assemble(parts / "dinov2", tmp_path)


def test_a_head_with_a_bias_keeps_it(parts, tmp_path) -> None:
    save_language(tmp_path / "phi", "phi")
    model, _ = assemble(parts / "dinov2", tmp_path / "phi")
    model.save_pretrained(tmp_path / "model")
    again = AutoModelForImageTextToText.from_pretrained(tmp_path / "model")
    assert torch.equal(again.lm_head.bias, model.lm_head.bias)


@pytest.mark.parametrize(
    ("vision", "language", "settings", "said"),
    [
        ("./nothing", "LLAMA", {}, "no folder ./nothing"),
        (
            "DINOV2",
            "package:no_such_package/x.gguf",
            {},
            "'no_such_package' is not installed.*\n.*pip install",
        ),
        ("DINOV2", "builtin:../../secrets", {}, "ships no such model.*\n.*builtin:world/vision"),
        ("DINOV2", "LLAMA", {"projector": "conv"}, "unknown projector 'conv'"),
        ("DINOV2", "LLAMA", {"dtype": "float99"}, "unknown dtype 'float99'"),
        ("DINOV2", "LLAMA", {"vision_feature_layer": -7}, "vision_feature_layer=-7"),
        ("LLAMA", "LLAMA", {}, "vision tower .*llama"),
        ("DINOV2", "DINOV2", {}, "cannot load the tokenizer"),
    ],
)
def test_what_does_not_fit_is_said(parts, vision: str, language: str, settings: dict, said: str) -> None:
    real = {"LLAMA": parts / "llama", "DINOV2": parts / "dinov2"}
    with pytest.raises(ModelError, match=said):
        assemble(real.get(vision, vision), real.get(language, language), **settings)
