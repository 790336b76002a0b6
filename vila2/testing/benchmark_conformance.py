"""The checks that every benchmark passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from vila2.data.coordinates import CoordinateScheme
from vila2.data.exchanges import exchanges_of
from vila2.data.sample import ImagePart, Sample, TextPart
from vila2.data.shards import ShardDataset
from vila2.evaluate.held_out import score_asked
from vila2.evaluate.measures.items import Items
from vila2.plugin.contract import Asked, Said
from vila2.plugin.discovery import Kind
from vila2.plugin.host import Host
from vila2.testing.installed import InstalledConformance
from vila2.testing.sample_answers import generated_answers


class BenchmarkConformance(InstalledConformance):
    """Base of a benchmark's test class. The class gives the benchmark's ``name``.

    class TestBrevity(BenchmarkConformance):
        name = "brevity"
    """

    brings: ClassVar[Kind] = "benchmark"

    @pytest.fixture
    def data(self, vila2_questions: Path) -> Path:
        """A dataset of questions with answers that the benchmark can score; override it for others."""
        return vila2_questions

    @pytest.fixture
    def samples(self, data: Path) -> list[Sample]:
        """Samples with the questions."""
        dataset = ShardDataset.open(data)
        found = [dataset[number] for number in range(len(dataset))]
        assert answered(found), "no question has an answer: override the fixture `data` with others"
        return found

    @pytest.fixture
    def score(self) -> Callable[[Sequence[Asked]], dict[str, Items]]:
        """The benchmark's function, whose items are checked as in a run."""
        brought = self.brought()
        function = Host().load_function(brought)
        return lambda asked: score_asked(function, asked, of=str(brought))

    def test_items_are_sound_whatever_is_said(self, samples: list[Sample], score: Any) -> None:
        right = [one.reference.text for one in answered(samples)]
        said = list(generated_answers(right, 200))
        for first in range(0, len(said), len(right)):
            score(answered(samples, said[first : first + len(right)]))
        score(answered(samples, [""] * len(right)))

    def test_it_tells_right_answers_from_none(self, samples: list[Sample], score: Any) -> None:
        right, silent = answered(samples), answered(samples, [""] * len(answered(samples)))
        best, worst = score(right), score(silent)
        assert set(best) == set(worst), (
            f"the measures are {sorted(best)}, then {sorted(worst)}: give every measure whatever is said, "
            "with a denominator of 0 where it has nothing to count"
        )
        assert any((best[name].value or 0.0) != (worst[name].value or 0.0) for name in best), (
            f"{', '.join(best)}: the same for right answers and for none; score `said` against `reference`"
        )
        for name, items in best.items():
            better = (items.value or 0.0) - (worst[name].value or 0.0)
            assert items.higher_is_better is None or (better >= 0) is items.higher_is_better or not better, (
                f"{name} is {items.value or 0.0:.3g} for right answers and "
                f"{worst[name].value or 0.0:.3g} for none: "
                "correct `higher_is_better`, or set it to None where neither is better"
            )

    def test_neither_order_nor_company_change_an_items_score(self, samples: list[Sample], score: Any) -> None:
        asked = answered(samples)
        whole, backwards = score(asked), score(asked[::-1])
        for name, items in whole.items():
            assert _by_key(items) == _by_key(backwards[name]), (
                f"{name} changes with the order of the questions: score each answer by itself"
            )


def answered(samples: Sequence[Sample], said: Sequence[str] | None = None) -> list[Asked]:
    """The questions of samples with what is said to them; by default with the right answers."""
    scheme = CoordinateScheme()
    found: list[Asked] = []
    for sample in samples:
        for exchange in exchanges_of(sample):
            number = len(found)
            if said is not None and number >= len(said):
                return found
            spoken = [part for part in exchange.answer.parts if not isinstance(part, ImagePart)]
            text = scheme.to_text(spoken) if said is None else said[number]
            parts = scheme.to_parts(text) or (TextPart(text),)
            key = f"{sample.key}#{exchange.number}"
            status = Said(key, exchange.question.text, text, parts, "ok" if text.strip() else "empty")
            found.append(Asked(sample, exchange.question, exchange.answer, status, exchange.kind))
    return found


def _by_key(items: Items) -> dict[str, tuple[float, float]]:
    return dict(zip(items.keys, zip(items.numerators, items.denominators, strict=True), strict=True))
