"""Questions about one image as branches of a tree, against a sample for each question.

Both sides train on packs, turn about, and see the same answers: the losses are equal. So the difference is
the image, which a tree reads once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks.decode import made_photo
from tests.benchmarks.harness import Comparison, rates
from tests.benchmarks.training_data import letters, save_small_model
from vila2.data.branches import take_apart
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import IGNORED, Encoded
from vila2.model.generalist import load_generalist
from vila2.packing.collate import PackCollator
from vila2.packing.plan import plan_packs
from vila2.packing.trial import isolate

_IMAGES, _QUESTIONS, _ASKED, _ANSWERED, _LENGTH = 8, 4, 30, 120, 4096
_CAUSE = (
    "the texts of the branches take as long either way; answers of fewer tokens, or larger images, gain more"
)


def compare() -> Iterator[Comparison]:
    """Measures four questions on each image, with 150 tokens for a question and its answer."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        loaded = load_generalist(save_small_model(Path(name)) / "model", dtype="float32", device="cpu")
    model: Any = loaded.model.train()
    model.model.vision_tower.requires_grad_(False)
    encoder = ConversationEncoder(loaded.processor, max_length=_LENGTH)
    trees = [_tree(number) for number in range(_IMAGES)]
    branches = [encoder.encode(tree, "plain") for tree in trees]
    apart = [encoder.encode(one, "plain") for tree in trees for one in take_apart(tree)]
    counted = _counted(branches)
    assert counted == _counted(apart) and len(apart) == _QUESTIONS * _IMAGES
    collate = PackCollator(isolate(model, max_length=_LENGTH, device=torch.device("cpu")))

    def trained(samples: Sequence[Encoded]) -> float:
        """The sum of the losses of all tokens, after both passes."""
        lengths = [len(one.input_ids) for one in samples]
        packs = plan_packs(lengths, [0] * len(lengths), capacity=_LENGTH)
        total = 0.0
        for number in range(len(packs)):
            chosen = [samples[place] for place in packs[number]]
            loss = model(**collate([chosen]), use_cache=False).loss
            loss.backward()
            total += loss.item() * _counted(chosen)
        model.zero_grad()
        return total

    losses = trained(branches), trained(apart)
    assert abs(losses[0] / losses[1] - 1) < 1e-4, losses

    def measured(samples: Sequence[Encoded]) -> int:
        trained(samples)
        return _QUESTIONS * _IMAGES

    mine, peer = rates(lambda: measured(branches), lambda: measured(apart), repeats=2)
    yield Comparison(
        f"tree: {_QUESTIONS} questions on an image", mine, peer, "answers/s", 1.7, "a sample each", _CAUSE
    )


def _tree(number: int) -> Sample:
    dice = np.random.default_rng(number)
    turns = [user(ImagePart())]
    for branch in range(1, _QUESTIONS + 1):
        turns += [
            user(letters(dice, _ASKED), branch=branch),
            assistant(letters(dice, _ANSWERED), branch=branch),
        ]
    return Sample(f"{number:06d}", (made_photo(number),), tuple(turns))


def _counted(samples: Sequence[Encoded]) -> int:
    """Number of tokens that the loss counts."""
    return sum(label != IGNORED for one in samples for label in one.labels)
