"""A kind of benchmark: all that is known of it, in one value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vila2.data.sample import Sample
from vila2.engine.protocol import Engine
from vila2.errors import RecipeError
from vila2.evaluate.asking import BenchmarkOutcome
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec


@dataclass(frozen=True, slots=True)
class BenchmarkKind:
    """A kind of benchmark.

    To add one, write a module with such a value beside this one and name it in ``vila2.evaluate.benchmarks.KINDS``;
    ``CONTRIBUTING.md`` has an example.

    Attributes:
        run: asks an engine about samples, as the recipe's spec says, and scores what it says.
        needs: raises RecipeError where a benchmark does not fit its dataset; given the spec and a first sample.
        more_is_not_better: names of the measures of which less is better, or neither. Of "random: said yes" the name
            is "said yes"; a name that ends in ``*`` stands for all that begin so.
        one_measure: whether every measure is a share of right answers, so that a whole benchmark is a measure too.
    """

    run: Callable[[Engine, Sequence[Sample], BenchmarkSpec, Progress], BenchmarkOutcome]
    needs: Callable[[BenchmarkSpec, Sample], None]
    more_is_not_better: frozenset[str] = frozenset()
    one_measure: bool = False

    def more_is_better(self, measure: str) -> bool:
        """Whether more of a measure is better, as far as its name says it before anything is measured.

        Args:
            measure: its name; empty: the benchmark as a whole.

        Returns:
            False where less is better, or neither, or a whole benchmark's measures do not add up.
        """
        if self.one_measure:
            return True
        name = measure.rpartition(": ")[2]
        begins = tuple(one.removesuffix("*") for one in self.more_is_not_better if one.endswith("*"))
        return bool(name) and name not in self.more_is_not_better and not (begins and name.startswith(begins))


def needs_image(spec: BenchmarkSpec, first: Sample) -> None:
    """Refuses a dataset without images.

    Raises:
        RecipeError: its first sample has none.
    """
    if not first.images:
        raise RecipeError(
            f"benchmark {spec.name!r}: dataset {spec.dataset!r} has no images",
            hint="name a dataset with images",
        )
