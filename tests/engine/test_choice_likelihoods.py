"""Likelihoods of given answers by a server are those of the model in this process.

The server is the test's own: it speaks vLLM's `prompt_logprobs`, and computes them with the same tiny model.
"""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from PIL import Image

from tests.caption.tiny_llava import build_tiny_llava, picture
from tests.engine.unruly_server import Reply, serving
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.engine.choice_likelihoods import ChoiceQuestion
from vila2.engine.openai_engine import OpenAIEngine
from vila2.engine.openai_settings import OpenAISettings
from vila2.errors import EngineError
from vila2.evaluate.kinds.choices import choices, log_likelihoods
from vila2.model.conversation import ConversationEncoder
from vila2.model.generalist import Generalist, load_generalist
from vila2.recipe.parts.evaluate import BenchmarkSpec
from vila2.run.board import Board

CHOICES = ["red", "red car", "a blue cube.", "two cubes."]


@pytest.fixture(scope="module")
def generalist(tmp_path_factory: pytest.TempPathFactory) -> Generalist:
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny_llava(folder)
    return load_generalist(str(folder), dtype="float32", device="cpu")


@pytest.fixture
def samples() -> list[Sample]:
    return [
        Sample(
            f"{n}",
            (picture(n),),
            (user(ImagePart(0), "What is it?"), assistant(CHOICES[n % 4])),
            {"choices": CHOICES, "answer": n % 4},
        )
        for n in range(6)
    ]


@contextmanager
def scoring(generalist: Generalist) -> Iterator[str]:
    """A server with log-probabilities of prompts; yields its URL."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            assert asked["prompt_logprobs"] == 0 and asked["add_generation_prompt"] is False
            with lock:
                told = scored(generalist, asked["messages"], asked["continue_final_message"])
            reply = {"choices": [{"message": {"content": "x"}, "finish_reason": "length"}]}
            body = json.dumps({**reply, "prompt_logprobs": told}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def scored(generalist: Generalist, messages: list[dict], open_: bool) -> list[dict | None]:
    for message in messages:
        for part in message["content"]:
            if part["type"] == "image_url":
                data = base64.b64decode(part.pop("image_url")["url"].partition(",")[2])
                part |= {"type": "image", "image": Image.open(io.BytesIO(data))}
    inputs = generalist.processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_tensors="pt", continue_final_message=open_
    )
    inputs.pop("token_type_ids", None)
    with torch.inference_mode():
        scores = generalist.model(**inputs).logits[0].log_softmax(-1)
    ids = inputs["input_ids"][0].tolist()
    told: list[dict | None] = [None]
    for place, token in enumerate(ids[1:]):
        told.append({str(token): {"logprob": float(scores[place, token]), "rank": 1, "decoded_token": "?"}})
    return told


def test_a_server_finds_the_likeliest_choice_as_the_model_does(generalist, samples) -> None:
    encoder = ConversationEncoder(generalist.processor)
    expected = [log_likelihoods(generalist.model, encoder, sample) for sample in samples]
    with scoring(generalist) as url:
        engine = OpenAIEngine("tiny", OpenAISettings(url=(url,)))
        questions = [ChoiceQuestion(one.key, one.images, one.turns[:-1], tuple(CHOICES)) for one in samples]
        found = engine.choice_likelihoods(questions)
        for own, other in zip(found, expected, strict=True):
            assert [a - own[0] for a in own] == pytest.approx([b - other[0] for b in other], abs=1e-3)
        spec = BenchmarkSpec(name="choose", kind="choices", dataset="test")
        outcome = choices(engine, samples, spec, Board())
    likeliest = [max(range(4), key=one.__getitem__) for one in expected]
    assert [one["said"] for one in outcome.said] == [CHOICES[number] for number in likeliest]


@pytest.mark.parametrize("reply", [Reply(), Reply(status=400, body=b'{"error": "unknown prompt_logprobs"}')])
def test_a_server_without_them_is_named(samples, reply) -> None:
    spec = BenchmarkSpec(name="choose", kind="choices", dataset="test")
    with serving(lambda prompt, before: reply) as server:
        engine = OpenAIEngine("tiny", OpenAISettings(url=(server.url,)))
        with pytest.raises(EngineError, match="prompt_logprobs") as error:
            choices(engine, samples, spec, Board())
    assert "transformers" in error.value.hint


def test_plain_text_needs_the_model_in_this_process(samples) -> None:
    plain = [Sample(one.key, one.images, one.turns, {**one.meta, "style": "plain"}) for one in samples]
    engine = OpenAIEngine("tiny", OpenAISettings(url=("http://127.0.0.1:9/v1",)))
    with pytest.raises(EngineError, match="plain text"):
        choices(engine, plain, BenchmarkSpec(name="choose", kind="choices", dataset="test"), Board())
