"""The things that a free text names: determiner, adjectives, noun; and bare names that the specialists use as well.

Rules for English captions, which know no grammar. A phrase ends before the first word that cannot belong to it; what
they do not understand is not mentioned, so that it makes no claim.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vila2.cycle.merge.names import (
    COLOURS,
    COMPOUNDS,
    DETERMINERS,
    NUMBERS,
    Name,
    Vocabulary,
    name_of,
    singular,
    word_set,
)

Span = tuple[int, int]

#: Words that cannot belong to a name.
STOPS = word_set(
    "is are was were be been being has have had do does can cannot will there here it its he she they we i you who which that "
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
#: Denies what follows in its clause: too much rather than too little, because what is denied makes no claim.
_DENIES = re.compile(
    r"(?:\b(?:no|not|none|nothing|nobody|without|never|any|neither|nor|cannot|lacks?|instead\s+of|rather\s+than)"
    r"|n['’]t)\b",
    re.IGNORECASE,
)
#: Where a denial ends. A comma does not where the list goes on to its "or": "no dog, cat or bird".
_DENIED_UP_TO = re.compile(
    r"[;:]|[.!?](?=\s|$)|\n|\b(?:but|only|except|while|whereas|though|although|because)\b"
    r"|\band(?=\s+(?:there|it|is|are|we|the|on|in|to)\b)|,(?!(?:[^,;:.]{1,30},){0,8}[^,;:.]{0,30}\bn?or\b)",
    re.IGNORECASE,
)
#: What makes a number something else than a count.
_BOUND = re.compile(
    r"\b(?:at\s+(?:least|most)|(?:more|fewer|less)\s+than|up\s+to|or|over|under|about|around|nearly|almost|roughly"
    r"|approximately)\s+$",
    re.IGNORECASE,
)
_OR = re.compile(r"\s+or\b", re.IGNORECASE)
#: What stands before things that a text introduces.
_SHOWN = re.compile(
    r"(?:\bthere\s+(?:is|are)|\bthere['’]s|\b(?:we|you|I)\s+(?:can\s+)?(?:also\s+)?see|\b(?:image|picture|photo|"
    r"photograph|scene)\s+(?:also\s+)?(?:shows|has|contains|includes|depicts|features|with|of))"
    r"\s+(?:also\s+|only\s+|exactly\s+)?$",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"(?:^[\W\d]*|[.!?:;]\s+|\n\W*)$")
_SEPARATOR = re.compile(r"\s*[,:]\s*(?:and\s+)?|\s+and\s+", re.IGNORECASE)
#: What may follow a count of all that there are; "two dogs are brown" and "two dogs in the foreground" count some.
_ENDS = re.compile(
    r"(?:\s+(?:in|on)\s+the\s+(?:image|picture|photo|photograph|scene|frame|ground|floor)|\s+(?:here|visible))?"
    r"\s*(?:[.;:!?]|$)",
    re.IGNORECASE,
)
_DEFINITE = re.compile(r"(?:the|this|that|these|those)\s", re.IGNORECASE)
_ARTICLE = re.compile(r"(?P<another>another)\s|an?\s", re.IGNORECASE)
_NEAR = 60  # characters that are looked back: a text may be of any length
_LONGEST = 5  # words of a name


@dataclass(frozen=True, slots=True)
class Mention:
    """A thing as a text names it.

    Attributes:
        name: comparable.
        start, end: characters, the determiner among them.
        number: how many are said to be there, None where the text does not count.
        total: whether that is how many there are in all; otherwise there may be more of them.
    """

    name: Name
    start: int
    end: int
    number: int | None = None
    total: bool = False

    @property
    def called(self) -> str:
        return " ".join(self.name)


def mentions(text: str, vocabulary: Vocabulary = Vocabulary()) -> list[Mention]:  # noqa: B008 - frozen
    """The things that a text names, in order; what it denies ("no cat") or does not count exactly is left out.

    Args:
        text: of any length.
        vocabulary: of the specialists' names. Where a text has no determiner ("red cube for sale"), a thing is one
            of its heads with the modifiers before it.
    """
    denied = denials(text)
    found: list[Mention] = []
    unclear: list[Span] = []
    for hit in _START.finditer(text):
        if found and hit.start() < found[-1].end:
            continue
        end = _end_of_phrase(text, hit.end())
        name = name_of(text[hit.end() : end])
        if not name or name[-1] in _NO_THING or lies_in(denied, hit.start()):
            continue
        number = _number(text[hit.start() : end], name)
        if number is not None and (_BOUND.search(_before(text, hit.start())) or _OR.match(text, end)):
            unclear.append((hit.start(), end))
        else:
            found.append(Mention(name, hit.start(), end, number))
    taken = sorted([*unclear, *((one.start, one.end) for one in found)])
    found += (one for one in _bare(text, vocabulary, taken) if not lies_in(denied, one.start))
    return _with_totals(text, sorted(found, key=lambda one: one.start))


def denials(text: str) -> list[Span]:
    """The parts of a text in which something is denied, from "no" or "not" to where its clause ends."""
    spans: list[Span] = []
    for hit in _DENIES.finditer(text):
        if not spans or hit.start() >= spans[-1][1]:
            end = _DENIED_UP_TO.search(text, hit.end())
            spans.append((hit.end(), end.start() if end else len(text)))
    return spans


def lies_in(spans: Sequence[Span], place: int) -> bool:
    """Whether a character lies in one of some spans, which are in order and apart."""
    number = bisect_right(spans, place, key=lambda span: span[0]) - 1
    return number >= 0 and place < spans[number][1]


def introduced(text: str, named: Sequence[Span]) -> list[bool]:
    """Whether each name in a text introduces a thing of its own: "a dog", where nothing but that is said of it.

    "Another" always does. "A" does where a sentence begins, after "there is" and the like, and in a list after one
    that does. What stands to something ("next to a dog") or is compared ("like a dog") may have been named before.

    Args:
        text: as it reads.
        named: the names in it, in order, articles among them.
    """
    found: list[bool] = []
    shown = _shown(text, named)
    for (start, _), is_shown in zip(named, shown, strict=True):
        article = _ARTICLE.match(text, start)
        found.append(bool(article and (article["another"] or is_shown)))
    return found


def _shown(text: str, named: Sequence[Span], *, begin: bool = True) -> list[bool]:
    """Whether each name in a text stands where a text introduces things."""
    found: list[bool] = []
    for number, (start, _) in enumerate(named):
        before = _before(text, start)
        listed = number > 0 and found[-1] and _lists(text, named[number - 1][1], start)
        shown = listed or _SHOWN.search(before) or (begin and _BEGINS.search(before))
        found.append(bool(shown) and not _DEFINITE.match(text, start))
    return found


def _lists(text: str, end: int, start: int) -> bool:
    """Whether only a list goes on between two places: a comma or "and", and names that have no article."""
    items = _SEPARATOR.split(text[end:start]) if start - end <= 2 * _NEAR else []
    words = [word for item in items for word in item.lower().split()]
    plain = not any(word in STOPS or (word.endswith(("ing", "ed")) and word != "red") for word in words)
    return len(items) > 1 and not items[0] and not items[-1] and len(words) <= 4 * (len(items) - 2) and plain


def _with_totals(text: str, found: list[Mention]) -> list[Mention]:
    spans = [(one.start, one.end) for one in found]
    totals = []
    for number, (one, shown) in enumerate(zip(found, _shown(text, spans, begin=False), strict=True)):
        following = spans[number + 1][0] if number + 1 < len(spans) else one.end
        ends = _ENDS.match(text, one.end) or _lists(text, one.end, following)
        totals.append(replace(one, total=True) if one.number is not None and shown and ends else one)
    return totals


def _before(text: str, place: int) -> str:
    return text[max(0, place - _NEAR) : place]


def _end_of_phrase(text: str, start: int) -> int:
    """Where the phrase that begins at ``start`` ends; ``start`` where no word belongs to it."""
    end = start
    for number, word in enumerate(_WORD.finditer(text, start)):
        apart = text[end : word.start()] if number else ""
        low = word.group().lower()
        participle = number > 0 and low.endswith("ing") and low not in _NOUNS_IN_ING
        another = number > 0 and low in DETERMINERS  # "the man walks two dogs"
        stops = low in STOPS or low.endswith(("n't", "n’t"))
        if number == _LONGEST or apart.strip() or stops or participle or another:
            break
        end = word.end()
    return end


def _number(phrase: str, name: Name) -> int | None:
    """The count that a phrase states: "two dogs", "only one dog"; "one dog" alone is just a dog."""
    words = phrase.lower().split()
    only, word = words[0] == "only", words[1] if words[0] == "only" else words[0]
    number = int(word) if word.isdigit() else NUMBERS.get(word)
    several = not name[-1].endswith(words[-1]) or singular(words[-1]) != words[-1]
    return number if number is not None and (only or (several and number > 1)) else None


def _bare(text: str, vocabulary: Vocabulary, taken: Sequence[Span]) -> list[Mention]:
    heads, known = vocabulary.heads, vocabulary.modifiers
    words = list(_WORD.finditer(text)) if heads else []
    found = []

    def at(number: int) -> str:
        return words[number].group().lower() if number < len(words) else ""

    def joined(number: int) -> bool:  # to the word before
        return text[words[number - 1].end() : words[number].start()] == " "

    for number, word in enumerate(words):
        first = number
        if number and joined(number) and f"{at(number - 1)} {singular(at(number))}" in COMPOUNDS:
            first -= 1
        name = name_of(text[words[first].start() : word.end()])
        # What is only a colour is no thing: "the ball is orange".
        if name[-1] not in heads or at(number) in COLOURS:
            continue
        while first and at(first - 1) in known and joined(first):
            first -= 1
        start, end = words[first].start(), word.end()
        part_of_longer = singular(at(number + 1)) in heads and joined(number + 1)
        if part_of_longer or lies_in(taken, start) or lies_in(taken, end - 1):
            continue
        found.append(Mention(name_of(text[start:end]), start, end))
    return found
