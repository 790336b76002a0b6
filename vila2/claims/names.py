"""What annotators call things: noun phrases made comparable, and whether two may mean the same thing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: A name: its words in lower case without determiners, the last one (the head, of some "hot dog") in the singular.
Name = tuple[str, ...]


def word_set(text: str) -> frozenset[str]:
    """The words of a text, for lists of words that read as one."""
    return frozenset(text.split())


NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}  # fmt: skip
DETERMINERS = NUMBERS.keys() | word_set(
    "a an the this that these those some any each another both all several many few no only my your his her its our "
    "their"
)
#: Heads that stand for a thing of any kind.
ANY = word_set("object thing item")
COLOURS = word_set("red orange yellow green blue purple pink brown black white grey gray golden silver beige")
_IRREGULAR = dict(
    pair.split("=")
    for pair in word_set(
        "men=man women=woman children=child people=person feet=foot teeth=tooth mice=mouse geese=goose knives=knife "
        "leaves=leaf loaves=loaf wolves=wolf shelves=shelf calves=calf halves=half scarves=scarf potatoes=potato "
        "tomatoes=tomato buses=bus lenses=lens shoes=shoe"
    )
)
_AS_THEY_ARE = word_set(
    "glasses sunglasses scissors pants trousers jeans shorts clothes stairs lens gas canvas bus"
)
#: Two words for one kind of thing, which is not of the kind that the last word says.
COMPOUNDS = frozenset(
    ("hot dog", "corn dog", "prairie dog", "teddy bear", "gummy bear", "sea lion", "guinea pig", "piggy bank",
     "rocking horse", "computer mouse", "baseball bat")
)  # fmt: skip
#: Words that cannot belong to a name.
STOPS = word_set(
    "is are was were be been being has have had do does can cannot will there here it its he she they we i you who which that "
    "what where when while and or but nor than as of in on at by with without from to into onto over under above below "
    "behind beside beneath between near next against across along alongside among amid beyond around inside outside through toward towards during "
    "for about up down off out left right front also just only directly very quite says say reads read shows show "
    "stand stands sit sits lie lies lay appear appears seem seems look looks hold holds wear wears carry carries "
    "contain contains include includes feature features depict depicts see sees seen visible located placed positioned "
    "parked dressed made filled covered surrounded closest nearest farthest furthest closer farther nearer further "
    "close far not no never another the a an this these those"
)
_SIZES = word_set("small large big little tiny huge tall short")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that specialists' names are made of, by which a thing is known where a text gives no determiner.

    Attributes:
        heads: last words.
        modifiers: what may stand before them: words of names, colours and sizes.
    """

    heads: frozenset[str] = frozenset()
    modifiers: frozenset[str] = COLOURS | _SIZES

    @classmethod
    def of(cls, names: Iterable[Name]) -> Vocabulary:
        """The words of names."""
        known = set(names)
        before = {word for name in known for word in name[:-1]}
        return cls(frozenset(name[-1] for name in known), COLOURS | _SIZES | before)


def name_of(phrase: str) -> Name:
    """The name that a phrase says; empty for one without a word."""
    words = [word.lower() for word in _WORD.findall(phrase)]
    while len(words) > 1 and (words[0] in DETERMINERS or words[0].isdigit()):
        words = words[1:]
    if not words:
        return ()
    head = singular(words[-1])
    compound = " ".join((*words[-2:-1], head))
    return (*words[:-2], compound) if compound in COMPOUNDS else (*words[:-1], head)


def singular(noun: str) -> str:
    """The singular of a noun in lower case, by rule and a list of irregular ones."""
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
    """Whether two names may mean the same thing: one head, and neither says of it what the other does not hold.

    "cube", "red cube" and "small red cube" agree with each other, "red cube" and "wooden cube" do not. A thing of
    any kind ("object") agrees with all that has no other colour.
    """
    if not one or not other:
        return False
    if one[-1] in ANY or other[-1] in ANY:
        return not _other_colour(one, other)
    first, second = set(one[:-1]), set(other[:-1])
    return one[-1] == other[-1] and (first <= second or second <= first)


def clash(one: Name, other: Name) -> bool:
    """Whether two names of one head cannot mean the same thing: both say a colour, and not the same."""
    return bool(one and other) and one[-1] == other[-1] and _other_colour(one, other)


def _other_colour(one: Name, other: Name) -> bool:
    first, second = COLOURS & set(one), COLOURS & set(other)
    return bool(first and second) and not first & second
