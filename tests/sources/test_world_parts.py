"""The shipped parts of the miniature world load as Hugging Face models and use the project's formats."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.image_processing_auto import AutoImageProcessor

import vila2.model.miniature  # noqa: F401 - registers the tower
from vila2.sources.world import (
    KINDS,
    PARTS,
    detailed_caption,
    generator,
    questions,
    render,
    sample_scene,
)
from vila2.sources.world.vocabulary import COLOURS, SHAPES, SIGN_WORDS, SIZES

PROMPT = "Describe the image in details."


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(PARTS / "language")


@pytest.fixture(scope="module")
def tower():
    return AutoModel.from_pretrained(PARTS / "vision")


def test_the_parts_are_small_and_hold_no_pickle():
    files = [path for path in Path(PARTS).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8 * 2**20
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".jinja", ".md"}


def test_the_tower_gives_a_grid_of_cells_that_depends_on_the_image(tower):
    image = render(sample_scene("test", 0, 0))
    pixels = AutoImageProcessor.from_pretrained(PARTS / "vision")(images=image, return_tensors="pt")[
        "pixel_values"
    ]
    expected = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1
    assert np.abs(pixels[0].numpy() - expected).max() < 1e-5
    with torch.no_grad():
        hidden = tower(pixels).last_hidden_state
        blank = tower(torch.zeros_like(pixels)).last_hidden_state
    side = tower.config.image_size // tower.config.patch_size
    assert hidden.shape == (1, side * side, tower.config.hidden_size) and hidden.dtype == torch.float32
    assert not torch.allclose(hidden, blank)


def test_training_mode_does_not_move_the_towers_statistics(tower):
    pixels = torch.rand(4, 3, 96, 96)
    with torch.no_grad():
        before = tower.eval()(pixels).last_hidden_state
        tower.train()(pixels)
        assert torch.equal(tower.eval()(pixels).last_hidden_state, before)


def test_the_tower_survives_saving(tower, tmp_path):
    tower.save_pretrained(tmp_path)
    pixels = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        again = AutoModel.from_pretrained(tmp_path)(pixels).last_hidden_state
        assert torch.equal(again, tower.eval()(pixels).last_hidden_state)


def test_the_tokenizer_knows_the_world_and_spells_the_rest(tokenizer):
    for word in SIGN_WORDS:
        assert len(tokenizer.tokenize(word)) == len(word)
    for index in range(40):
        scene, rng = sample_scene("sft", 9, index), generator("tokens", index)
        texts = [detailed_caption(scene, rng, words=0)]
        texts += [one.question for one in questions(scene, rng, set(KINDS) - {"reading"})]
        for text in texts:
            tokens = tokenizer.tokenize(text)
            assert not any(token.startswith("##") for token in tokens), text
    assert tokenizer.unk_token not in tokenizer.tokenize("Zürich, 1999: a photograph of [0.25,0.5]!")
    assert tokenizer.decode(tokenizer.encode("Unseen words survive.")) == "unseen words survive."


def test_the_chat_template_renders_text_and_images(tokenizer):
    question = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": PROMPT}]}
    answer = {"role": "assistant", "content": "a red cube."}
    text = tokenizer.apply_chat_template([question, answer], tokenize=False)
    assert text == f"<|user|><image>{PROMPT}<|end|><|assistant|>a red cube.<|end|>"
    asked = tokenizer.apply_chat_template([question], tokenize=False, add_generation_prompt=True)
    assert asked == f"<|user|><image>{PROMPT}<|end|><|assistant|>"
    names = ("<pad>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<image>")
    assert len(set(tokenizer.convert_tokens_to_ids(list(names)))) == len(names)


def test_the_language_model_speaks_of_the_world(tokenizer):
    model = AutoModelForCausalLM.from_pretrained(PARTS / "language").eval()
    assert model.config.eos_token_id == tokenizer.eos_token_id and model.dtype == torch.float32
    told = tokenizer("there is a small red", return_tensors="pt")
    with torch.no_grad():
        after_colour = tokenizer.decode(model(**told).logits[0, -1].argmax())
    assert after_colour in ("cube", "ball", "cylinder", "cone", "diamond")


def test_letters_are_as_far_apart_as_other_words(tokenizer):
    """Spelling could not be learned from letters that share nearly one vector."""
    vectors = AutoModelForCausalLM.from_pretrained(PARTS / "language").get_input_embeddings().weight

    def distance(words):
        found = vectors[tokenizer.convert_tokens_to_ids(list(words))].detach()
        return torch.pdist(found).mean()

    seen = distance([*SHAPES, *COLOURS, *SIZES])
    letters = "abcdefghijklmnopqrstuvwxyz"
    assert distance(letters) > 0.9 * seen and distance(f"##{letter}" for letter in letters) > 0.9 * seen


def test_the_language_part_reads_images_row_by_row(monkeypatch, tokenizer):
    """It was told of images in this order, and is lost when their rows and columns are exchanged."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples/miniature"))
    from language_part import TOLD_IMAGE, ToldImage, exam
    from safetensors.torch import load_model

    class Transposed(ToldImage):
        def forward(self, cells, embedding):
            return super().forward(cells, embedding).unflatten(1, (6, 6)).transpose(1, 2).flatten(1, 2)

    model = AutoModelForCausalLM.from_pretrained(PARTS / "language")
    scores = []
    for kind in (ToldImage, Transposed):
        told = kind(tokenizer, model.config.hidden_size)
        load_model(told, PARTS / "language" / TOLD_IMAGE)
        scores.append(exam(model, told, tokenizer, 80))
    rows, columns = scores
    assert rows["closest"] > columns["closest"] + 0.15 and rows["count"] > 0.9 > columns["count"]
