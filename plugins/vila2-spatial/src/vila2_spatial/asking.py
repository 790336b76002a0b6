"""SpatialRelationQA, third step: a fact in words, as a question turn and its answer turn."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from vila2.plugin import BoxPart, Part, TextPart, Turn, assistant, user

from vila2_spatial.cleaning import CleanScene, Thing
from vila2_spatial.facts import Fact
from vila2_spatial.wording import COMPARATIVES, GROUPS, Wording

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def exchange(
    fact: Fact, scene: CleanScene, wording: Wording, rng: np.random.Generator, box_share: float, branch: int
) -> tuple[Turn, Turn]:
    """A question and its answer.

    Args:
        fact: the content of the question.
        scene: the scene of the fact.
        wording: the words to choose from.
        rng: source of the choice.
        box_share: share of the things identified by their name that carry their box all the same. Any other
            thing always carries its box.
        branch: branch of both turns.
    """
    things = {thing.number: thing for thing in scene.present}
    options = wording.templates[GROUPS[fact.predicate], fact.form]
    template = options[int(rng.integers(len(options)))]
    phrases = wording.phrases[fact.predicate]
    relation = phrases[int(rng.integers(len(phrases)))]
    named = {
        place: _reference(scene, things[number], rng, box_share)
        for place, number in (("t", fact.subject), ("a", fact.anchor), ("o", fact.other))
        if number is not None
    }
    fill: dict[str, Sequence[Part]] = {
        **named,
        "rel": [TextPart(relation)],
        "label": [TextPart(fact.label or "")],
        "comparative": [TextPart(COMPARATIVES.get(fact.predicate, ""))],
    }
    question = _filled(template.question, fill)
    if isinstance(fact.answer, int):
        winner = things[fact.answer]
        said = named["t" if fact.answer == fact.subject else "o"]
        fill |= {
            "box": [BoxPart(winner.box)],
            "name": [TextPart(winner.called)],
            "winner": [TextPart(winner.called)],
        }
        fill["W"] = _capital(said)
    elif fact.form == "yes-no":
        fill["word"] = [TextPart(wording.yes if fact.answer == "yes" else wording.no)]
    else:
        fill["word"] = [TextPart(wording.words[fact.answer])]
    if "t" in named:
        fill["T"] = _capital(named["t"])
    return user(*question, branch=branch), assistant(*_filled(template.answer, fill), branch=branch)


def _reference(scene: CleanScene, thing: Thing, rng: np.random.Generator, box_share: float) -> list[Part]:
    """ "the red car", with its box where the name alone does not tell it."""
    alone = scene.named_alone(thing)
    boxed = rng.random() < box_share or not alone
    text = f"the {thing.called}"
    return [TextPart(text + " "), BoxPart(thing.box)] if boxed else [TextPart(text)]


def _capital(parts: Sequence[Part]) -> list[Part]:
    first = parts[0]
    assert isinstance(first, TextPart)
    return [TextPart(first.text[0].upper() + first.text[1:]), *parts[1:]]


def _filled(template: str, fill: dict[str, Sequence[Part]]) -> list[Part]:
    """The template with its places filled; neighboring texts are joined."""
    parts: list[Part] = []
    for number, piece in enumerate(_PLACEHOLDER.split(template)):
        for part in fill[piece] if number % 2 else [TextPart(piece)]:
            if isinstance(part, TextPart) and parts and isinstance(parts[-1], TextPart):
                parts[-1] = TextPart(parts[-1].text + part.text)
            elif not isinstance(part, TextPart) or part.text:
                parts.append(part)
    return parts
