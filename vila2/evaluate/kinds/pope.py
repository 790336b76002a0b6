"""The kind ``pope``: is there such a thing in the image? Yes or no, half of each (POPE, arXiv 2305.10355).

For each image the model is asked about three things that are there and three that are not. The absent ones
are chosen in three ways, the settings: *random* among all that is known to be absent; *popular*, the things
that most images have; *adversarial*, the things that most often occur beside those in the image. The samples'
evidence says what is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from vila2.claims.articles import article
from vila2.data.evidence import Evidence
from vila2.data.sample import Sample
from vila2.engine.protocol import Engine, Request
from vila2.errors import DataError
from vila2.evaluate.asking import BenchmarkOutcome, ask_all
from vila2.evaluate.kinds.kind import BenchmarkKind
from vila2.evaluate.kinds.questions import image_name, needs_evidence_or_questions, yes_no_questions
from vila2.evaluate.measures.answers import yes_no
from vila2.evaluate.measures.items import Items
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec
from vila2.sources.world import generator

SETTINGS = ("random", "popular", "adversarial")
#: Number of things that are there, and of things that are not, for one image and setting.
PER_IMAGE = 3


@dataclass(frozen=True, slots=True)
class Presence:
    """A question whether a thing is in an image.

    Attributes:
        sample: sample with the image.
        thing: thing with its article; the whole question where the dataset brings it.
        present: whether the thing is there.
        settings: settings that ask for the thing.
        question: question in POPE's words.
    """

    sample: Sample
    thing: str
    present: bool
    settings: tuple[str, ...]
    question: str

    @classmethod
    def of(cls, sample: Sample, name: str, present: bool, settings: tuple[str, ...]) -> Presence:
        """Makes the question about a thing by its name."""
        return cls(sample, article(name), present, settings, f"Is there {article(name)} in the image?")

    @property
    def item(self) -> str:
        """Name of the question."""
        return f"{self.sample.key}#{self.thing}"

    @property
    def image(self) -> str:
        """Name of the image, which several samples can show."""
        return image_name(self.sample)


def presence_questions(samples: Sequence[Sample], *, seed: int) -> list[Presence]:
    """Makes the questions about all images from their evidence, each thing once for an image.

    Popularity and company are counted over these samples. An image is left out where nothing is known to be
    there, or nothing is known to be absent.

    Args:
        samples: samples with evidence; those without are passed over.
        seed: seed of the choice of things.

    Raises:
        DataError: no image is left.
    """
    known = [(sample, evidence) for sample in samples if (evidence := Evidence.of(sample)) is not None]
    counts = _Occurrences.of([evidence for _, evidence in known])
    questions = [
        question
        for sample, evidence in known
        for question in _questions_about(sample, evidence, counts, seed)
    ]
    if not questions:
        raise DataError(
            "no image of which evidence says both what is there and what is not",
            hint='give samples meta["evidence"] with objects, `all_objects`, and the `labels` looked for',
        )
    return questions


@dataclass(frozen=True, slots=True)
class _Occurrences:
    """What the images of a dataset show, counted over all of them.

    Attributes:
        label_of: label of each thing, by its name.
        popular: number of images that have a thing, by its name.
        company: for each thing, the number of images that have another thing beside it.
    """

    label_of: Mapping[str, str]
    popular: Counter[str]
    company: Mapping[str, Counter[str]]

    @classmethod
    def of(cls, known: Sequence[Evidence]) -> _Occurrences:
        label_of = {one.called: one.label for evidence in known for one in evidence.objects}
        popular: Counter[str] = Counter()
        company: dict[str, Counter[str]] = {name: Counter() for name in label_of}
        for evidence in known:
            there = _called(evidence)
            popular.update(there)
            for one, other in permutations(there, 2):
                company[one][other] += 1
        return cls(label_of, popular, company)


def _questions_about(sample: Sample, evidence: Evidence, counts: _Occurrences, seed: int) -> list[Presence]:
    """The questions about one image: first what is there, then what is absent in each setting."""
    there = _called(evidence)
    absent = [name for name in sorted(counts.label_of) if is_absent(evidence, name, counts.label_of[name])]
    random = generator("pope", seed, sample.key)
    asked = [there[n] for n in random.permutation(len(there))[: min(PER_IMAGE, len(absent))]]
    drawn = [absent[n] for n in random.permutation(len(absent))]
    chosen = {
        "random": drawn[: len(asked)],
        "popular": _first(absent, counts.popular, len(asked)),
        "adversarial": _beside(asked, absent, counts),
    }
    questions = [Presence.of(sample, thing, True, SETTINGS) for thing in asked]
    for thing in dict.fromkeys(thing for things in chosen.values() for thing in things):
        own = tuple(name for name, things in chosen.items() if thing in things)
        questions.append(Presence.of(sample, thing, False, own))
    return questions


def given_questions(samples: Sequence[Sample]) -> list[Presence]:
    """Takes the yes-or-no questions that samples carry, such as those of POPE's own files.

    The kind of a question is its setting.

    Raises:
        DataError: the answer to a question is neither yes nor no.
    """
    asked = yes_no_questions(samples, hint="pope takes questions that are answered by yes or no")
    return [Presence(q.sample, q.question, present, (q.kind,), q.question) for q, present in asked]


def is_absent(evidence: Evidence, name: str, label: str) -> bool:
    """Tells whether the evidence shows that no such thing is in the image.

    A "red car" is absent where every car has a name, such as "blue car", whose words do not include the words
    of "red car", nor the other way around.

    Args:
        evidence: evidence of the image.
        name: name of the thing.
        label: label of the thing.
    """
    if not evidence.all_objects or (evidence.labels and label not in evidence.labels):
        return False
    asked = set(name.split())
    for one in evidence.objects:
        own = set(one.called.split())
        if one.label in (label, name) and (asked <= own | {one.label} or own <= asked):
            return False
        if one.called == name:
            return False
    return True


def _called(evidence: Evidence) -> list[str]:
    return sorted({one.called for one in evidence.objects})


def _first(names: Iterable[str], counts: Mapping[str, int], count: int) -> list[str]:
    return sorted(names, key=lambda name: (-counts[name], name))[:count]


def _beside(there: Sequence[str], absent: Sequence[str], counts: _Occurrences) -> list[str]:
    """For each thing that is there, the absent one that most often occurs beside it; each once."""
    chosen: list[str] = []
    for thing in there:
        left = [name for name in absent if name not in chosen]
        company = counts.company[thing]
        chosen.append(min(left, key=lambda name: (-company[name], -counts.popular[name], name)))
    return chosen


def pope(
    engine: Engine, samples: Sequence[Sample], benchmark: BenchmarkSpec, progress: Progress
) -> BenchmarkOutcome:
    """Asks yes-or-no questions: made ones where samples have evidence, else those that they carry.

    In the benchmark's prompt, {question} stands for the question and {object} for the thing with its article.
    """
    if any("evidence" in sample.meta for sample in samples):
        questions = presence_questions(samples, seed=benchmark.seed)
    else:
        questions = given_questions(samples)
    form = benchmark.prompt or "{question}"
    requests = [
        Request(
            q.item,
            q.sample.images,
            form.replace("{question}", q.question).replace("{object}", q.thing),
        )
        for q in questions
    ]
    texts = [answer.text for answer in ask_all(engine, requests, benchmark, progress)]
    return BenchmarkOutcome(
        score_presence(questions, texts),
        [
            {
                "item": q.item,
                "kind": ", ".join(q.settings),
                "question": r.prompt,
                "answer": "yes" if q.present else "no",
                "said": text,
                "read": yes_no(text),
            }
            for q, r, text in zip(questions, requests, texts, strict=True)
        ],
    )


def score_presence(questions: Sequence[Presence], texts: Sequence[str]) -> dict[str, Items]:
    """Computes POPE's measures for each setting; "yes" is the positive answer.

    An answer that is read as neither yes nor no is wrong. It misses a thing that is there, and lowers the
    share of "readable answers".

    Args:
        questions: questions that were asked.
        texts: answers, one for each question.
    """
    rows = [(q, yes_no(text)) for q, text in zip(questions, texts, strict=True)]
    measures = {"readable answers": Items.of_ratios([(q.image, said is not None, 1) for q, said in rows])}
    for name in dict.fromkeys(setting for q in questions for setting in q.settings):
        own = [(q.image, q.present, said) for q, said in rows if name in q.settings]
        measures |= {f"{name}: {measure}": items for measure, items in confusion(own).items()}
    return measures


def confusion(rows: Sequence[tuple[str, bool, str | None]]) -> dict[str, Items]:
    """The measures of (image, whether the thing is there, what was read) rows."""
    right = [(key, said == ("yes" if there else "no"), 1) for key, there, said in rows]
    yes = [(key, there, said == "yes") for key, there, said in rows]
    share = sum(there for _, there, _ in rows) / len(rows)  # precision of always saying yes; its recall is 1
    return {
        "accuracy": Items.of_ratios(right, baseline=max(share, 1 - share)),
        "precision": Items.of_ratios(
            [(key, there and said, said) for key, there, said in yes], baseline=share
        ),
        "recall": Items.of_ratios([(key, there and said, there) for key, there, said in yes]),
        # 2 TP / (2 TP + FP + FN), whose denominator is the number of things there plus that of yeses.
        "F1": Items.of_ratios(
            [(key, 2 * (there and said), there + said) for key, there, said in yes],
            baseline=2 * share / (1 + share),
        ),
        "said yes": Items.of_ratios([(key, said, 1) for key, _, said in yes], None),
    }


KIND = BenchmarkKind(pope, needs_evidence_or_questions, frozenset({"said yes"}))
