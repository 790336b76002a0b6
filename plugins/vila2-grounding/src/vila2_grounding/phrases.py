"""Noun phrases, found by rules. The rules give a phrase's category, and the phrase in front of a box.

The category is the lemma of the head noun. The rules are for English captions and know no grammar. They take
the last noun before the first preposition or relative word. So three kinds of phrase are read literally: an
adjective behind the noun ("the people present"), a participle that is not in the list ("a man eating pizza"
has the head "pizza"), and a name ("Tower Bridge" is a "bridge"). "glasses" and "glass" are two categories.
"""

from __future__ import annotations

import re

from vila2_grounding.words import (
    ARTICLES,
    CAPITALIZED,
    COLLECTIVE,
    COMPOUNDS,
    DETERMINERS,
    ENDS,
    INVARIANT,
    IRREGULAR,
    MASS,
    NUMBERS,
    POSSESSIVES,
    QUANTITIES,
    VAGUE,
    VERBS,
)

_COUNTS = {name: number for number, name in NUMBERS.items()} | {"both": 2}
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def lemma(noun: str) -> str:
    """The singular of a noun in lower case, by rules and a list of irregular nouns."""
    noun = noun.lower().replace("’", "'")
    noun = noun.removesuffix("'s").removesuffix("s'")
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    if noun in INVARIANT or len(noun) < 4 or noun.endswith(("ss", "us", "is")):
        return noun
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if re.search(r"(?:ss|x|z|ch|sh)es$", noun):
        return noun[:-2]
    return noun.removesuffix("s")


def category(phrase: str) -> str:
    """The lemma of a phrase's head noun, or "" for a phrase without a word.

    Words that only tell a quantity do not count: the category of "a pair of brown dogs" is "dog".
    """
    words = [word.lower() for word in _WORD.findall(phrase)]
    while len(words) > 1 and words[0] in DETERMINERS:
        words = words[1:]
    for number, word in enumerate(words):
        if word == "of" and number and lemma(words[number - 1]) in QUANTITIES and words[number + 1 :]:
            return category(" ".join(words[number + 1 :]))
        if number and word in ENDS:
            words = words[:number]
            break
    return lemma(words[-1]) if words else ""


def normal(phrase: str) -> str:
    """The form of a phrase in which it is compared with others.

    It is in lower case, has no determiners in front, and has its last word in the singular.
    """
    words = [word.lower() for word in _WORD.findall(phrase)]
    while len(words) > 1 and words[0] in DETERMINERS:
        words = words[1:]
    return " ".join([*words[:-1], lemma(words[-1])]) if words else ""


def definite(phrase: str) -> str:
    """A phrase as a question uses it: "a cube", "one cube" and "his cube" become "the cube"."""
    first, _, rest = phrase.strip().partition(" ")
    if rest and (first.lower() in ARTICLES | POSSESSIVES or first.lower() == "one"):
        return "the " + rest
    if first.lower() in DETERMINERS:
        return first.lower() + (" " + rest if rest else "")
    return "the " + phrase.strip()


def spoken(label: str) -> str:
    """A dataset's label as English has it: "dining table" for "diningtable"."""
    return COMPOUNDS.get(label.lower(), label)


def names_several(phrase: str) -> bool:
    """Whether a phrase means more than one thing: "two dogs", "the women", "a group of people"."""
    words = [word.lower() for word in _WORD.findall(phrase)]
    head = category(phrase)
    counted = bool(words) and (words[0] in NUMBERS.values() or words[0] in VAGUE)
    return counted or head not in words or bool(COLLECTIVE & {head, *words[:3]})


def is_one_place(phrase: str) -> bool:
    """Whether one box can be the place of a phrase: of "a dog" and "a group of people", not of "two dogs"."""
    words = [word.lower() for word in _WORD.findall(phrase)]
    if words[:1] == ["another"]:  # which no question can mean, but a sentence can
        return is_one_place(" ".join(words[1:]))
    return not names_several(phrase) or bool(COLLECTIVE & {category(phrase), *words[:3]})


def are_places(phrase: str, count: int) -> bool:
    """Whether so many boxes can be a phrase's places: three of "three boats", two or more of "the women"."""
    first, _, rest = phrase.lower().strip().partition(" ")
    if first == "another" and rest:
        return are_places(rest, count)
    if first in _COUNTS:
        return count == _COUNTS[first]
    return is_one_place(phrase) if count == 1 else names_several(phrase)


def with_article(phrase: str) -> str:
    """A phrase as an answer gives it: "dog" and "his dog" become "a dog"; "the dog" and "grass" stay."""
    first, _, rest = phrase.strip().partition(" ")
    if rest and (first.lower() in POSSESSIVES or first.lower() == "one"):
        return with_article(rest)
    words = [word.lower() for word in _WORD.findall(phrase)]
    if not words or words[0] in DETERMINERS or category(phrase) in MASS or names_several(phrase):
        return phrase
    if words[0].endswith(("'s", "’s")) or category(phrase) in INVARIANT:
        return phrase
    if phrase[:1].isupper() and words[0] not in CAPITALIZED:
        return phrase
    return _article(phrase) + phrase


def indefinite(name: str, count: int = 1) -> str:
    """A name with its article, or with its number: "an orange cube", "two red cubes"."""
    if count > 1:
        return f"{NUMBERS.get(count, str(count))} {plural(name)}"
    if lemma(name.split()[-1]) != name.split()[-1] or name.split()[-1] in INVARIANT:
        return name  # "scissors"
    return _article(name) + name


def is_plural(name: str, count: int = 1) -> bool:
    """Whether a verb after :func:`indefinite` is in the plural: "two cubes are", "scissors are"."""
    return count > 1 or indefinite(name) == name


def _article(phrase: str) -> str:
    vowel = phrase[:1].lower() in "aeiou" and not re.match(r"uni[^nm]|use|eu|one\b|once", phrase.lower())
    return "an " if vowel or phrase.lower().startswith(("hour", "honest")) else "a "


def plural(name: str) -> str:
    """The plural of a name's last word, which :func:`lemma` undoes."""
    before, space, noun = name.rpartition(" ")
    irregular = {one: many for many, one in IRREGULAR.items()}
    if noun in irregular:
        noun = irregular[noun]
    elif noun not in INVARIANT:
        if re.search(r"(?:ss|us|is|x|z|ch|sh)$", noun):
            noun += "es"
        else:
            noun = noun[:-1] + "ies" if re.search(r"[^aeiou]y$", noun) else noun + "s"
    return before + space + noun


def phrase_before(text: str, end: int, start: int = 0) -> tuple[int, int] | None:
    """The span of the noun phrase at the end of ``text[start:end]``, or None where no word stands there.

    The phrase goes back to a determiner at most. It never crosses punctuation, a preposition, a conjunction
    or a common verb.
    """
    found = [match for match in _WORD.finditer(text, start, end)]
    if not found or text[found[-1].end() : end].strip():
        return None
    first = last = found[-1]
    for match in reversed(found):
        word = match.group().lower()
        if match is not last and text[match.end() : first.start()].strip():
            break
        if match is not last and (word in ENDS or word in VERBS):
            break
        first = match
        if word in DETERMINERS:
            break
    return first.start(), last.end()
