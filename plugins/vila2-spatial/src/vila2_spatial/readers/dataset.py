"""Samples that already carry evidence: a vila2 data set, such as that of the miniature world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from vila2.plugin import EVIDENCE_KEY, Reject, Sample, ShardDataset

from vila2_spatial.readers.keyed import KeyedReader


class Dataset(KeyedReader):
    """A data set folder or tars with ``meta["evidence"]``; its turns are left out."""

    @staticmethod
    def fits(path: Path) -> bool:
        if path.is_file():
            return path.suffix == ".tar"
        return (path / "dataset.json").is_file() or any(path.glob("*.tar"))

    @cached_property
    def _dataset(self) -> ShardDataset:
        return ShardDataset.open(self.path)

    def keys(self) -> Sequence[str]:
        return [str(number) for number in range(len(self._dataset))]

    def place(self, key: str) -> str:
        return f"{self.path}: {self._dataset[int(key)].key}"

    def scene(self, key: str) -> Sample | Reject:
        sample = self._dataset[int(key)]
        if len(sample.images) != 1:
            return Reject(str(self.path), sample.key, "not-one-image", f"{len(sample.images)} images")
        # Only values that stay true when this plugin mirrors an image.
        known = {name: sample.meta[name] for name in (EVIDENCE_KEY, "image", "domain") if name in sample.meta}
        return replace(sample, turns=(), meta={"dataset": self._dataset.name, "image": sample.key} | known)
