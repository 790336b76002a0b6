"""What a dataset itself knows of its images, as evidence in a merge."""

from __future__ import annotations

import logging

from vila2.data.evidence import EVIDENCE_KEY, Evidence
from vila2.data.shards import ShardDataset
from vila2.errors import DataError

log = logging.getLogger("vila2.merge")
_LOOKED_AT = 20  # samples


def known_evidence(dataset: ShardDataset, number: int) -> Evidence | None:
    """The evidence of a sample; None where it carries none, or none that can be read, which is logged."""
    try:
        return Evidence.of(dataset.without_images(number))
    except DataError as error:
        log.warning("not used as evidence: %s", error.what)
        return None


def holds_evidence(dataset: ShardDataset) -> bool:
    """Whether one of the first samples carries evidence."""
    looked_at = range(min(_LOOKED_AT, len(dataset)))
    return any(EVIDENCE_KEY in dataset.without_images(number).meta for number in looked_at)
