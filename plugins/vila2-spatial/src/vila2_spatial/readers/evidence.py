"""Any other data that vila2 reads as evidence.

The rows hold 3D boxes in the fields of Omni3D, or evidence of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from vila2.plugin import Evidence, Reject, Sample, open_evidence

from vila2_spatial.readers.frames import domain_of_dataset, plain_label

_ROWS = (".json", ".jsonl", ".ndjson", ".parquet")


class UserEvidence:
    """A file or folder for :func:`vila2.open_evidence`, read as one piece."""

    takes_images: ClassVar[bool] = True

    def __init__(self, path: Path, images: Path | None = None) -> None:
        self.path = path
        self.images = images

    @staticmethod
    def fits(path: Path) -> bool:
        return path.suffix in _ROWS or (
            path.is_dir() and any(file.suffix in _ROWS for file in path.iterdir())
        )

    def pieces(self) -> Sequence[str]:
        return ["all"]

    def scenes(self, piece: str) -> Iterator[Sample | Reject]:
        for sample in open_evidence(self.path, self.images):
            yield sample if isinstance(sample, Reject) else _prepared(sample)


def _prepared(sample: Sample) -> Sample:
    """The sample with labels as words, and only the ``meta`` that stays true when its image is mirrored."""
    evidence = Evidence.of(sample)
    meta = {name: sample.meta[name] for name in ("dataset", "image", "domain") if name in sample.meta}
    if "dataset" in meta and (domain := domain_of_dataset(str(meta["dataset"]))):
        meta.setdefault("domain", domain)
    if evidence is not None:
        objects = [one.model_copy(update={"label": plain_label(one.label)}) for one in evidence.objects]
        meta |= evidence.model_copy(update={"objects": tuple(objects)}).to_meta()
    return replace(sample, turns=(), meta=meta)
