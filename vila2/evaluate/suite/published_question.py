"""A question of a published benchmark, and what a model said to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PublishedQuestion:
    """One question.

    Attributes:
        item: name of the question, different from those of all others.
        image: name of what is resampled for intervals; questions about one image share it.
        prompt: question as the model reads it.
        images: encoded image files.
        answers: right answers: ten people's, a letter, or one text; none where a judge decides.
        choices: text of each choice by its letter, where there are some.
        group: part of the benchmark that the question belongs to, such as "random" of POPE.
    """

    item: str
    image: str
    prompt: str
    images: tuple[bytes, ...]
    answers: tuple[str, ...]
    choices: Mapping[str, str] = field(default_factory=dict)
    group: str = ""


#: A question without its images, and the text that a model said to it.
AnsweredQuestion = tuple[PublishedQuestion, str]
