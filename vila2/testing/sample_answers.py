"""Answers that a model might give: a plugin's own answers, damaged copies of them, and nonsense."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_NONSENSE = (
    "",
    " ",
    "\n\n",
    "I'm sorry, I can't help with that.",
    "There is nothing of that kind in the image.",
    "[0.1,0.2,0.3",
    "[9,9,1,1] [0.5,0.5,0.5,0.5] [1,2,3]",
    "<loc_000><loc_999>",
    "<image><|im_end|></s>",
    "{}[]()<>\"'`\\%$#@!",
    "a" * 5000,
    "the the the the the the the the",
    "١٢٣ 一二三 😀 e\u0301",
    "\x00\x01",
    "1e999 -0 NaN inf 1/0",
)


def generated_answers(answers: Sequence[str], count: int, *, seed: int = 0) -> Iterator[str]:
    """``count`` answers: first correct ones, then nonsense, then damaged copies of correct ones.

    At most half of them are correct.

    Args:
        answers: Correct answers, as a perfect model would give them.
        count: Number of answers to yield.
        seed: Seed of the damage.
    """
    random_ = random.Random(seed)
    whole = [*answers[: count // 2], *_NONSENSE][:count]
    yield from whole
    for _ in range(count - len(whole)):
        yield _damaged(random_.choice(answers) if answers else "", random_)


def _damaged(answer: str, random_: random.Random) -> str:
    start, end = sorted((random_.randint(0, len(answer)), random_.randint(0, len(answer))))
    match random_.randrange(5):
        case 0:  # cut off
            return answer[:end]
        case 1:  # a piece is missing
            return answer[:start] + answer[end:]
        case 2:  # repeated
            return answer + answer[start:end] * 3
        case 3:  # foreign characters
            return answer[:start] + random_.choice(_NONSENSE) + answer[start:]
        case _:  # numbers changed
            return "".join(str(random_.randrange(10)) if c.isdigit() else c for c in answer)
