"""Pictures seen before: the same features without looking again, and only while the tower rests."""

from __future__ import annotations

import pytest
import torch

from tests.model.test_modeling import model_of, pixels
from vila2.model.seen_before import SeenBefore, remember_pictures


class Eye:
    """Counts the pictures that it is shown."""

    def __init__(self) -> None:
        self.shown = 0

    def __call__(self, pixel_values: torch.Tensor) -> torch.Tensor:
        self.shown += len(pixel_values)
        return pixel_values.flatten(2).transpose(1, 2)


def test_pictures_come_back_in_any_order_and_company():
    eye, memory = Eye(), SeenBefore()
    pictures = pixels(5)
    first = memory(pictures[:3], eye)
    again = memory(pictures[[4, 2, 3, 2]], eye)
    assert torch.equal(again, eye(pictures[[4, 2, 3, 2]])) and torch.equal(first[2], again[1])
    assert eye.shown == 3 + 2 + 4, "of the second batch two were new"


def test_one_new_picture_is_never_looked_at_alone():
    seen = []
    SeenBefore()(pixels(1), lambda given: (seen.append(len(given)), Eye()(given))[1])
    assert seen == [2], "kernels round one picture otherwise than two"


def test_what_no_longer_fits_is_looked_at_each_time():
    eye, pictures = Eye(), pixels(4)
    one = pictures[0].nbytes
    memory = SeenBefore(limit=2 * one)
    assert torch.equal(memory(pictures, eye), memory(pictures, eye))
    assert eye.shown == 4 + 2 and memory.bytes == 2 * one


@pytest.fixture
def looks(monkeypatch):
    """How often the model's vision tower is asked."""
    model, asked = model_of().eval(), []
    tower = type(model.model.vision_tower)
    forward = tower.forward
    monkeypatch.setattr(tower, "forward", lambda self, *a, **k: (asked.append(1), forward(self, *a, **k))[1])
    return model, asked


def test_a_resting_tower_looks_once(looks):
    model, asked = looks
    plain = model.get_image_features(pixels(3)).pooler_output
    remember_pictures(model)
    model.model.vision_tower.requires_grad_(False)
    first, again = (model.get_image_features(pixels(3)).pooler_output for _ in range(2))
    assert torch.equal(first, plain) and torch.equal(again, plain)
    assert len(asked) == 2, "once without memory, once with"
    assert again.requires_grad, "the projector still learns"


def test_a_learning_tower_looks_every_time(looks):
    model, asked = looks
    remember_pictures(model)
    model.train()
    for _ in range(2):
        model.get_image_features(pixels(2)).pooler_output.sum().backward()
    assert len(asked) == 2
    assert all(p.grad is not None for p in model.model.vision_tower.embeddings.parameters())


def test_another_tower_remembers_nothing_of_this_one(looks):
    model, asked = looks
    with torch.no_grad():
        remember_pictures(model)
        before = model.get_image_features(pixels(2)).pooler_output
        next(model.model.vision_tower.parameters()).add_(0.5)
        remember_pictures(model)
        assert not torch.equal(model.get_image_features(pixels(2)).pooler_output, before)
    assert len(asked) == 2


def test_what_was_seen_while_asking_can_be_learned_from(looks):
    model, _ = looks
    remember_pictures(model)
    with torch.inference_mode():
        model.get_image_features(pixels(2))
    model.model.vision_tower.requires_grad_(False)
    model.get_image_features(pixels(2)).pooler_output.sum().backward()
    assert all(p.grad is not None for p in model.model.multi_modal_projector.parameters())


def test_half_precision_is_remembered_as_well(looks):
    model, asked = looks
    model.bfloat16().requires_grad_(False)
    remember_pictures(model)
    first, again = (model.get_image_features(pixels(2).bfloat16()).pooler_output for _ in range(2))
    assert torch.equal(first, again) and len(asked) == 1


def test_a_model_that_moves_off_the_cpu_looks_every_time(looks):
    model, asked = looks
    remember_pictures(model)  # a stage is loaded on the CPU, and its trainer may move it
    model.to("meta").requires_grad_(False)
    for _ in range(2):
        model.get_image_features(pixels(2).to("meta"))
    assert len(asked) == 2
