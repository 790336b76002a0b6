"""Direct preference optimization (DPO, arXiv 2305.18290) of pairs of answers, with texts beside them.

    margin  = (log p(chosen) - log p0(chosen)) - (log p(rejected) - log p0(rejected))
    pair    = - log sigmoid(beta * margin)  +  better * nll(chosen)
    text    = text * nll(text)                                        nll in nats per token
    loss    = mean over the items of an optimizer step, pairs and texts alike

log p is the log-likelihood of the answer's tokens given the image and the question, and p0 that of the model
that the stage started from. With ``per_token`` each is divided by the number of tokens.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from vila2.model.encoded import IGNORED, MEDIA
from vila2.recipe.parts.stage import PairLossSpec
from vila2.train.pairs_feed import CHOSEN_ROW, REJECTED_ROW, TEXT

_OWN = ("rows_are", "rows_of", "reference", "items")
#: Names of inputs that say of each token whether it is an image's. Models that have them may read an answer
#: otherwise where they are not told that it is trained on.
_MEDIA = frozenset({MEDIA, "token_type_ids"})


@dataclass(frozen=True, slots=True)
class RowLikelihoods:
    """What a model makes of the rows of a batch.

    Attributes:
        total: log-likelihood of each row's counted tokens, [rows], with a graph.
        tokens: number of them, [rows].
    """

    total: torch.Tensor
    tokens: torch.Tensor


class PreferenceObjective:
    """The loss of a batch; see the top of this file.

    Args:
        spec: settings of the loss.
        model: the model itself, not wrapped.
    """

    def __init__(self, spec: PairLossSpec, model: Any) -> None:
        self.spec = spec
        self._cuts = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._seen: torch.Tensor | float = 0.0

    def __call__(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The sum of the losses of a batch's items.

        Args:
            model: model to train, wrapped or not.
            inputs: batch of :class:`vila2.train.pairs_feed.PreferenceCollator`.
        """
        said = self.likelihoods(model, inputs)
        kinds, spec = inputs["rows_are"], self.spec
        chosen, rejected = kinds == CHOSEN_ROW, kinds == REJECTED_ROW
        gain = said.total - inputs["reference"]
        if spec.per_token:
            gain = gain / said.tokens.clamp(min=1)
        margin = gain[chosen] - gain[rejected]
        pairs = -F.logsigmoid(spec.beta * margin)
        loss = pairs.sum()
        if spec.better:
            loss = loss - spec.better * (said.total / said.tokens.clamp(min=1))[chosen].sum()
        self._remember(margin, pairs)
        return loss + spec.text * self._texts(said, inputs)

    def likelihoods(self, model: Any, inputs: Mapping[str, torch.Tensor]) -> RowLikelihoods:
        """The log-likelihoods of the rows of a batch."""
        shown: dict[str, Any] = {
            name: value for name, value in inputs.items() if name not in _OWN and name != "labels"
        }
        following = F.pad(inputs["labels"][:, 1:], (0, 1), value=IGNORED)
        counted = following != IGNORED
        if _MEDIA & shown.keys():
            shown["labels"] = inputs["labels"]
        elif self._cuts and counted.any():
            # Images and questions come first, and their logits are the largest tensors of the step.
            kept = following.shape[1] - int(counted.any(0).nonzero()[0])
            shown["logits_to_keep"], following, counted = kept, following[:, -kept:], counted[:, -kept:]
        logits = model(**shown, use_cache=False).logits
        # The family vila2 gives the counted places alone where it trains with labels.
        logits = logits if logits.dim() == 2 else logits[counted]
        each = -F.cross_entropy(logits.float(), following[counted], reduction="none")
        rows = counted.nonzero()[:, 0]
        total = each.new_zeros(len(counted)).index_add(0, rows, each)
        return RowLikelihoods(total, counted.sum(1))

    def take(self, device: torch.device | str) -> torch.Tensor:
        """Returns [pairs, pairs with a margin above 0, sum of margins, sum of losses] since the last call."""
        seen = torch.as_tensor(self._seen, dtype=torch.float64, device=device).expand(4).clone()
        self._seen = 0.0
        return seen

    def _texts(self, said: RowLikelihoods, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The sum over texts of nats per token, where a text may have several rows."""
        text = (inputs["rows_are"] == TEXT) & (said.tokens > 0)
        places, number = inputs["rows_of"][text], int(inputs["items"]) + 1
        total = said.total.new_zeros(number).index_add(0, places, said.total[text])
        tokens = said.total.new_zeros(number).index_add(0, places, said.tokens[text].to(total.dtype))
        # Rows that count nothing, such as the blank one, stay in the graph: all processes must agree on it.
        return -(total / tokens.clamp(min=1)).sum() + 0.0 * said.total.sum()

    def _remember(self, margin: torch.Tensor, pairs: torch.Tensor) -> None:
        found = margin.detach().double()
        self._seen = self._seen + torch.stack(
            [
                torch.tensor(float(len(found)), dtype=torch.float64, device=found.device),
                (found > 0).double().sum(),
                found.sum(),
                pairs.detach().double().sum(),
            ]
        )
