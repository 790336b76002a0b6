"""Does a caption fit its own image: by the model's own likelihood, and by CLIP-like models from a folder."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPProcessor,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
    SiglipProcessor,
)

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.errors import DataError, ModelError
from vila2.evaluate.kinds.choices import log_likelihoods
from vila2.evaluate.kinds.image_text import OwnLikelihood, contrast
from vila2.evaluate.measures.dual_encoder import DualEncoder
from vila2.model.assemble import assemble
from vila2.model.conversation import ConversationEncoder
from vila2.sources import open_source

SCENES = list(open_source("world", split="test", count=7, content="test", questions=1))
TEXTS = [sample.turns[-1].text for sample in SCENES]


def task(total):
    return nullcontext(SimpleNamespace(advance=lambda number: None))


class Told:
    """A scorer whose scores are given: images and texts are numbers."""

    unit = "cosine"

    def __init__(self, scores):
        self.scores = np.asarray(scores)

    def score(self, images, texts):
        return self.scores[np.ix_([int(image) for image in images], [int(text) for text in texts])]


def numbered(count):
    return [Sample(str(n), (str(n).encode(),)) for n in range(count)], [str(n) for n in range(count)]


def test_every_text_meets_its_own_image_and_others():
    samples, texts = numbered(11)
    seeing = contrast(Told(np.eye(11)), samples, texts, task)
    blind = contrast(Told(np.ones((11, 11))), samples, texts, task)
    wrong = contrast(Told(1 - np.eye(11)), samples, texts, task)
    assert [found["own image preferred"].value for found in (seeing, blind, wrong)] == [1, 0.5, 0]
    assert [found["gain of the own image"].value for found in (seeing, blind, wrong)] == [1, 0, -1]
    assert seeing["own image preferred"].keys == [sample.key for sample in samples]


def test_a_text_that_fits_all_images_alike_is_no_credit_and_one_image_no_contest():
    samples, texts = numbered(2)
    # Column by column: text 0 fits both images, text 1 its own better.
    found = contrast(Told([[0.9, 0.1], [0.9, 0.2]]), samples, texts, task)
    assert found["own image preferred"].numerators == [0.5, 1]
    with pytest.raises(DataError, match="no other"):
        contrast(Told([[1]]), samples[:1], texts[:1], task)


def test_own_likelihood_is_that_of_the_caption_as_the_answer():
    model, processor = assemble(
        "builtin:world/vision", "builtin:world/language", vision_feature_layer=-1, seed=0
    )
    scorer = OwnLikelihood(model.eval(), processor, "Describe it.")
    images = [sample.images[0] for sample in SCENES[:3]]
    scores = scorer.score(images, TEXTS[:3])
    turns = (user(ImagePart(), "Describe it."), assistant(TEXTS[2]))
    alone = Sample("k", (images[1],), turns, {"choices": [TEXTS[2], "a dog"]})
    assert scores.shape == (3, 3)
    assert scores[1, 2] == pytest.approx(
        log_likelihoods(model, ConversationEncoder(processor), alone)[0], abs=1e-3
    )
    found = contrast(scorer, SCENES, TEXTS, task)
    assert 0 <= found["own image preferred"].value <= 1
    assert found["gain of the own image, nats per word"].denominators == [len(text.split()) for text in TEXTS]


def tokenizer():
    words = sorted({word for text in TEXTS for word in text.lower().replace(".", " .").split()})
    vocabulary = {word: n for n, word in enumerate(["<pad>", "<eos>", "<unk>", *words])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    plain.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", model_max_length=16
    )


def save_scorer(folder, family):
    torch.manual_seed(0)
    tokens = tokenizer()
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    special = {"eos_token_id": 1, "bos_token_id": 1, "pad_token_id": 0}
    text = sizes | special | {"vocab_size": len(tokens), "max_position_embeddings": 16, "projection_size": 16}
    vision = sizes | {"image_size": 32, "patch_size": 16}
    if family == "clip":
        from transformers import CLIPImageProcessorPil as Images

        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
        processor = CLIPProcessor(
            Images(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}), tokens
        )
    else:
        from transformers import SiglipImageProcessorPil as Images

        model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
        processor = SiglipProcessor(Images(size={"height": 32, "width": 32}), tokens)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_two_encoders_from_a_folder_score_every_image_with_every_text(tmp_path, family):
    save_scorer(tmp_path, family)
    scorer = DualEncoder(tmp_path)
    images = [sample.images[0] for sample in SCENES[:3]]
    scores = scorer.score(images, TEXTS[:4])
    assert scores.shape == (3, 4)
    assert (np.abs(scores) <= 1 + 1e-5).all()
    assert scorer.score(images[1:2], TEXTS[2:3])[0, 0] == pytest.approx(scores[1, 2], abs=1e-5)
    assert len(np.unique(scores.round(6))) > 4  # images and texts both matter
    assert scorer.is_cut(TEXTS[0] * 5) and not scorer.is_cut("red cube")
    found = contrast(scorer, SCENES, TEXTS, task)
    assert set(found) == {"own image preferred", "gain of the own image", "cosine of image and caption"}


def test_a_folder_that_is_no_scorer_is_named(tmp_path):
    with pytest.raises(ModelError, match="no image-text scorer here"):
        DualEncoder(tmp_path)
    save_scorer(tmp_path, "clip")
    for file in tmp_path.glob("*.safetensors"):
        file.rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        DualEncoder(tmp_path)
