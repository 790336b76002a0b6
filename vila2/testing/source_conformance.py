"""The checks that every source passes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.plugin.discovery import Kind
from vila2.sources import open_source
from vila2.testing.installed import InstalledConformance
from vila2.testing.written_checks import check_written


class SourceConformance(InstalledConformance):
    """Base of a source's test class. The class gives the source's ``name`` and a fixture ``options``.

        class TestTable(SourceConformance):
            name = "table"

            @pytest.fixture
            def options(self, tmp_path):
                ...  # write a small file
                return {"path": tmp_path / "table.tsv"}

    The data should hold a few inputs that are right and, if there can be such, one that is not.
    """

    brings: ClassVar[Kind] = "source"

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        """Options with which the source reads a small set of data."""
        pytest.fail("override the fixture `options`: return {'path': PATH} of some small data")

    @pytest.fixture
    def items(self, options: Mapping[str, Any]) -> list[Sample | Reject]:
        """Everything that the source reads."""
        return list(open_source(self.name, **options))

    def test_it_gives_samples_that_can_be_written(self, items: list[Sample | Reject], tmp_path: Path) -> None:
        check_written(items, tmp_path / "written")

    def test_keys_are_unique(self, items: list[Sample | Reject]) -> None:
        keys = [item.key for item in items if isinstance(item, Sample)]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"several samples have the key {sorted(twice)[0]!r}: make keys of the input's place"

    def test_it_reads_the_same_again(self, items: list[Sample | Reject], options: Mapping[str, Any]) -> None:
        assert list(open_source(self.name, **options)) == items, (
            "read again, the data give something else: depend on neither chance, time nor the order of a set"
        )

    def test_start_and_count_cut_the_data_into_pieces(
        self, items: list[Sample | Reject], options: Mapping[str, Any]
    ) -> None:
        first = list(open_source(self.name, **options, start=0, count=1))
        rest = list(open_source(self.name, **options, start=1))
        assert first and first + rest == items, (
            f"count=1 gives {len(first)} items and start=1 gives {len(rest)}, which together are not the "
            f"{len(items)} of the whole: leave out `start` inputs and read at most `count`, keys unchanged"
        )
