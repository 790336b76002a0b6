"""A check that the host takes what a builder or a source gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vila2.data.importing import write_dataset
from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.errors import DataError
from vila2.testing.said_checks import advice


def check_written(items: Sequence[Sample | Reject], folder: Path) -> None:
    """Writes samples as a dataset.

    Raises:
        AssertionError: There is no sample, or the host refuses one.
    """
    assert any(isinstance(item, Sample) for item in items), (
        f"of {len(items)} inputs none became a sample: {items[:3]}"
    )
    own = {item.reason for item in items if isinstance(item, Reject)}
    told = ""
    try:
        info = write_dataset(folder, iter(items), name=folder.name)
        if set(info.rejected) - own:
            told = (folder / "rejected.jsonl").read_text(encoding="utf-8")
    except DataError as error:
        told = str(error)
    assert not told, f"the host refuses samples: {told[:500]}{advice(told)}"
