"""A kind of benchmark: everything that the rest of the package knows of it, in one value.

To add a kind, write a module beside this one that ends in a value ``KIND``, and name it in ``KINDS`` of
:mod:`vila2.evaluate.benchmarks`. A kind has a function that asks and scores, a check of its dataset, and the
names of the measures of which more is not better. This is a whole one, which counts the words of captions::

    PROMPT = "Describe the image in one sentence."


    def lengths(
        engine: Engine, samples: Sequence[Sample], spec: BenchmarkSpec, progress: Progress
    ) -> BenchmarkOutcome:
        '''Asks for a caption of each image and counts its words.'''
        # 1. Make a request for each question. Keys differ, since an answer is sampled by its key.
        prompt = spec.prompt or PROMPT
        requests = [Request(sample.key, sample.images, prompt) for sample in samples]
        # 2. Ask. Batches, progress and images that cannot be read are taken care of.
        texts = [answer.text for answer in ask_all(engine, requests, spec, progress)]
        # 3. Score item by item: a measure is the sum of numerators over the sum of denominators.
        keys = [sample.key for sample in samples]
        words = [len(text.split()) for text in texts]
        measures = {"words": Items.of_means(keys, words, "words", higher_is_better=None)}
        # 4. Keep what was said, for readers.
        said = [SaidRow(key=key, prompt=prompt, text=text) for key, text in zip(keys, texts, strict=True)]
        return BenchmarkOutcome(measures, said)


    KIND = BenchmarkKind(lengths, needs_image, more_is_not_better=frozenset({"words"}))

A recipe then measures every model by it::

    evaluate:
      - {name: short, kind: lengths, dataset: test}

``results.json`` gets a row for "words" with its 95% interval, and the report a column.
"""

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

    Attributes:
        run: function that asks an engine about samples, as the recipe's spec says, and scores the answers.
        needs: function that raises RecipeError where a benchmark does not fit its dataset; given the recipe's
            spec and the first sample, before anything is trained.
        more_is_not_better: names of the measures of which less is better, or neither. For "random: said yes"
            the name is "said yes"; a name that ends in ``*`` stands for all that begin with it.
        one_measure: whether every measure is a share of right answers, so that the whole benchmark is a
            measure too.
    """

    run: Callable[[Engine, Sequence[Sample], BenchmarkSpec, Progress], BenchmarkOutcome]
    needs: Callable[[BenchmarkSpec, Sample], None]
    more_is_not_better: frozenset[str] = frozenset()
    one_measure: bool = False

    def more_is_better(self, measure: str) -> bool:
        """Tells whether more of a measure is better, as far as its name says so before anything is measured.

        Args:
            measure: name of the measure; empty for the benchmark as a whole.

        Returns:
            False where less is better, or neither, and for a whole benchmark whose measures do not add up.
        """
        if self.one_measure:
            return True
        name = measure.rpartition(": ")[2]
        begins = tuple(one.removesuffix("*") for one in self.more_is_not_better if one.endswith("*"))
        return bool(name) and name not in self.more_is_not_better and not (begins and name.startswith(begins))


def needs_image(spec: BenchmarkSpec, first: Sample) -> None:
    """Refuses a dataset without images.

    Args:
        spec: benchmark, as the recipe has it.
        first: first sample of its dataset.

    Raises:
        RecipeError: the sample has no image.
    """
    if not first.images:
        raise RecipeError(
            f"benchmark {spec.name!r}: dataset {spec.dataset!r} has no images",
            hint="name a dataset with images",
        )
