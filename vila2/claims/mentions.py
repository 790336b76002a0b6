"""Finds the things that a free text names: determiner, adjectives, noun; and bare names that specialists use.

These are simple rules for English captions, without a grammar. A phrase ends before the first word that
cannot belong to it. A thing that the rules do not understand is not mentioned, so it makes no claim.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from vila2.claims.denials import Span, denials, lies_in
from vila2.claims.introductions import only_lists, shown_in
from vila2.claims.names import (
    COLORS,
    COMPOUNDS,
    DETERMINERS,
    NUMBERS,
    STOPS,
    Name,
    Vocabulary,
    name_of,
    singular,
    word_set,
)

#: Nouns that end in "ing"; other words in "ing" are participles and end a phrase.
_NOUNS_IN_ING = word_set(
    "building ceiling painting clothing string ring king thing wing swing evening morning wedding drawing "
    "railing awning earring"
)
#: Verbs of captions. Behind "the dog", only this list tells them from nouns: "the dog jumps", "the dog
#: owners".
_DOES = word_set(
    "jumps runs plays walks rides leaps watches chases climbs catches takes swims performs smiles gets tries "
    "poses flies lays pushes splashes drives makes shakes dives follows leans kneels attempts eats throws "
    "reaches kicks helps gives bites goes skateboards dances prepares hangs races balances waits drinks "
    "enjoys talks puts surfs dribbles uses pours sniffs pulls touches licks bends raises begins grinds "
    "descends pauses retrieves paddles sings crawls barks passes captures presents displays illustrates "
    "emerges sticks returns stares hits kisses blows sleeps works moves wants needs keeps brings turns stops"
)
#: Words that end like plurals and stand before a noun.
_BEFORE_A_NOUN = word_set("sports christmas news ladies mens womens kids goods species series")
_NOUNS_IN_ED = word_set("red bed bunkbed sled bobsled shed weed seed speed breed feed moped steed")
#: Determiners of one thing: a word behind them that looks like a plural is a verb.
_ONE = word_set("a an this that another one")
#: Nouns of place, time or medium, which name no thing in the image.
_NO_THING = word_set(
    "image picture photo photograph scene frame camera viewer side left right middle center centre "
    "foreground background front back top bottom corner edge distance view shot kind type lot number variety "
    "day time way pair group row bunch couple set handful mix size color colour"
)
#: Things that carry written text; the claim is the text, not that the thing is there.
CARRIERS = word_set("sign label word text letter logo writing caption title inscription")
_START = re.compile(
    r"\b(?:only\s+)?(?P<det>an?|the|this|that|these|those|another|some|several|both|"
    rf"{'|'.join(NUMBERS)}|\d{{1,2}})\s+(?=[^\W\d_])",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
#: Words before a number that is not an exact count.
_BOUND = re.compile(
    r"\b(?:at\s+(?:least|most)|(?:more|fewer|less)\s+than|up\s+to|or|over|under|about|around|nearly|almost|roughly"
    r"|approximately)\s+$",
    re.IGNORECASE,
)
_OR = re.compile(r"\s+or\b", re.IGNORECASE)
#: What may follow a total; "two dogs are brown" and "two dogs in the foreground" count only some.
_ENDS = re.compile(
    r"(?:\s+(?:in|on)\s+the\s+(?:image|picture|photo|photograph|scene|frame|ground|floor)|\s+(?:here|visible))?"
    r"\s*(?:[.;:!?]|$)",
    re.IGNORECASE,
)
_NEAR = 60  # characters to look back; a text may be of any length
_LONGEST = 5  # words of a name


@dataclass(frozen=True, slots=True)
class Mention:
    """A thing that a text names.

    Attributes:
        name: name in comparable form.
        start: place of the first character, that of the determiner.
        end: place behind the last character.
        number: number of such things in the text's words; None where the text does not count.
        total: whether the text says that there are no more of them.
    """

    name: Name
    start: int
    end: int
    number: int | None = None
    total: bool = False

    @property
    def called(self) -> str:
        """The name as text."""
        return " ".join(self.name)


def mentions(text: str, vocabulary: Vocabulary = Vocabulary()) -> list[Mention]:  # noqa: B008 - frozen
    """Finds the things that a text names, in order.

    Things that the text denies ("no cat") or does not count exactly ("about three cats") are left out.

    Args:
        text: text of any length.
        vocabulary: words of the specialists' names. They find things without a determiner ("red cube for
            sale"): a head with the modifiers before it.
    """
    denied = denials(text)
    found: list[Mention] = []
    unclear: list[Span] = []
    for hit in _START.finditer(text):
        if found and hit.start() < found[-1].end:
            continue
        end = _end_of_phrase(text, hit.end(), one=hit["det"].lower() in _ONE)
        name = name_of(text[hit.end() : end])
        if not name or name[-1] in _NO_THING or lies_in(denied, hit.start()):
            continue
        number = _number(text[hit.start() : end], name)
        if number is not None and (
            _BOUND.search(text[max(0, hit.start() - _NEAR) : hit.start()]) or _OR.match(text, end)
        ):
            unclear.append((hit.start(), end))
        else:
            found.append(Mention(name, hit.start(), end, number))
    taken = sorted([*unclear, *((one.start, one.end) for one in found)])
    found += (one for one in _bare(text, vocabulary, taken) if not lies_in(denied, one.start))
    return _with_totals(text, sorted(found, key=lambda one: one.start))


def _with_totals(text: str, found: list[Mention]) -> list[Mention]:
    """Marks the counts that are totals."""
    spans = [(one.start, one.end) for one in found]
    totals = []
    for number, (one, shown) in enumerate(zip(found, shown_in(text, spans, begin=False), strict=True)):
        following = spans[number + 1][0] if number + 1 < len(spans) else one.end
        ends = _ENDS.match(text, one.end) or only_lists(text, one.end, following)
        totals.append(replace(one, total=True) if one.number is not None and shown and ends else one)
    return totals


def _end_of_phrase(text: str, start: int, *, one: bool) -> int:
    """Finds the end of a phrase; ``start`` where no word belongs to it.

    Args:
        text: text with the phrase.
        start: place behind the phrase's determiner.
        one: whether the determiner is that of one thing.
    """
    words: list[re.Match[str]] = []
    for word in islice(_WORD.finditer(text, start), _LONGEST):
        gap = text[words[-1].end() if words else start : word.start()]
        if gap.strip() or _stops(word.group().lower()):
            break
        if words and (_is_plural(words[-1].group()) or _goes_on(word.group(), one)):
            break
        words.append(word)
    last = words[-1].group().lower() if words else ""
    if len(words) > 1 and last.endswith("ed") and last not in _NOUNS_IN_ED:  # "the dog jumped"
        words.pop()
    return words[-1].end() if words else start


def _stops(low: str) -> bool:
    return low in STOPS or low.endswith(("n't", "n’t"))


def _goes_on(word: str, one: bool) -> bool:
    """Whether a word continues the sentence and not the phrase: "the man | walking", "a dog | runs"."""
    low = word.lower()
    participle = low.endswith("ing") and low not in _NOUNS_IN_ING
    return participle or low in DETERMINERS or low in _DOES or (one and _is_plural(word))


def _is_plural(word: str) -> bool:
    """Whether a word looks like a plural and so ends its phrase ("two dogs | run"). A name does not."""
    low = word.lower()
    return word == low and singular(low) != low and low not in _BEFORE_A_NOUN and low.isalpha()


def _number(phrase: str, name: Name) -> int | None:
    """Reads the count that a phrase states: "two dogs", "only one dog"; "one dog" alone is just a dog."""
    words = phrase.lower().split()
    only, word = words[0] == "only", words[1] if words[0] == "only" else words[0]
    number = int(word) if word.isdigit() else NUMBERS.get(word)
    several = not name[-1].endswith(words[-1]) or singular(words[-1]) != words[-1]
    return number if number is not None and (only or (several and number > 1)) else None


def _bare(text: str, vocabulary: Vocabulary, taken: Sequence[Span]) -> list[Mention]:
    """Finds names of the vocabulary that have no determiner, outside of the spans that are taken."""
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
        # A bare color is not a thing: "the ball is orange".
        if name[-1] not in heads or at(number) in COLORS:
            continue
        while first and at(first - 1) in known and joined(first):
            first -= 1
        start, end = words[first].start(), word.end()
        part_of_longer = singular(at(number + 1)) in heads and joined(number + 1)
        if part_of_longer or lies_in(taken, start) or lies_in(taken, end - 1):
            continue
        found.append(Mention(name_of(text[start:end]), start, end))
    return found
