"""Names of things: makes noun phrases comparable, and decides whether two may mean the same thing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: A name: its words in lower case, without determiners. The last word, the head, is in the singular; a
#: compound
#: such as "hot dog" is one word.
Name = tuple[str, ...]


def word_set(text: str) -> frozenset[str]:
    """Splits a text into a set of words."""
    return frozenset(text.split())


_NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: number for number, word in enumerate(_NUMBER_WORDS, start=1)}
DETERMINERS = NUMBERS.keys() | word_set(
    "a an the this that these those some any each another both all several many few no only my your his her "
    "its our their"
)
#: Heads that stand for a thing of any kind.
ANY = word_set("object thing item")
COLORS = word_set("red orange yellow green blue purple pink brown black white grey gray golden silver beige")
_IRREGULAR = dict(
    pair.split("=")
    for pair in word_set(
        "men=man women=woman children=child people=person feet=foot teeth=tooth mice=mouse geese=goose "
        "knives=knife leaves=leaf loaves=loaf wolves=wolf shelves=shelf calves=calf halves=half "
        "scarves=scarf potatoes=potato tomatoes=tomato buses=bus lenses=lens shoes=shoe"
    )
)
_AS_THEY_ARE = word_set(
    "glasses sunglasses scissors pants trousers jeans shorts clothes stairs lens gas canvas bus"
)
#: Two words that name one kind of thing, which is not a kind of the last word.
COMPOUNDS = frozenset(
    ("hot dog", "corn dog", "prairie dog", "teddy bear", "gummy bear", "sea lion", "guinea pig", "piggy bank",
     "rocking horse", "computer mouse", "baseball bat")
)  # fmt: skip
#: Words that cannot belong to a name.
STOPS = word_set(
    "is are was were be been being has have had do does can cannot will there here it its he she they we i "
    "you who which that what where when while and or but nor than as of in on at by with without from to "
    "into onto over under above below behind beside beneath between near next against across along alongside "
    "among amid beyond around inside outside through toward towards during for about up down off out left "
    "right front also just only directly very quite says say reads read shows show stand stands sit sits lie "
    "lies lay appear appears seem seems look looks hold holds wear wears carry carries contain contains "
    "include includes feature features depict depicts see sees seen visible located placed positioned parked "
    "dressed made filled covered surrounded closest nearest farthest furthest closer farther nearer further "
    "close far not no never another the a an this these those"
)
_SIZES = word_set("small large big little tiny huge tall short")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of specialists' names, by which a thing is found where a text has no determiner.

    Attributes:
        heads: last words of the names.
        modifiers: words that may stand before a head: other words of the names, colors and sizes.
    """

    heads: frozenset[str] = frozenset()
    modifiers: frozenset[str] = COLORS | _SIZES

    @classmethod
    def of(cls, names: Iterable[Name]) -> Vocabulary:
        """Collects the words of names."""
        known = set(names)
        before = {word for name in known for word in name[:-1]}
        return cls(frozenset(name[-1] for name in known), COLORS | _SIZES | before)


def name_of(phrase: str) -> Name:
    """Makes the name of a phrase; empty for a phrase without a word."""
    words = [word.lower() for word in _WORD.findall(phrase)]
    while len(words) > 1 and (words[0] in DETERMINERS or words[0].isdigit()):
        words = words[1:]
    if not words:
        return ()
    head = singular(words[-1])
    compound = " ".join((*words[-2:-1], head))
    return (*words[:-2], compound) if compound in COMPOUNDS else (*words[:-1], head)


def singular(noun: str) -> str:
    """Makes the singular of a noun in lower case, by rules and a list of irregular nouns."""
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun in _AS_THEY_ARE or len(noun) < 4 or noun.endswith(("ss", "us", "is")):
        return noun
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if noun.endswith(("sses", "xes", "zes", "ches", "shes")):
        return noun[:-2]
    return noun.removesuffix("s")


def agree(one: Name, other: Name) -> bool:
    """Whether two names may mean the same thing: one head, and one name has all words of the other.

    "cube", "red cube" and "small red cube" agree with each other; "red cube" and "wooden cube" do not. A
    thing of any kind ("object") agrees with every name that has no other color.
    """
    if not one or not other:
        return False
    if one[-1] in ANY or other[-1] in ANY:
        return not _other_color(one, other)
    first, second = set(one[:-1]), set(other[:-1])
    return one[-1] == other[-1] and (first <= second or second <= first)


def clash(one: Name, other: Name) -> bool:
    """Whether two names with one head cannot mean the same thing, because they state different colors."""
    return bool(one and other) and one[-1] == other[-1] and _other_color(one, other)


def _other_color(one: Name, other: Name) -> bool:
    first, second = COLORS & set(one), COLORS & set(other)
    return bool(first and second) and not first & second
