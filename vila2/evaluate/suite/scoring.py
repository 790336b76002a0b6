"""Scores of the published benchmarks, as item scores: sums over sums, which get their intervals as all do."""

from __future__ import annotations

import string
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from vila2.evaluate.kinds.pope import confusion
from vila2.evaluate.measures.answers import yes_no
from vila2.evaluate.measures.items import Items
from vila2.evaluate.measures.option_reading import (
    first_letter,
    mmbench_option,
    mmmu_open_is_right,
    mmmu_option,
    scienceqa_option,
)
from vila2.evaluate.measures.vqa_accuracy import vqa_accuracy
from vila2.evaluate.suite.published_question import AnsweredQuestion, PublishedQuestion

#: The parts of MME's perception; the others are cognition.
_PERCEPTION = frozenset(
    {"existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR"}
)
_NO_SIGNS = str.maketrans("", "", string.punctuation)
_ACCURACY = "accuracy"

Scored = dict[str, Items]


def score_people(answered: Sequence[AnsweredQuestion]) -> Scored:
    """VQA accuracy of TextVQA and VizWiz."""
    return _mean(answered, lambda one, text: vqa_accuracy(text, one.answers))


def score_vqav2(answered: Sequence[AnsweredQuestion]) -> Scored:
    """VQA accuracy of VQAv2."""
    return _mean(answered, lambda one, text: vqa_accuracy(text, one.answers, raw=True))


def score_exact(answered: Sequence[AnsweredQuestion]) -> Scored:
    """GQA: the same text in any case, without punctuation."""
    return _mean(answered, lambda one, text: _bare(text) == _bare(one.answers[0]))


def _bare(text: str) -> str:
    return text.strip().lower().translate(_NO_SIGNS)


def score_scienceqa(answered: Sequence[AnsweredQuestion]) -> Scored:
    """ScienceQA: the right letter."""
    return _mean(answered, lambda one, text: scienceqa_option(text) == one.answers[0])


def score_seed(answered: Sequence[AnsweredQuestion]) -> Scored:
    """SEED: the right letter first."""
    return _mean(answered, lambda one, text: first_letter(text) == one.answers[0])


def score_mmmu(answered: Sequence[AnsweredQuestion]) -> Scored:
    """MMMU: the right letter, or a right text in the answer to an open question."""

    def right(one: PublishedQuestion, text: str) -> bool:
        if one.choices:
            return mmmu_option(text, one.choices) == one.answers[0]
        return mmmu_open_is_right(text, one.answers)

    return _mean(answered, right)


def score_mmbench(answered: Sequence[AnsweredQuestion]) -> Scored:
    """MMBench: a question counts as right if it is answered rightly with its choices in every order."""
    rounds: dict[str, list[bool]] = defaultdict(list)
    read = []
    for one, text in answered:
        option = mmbench_option(text, one.choices)
        rounds[one.image].append(option == one.answers[0])
        read.append((one.image, option is not None, 1))
    return {
        _ACCURACY: Items.of_means(list(rounds), [all(found) for found in rounds.values()]),
        "readable answers": Items.of_ratios(read),
    }


def score_pope(answered: Sequence[AnsweredQuestion]) -> Scored:
    """POPE: accuracy and F1 of each setting, and of all."""
    rows = [(one, yes_no(text)) for one, text in answered]
    scored = {"readable answers": Items.of_ratios([(one.image, said is not None, 1) for one, said in rows])}
    groups = list(dict.fromkeys(one.group for one, _ in rows))
    for group in (*groups, "all"):
        own = [
            (one.image, one.answers[0] == "yes", said) for one, said in rows if group in (one.group, "all")
        ]
        scored |= {f"{group}: {name}": items for name, items in confusion(own).items()}
    return scored


def score_mme(answered: Sequence[AnsweredQuestion]) -> Scored:
    """MME: of each category, the mean over images of its points: 50 for a right answer, 100 more for both."""
    pairs: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for one, text in answered:
        pairs[one.group, one.image].append(_mme_says(text) == one.answers[0])
    points = {
        key: 100.0 * sum(found) / len(found) + 100.0 * (len(found) == 2 and all(found))
        for key, found in pairs.items()
    }
    return {
        name: _total({key: value for key, value in points.items() if (key[0] in _PERCEPTION) is perceives})
        for name, perceives in (("perception", True), ("cognition", False))
        if any((key[0] in _PERCEPTION) is perceives for key in points)
    }


def _mme_says(text: str) -> str | None:
    """What MME's published evaluation reads: "yes" or "no" within the first four letters."""
    text = text.lower().strip().replace(".", "")
    if len(text) == 1:
        return {"y": "yes", "n": "no"}.get(text)
    return next((word for word in ("yes", "no") if word in text[:4]), None)


def _total(points: dict[tuple[str, str], float]) -> Items:
    """The sum over categories of the mean over their images, as a mean of weighted points."""
    sizes = Counter(category for category, _ in points)
    weighed = [value * len(points) / sizes[category] for (category, _), value in points.items()]
    return Items.of_means(["/".join(key) for key in points], weighed, "score")


def _mean(answered: Sequence[AnsweredQuestion], right: Callable[[PublishedQuestion, str], float]) -> Scored:
    """The mean over questions; those about one image are resampled together."""
    return {_ACCURACY: Items.of_ratios([(one.image, float(right(one, text)), 1) for one, text in answered])}
