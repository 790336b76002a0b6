"""The questions and answers of a row, as a conversation with a branch of its own for each question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vila2.plugin import ImagePart, Turn, UnfitConversation, assistant, user


@dataclass(frozen=True, slots=True)
class Read:
    """The content of a row.

    Attributes:
        turns: the conversation; the first turn of the user shows the images.
        references: all answers that a data set accepts, for each question.
    """

    turns: tuple[Turn, ...]
    references: tuple[tuple[str, ...], ...] = ()


#: A reader takes the fields of a row and its number of images. It raises ``UnfitConversation`` with the
#: reason for a reject.
RowReader = Callable[[Mapping[str, Any], int], Read]


def branches(
    pairs: Sequence[tuple[Any, Any]], images: int, references: tuple[tuple[str, ...], ...] = ()
) -> Read:
    """Independent questions about one image, each in a branch of its own.

    Raises:
        UnfitConversation: there is no question, or a question or its answer has no text.
    """
    turns: list[Turn] = [user(*(ImagePart(number) for number in range(images)))]
    for branch, (question, answer) in enumerate(pairs, start=1):
        turns += [user(text_of(question), branch=branch), assistant(text_of(answer), branch=branch)]
    if len(turns) == 1:
        raise UnfitConversation("missing-text", "no question")
    return Read(tuple(turns), references)


def text_of(value: Any) -> str:
    """A text of a row without the white space around it. A number becomes text.

    Raises:
        UnfitConversation: there is no text.
    """
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text.strip():
        raise UnfitConversation("missing-text", f"{value!r:.40} instead of text")
    return text.strip()
