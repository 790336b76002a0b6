"""Text in a prompt stays text: captions and answers in it are other people's, and may spell special tokens.

A processor tokenizes a prompt as a whole, so there is no way to say which part of it is text. A space within
the name of a token keeps it from becoming one, and a reader still sees what was written.
"""

from __future__ import annotations

import re
from typing import Any

#: Names that mark something, as no word does: <image>, <|im_end|>, [/INST], </s>.
MARKUP = re.compile(r"[<\[{].+[>\]}]|\|.+\|", re.DOTALL)
#: Marks of turns that a chat template writes as text; no token stands for them in many tokenizers.
_TURN_MARKS = re.compile(r"<\|\w+\|>|\[/?[A-Z]{3,}\]|<</?[A-Z]{3,}>>|</?[a-z]+_of_[a-z]+>")


def marked_tokens(tokenizer: Any, groups: tuple[str, ...] = ()) -> set[str]:
    """Lists the tokens of a tokenizer, special or added, that text could spell.

    Args:
        tokenizer: tokenizer of a model.
        groups: tokens that text may hold on purpose, such as those of places.
    """
    names = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()} - set(groups)
    return {name for name in names if MARKUP.fullmatch(name)}


class PromptText:
    """Makes prompts of a model safe.

    Args:
        processor: the model's processor.
        groups: tokens that a prompt may hold on purpose.
    """

    def __init__(self, processor: Any, groups: tuple[str, ...] = ()) -> None:
        names = marked_tokens(processor.tokenizer, groups)
        names |= {str(token) for token in [getattr(processor, "image_token", None)] if token}
        template = getattr(processor, "chat_template", None) or processor.tokenizer.chat_template
        names |= set(_TURN_MARKS.findall(template)) if isinstance(template, str) else set()
        longest = sorted(filter(lambda name: len(name) > 1, names), key=lambda name: (-len(name), name))
        self._found = re.compile("|".join(map(re.escape, longest))) if longest else None

    def plain(self, text: str) -> str:
        """Gives a text in which no token is spelled."""
        while self._found is not None and self._found.search(text):
            text = self._found.sub(lambda found: found.group()[0] + " " + found.group()[1:], text)
        return text
