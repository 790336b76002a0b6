"""The kind ``pope``: is there such a thing in the image? Yes or no, half of each (POPE, arXiv 2305.10355).

An image is asked for three things that are there and three that are not, the latter chosen in three ways:
*random* among all that is known not to be there, *popular*, what most images have, *adversarial*, what most often
stands beside the things that are there. What is there comes from the samples' evidence.
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
from vila2.evaluate.kinds.questions import needs_evidence_or_questions, questions_of
from vila2.evaluate.measures.answers import yes_no
from vila2.evaluate.measures.items import Items
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec
from vila2.sources.world import generator

SETTINGS = ("random", "popular", "adversarial")
#: Things asked for that are there, and as many that are not, of one image and setting.
PER_IMAGE = 3


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a thing is in an image.

    Attributes:
        thing: with its article; the whole question where the dataset brings it.
        present: what is right.
        settings: those that ask for it.
        question: as POPE asks.
    """

    sample: Sample
    thing: str
    present: bool
    settings: tuple[str, ...]
    question: str

    @classmethod
    def of(cls, sample: Sample, name: str, present: bool, settings: tuple[str, ...]) -> Presence:
        """Asks for a thing by its name."""
        return cls(sample, article(name), present, settings, f"Is there {article(name)} in the image?")

    @property
    def item(self) -> str:
        """Names the question."""
        return f"{self.sample.key}#{self.thing}"

    @property
    def image(self) -> str:
        """Names the image, which several samples can show."""
        return str(self.sample.meta.get("image", self.sample.key))


def presence_questions(samples: Sequence[Sample], *, seed: int) -> list[Presence]:
    """The questions of all images, each thing once for an image.

    Popularity and company are counted over these samples. An image is left out of which nothing is known to be
    there, or nothing known not to be.

    Raises:
        DataError: no image is left.
    """
    known = [(sample, evidence) for sample in samples if (evidence := Evidence.of(sample)) is not None]
    label_of = {one.called: one.label for _, evidence in known for one in evidence.objects}
    popular: Counter[str] = Counter()
    company: dict[str, Counter[str]] = {name: Counter() for name in label_of}
    for _, evidence in known:
        there = _called(evidence)
        popular.update(there)
        for one, other in permutations(there, 2):
            company[one][other] += 1
    questions: list[Presence] = []
    for sample, evidence in known:
        absent = [name for name in sorted(label_of) if is_absent(evidence, name, label_of[name])]
        there = _called(evidence)
        random = generator("pope", seed, sample.key)
        asked = [there[n] for n in random.permutation(len(there))[: min(PER_IMAGE, len(absent))]]
        drawn = [absent[n] for n in random.permutation(len(absent))]
        chosen = {
            "random": drawn[: len(asked)],
            "popular": _first(absent, popular, len(asked)),
            "adversarial": _beside(asked, absent, company, popular),
        }
        questions += [Presence.of(sample, thing, True, SETTINGS) for thing in asked]
        for thing in dict.fromkeys(thing for things in chosen.values() for thing in things):
            own = tuple(name for name, things in chosen.items() if thing in things)
            questions.append(Presence.of(sample, thing, False, own))
    if not questions:
        raise DataError(
            "no image of which evidence says both what is there and what is not",
            hint='give samples meta["evidence"] with objects, `all_objects`, and the `labels` looked for',
        )
    return questions


def given_questions(samples: Sequence[Sample]) -> list[Presence]:
    """The yes-or-no questions that samples carry, such as POPE's own files; a question's kind is its setting.

    Raises:
        DataError: a question that is not answered by yes or no.
    """
    asked = [question for sample in samples for question in questions_of(sample)]
    for one in asked:
        if yes_no(one.answer) is None:
            raise DataError(
                f"{one.item}: the answer is {one.answer!r}", hint="pope takes questions of yes or no"
            )
    return [Presence(q.sample, q.question, yes_no(q.answer) == "yes", (q.kind,), q.question) for q in asked]


def is_absent(evidence: Evidence, name: str, label: str) -> bool:
    """Whether evidence tells that no such thing is in the image.

    A "red car" is absent where every car is known by another name that neither holds the other's words.
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


def _beside(
    there: Sequence[str], absent: Sequence[str], company: Mapping[str, Counter[str]], popular: Counter[str]
) -> list[str]:
    """For each thing that is there the absent one which most often stands beside it, each once."""
    chosen: list[str] = []
    for thing in there:
        left = [name for name in absent if name not in chosen]
        chosen.append(min(left, key=lambda name: (-company[thing][name], -popular[name], name)))
    return chosen


def pope(
    engine: Engine, samples: Sequence[Sample], benchmark: BenchmarkSpec, progress: Progress
) -> BenchmarkOutcome:
    """Asks and scores: made questions where samples carry evidence, else those that they bring.

    In the benchmark's prompt {question} is the question, {object} the thing with its article.
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
            {"item": q.item, "kind": ", ".join(q.settings), "question": r.prompt}
            | {"answer": "yes" if q.present else "no", "said": text, "read": yes_no(text)}
            for q, r, text in zip(questions, requests, texts, strict=True)
        ],
    )


def score_presence(questions: Sequence[Presence], texts: Sequence[str]) -> dict[str, Items]:
    """POPE's measures of each setting, "yes" being the positive.

    An answer that is read as neither yes nor no is no yes and no no: it is wrong, a thing missed if it is there, and
    counts in "readable answers".
    """
    rows = [(q, yes_no(text)) for q, text in zip(questions, texts, strict=True)]
    measures = {"readable answers": Items.of_ratios([(q.image, said is not None, 1) for q, said in rows])}
    for name in dict.fromkeys(setting for q in questions for setting in q.settings):
        own = [(q.image, q.present, said) for q, said in rows if name in q.settings]
        measures |= {f"{name}: {measure}": items for measure, items in _confusion(own).items()}
    return measures


def _confusion(rows: Sequence[tuple[str, bool, str | None]]) -> dict[str, Items]:
    right = [(key, said == ("yes" if there else "no"), 1) for key, there, said in rows]
    yes = [(key, there, said == "yes") for key, there, said in rows]
    share = sum(there for _, there, _ in rows) / len(rows)  # always yes: precision is this, recall 1
    return {
        "accuracy": Items.of_ratios(right, baseline=max(share, 1 - share)),
        "precision": Items.of_ratios(
            [(key, there and said, said) for key, there, said in yes], baseline=share
        ),
        "recall": Items.of_ratios([(key, there and said, there) for key, there, said in yes]),
        # 2 TP / (2 TP + FP + FN): the sum of what is there and what is said to be.
        "F1": Items.of_ratios(
            [(key, 2 * (there and said), there + said) for key, there, said in yes],
            baseline=2 * share / (1 + share),
        ),
        "said yes": Items.of_ratios([(key, said, 1) for key, _, said in yes], None),
    }


KIND = BenchmarkKind(pope, needs_evidence_or_questions, frozenset({"said yes"}))
