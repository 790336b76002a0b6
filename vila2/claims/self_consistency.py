"""Decides whether a caption contradicts itself; of several attempts, the first that does not is kept.

A small model loses count of what it has named: it introduces a thing twice and leaves out another. Most of
the things that it invents are of this kind, and finding them needs no ground truth. A caption that is *only*
a loop is marked as a repetition when it is written (:mod:`vila2.engine.marks`).
"""

from __future__ import annotations

from collections.abc import Sequence

from vila2.claims.introductions import introduced
from vila2.claims.mentions import Mention, mentions
from vila2.claims.names import ANY, Name, agree


def contradiction(text: str) -> str:
    """Describes a contradiction in a caption in one line; empty where none is found.

    1. The caption introduces the same thing twice: "a small red cube ... a red cube", where one name contains
       the words of the other. "The cube", "another cube", "two cubes" and "larger than a cube" do not
       introduce a thing.
    2. The caption states a total ("four objects") and introduces and counts another number of things.

    Args:
        text: text of the caption.
    """
    found = mentions(text)
    new = introduced(text, [(one.start, one.end) for one in found])
    another = [text[one.start : one.end].lower().startswith("another ") for one in found]
    named = [one.name for one, is_new in zip(found, new, strict=True) if is_new]
    once = [one.name for one, is_new, more in zip(found, new, another, strict=True) if is_new and not more]
    of_head: dict[str, list[Name]] = {}
    for name in once:
        earlier = of_head.setdefault(name[-1], [])
        if any({*name} <= {*one} or {*one} <= {*name} for one in earlier):
            return f"introduces {' '.join(name)!r} again"
        earlier.append(name)
    for one in found:
        if one.total and len(one.name) == 1 and one.name[0] in ANY and named:
            number = _number(
                named, [other for other in found if other.number is not None and other is not one]
            )
            if number not in (None, one.number):
                return f"says {one.number} and introduces {number}"
    return ""


def _number(named: Sequence[Name], counted: Sequence[Mention]) -> int | None:
    """Counts the things that a caption introduces or counts; None where some may be counted twice."""
    counted = [one for one in counted if one.name[-1] not in ANY]
    if any(agree(one.name, other.name) for place, one in enumerate(counted) for other in counted[:place]):
        return None
    rest = [name for name in named if not any(agree(name, one.name) for one in counted)]
    # "A cube and a red cube. There are two cubes." counts the cubes that were named.
    return len(rest) + sum(
        max(one.number or 0, sum(agree(name, one.name) for name in named)) for one in counted
    )
