"""The original text of a dataset, read as if it were a layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vila2.data.annotations import Annotation, LayerStatistics, Status, summarize
from vila2.data.sample import Turn
from vila2.data.shards import ShardDataset


class OriginalLayer:
    """The original text of a dataset, read as a layer: an annotation for each answer of the assistant.

    A sample without an answer has one annotation, with status "empty".

    Args:
        dataset: dataset whose text is read.
    """

    name = "original"

    def __init__(self, dataset: ShardDataset) -> None:
        self.digest = dataset.digest
        self.info: dict[str, Any] = {}
        self._dataset = dataset

    def get(self, key: str) -> tuple[Annotation, ...]:
        """Gives the answers in a sample.

        Raises:
            DataError: the dataset has no such sample.
        """
        return original_annotations(key, self._dataset[self._dataset.find(key)].turns)

    def shard(self, shard_no: int) -> Mapping[str, tuple[Annotation, ...]]:
        """Gives the answers in one shard's samples, by key."""
        return {
            sample.key: original_annotations(sample.key, sample.turns)
            for sample in self._dataset.iterate(shard_no)
        }

    def rows(self) -> Iterator[Annotation]:
        """Gives all answers, in the order of the dataset."""
        for sample in self._dataset:
            yield from original_annotations(sample.key, sample.turns)

    def statistics(self) -> LayerStatistics:
        """Counts the answers and their words."""
        return summarize(self.rows())


def original_layer(dataset: ShardDataset) -> OriginalLayer:
    """Reads the original text of a dataset as a layer."""
    return OriginalLayer(dataset)


def original_annotations(key: str, turns: Iterable[Turn]) -> tuple[Annotation, ...]:
    """Makes annotations of the assistant's turns; the user's turn before each is its prompt."""
    annotations, prompt = [], ""
    for turn in turns:
        if turn.role == "user":
            prompt = turn.text.strip()
        elif turn.role == "assistant":
            status: Status = "ok" if turn.text.strip() else "empty"
            annotations.append(Annotation(key, prompt, turn.text, status))
            prompt = ""
    return tuple(annotations) or (Annotation(key, prompt, "", "empty", "the sample has no original text"),)
