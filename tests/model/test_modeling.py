"""The model: what it reads of the vision tower, what it refuses, and what cannot see what."""

from __future__ import annotations

import pytest
import torch

from tests.model.tiny_models import PATCH, SIZE, TOWERS, checkpoint, language_config, lively, tower_config
from vila2.errors import ModelError
from vila2.model.configuration import Vila2Config
from vila2.model.miniature import MiniatureVisionConfig
from vila2.model.modeling import Vila2ForConditionalGeneration

IMAGE = 98  # the image token
PLACES = [IMAGE] * 4  # of one image: 3 x 3 patches, padded to 4 x 4, are 2 x 2 tokens


def model_of(
    tower: str = "siglip_vision_model", language: str = "qwen2", **settings
) -> Vila2ForConditionalGeneration:
    torch.set_num_threads(1)
    config = Vila2Config(
        vision_config=tower_config(tower),
        text_config=language_config(language),
        image_token_id=IMAGE,
        **settings,
    )
    return lively(Vila2ForConditionalGeneration(config))


def pixels(count: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(count))


def ids(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows)


def test_training_counts_the_same_loss_with_less_output():
    model = model_of()
    text = ids([5, *PLACES, 7, 8, 9, 3], [*PLACES, 11, 12, 4, 0, 0])
    labels = text.clone()
    labels[:, :6] = -100
    labels[1, 7:] = -100
    inputs = {"input_ids": text, "pixel_values": pixels(2), "labels": labels}
    evaluated = model.eval()(**inputs)
    trained = model.train()(**inputs)
    torch.testing.assert_close(trained.loss, evaluated.loss, rtol=1e-5, atol=1e-6)
    assert trained.logits.shape == (4, evaluated.logits.shape[-1]), "one row per token that the loss counts"


@pytest.mark.parametrize("kind", TOWERS)
@pytest.mark.parametrize("layer", [-2, -1, 1])
def test_only_the_patches_are_projected(kind: str, layer: int) -> None:
    model = model_of(kind, vision_feature_layer=layer)
    tower = model.model.vision_tower
    whole = tower(pixel_values=pixels(2), output_hidden_states=True)
    states = whole.last_hidden_state if layer == -1 else whole.hidden_states[layer]
    extra = {"siglip_vision_model": 0, "dinov2_with_registers": 5}.get(kind, 1)  # class and register tokens
    assert states.shape[1] == 9 + extra
    found = model.get_image_features(pixels(2))
    assert torch.equal(found.last_hidden_state, states[:, extra:])
    assert found.pooler_output.shape == (2, 4, 48)


def test_a_tower_of_cells_without_hidden_states() -> None:
    vision = MiniatureVisionConfig(
        image_size=32, hidden_size=40, coordinate_size=8, stem_sizes=(8, 8, 16), blocks=1
    )
    text = language_config("llama")
    config = Vila2Config(
        vision_config=vision, text_config=text, image_token_id=IMAGE, vision_feature_layer=-1
    )
    assert (config.tiling.patches, config.tiling.tokens_per_tile) == ((4, 4), 4)
    model = lively(Vila2ForConditionalGeneration(config))
    assert model(input_ids=ids([1, *PLACES, 5]), pixel_values=torch.randn(1, 3, 32, 32)).logits.shape == (
        1,
        6,
        99,
    )
    with pytest.raises(ModelError, match="set vision_feature_layer to -1"):
        Vila2ForConditionalGeneration(
            Vila2Config(vision_config=vision, text_config=text, image_token_id=IMAGE)
        )


def test_a_layer_that_the_tower_lacks() -> None:
    with pytest.raises(ModelError, match=r"vision_feature_layer=-9.*3 layers"):
        model_of(vision_feature_layer=-9)


def test_the_answer_depends_on_the_image_and_only_behind_it() -> None:
    model = model_of()
    text = ids([1, 7, *PLACES, 5, 6])
    first, second = (model(input_ids=text, pixel_values=image[None]).logits for image in pixels(2))
    assert torch.equal(first[:, :2], second[:, :2])
    assert (first[:, 2:] - second[:, 2:]).abs().amax(-1).min() > 1e-3


def test_images_fill_their_places_in_order() -> None:
    model = model_of()
    images = pixels(3)
    text = ids([1, *PLACES, 5, *PLACES, 6], [1, 7, 8, 9, 5, 4, *PLACES, 6])
    together = model(input_ids=text, pixel_values=images).logits
    for row, own in ((0, images[:2]), (1, images[2:])):
        alone = model(input_ids=text[row : row + 1], pixel_values=own).logits
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-5)


def test_text_alone_is_the_language_model_alone() -> None:
    model = model_of()
    text = ids([1, 7, 8, 9])
    states = model.model.language_model(input_ids=text).last_hidden_state
    assert torch.equal(model(input_ids=text).logits, model.lm_head(states))


@pytest.mark.parametrize(
    ("row", "images", "said"),
    [
        ([1, *PLACES[:-1], 5], 1, "1 images or tiles need 4 image tokens (4 each), but the text has 3"),
        ([1, *PLACES, 5], 2, "2 images or tiles need 8 image tokens (4 each), but the text has 4"),
        ([1, *PLACES, 5], 0, "0 images or tiles need 0 image tokens, but the text has 4"),
        ([1, 7, 5], 1, "1 images or tiles need 4 image tokens (4 each), but the text has 0"),
    ],
)
def test_a_mismatch_of_images_and_places_is_said_in_numbers(row: list[int], images: int, said: str) -> None:
    with pytest.raises(ModelError) as error:
        model_of()(input_ids=ids(row), pixel_values=pixels(images) if images else None)
    assert said in str(error.value)


def test_a_frozen_tower_keeps_no_graph() -> None:
    model = model_of()
    text = ids([1, *PLACES, 5])
    assert model.get_image_features(pixels()).last_hidden_state.requires_grad
    model.model.vision_tower.requires_grad_(False)
    assert not model.get_image_features(pixels()).last_hidden_state.requires_grad
    model(input_ids=text, pixel_values=pixels(), labels=text).loss.backward()
    projector = model.model.multi_modal_projector
    assert all(parameter.grad.abs().sum() > 0 for parameter in projector.parameters())
    assert all(parameter.grad is None for parameter in model.model.vision_tower.parameters())


def test_the_loss_is_the_mean_over_labelled_tokens() -> None:
    model = model_of()
    text = ids([1, *PLACES, 5, 6, 7])
    labels = text.clone()
    labels[:, :6] = -100
    output = model(input_ids=text, pixel_values=pixels(), labels=labels)
    expected = torch.nn.functional.cross_entropy(output.logits[0, 5:7], text[0, 6:])
    torch.testing.assert_close(output.loss, expected)


def test_gradient_checkpointing_changes_no_gradient() -> None:
    text = ids([1, *PLACES, 5, 6, 7])
    gradients = []
    for checkpointing in (False, True):
        model = model_of().train()
        if checkpointing:
            checkpoint(model)
            assert model.model.language_model.gradient_checkpointing
        model(input_ids=text, pixel_values=pixels(), labels=text, use_cache=False).loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-6)


def test_logits_only_where_asked() -> None:
    model = model_of()
    text = ids([1, *PLACES, 5, 6, 7])
    whole = model(input_ids=text, pixel_values=pixels()).logits
    torch.testing.assert_close(
        model(input_ids=text, pixel_values=pixels(), logits_to_keep=2).logits, whole[:, -2:]
    )
    which = torch.tensor([0, 6])
    torch.testing.assert_close(
        model(input_ids=text, pixel_values=pixels(), logits_to_keep=which).logits, whole[:, which]
    )


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", [torch.bool, torch.float32])
@pytest.mark.parametrize("language", ["qwen2", "llama", "gpt_neox"])
def test_isolated_branches_answer_as_if_alone(language: str, kind: torch.dtype, attention: str) -> None:
    model = model_of(language=language)
    model.set_attn_implementation(attention)
    trunk, branches = [1, *PLACES, 5], [[7, 8, 9], [11, 12], [13, 14, 15, 16]]
    row = trunk + [token for branch in branches for token in branch]
    owner = torch.tensor([0] * len(trunk) + [n + 1 for n, branch in enumerate(branches) for _ in branch])
    places = list(range(len(trunk))) + [len(trunk) + n for branch in branches for n in range(len(branch))]
    mask = (owner[:, None] == owner[None]) | (owner == 0)[None]
    mask = (mask & torch.ones(len(row), len(row), dtype=torch.bool).tril())[None, None]
    if kind != torch.bool:
        mask = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    packed = model(
        input_ids=ids(row), pixel_values=pixels(), attention_mask=mask, position_ids=torch.tensor([places])
    ).logits[0]
    for number, branch in enumerate(branches):
        alone = model(input_ids=ids(trunk + branch), pixel_values=pixels()).logits[0, len(trunk) :]
        torch.testing.assert_close(packed[owner == number + 1], alone, rtol=1e-5, atol=1e-5)


def test_an_image_that_is_not_square() -> None:
    model = model_of("dinov2")
    wide = torch.randn(1, 3, 2 * PATCH, 4 * PATCH)
    assert model.get_image_features(wide).pooler_output.shape == (1, 2, 48)
