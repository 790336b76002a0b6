"""Multiple choice: likelihoods of branches are those of each conversation read alone."""

import pytest
import torch

from vila2.data.sample import Sample, assistant
from vila2.errors import DataError
from vila2.evaluate.kinds.choices import log_likelihoods
from vila2.model.assemble import assemble
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import IGNORED
from vila2.sources import open_source


@pytest.fixture(scope="module")
def model_and_encoder():
    model, processor = assemble(
        "builtin:world/vision", "builtin:world/language", vision_feature_layer=-1, seed=0
    )
    return model.eval(), ConversationEncoder(processor)


def alone(model, encoder, sample, choice) -> float:
    turns = (*sample.turns[:-1], assistant(choice))
    encoded = encoder.encode(sample.with_turns(turns), sample.meta["style"])
    ids = torch.tensor([encoded.input_ids])
    with torch.inference_mode():
        logits = model(input_ids=ids, **encoded.inputs).logits[0].log_softmax(-1)
    # Of a conversation with examples the choice and its end are the last tokens that count.
    size = len(encoder._text_tokenizer(choice, add_special_tokens=False)["input_ids"]) + 1
    places = [n for n, label in enumerate(encoded.labels) if label != IGNORED and n > 0][-size:]
    return sum(float(logits[n - 1, encoded.labels[n]]) for n in places)


@pytest.mark.parametrize("content", ["in_context", "text_test"])
def test_a_choice_is_as_likely_as_its_conversation_alone(model_and_encoder, content):
    for sample in open_source("world", path=None, split="test", count=2, content=content):
        expected = [alone(*model_and_encoder, sample, choice) for choice in sample.meta["choices"]]
        assert log_likelihoods(*model_and_encoder, sample) == pytest.approx(expected, abs=1e-3)


def test_one_choice_is_none(model_and_encoder):
    with pytest.raises(DataError, match="1 choices"):
        log_likelihoods(*model_and_encoder, Sample("k", (), (), {"choices": ["only"], "answer": 0}))
