"""The checks that every tool passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from vila2.data.annotations import Annotation
from vila2.data.coordinates import CoordinateScheme
from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset
from vila2.plugin.contract import Parsed, Said
from vila2.plugin.references import load_reference
from vila2.specialist.tool_annotating import ToolInUse, annotation_of
from vila2.testing.installed import InstalledConformance
from vila2.testing.said_checks import advice, check_parsed, check_spans, check_verifier


class ToolConformance(InstalledConformance):
    """Base of a tool's test class. The class gives the tool's ``name``.

        class TestReader(ToolConformance):
            name = "reader"

    Attributes:
        settings: Settings of the tool that differ from their defaults.
        most: Number of images that it is shown.
    """

    settings: ClassVar[Mapping[str, Any]] = {}
    most: ClassVar[int] = 8

    @pytest.fixture
    def data(self, vila2_world: Path) -> Path:
        """A dataset of images that the tool has something to say about; override it for other images."""
        return vila2_world

    @pytest.fixture
    def samples(self, data: Path) -> list[Sample]:
        """The first images of the dataset."""
        dataset = ShardDataset.open(data)
        return [dataset[number] for number in range(min(self.most, len(dataset)))]

    @pytest.fixture
    def tool(self) -> ToolInUse:
        """The tool with its settings, as ``vila2 annotate`` finds it."""
        return ToolInUse.find(self.name, self.settings)

    @pytest.fixture
    def rows(self, tool: ToolInUse, samples: list[Sample]) -> list[Annotation]:
        """What it says of each image."""
        return _annotated(tool, samples)

    def test_it_says_of_every_image_what_the_contract_allows(
        self, tool: ToolInUse, samples: list[Sample], rows: list[Annotation]
    ) -> None:
        for sample, row in zip(samples, rows, strict=True):
            assert row.status != "error", f"{row.detail}{advice(row.detail)}"
            said = Said(row.key, row.prompt, row.text, ())
            parsed = Parsed(row.turns or (), row.claims, row.status, row.detail)
            check_parsed(parsed, said, len(sample.images))
            check_spans(row.claims, said, CoordinateScheme())

    def test_it_finds_something(self, tool: ToolInUse, rows: list[Annotation]) -> None:
        assert any(row.claims for row in rows), (
            f"of {len(rows)} images it claims nothing: claim something of {', '.join(tool.tool.claims)}, or "
            "override the fixture `data` with images that it has something to say about"
        )

    def test_it_says_the_same_again(
        self, tool: ToolInUse, samples: list[Sample], rows: list[Annotation]
    ) -> None:
        again = _annotated(tool, samples[::-1])[::-1]
        other = [one.key for one, two in zip(rows, again, strict=True) if one != two]
        assert not other, (
            f"opened again and asked in another order, it says something else of {', '.join(other)}: let an "
            "answer depend on the image and the settings alone, since a job that resumes keeps half of each"
        )

    def test_a_damaged_image_harms_no_other(
        self, tool: ToolInUse, samples: list[Sample], rows: list[Annotation]
    ) -> None:
        damaged = replace(samples[0], images=(samples[0].images[0][:100],))
        after = _annotated(tool, [damaged, samples[0]])[1]
        assert after == rows[0], (
            f"after a damaged image it says something else of {after.key}: {after.detail or after.text!r}; "
            "keep nothing of one image for the next"
        )

    def test_its_verifier_gives_every_claim_back(
        self, tool: ToolInUse, samples: list[Sample], rows: list[Annotation]
    ) -> None:
        if tool.tool.verifier is not None:
            of = f"{tool.plugin}, verifier"
            claimed = [(sample, row.claims) for sample, row in zip(samples, rows, strict=True)]
            check_verifier(load_reference(tool.tool.verifier, of=of), claimed, of=of)

    def modules(self) -> set[str]:
        """The packages that hold the plugin and what it refers to."""
        annotate = ToolInUse.find(self.name, self.settings).tool.annotate
        return {*super().modules(), annotate.partition(":")[0].split(".")[0]}


def _annotated(tool: ToolInUse, samples: list[Sample]) -> list[Annotation]:
    annotator = tool.open()
    return [annotation_of(annotator, tool, sample) for sample in samples]
