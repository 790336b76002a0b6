"""The transformers engine: answers depend on their request alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st

from tests.caption.tiny_llava import picture
from vila2.caption.asked_captions import annotate
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.engine.careful_asking import ask_each, or_empty
from vila2.engine.protocol import GenerationSettings, Request
from vila2.engine.transformers_engine import TransformersEngine
from vila2.errors import DataError, EngineError
from vila2.model.assemble import assemble
from vila2.model.conversation import ConversationEncoder
from vila2.model.generalist import Generalist, load_generalist

PROMPTS = ("Describe.", "Say what is here, in as many words as you like.", "?")
WAYS = {
    "greedy": GenerationSettings(24),
    "penalty": GenerationSettings(24, repetition_penalty=1.4),
    "sampled": GenerationSettings(24, temperature=1.0, top_p=0.9, seed=5),
}


@pytest.fixture(scope="module")
def world() -> TransformersEngine:
    """A model of vila2's own family, out of the parts that come with it."""
    torch.set_num_threads(1)
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    return TransformersEngine(Generalist(model, processor, "world", "0"))


@pytest.fixture(scope="module")
def engine(tiny_folder) -> TransformersEngine:
    torch.set_num_threads(1)
    return TransformersEngine(load_generalist(str(tiny_folder), dtype="float32", device="cpu"))


def requests(count: int) -> list[Request]:
    return [Request(f"key{n}", (picture(n),), PROMPTS[n % len(PROMPTS)]) for n in range(count)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", ["engine", "world"])
def test_answers_do_not_depend_on_the_batch(request, family: str, way: str) -> None:
    engine = request.getfixturevalue(family)
    asked = requests(7)
    alone = [engine.generate([request], WAYS[way])[0] for request in asked]
    assert engine.generate(asked, WAYS[way]) == alone
    assert engine.generate(asked[::-1], WAYS[way]) == alone[::-1]


@pytest.mark.parametrize("family", ["engine", "world"])
def test_a_model_reads_at_generation_what_it_read_in_training(request, family: str) -> None:
    engine = request.getfixturevalue(family)
    asked = Request("k", (picture(0),), "describe what is here.")
    read = engine._inputs([asked])["input_ids"][0].tolist()
    sample = Sample("k", asked.images, (user(ImagePart(0), asked.prompt), assistant("a cube")))
    trained = ConversationEncoder(engine.processor).encode(sample).input_ids
    assert trained[: len(read)] == read
    assert trained[-1] in engine.end_tokens


def test_the_model_sees_the_picture_and_reads_the_prompt(engine) -> None:
    first, other_picture, other_prompt = engine.generate(
        [
            Request("a", (picture(1),), "x"),
            Request("a", (picture(2),), "x"),
            Request("a", (picture(1),), "y"),
        ],
        WAYS["greedy"],
    )
    assert first.text != other_picture.text
    assert first.text != other_prompt.text


def test_greedy_answers_are_the_models_own(engine) -> None:
    """Token by token, the likeliest next one, without cache, padding or `generate`."""
    message = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Describe."}]}]
    text = engine.processor.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
    from vila2.data.images import decode_image

    batch = engine.processor(text=[text], images=[decode_image(picture(3), where="3")], return_tensors="pt")
    ids, said = batch["input_ids"], []
    with torch.inference_mode():
        for _ in range(24):
            mask = torch.ones_like(ids)
            logits = engine.model(
                input_ids=ids, attention_mask=mask, pixel_values=batch["pixel_values"]
            ).logits
            token = int(logits[0, -1].argmax())
            if token in engine.end_tokens:
                break
            said.append(token)
            ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
    answer = engine.generate([Request("k", (picture(3),), "Describe.")], WAYS["greedy"])[0]
    assert answer.text == engine.tokenizer.decode(said, skip_special_tokens=True).strip()
    assert answer.tokens == len(said)


def test_sampling_follows_its_seed_and_the_key(engine) -> None:
    request = Request("key", (picture(0),), "Describe.")
    again = GenerationSettings(24, temperature=1.0, seed=6)
    first = engine.generate([request], GenerationSettings(24, temperature=1.0, seed=5))
    assert first == engine.generate([request], GenerationSettings(24, temperature=1.0, seed=5))
    assert first != engine.generate([request], again)
    assert first != engine.generate([Request("other", request.images, request.prompt)], again)


def test_samples_have_the_probabilities_of_the_model() -> None:
    from vila2.engine.transformers_engine import SeededNoise

    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05])
    noise = SeededNoise([f"k{n}" for n in range(4000)], 0, torch.device("cpu"))
    drawn = noise(None, probabilities.log().expand(4000, -1)).argmax(dim=1)
    shares = torch.bincount(drawn, minlength=4) / 4000
    assert torch.allclose(shares, probabilities, atol=0.025)


def test_the_finish_says_whether_the_model_ended(engine) -> None:
    answers = engine.generate(requests(24), GenerationSettings(20))
    assert {answer.finish for answer in answers} == {"stop", "length"}
    for answer in answers:
        assert (answer.tokens == 20) == (answer.finish == "length") or answer.tokens < 20


def test_the_end_of_a_turn_in_the_chat_template_ends_an_answer(engine) -> None:
    assert {"</s>", "<|end|>"} == set(engine.tokenizer.convert_ids_to_tokens(engine.end_tokens))


def test_the_model_is_left_as_it_was(engine) -> None:
    before, side = engine.model.generation_config, engine.tokenizer.padding_side
    engine.model.train()
    engine.generate(requests(1), WAYS["greedy"])
    assert engine.model.training
    assert engine.model.generation_config is before
    assert engine.tokenizer.padding_side == side
    engine.model.eval()


def test_several_images_are_shown_in_order(engine) -> None:
    one, two = (picture(1), picture(2)), (picture(2), picture(1))
    answers = engine.generate([Request("a", one, "x"), Request("a", two, "x")], WAYS["greedy"])
    assert answers[0].text != answers[1].text


def test_a_broken_image_is_named(engine) -> None:
    with pytest.raises(DataError, match="photo-7"):
        engine.generate([Request("photo-7", (picture(0)[:80],), "Describe.")], WAYS["greedy"])


def test_a_prompt_cannot_smuggle_an_image_in(engine) -> None:
    asked = [Request("k", (picture(0),), prompt) for prompt in ("What is <image>?", "What is < image>?")]
    marked, plain = (engine.generate([one], WAYS["greedy"])[0] for one in asked)
    assert marked == plain, "the mark is read as text"


def test_no_requests_no_answers(engine) -> None:
    assert engine.generate([], WAYS["greedy"]) == []


@given(
    st.sampled_from(["max_new_tokens", "temperature", "top_p", "repetition_penalty"]),
    st.floats(max_value=-0.001, allow_nan=False),
)
@settings(max_examples=20)
def test_settings_outside_their_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(EngineError, match=name):
        GenerationSettings(**{name: value})


def test_a_prompt_that_is_longer_than_the_model_reads_stops_no_other(engine) -> None:
    limit = engine.model.config.get_text_config().max_position_embeddings
    good, long = requests(2), Request("long", (picture(3),), "describe " * limit)
    rows = annotate(engine, [good[0], long, good[1]], GenerationSettings(max_new_tokens=4))
    assert [row.status == "error" for row in rows] == [False, True, False]
    assert "tokens" in rows[1].detail and f"reads {limit} at most" in rows[1].detail
    said = ask_each(engine, [long, good[0]], GenerationSettings(max_new_tokens=4))
    told = [or_empty(answer, "key", about="a benchmark") for answer in said]
    assert told[0].text == "" and told[1].tokens > 0
