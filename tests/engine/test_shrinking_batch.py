"""Rows that have ended are dropped from a batch, and no answer changes for it."""

from __future__ import annotations

import pytest

from tests.caption.tiny_llava import build_tiny_llava, picture
from vila2.engine.protocol import GenerationSettings, Request
from vila2.engine.transformers_engine import TransformersEngine, open_transformers


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> TransformersEngine:
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny_llava(folder)
    return open_transformers(folder, dtype="float32", device="cpu")


@pytest.mark.parametrize(
    "settings",
    [
        GenerationSettings(max_new_tokens=120),
        GenerationSettings(max_new_tokens=120, temperature=0.9, top_p=0.9, repetition_penalty=1.2, seed=4),
    ],
    ids=["greedy", "sampled"],
)
def test_a_batch_shrinks_and_its_answers_are_those_of_each_alone(engine, settings) -> None:
    requests = [Request(str(n), (picture(n),), "what is it " * (n % 5)) for n in range(64)]
    slots = []
    step = engine.model.register_forward_pre_hook(
        lambda module, args, inputs: slots.append(len(inputs["input_ids"])), with_kwargs=True
    )
    together = engine.generate(requests, settings)
    step.remove()
    assert len({answer.tokens for answer in together}) > 10
    assert slots[0] == 64 and slots[-1] <= 32 and slots == sorted(slots, reverse=True)
    tokens = sum(answer.tokens + (answer.finish == "stop") for answer in together)
    assert tokens / sum(slots) >= 0.85
    assert together[::8] == [engine.generate([request], settings)[0] for request in requests[::8]]
