"""What a row of a data set asks and answers, as a conversation with an isolated branch for each question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vila2.plugin import ImagePart, Turn, UnfitConversation, assistant, user


@dataclass(frozen=True, slots=True)
class Read:
    """What a row says.

    Attributes:
        turns: the conversation; the user's first shows the images.
        references: all answers that a data set accepts, question by question.
    """

    turns: tuple[Turn, ...]
    references: tuple[tuple[str, ...], ...] = ()


#: Reads the fields of a row that has so many images; raises ``UnfitConversation`` with a reject's reason.
RowReader = Callable[[Mapping[str, Any], int], Read]


def branches(
    pairs: Sequence[tuple[Any, Any]], images: int, references: tuple[tuple[str, ...], ...] = ()
) -> Read:
    """Questions of one image that have nothing to do with each other, each in its own branch.

    Raises:
        UnfitConversation: no question, or one without text or answer.
    """
    turns: list[Turn] = [user(*(ImagePart(number) for number in range(images)))]
    for branch, (question, answer) in enumerate(pairs, start=1):
        turns += [user(text_of(question), branch=branch), assistant(text_of(answer), branch=branch)]
    if len(turns) == 1:
        raise UnfitConversation("missing-text", "no question")
    return Read(tuple(turns), references)


def text_of(value: Any) -> str:
    """A text of a row without white space around it; numbers as text.

    Raises:
        UnfitConversation: no text.
    """
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.strip():
        raise UnfitConversation("missing-text", f"{value!r:.40} instead of text")
    return text.strip()
