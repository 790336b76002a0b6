"""Exchanges from a grounded caption, of three kinds.

A narration gives the caption with its boxes. A referring question gives a phrase and asks for its box. A
region question gives a box and asks for its phrase.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

from vila2.plugin import Box, BoxPart, Part, TextPart

from vila2_grounding import PROMPTS
from vila2_grounding.grounded import Grounded, Phrase, narration
from vila2_grounding.phrases import category, definite, normal

T = TypeVar("T")
Exchange = tuple[str, tuple[Part, ...], tuple[Part, ...]]  # kind, question, answer

REFERRING = (
    "Specify the location of {phrase} in the image.",
    "Provide the location of {phrase} with [xmin,ymin,xmax,ymax].",
)
#: A question for singular phrases only.
WHERE = "Where is {phrase} in the image?"
REGIONS = ("What is at {box}?", "What does the image show at {box}?", "Describe the object at {box}.")


def narrate(grounded: Grounded, phrases: tuple[Phrase, ...], draw: random.Random) -> Exchange:
    """The caption with its boxes, as the answer to the paper's prompt."""
    return "narration", (TextPart(draw.choice(PROMPTS)),), narration(grounded, phrases)


def refer(grounded: Grounded, count: int, draw: random.Random) -> Iterator[Exchange]:
    """At most ``count`` questions about a phrase that means exactly one box. The answer is that box."""
    boxes: defaultdict[str, set[Box]] = defaultdict(set)
    for phrase in (*grounded.expressions, *grounded.phrases):
        boxes[normal(grounded.words(phrase))].update(phrase.boxes)
    phrases = grounded.expressions or grounded.phrases
    clear = {normal(grounded.words(phrase)): phrase for phrase in phrases}
    for name in _some([name for name in clear if len(boxes[name]) == 1], count, draw):
        said = _in_sentence(grounded, clear[name])
        templates = REFERRING if _is_plural(said) else (*REFERRING, WHERE)
        question = draw.choice(templates).format(phrase=definite(said))
        yield "referring", (TextPart(question),), (BoxPart(clear[name].boxes[0]),)


def describe_regions(grounded: Grounded, count: int, draw: random.Random) -> Iterator[Exchange]:
    """At most ``count`` questions about a box that exactly one phrase names. The answer is that phrase."""
    named: defaultdict[Box, dict[str, str]] = defaultdict(dict)
    for phrase in grounded.instances:
        if len(phrase.boxes) == 1:
            said = _in_sentence(grounded, phrase)
            named[phrase.boxes[0]].setdefault(normal(said), said)
    clear = [box for box, names in named.items() if len(names) == 1]
    for box in _some(clear, count, draw):
        before, after = draw.choice(REGIONS).split("{box}")
        answer = next(iter(named[box].values()))
        yield "region", (TextPart(before), BoxPart(box), TextPart(after)), (TextPart(answer),)


def _in_sentence(grounded: Grounded, phrase: Phrase) -> str:
    """A phrase as it reads in the middle of a sentence.

    The phrase that begins the caption loses its capital, even where it is a name.
    """
    said = grounded.words(phrase)
    first = not grounded.caption[: phrase.start].strip()
    return said[0].lower() + said[1:] if first and not said[1:2].isupper() else said


def _is_plural(phrase: str) -> bool:
    return category(phrase) not in phrase.lower().split()


def _some(items: Sequence[T], count: int, draw: random.Random) -> list[T]:
    return [items[n] for n in draw.sample(range(len(items)), min(count, len(items)))]
