"""The trainer's datasets: a mixture's samples, encoded when they are read, one by one or in packs."""

from __future__ import annotations

from collections.abc import Sequence

from torch.utils.data import Dataset

from vila2.data.mixtures import Mixture
from vila2.data.sample import Sample
from vila2.errors import DataError, ModelError, TrainingError
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import Encoded
from vila2.model.pieces import Style
from vila2.packing.plan import Packs


class EncodedMixture(Dataset[Encoded]):
    """Map-style dataset: sample i of the mixture, as token ids, labels and image tensors.

    Raises:
        TrainingError: a sample that could be trained on when it was measured, and cannot any more.
    """

    def __init__(
        self, mixture: Mixture | Sequence[Sample], encoder: ConversationEncoder, style: Style
    ) -> None:
        self.mixture = mixture
        self.encoder = encoder
        self.style: Style = style

    def __len__(self) -> int:
        return len(self.mixture)

    def __getitem__(self, index: int) -> Encoded:
        return encoded_as_measured(self.encoder, self.mixture[index], self.style)


def encoded_as_measured(encoder: ConversationEncoder, sample: Sample, style: Style) -> Encoded:
    """Encodes a sample that could be trained on when it was measured.

    Raises:
        TrainingError: it cannot be trained on any more.
    """
    try:
        return encoder.encode(sample, style)
    except (DataError, ModelError) as error:
        raise TrainingError(
            f"{error.what}; when the stage began this was not so",
            hint="the dataset or a layer was changed while the stage ran: check it with "
            "`vila2 data verify`, remove the stage's folder and give the same command again",
        ) from error


class PackedMixture(Dataset[list[Encoded]]):
    """Map-style dataset: the encoded samples of pack i.

    Raises:
        TrainingError: a sample is not as long as it was when the packs were planned.
    """

    def __init__(self, samples: EncodedMixture, packs: Packs) -> None:
        self.samples = samples
        self.packs = packs

    def __len__(self) -> int:
        return len(self.packs)

    def __getitem__(self, index: int) -> list[Encoded]:
        return [self._sample(number) for number in self.packs[index]]

    def _sample(self, number: int) -> Encoded:
        encoded = self.samples[number]
        if len(encoded.input_ids) != self.packs.tokens[number]:
            raise TrainingError(
                f"sample {self.samples.mixture[number].key!r} has {len(encoded.input_ids)} tokens, and had "
                f"{self.packs.tokens[number]} when the packs were planned",
                hint="the dataset or a layer was changed while the stage ran: remove the stage's folder",
            )
        return encoded
