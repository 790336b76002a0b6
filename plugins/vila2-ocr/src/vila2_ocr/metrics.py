"""How well a model answers questions about text.

The measures are right answers, ANLS, relaxed accuracy and containment, each also by kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from vila2.plugin import Asked, Items

from vila2_ocr.parser import quoted
from vila2_ocr.scoring import anls, bare, contains, number_of, relaxed_match

#: A longer reference, in words, is a text or a description: no answer equals it, so ANLS measures it.
SHORT = 8
_YES_NO = re.compile(r"\b(yes|no)\b")


def score(asked: Sequence[Asked]) -> dict[str, Items]:
    """Measures of answers to the questions of the builder.

    "read right" leaves out yes and no, because a coin gets half of them right, and texts too long to repeat
    exactly. A description is right where it quotes exactly the texts that the reference quotes. A computed
    number is right within 5%. Answers about one image make one item, because they are not independent.
    """
    own = [one for one in asked if _is_short(one)]
    measures = {
        "read right": _items(own, is_right),
        "ANLS": _items([one for one in asked if not _is_yes_no(one)], _anls),
        "reference contained": _items([one for one in own if not quoted(_reference(one))], _contained),
        "numbers within 5%": _items([one for one in own if number_of(_reference(one)) is not None], _relaxed),
        "yes or no right": _items([one for one in asked if _is_yes_no(one)], is_right),
    }
    for kind in sorted({one.kind for one in asked if one.kind}):
        judged = [one for one in asked if one.kind == kind and (_is_short(one) or _is_yes_no(one))]
        measures[f"right: {kind}"] = _items(judged, is_right)
    return {name: items for name, items in measures.items() if items.keys or name == "read right"}


def is_right(one: Asked) -> float:
    """1 where a short answer is right, else 0; see :func:`score`."""
    said, references = one.said.text, references_of(one)
    if _is_yes_no(one):
        found = _YES_NO.search(said.lower())
        return float(found is not None and found[1] == bare(references[0]))
    wanted = [bare(claim.value) for claim in quoted(references[0])]
    if wanted:
        return float(sorted(bare(claim.value) for claim in quoted(said)) == sorted(wanted))
    if one.kind in RECKONED:
        return float(any(relaxed_match(said, reference) for reference in references))
    return float(any(bare(said) == bare(reference) for reference in references))


#: Kinds whose answer is computed from numbers of the image, and data sets that are scored in this way.
RECKONED = frozenset({"sum", "difference", "count", "chartqa", "plotqa", "dvqa"})


def references_of(one: Asked) -> tuple[str, ...]:
    """All right answers: the reference, and the others that a data set accepts (``meta["references"]``)."""
    given = one.sample.meta.get("references") or ()
    number = max(one.question.branch - 1, 0)
    more = given[number] if number < len(given) else ()
    return tuple(dict.fromkeys((_reference(one), *more)))


def _reference(one: Asked) -> str:
    return one.reference.text


def _is_yes_no(one: Asked) -> bool:
    return bare(_reference(one)) in ("yes", "no")


def _is_short(one: Asked) -> bool:
    reference = _reference(one)
    return not _is_yes_no(one) and (bool(quoted(reference)) or len(reference.split()) <= SHORT)


def _anls(one: Asked) -> float:
    return anls(one.said.text, references_of(one))


def _contained(one: Asked) -> float:
    return float(contains(one.said.text, references_of(one)))


def _relaxed(one: Asked) -> float:
    return float(any(relaxed_match(one.said.text, reference) for reference in references_of(one)))


def _items(asked: Sequence[Asked], measure: Callable[[Asked], float]) -> Items:
    by_image: dict[str, list[float]] = {}
    for one in asked:
        by_image.setdefault(str(one.sample.meta.get("image", one.sample.key)), []).append(measure(one))
    return Items(
        list(by_image),
        [sum(own) for own in by_image.values()],
        [float(len(own)) for own in by_image.values()],
    )
