"""Does a caption contradict itself? Of several attempts at an image the first that does not is kept.

A small model loses count of what it has named: it names a thing again as if it were one more, and another one not at
all. Most of the things that it makes up are of this kind, and no truth is needed to see it. A caption that is *only* a
loop is marked as one when it is written (:mod:`vila2.caption.marks`).
"""

from __future__ import annotations

from collections.abc import Iterator

from vila2.cycle.merge.mentions import Mention, mentions
from vila2.cycle.merge.names import ANY, Name

#: Determiners that speak of what was named before, or knowingly of one more.
_NOT_NEW = ("the ", "this ", "that ", "these ", "those ", "another ")


def contradiction(text: str) -> str:
    """What in a caption can not be, in one line; empty where nothing is seen.

    1. It introduces again what it has introduced: "a small red cube ... a red cube", where all that is said of the
       one is said of the other. "The cube", "another cube" and "two cubes" do not introduce.
    2. It states how many things there are ("four objects") and introduces another number of them.

    Args:
        text: a caption.
    """
    found = mentions(text)
    new = [*_introduced(text, found)]
    for place, name in enumerate(new):
        if any(_may_be_same(name, earlier) for earlier in new[:place]):
            return f"introduces {' '.join(name)!r} again"
    for one in found:
        if (
            one.number is not None
            and len(one.name) == 1
            and one.name[0] in ANY
            and new
            and len(new) != one.number
        ):
            return f"says {one.number} and introduces {len(new)}"
    return ""


def _introduced(text: str, found: list[Mention]) -> Iterator[Name]:
    for one in found:
        if one.number is None and not text[one.start : one.end].lower().startswith(_NOT_NEW):
            yield one.name


def _may_be_same(one: Name, other: Name) -> bool:
    return one[-1] == other[-1] and ({*one} <= {*other} or {*other} <= {*one})
