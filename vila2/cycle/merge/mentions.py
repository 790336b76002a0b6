"""The things that a free text names: determiner, adjectives, noun; and bare names that the specialists use as well.

Rules for English captions, which know no grammar. A phrase ends before the first word that cannot belong to it; what
they do not understand is not mentioned, so that it makes no claim.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vila2.cycle.merge.names import NUMBERS, Name, Vocabulary, name_of, singular, word_set

#: Words that cannot belong to a name.
_STOPS = word_set(
    "is are was were be been being has have had do does can will there here it its he she they we i you who which that "
    "what where when while and or but nor than as of in on at by with without from to into onto over under above below "
    "behind beside beneath between near next against across along around inside outside through toward towards during "
    "for about up down off out left right front also just only directly very quite says say reads read shows show "
    "stand stands sit sits lie lies lay appear appears seem seems look looks hold holds wear wears carry carries "
    "contain contains include includes feature features depict depicts see sees seen visible located placed positioned "
    "parked dressed made filled covered surrounded closest nearest farthest furthest closer farther nearer further "
    "close far not no never another the a an this these those"
)
#: Nouns that end in "ing"; other words that do are participles and end a phrase.
_NOUNS_IN_ING = word_set(
    "building ceiling painting clothing string ring king thing wing swing evening morning wedding drawing railing "
    "awning earring"
)
#: What says where, when or of what medium, and names no thing in the picture.
_NO_THING = word_set(
    "image picture photo photograph scene frame camera viewer side left right middle center centre foreground "
    "background front back top bottom corner edge distance view shot kind type lot number variety day time way "
    "pair group row bunch couple set size color colour"
)
#: What carries written text: what it says is the claim, not that it is there.
CARRIERS = word_set("sign label word text letter logo writing caption title inscription")
_START = re.compile(
    r"\b(?:only\s+)?(?P<det>an?|the|this|that|these|those|another|some|several|both|"
    rf"{'|'.join(NUMBERS)}|\d{{1,2}})\s+(?=[^\W\d_])",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_DENIED = re.compile(r"\b(?:no|not|without|never|any|neither|nor)\s+(?:\w+\s+)?$|n't\s+$", re.IGNORECASE)
_LONGEST = 5  # words of a name


@dataclass(frozen=True, slots=True)
class Mention:
    """A thing as a text names it.

    Attributes:
        name: comparable.
        start, end: characters, the determiner among them.
        number: how many are said to be there, None where the text does not count.
    """

    name: Name
    start: int
    end: int
    number: int | None = None

    @property
    def called(self) -> str:
        return " ".join(self.name)


def mentions(text: str, vocabulary: Vocabulary = Vocabulary()) -> list[Mention]:  # noqa: B008 - frozen
    """The things that a text names, in order; what it denies ("no cat") is left out.

    Args:
        text: of any length.
        vocabulary: of the specialists' names. Where a text has no determiner ("red cube for sale"), a thing is one
            of its heads with the modifiers before it.
    """
    found: list[Mention] = []
    for hit in _START.finditer(text):
        if found and hit.start() < found[-1].end:
            continue
        end = _end_of_phrase(text, hit.end())
        name = name_of(text[hit.end() : end])
        if not name or name[-1] in _NO_THING or _DENIED.search(text[: hit.start()]):
            continue
        found.append(Mention(name, hit.start(), end, _number(text[hit.start() : end], name)))
    found += _bare(text, vocabulary, [(one.start, one.end) for one in found])
    return sorted(found, key=lambda one: one.start)


def _end_of_phrase(text: str, start: int) -> int:
    """Where the phrase that begins at ``start`` ends; ``start`` where no word belongs to it."""
    end = start
    for number, word in enumerate(_WORD.finditer(text, start)):
        apart = text[end : word.start()] if number else ""
        low = word.group().lower()
        participle = number > 0 and low.endswith("ing") and low not in _NOUNS_IN_ING
        if number == _LONGEST or apart.strip() or low in _STOPS or participle:
            break
        end = word.end()
    return end


def _number(phrase: str, name: Name) -> int | None:
    """The count that a phrase states: "two dogs", "only one dog"; "one dog" alone is just a dog."""
    words = phrase.lower().split()
    only, word = words[0] == "only", words[1] if words[0] == "only" else words[0]
    number = int(word) if word.isdigit() else NUMBERS.get(word)
    several = words[-1] != name[-1] or singular(words[-1]) != words[-1]
    return number if number is not None and (only or (several and number > 1)) else None


def _bare(text: str, vocabulary: Vocabulary, taken: list[tuple[int, int]]) -> list[Mention]:
    heads, known = vocabulary.heads, vocabulary.modifiers
    words = list(_WORD.finditer(text)) if heads else []
    found = []
    for number, word in enumerate(words):
        if singular(word.group().lower()) not in heads:
            continue
        first = number
        while first and words[first - 1].group().lower() in known and text[words[first - 1].end() : words[first].start()] == " ":  # fmt: skip
            first -= 1
        start, end = words[first].start(), word.end()
        follows = words[number + 1].group().lower() if number + 1 < len(words) else ""
        part_of_longer = singular(follows) in heads and text[end : words[number + 1].start()] == " "
        if part_of_longer or any(a < end and start < b for a, b in taken) or _DENIED.search(text[:start]):
            continue
        found.append(Mention(name_of(text[start:end]), start, end))
    return found
