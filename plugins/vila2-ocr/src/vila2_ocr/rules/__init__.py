"""Rules: questions and answers from written text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from vila2_ocr.facts import Fact, Page, Refusal, Rule


def rules() -> dict[str, Rule]:
    """Every rule by the kind that it asks, in three groups: recognition, comprehension, reasoning."""
    from vila2_ocr.rules import comprehension, reasoning, recognition

    return {**recognition.RULES, **comprehension.RULES, **reasoning.RULES}


def draw_facts(page: Page, weights: Mapping[str, float], count: int) -> tuple[list[Fact], Counter[str]]:
    """Different facts of a page.

    Kinds are drawn by weight, so that kinds with many facts do not crowd out the others.

    Args:
        page: the page of the questions; its ``random`` decides.
        weights: weights by kind; a kind not named has 1.
        count: the largest number of facts.

    Returns:
        The facts, and how often each kind was refused, by "kind: reason".
    """
    pools: dict[str, list[Fact]] = {}
    refused: Counter[str] = Counter()
    for kind, rule in rules().items():
        if weights.get(kind, 1.0) <= 0:
            continue
        for found in rule(page):
            if isinstance(found, Refusal):
                refused[f"{found.kind}: {found.reason}"] += 1
            else:
                pools.setdefault(kind, []).append(found)
    for pool in pools.values():
        page.random.shuffle(pool)
    drawn: list[Fact] = []
    while len(drawn) < count and any(pools.values()):
        kinds = [kind for kind, pool in pools.items() if pool]
        kind = page.random.choices(kinds, [weights.get(kind, 1.0) for kind in kinds])[0]
        drawn.append(pools[kind].pop())
    return drawn, refused
