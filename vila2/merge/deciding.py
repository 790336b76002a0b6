"""A sentence's fate: this is where it is decided which sentences stay in the merged conversation.

The rules, in the order they are tried:

1. The arms ``append`` (the paper's) and ``unchecked`` keep every sentence; verdicts are counted all the same.
2. The original human text stays, unless ``original: verify`` has it judged like the rest.
3. A contradicted sentence is dropped, or with ``contradicted: mask`` kept as context that the loss leaves
   out. A specialist's stays where only layers of lower priority contradict it.
4. An unverified sentence of a caption is dropped if ``unverified: drop`` is set. A specialist's stays,
because no
   other layer was asked the same question.
5. A sentence that begins with a pronoun ("It has a sign") shares the fate of the one before it.

Repetitions, and what does not fit the budget, are left out afterwards (:mod:`vila2.merge.dialogue`).
"""

from __future__ import annotations

import re
from dataclasses import replace

from vila2.merge.hearing import MASKED, HeardExchange, Spoken
from vila2.recipe.parts.specialists import MergeSpec

#: Openings that refer to the sentence before: "This is", but not "this image".
_LEANS = re.compile(
    r"(?:\d+\.\s+)?(?:it|its|they|their|he|she|his|her|(?:this|these)\s+(?:is|are|was|were|has|have|can|could|may|might"
    r"|does|do|seems?|appears?|looks?|makes?|gives?|adds?|suggests?|indicates?|shows?|creates?))\b",
    re.IGNORECASE,
)


def decided(exchange: HeardExchange, spec: MergeSpec) -> HeardExchange:
    """An exchange with the fate of each of its sentences."""
    spoken: list[Spoken] = []
    for one in exchange.spoken:
        kept, reason = fate_of(one, exchange.source.role, spec)
        if kept and spoken and not spoken[-1].kept and _LEANS.match(one.sentence.bare):
            kept, reason = False, MASKED if spoken[-1].masked else "leans"
        spoken.append(replace(one, kept=kept, reason=reason))
    return replace(exchange, spoken=tuple(spoken))


def fate_of(one: Spoken, role: str, spec: MergeSpec) -> tuple[bool, str]:
    """Whether a sentence stays, and why it is dropped, or why it stays although it is contradicted."""
    if spec.arm != "verified" or (role == "original" and spec.original == "keep"):
        return True, ""
    if one.verdict == "contradicted":
        if role == "specialist" and one.outranks:
            return True, "outranks"
        return False, MASKED if spec.contradicted == "mask" else "contradicted"
    if one.verdict == "unverified" and role != "specialist" and spec.unverified == "drop":
        return False, "unverified"
    return True, ""
