"""Exchanges from a grounded caption, of three kinds.

A narration gives the caption with its boxes. A referring question gives a phrase and asks for its box. A
region question gives a box and asks for its phrase.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from vila2.plugin import Box, BoxPart, Part, TextPart, iou

from vila2_grounding import PROMPTS
from vila2_grounding.grounded import Grounded, Phrase, narration
from vila2_grounding.phrases import are_places, definite, names_several, normal, with_article

T = TypeVar("T")
Exchange = tuple[str, tuple[Part, ...], tuple[Part, ...]]  # kind, question, answer

REFERRING = (
    "Specify the location of {phrase} in the image.",
    "Provide the location of {phrase} with [xmin,ymin,xmax,ymax].",
    "Where is {phrase} in the image?",
)
#: Overlap from which on two boxes are of one thing.
SAME = 0.7
REGIONS = ("What is at {box}?", "What does the image show at {box}?", "Describe what is at {box}.")


def narrate(grounded: Grounded, phrases: Sequence[Phrase], draw: random.Random) -> Iterator[Exchange]:
    """The caption with its boxes, as the answer to the paper's prompt.

    A phrase whose boxes are not as many as it says ("two dogs" with one or with three) gets none. Where no
    box is left, there is no narration.
    """
    boxed = tuple(one for one in phrases if are_places(grounded.words(one), len(one.boxes)))
    if boxed:
        yield "narration", (TextPart(draw.choice(PROMPTS)),), narration(grounded, boxed)


Boxes = Mapping[str, Sequence[Box]]


def boxes_of(captions: Iterable[Grounded]) -> Boxes:
    """The boxes of each phrase over all captions of one image; boxes that overlap much are one."""
    found: defaultdict[str, list[Box]] = defaultdict(list)
    for grounded in captions:
        for phrase in (*grounded.expressions, *grounded.phrases):
            own = found[normal(grounded.words(phrase))]
            own += [box for box in phrase.boxes if not any(iou(box, one) >= SAME for one in own)]
    return found


def refer(grounded: Grounded, boxes: Boxes, count: int, draw: random.Random) -> Iterator[Exchange]:
    """At most ``count`` questions about a phrase that means one thing, and one box in the whole image."""
    phrases = grounded.expressions or grounded.phrases
    clear = {
        normal(words): phrase
        for phrase in phrases
        if len(boxes[normal(words := grounded.words(phrase))]) == 1 and not names_several(words)
    }
    for name in _some(list(clear), count, draw):
        said = definite(_in_sentence(grounded, clear[name]))
        question = draw.choice(REFERRING).format(phrase=said)
        yield "referring", (TextPart(question),), (BoxPart(clear[name].boxes[0]),)


def describe_regions(grounded: Grounded, count: int, draw: random.Random) -> Iterator[Exchange]:
    """At most ``count`` questions about a box that exactly one phrase names, which means one thing."""
    named: defaultdict[Box, dict[str, str]] = defaultdict(dict)
    for phrase in grounded.instances:
        if len(phrase.boxes) == 1:
            said = _in_sentence(grounded, phrase)
            named[phrase.boxes[0]].setdefault(normal(said), said)
    clear = [
        box for box, names in named.items() if len(names) == 1 and not any(map(names_several, names.values()))
    ]
    for box in _some(clear, count, draw):
        before, after = draw.choice(REGIONS).split("{box}")
        answer = with_article(next(iter(named[box].values())))
        yield "region", (TextPart(before), BoxPart(box), TextPart(after)), (TextPart(answer),)


def _in_sentence(grounded: Grounded, phrase: Phrase) -> str:
    """A phrase as it reads in the middle of a sentence.

    The phrase that begins the caption loses its capital, even where it is a name.
    """
    said = grounded.words(phrase)
    first = not grounded.caption[: phrase.start].strip()
    return said[0].lower() + said[1:] if first and not said[1:2].isupper() else said


def _some(items: Sequence[T], count: int, draw: random.Random) -> list[T]:
    return [items[n] for n in draw.sample(range(len(items)), min(count, len(items)))]
