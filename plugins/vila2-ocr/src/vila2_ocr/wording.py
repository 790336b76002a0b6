"""The words of questions: several templates for each kind, and the exchange that a fact becomes.

Questions about signs use plain words that the language model of the miniature world knows.
"""

from __future__ import annotations

import re
from random import Random

from vila2.plugin import BoxPart, Part, TextPart, Turn, assistant, user

from vila2_ocr.facts import Fact

_ALL_TEXT = ("Read the text in the image.", "What text is in the image?", "Describe the text in the image.")
#: Of the one sign in an image. Letters take thousands of readings to learn, so a sign is asked in many ways.
ONLY_SIGN = (
    "What does the sign say?",
    "Read the sign.",
    "What word is written on the sign?",
    "Which word can you read in the image?",
    "What is written on the sign?",
    "What word does the sign say?",
    "Which word is on the sign?",
)

#: Templates by kind. A template is usable where a fact fills all of its places.
TEMPLATES: dict[str, tuple[str, ...]] = {
    "description": _ALL_TEXT,
    "no-text": (*_ALL_TEXT, *ONLY_SIGN),  # or it would find a word on a sign that is not there
    "sign": (
        "What does the sign on the {on} say?",
        "Read the sign on the {on}.",
        "What word is written on the sign of the {on}?",
    ),
    "only-sign": ONLY_SIGN,
    "full-text": (
        "Read all text in the image, line by line, from top to bottom and from left to right.",
        "Transcribe this document line by line, from the top, each line from left to right.",
        "What is written in this image? Give every line, from top to bottom, from left to right.",
    ),
    "nth-line": (
        "What does the {nth} line from the top say?",
        "Read the {nth} line of text, counted from the top.",
        "Counting from the top, what does the {nth} line say?",
    ),
    "text-in-box": (
        "What is written in {box}?",
        "Read the text in {box}.",
        "What text is inside the box {box}?",
    ),
    "largest-text": (
        "What does the largest text in the image say?",
        "Read the text in the largest letters.",
        "What is written in the largest letters?",
    ),
    "key-value": (
        'What is the value of "{key}"?',
        'What is written beside "{key}"?',
        'What value does the document give for "{key}"?',
    ),
    "field": (
        "Which {field} is given on this document?",
        "What {field} does the document show?",
        "Find the {field} on this document.",
    ),
    "cell": (
        'What is the "{column}" of "{row}"?',
        'What does the table say in the row "{row}" and the column "{column}"?',
        'In the table, what value does "{row}" have under "{column}"?',
    ),
    "bar-value": (
        'What is the value of the bar "{category}"?',
        'What value does the chart give for "{category}"?',
        'How high is the bar of "{category}"?',
    ),
    "bar-extreme": (
        "Which category has the {extreme} bar?",
        "What is the label of the {extreme} bar?",
        "For which category does the chart show the {extreme} value?",
    ),
    "appears": (
        'Does the word "{word}" appear in the image? Answer yes or no.',
        'Is the word "{word}" written in this image? Answer yes or no.',
        'Can you read the word "{word}" anywhere in the image? Answer yes or no.',
    ),
    "sum": (
        "What is the sum of {what}?",
        "Add up the values of {what}. What do you get?",
        "What do the values of {what} add up to?",
    ),
    "difference": (
        'What is the difference between "{one}" and "{other}"?',
        'By how much do "{one}" and "{other}" differ?',
        'What do you get if you subtract the smaller of "{one}" and "{other}" from the larger?',
    ),
    "count": (
        'How many times is the word "{word}" written in the image?',
        'How often does the word "{word}" appear?',
        "How many {what} are there?",
        "Count the {what}. How many do you find?",
    ),
}
_PLACE = re.compile(r"\{(\w+)\}")


def exchange(fact: Fact, random: Random, branch: int) -> tuple[Turn, Turn]:
    """A fact as a question and its answer, in a branch of their own."""
    places = {*fact.named, *(["box"] if fact.box else [])}
    options = [one for one in TEMPLATES[fact.kind] if set(_PLACE.findall(one)) <= places]
    parts: list[Part] = []
    # Every second piece is the name of a place.
    for number, piece in enumerate(_PLACE.split(random.choice(options))):
        if number % 2 and piece == "box" and fact.box:
            parts.append(BoxPart(fact.box))
        elif text := fact.named[piece] if number % 2 else piece:
            parts.append(TextPart(text))
    return user(*parts, branch=branch), assistant(fact.answer, branch=branch)
