"""The kind ``questions``: a model answers the questions that samples carry, each rightly or wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vila2.data.sample import Sample
from vila2.engine.protocol import Engine, Request
from vila2.errors import DataError, RecipeError
from vila2.evaluate.asking import BenchmarkOutcome, ask_all
from vila2.evaluate.kinds.kind import BenchmarkKind, needs_image
from vila2.evaluate.measures.answers import exact_match, normalize_answer, yes_no
from vila2.evaluate.measures.items import Items, largest_share
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec


@dataclass(frozen=True, slots=True)
class Question:
    """One question about one sample.

    Attributes:
        item: name of the question, SAMPLE#NUMBER.
        sample: sample with the images that are asked about.
        kind: kind of the question, which names the measure that it counts in.
        question: text of the question.
        answer: right answer.
    """

    item: str
    sample: Sample
    kind: str
    question: str
    answer: str


def questions_of(sample: Sample) -> list[Question]:
    """Lists the questions of a sample: ``meta["questions"]``, or else the exchanges of its conversation."""
    if "questions" in sample.meta:
        rows = [(q["kind"], q["question"], q["answer"]) for q in sample.meta["questions"]]
    else:
        kind = sample.meta.get("kind", "all")
        pairs = zip(sample.turns, sample.turns[1:], strict=False)
        rows = [(kind, a.text.strip(), b.text) for a, b in pairs if (a.role, b.role) == ("user", "assistant")]
    return [Question(f"{sample.key}#{n}", sample, *row) for n, row in enumerate(rows)]


def image_name(sample: Sample) -> str:
    """Names the image of a sample; several samples can show the same one."""
    return str(sample.meta.get("image", sample.key))


def yes_no_questions(samples: Sequence[Sample], *, hint: str) -> list[tuple[Question, bool]]:
    """Lists the questions of samples, each with whether its right answer is yes (or true).

    Args:
        samples: samples with questions, all of yes or no.
        hint: hint of the error.

    Raises:
        DataError: an answer is neither yes nor no.
    """
    found = []
    for question in (question for sample in samples for question in questions_of(sample)):
        answer = yes_no(question.answer)
        if answer is None:
            raise DataError(f"{question.item}: the answer is {question.answer!r}", hint=hint)
        found.append((question, answer == "yes"))
    return found


def questions(
    engine: Engine, samples: Sequence[Sample], benchmark: BenchmarkSpec, progress: Progress
) -> BenchmarkOutcome:
    """Asks the questions, and measures the share of right answers for each kind of question.

    The baseline of a kind is the share of its commonest answer.
    """
    asked = [question for sample in samples for question in questions_of(sample)]
    form = benchmark.prompt or "{question}"
    requests = [Request(q.item, q.sample.images, form.replace("{question}", q.question)) for q in asked]
    texts = [answer.text for answer in ask_all(engine, requests, benchmark, progress)]
    right = [exact_match(text, q.answer) for text, q in zip(texts, asked, strict=True)]
    outcome = BenchmarkOutcome()
    for kind in dict.fromkeys(question.kind for question in asked):
        own = [(q, score) for q, score in zip(asked, right, strict=True) if q.kind == kind]
        outcome.items[kind] = Items.of_ratios(
            [(q.sample.key, score, 1) for q, score in own],
            baseline=largest_share([normalize_answer(q.answer) for q, _ in own]),
        )
    for question, text, score in zip(asked, texts, right, strict=True):
        outcome.said.append(
            {
                "item": question.item,
                "kind": question.kind,
                "question": question.question,
                "answer": question.answer,
                "said": text,
                "right": score,
            }
        )
    return outcome


def needs_evidence_or_questions(spec: BenchmarkSpec, first: Sample) -> None:
    """Refuses a dataset that has neither evidence, of which questions are made, nor questions of its own.

    Args:
        spec: benchmark, as the recipe has it.
        first: first sample of its dataset.

    Raises:
        RecipeError: the sample has neither, or no image.
    """
    if "evidence" not in first.meta and not questions_of(first):
        raise RecipeError(
            f"benchmark {spec.name!r}: dataset {spec.dataset!r} has neither evidence nor questions",
            hint="name a dataset of source `evidence` or `world`, or one of yes-or-no questions",
        )
    needs_image(spec, first)


KIND = BenchmarkKind(questions, needs_image, one_measure=True)
