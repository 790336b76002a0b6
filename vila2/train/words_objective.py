"""Alignment without the language model: image tokens learn to stand for the words of the text.

Each image token is read as a word, through the language model's own token embeddings, and the words of the
text must be found among them. With t_j the projected tokens of an image and e_w the embedding of word w:

    P(w | image) = mean over j of softmax_w(SHARPNESS * t_j . e_w)
    loss         = - sum_w weight(w) log P(w | image) / sum_w weight(w),   w in the text, each once
    weight(w)    = log(texts / texts that have w)

The paper aligns through the language model, on millions of pairs. With a few hundred pairs, the projector
would learn how captions sound long before it learns what an image shows, and a language model trained on top
would learn to ignore image tokens that mean nothing to it. This objective asks only what the image shows,
reaches the projector directly, and costs little more than the vision tower.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch.nn.functional import log_softmax

from vila2.data.sample import Sample, TextPart
from vila2.errors import TrainingError
from vila2.model.configuration import pair
from vila2.model.encoded import IGNORED

#: Makes tokens that are sure of their word about as long as an embedding, as a language model expects its
#: input; with 1.0 they would grow several times as long.
SHARPNESS = 5.0
#: Bytes of vision features that are kept from epoch to epoch.
SEEN_BYTES = 2 << 30


class WordsObjective:
    """The loss of a batch; see the top of this file.

    Args:
        embeddings: embeddings of the language model, [vocabulary, hidden size].
        samples: all samples of the stage; they determine the words and their weights.
        tokenizer: the model's tokenizer.

    Raises:
        TrainingError: no word distinguishes one text from another.
    """

    def __init__(self, embeddings: torch.Tensor, samples: Iterable[Sample], tokenizer: Any) -> None:
        counts: Counter[int] = Counter()
        total = 0
        for sample in samples:
            counts.update(_words(sample, tokenizer))
            total += 1
        known = sorted(word for word, count in counts.items() if count < total)
        if not known:
            raise TrainingError(
                "no word distinguishes one text of the mixture from another",
                hint="give a stage with `objective: words` more and differing texts",
            )
        weights = torch.tensor([counts[word] for word in known]).div(total).log().neg()
        self.weights = torch.zeros(len(embeddings)).index_copy(0, torch.tensor(known), weights)
        self.known = torch.tensor(known)
        self.seen: dict[bytes, torch.Tensor] = {}

    def __call__(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The mean loss over those texts of a batch that have any word that counts.

        Args:
            model: model of the vila2 family, with a frozen vision tower.
            inputs: collated batch of samples with one image each: ``labels`` [B, L] and ``pixel_values``
                [B, 3, height, width].
        """
        tokens = self._image_tokens(model, inputs["pixel_values"]).float()
        if len(tokens) != len(inputs["labels"]):
            raise TrainingError(
                f"{len(tokens)} images in a batch of {len(inputs['labels'])} samples",
                hint="train `objective: words` on samples of one image each",
            )
        embeddings = model.get_input_embeddings().weight.detach()[self.known].float()
        likely = log_softmax(SHARPNESS * tokens @ embeddings.T, dim=-1)  # [B, tokens of an image, words]
        found = likely.logsumexp(1) - math.log(likely.shape[1])
        wanted = self._wanted(inputs["labels"])
        totals = wanted.sum(1)
        losses = -(found * wanted).sum(1)[totals > 0] / totals[totals > 0]
        return losses.sum() / max(1, len(losses))

    def _image_tokens(self, model: Any, pixels: torch.Tensor) -> torch.Tensor:
        """The projected tokens of each image, [B, tokens of an image, hidden size].

        The frozen tower gives the same features in every epoch, so it runs once per image, as far as memory
        allows.
        """
        names = [hashlib.sha256(image.float().cpu().numpy().tobytes()).digest() for image in pixels]
        if all(name in self.seen for name in names):
            features = torch.stack([self.seen[name] for name in names]).to(pixels.device)
            down, across = pair(model.config.vision_config.patch_size)
            rows, columns = pixels.shape[-2] // down, pixels.shape[-1] // across
            return cast(torch.Tensor, model.model.multi_modal_projector(features, rows, columns))
        found = model.get_image_features(pixels)
        for name, features in zip(names, found.last_hidden_state.detach().cpu(), strict=True):
            if (len(self.seen) + 1) * features.nbytes <= SEEN_BYTES:
                self.seen[name] = features.clone()  # not a part of the batch, which would stay with it
        return cast(torch.Tensor, found.pooler_output)

    def _wanted(self, labels: torch.Tensor) -> torch.Tensor:
        """The weight of each known word in each text, 0 where it is not in it: [B, words]."""
        present = torch.zeros(len(labels), len(self.weights), device=labels.device)
        present.scatter_add_(1, labels.clamp(min=0), (labels != IGNORED).float())
        known = self.known.to(labels.device)
        return (present[:, known] > 0) * self.weights.to(labels.device)[known]


def _words(sample: Sample, tokenizer: Any) -> set[int]:
    """The distinct tokens of a sample's trained text, as the encoder makes them."""
    spoken = [part for turn in sample.turns if turn.trained for part in turn.parts]
    texts = [part.text for part in spoken if isinstance(part, TextPart)]
    if not texts:
        return set()
    return set().union(*tokenizer(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"])
