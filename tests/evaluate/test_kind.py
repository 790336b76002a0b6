"""The worked example in the docstring of a kind of benchmark runs as it stands."""

from __future__ import annotations

import inspect
import textwrap

from vila2.data.sample import ImagePart, Sample, user
from vila2.engine.protocol import Answer
from vila2.evaluate.kinds import kind
from vila2.progress import Silent
from vila2.recipe.parts.evaluate import BenchmarkSpec

IMPORTS = """
from collections.abc import Sequence

from vila2.data.sample import Sample
from vila2.engine.protocol import Engine, Request
from vila2.evaluate.asking import BenchmarkOutcome, SaidRow, ask_all
from vila2.evaluate.kinds.kind import BenchmarkKind, needs_image
from vila2.evaluate.measures.items import Items
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec
"""


class Parrot:
    """Repeats the first words of the prompt, as many as there are images before this one."""

    name = digest = "parrot"

    def generate(self, requests, settings):
        return [Answer(" ".join(one.prompt.split()[: int(one.key)]), "stop", 1) for one in requests]


def example() -> str:
    """The lines of the docstring between the first "::" and the recipe."""
    text = inspect.getdoc(kind).split("::\n", 1)[1].split("\nA recipe then", 1)[0]
    return textwrap.dedent(text)


def test_the_example_of_a_kind_asks_scores_and_keeps_what_was_said():
    names = {}
    exec(IMPORTS + example(), names)
    made = names["KIND"]
    samples = [Sample(f"{n}", (b"x",), (user(ImagePart()),)) for n in range(1, 4)]
    spec = BenchmarkSpec(name="short", kind="lengths", dataset="test")
    made.needs(spec, samples[0])
    outcome = made.run(Parrot(), samples, spec, Silent())
    assert outcome.items["words"].value == 2 and outcome.items["words"].higher_is_better is None
    assert outcome.said[1] == {"key": "2", "prompt": names["PROMPT"], "text": "Describe the"}
    assert not made.more_is_better("words")
