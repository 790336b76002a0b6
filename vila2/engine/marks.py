"""Marks: is an answer a usable caption? This is where a caption's fate is decided.

The text itself is never changed and never hidden: a layer keeps every answer with its mark, and only
captions marked "ok" join the training conversations. The rules, in the order they are tried:

1. **empty**: the answer holds no letter and no digit.
2. **refusal**: it opens with one of :data:`REFUSALS`.
3. **repetition**: it loops, in one of three ways:
   a phrase of 1 to 12 words occurs 4 times or more in direct succession;
   a group of 1 to 12 characters without a space occurs 20 times or more in succession ("!!!!!!", "hahaha");
   or, in 40 words or more, fewer than half of the sequences of four words are distinct
   (longer sentences that recur again and again).
4. **truncated**: generation was cut at ``max_new_tokens``.
5. **ok**: everything else.

Repetition is tried before truncation because a loop hardly ever ends by itself: the loop is the cause.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from vila2.data.annotations import Status
from vila2.engine.protocol import Answer

_CANNOT = (
    r"(can ?not|can't|could not|couldn't|am unable|are unable|am not able|are not able|won't|will not)\b"
)
#: Openings of an answer that declines instead of describing; matched in any case, with straight apostrophes.
REFUSALS = (
    r"(i'?m|i am|we are|we're) (very |so |really )?(sorry|afraid)\b",
    r"sorry,? (but |for |i |about )",
    r"(i|we) apologi[sz]e",
    r"(my )?apologies\b",
    r"(unfortunately|regrettably),? (i|we|there is no image|no image)\b",
    rf"i {_CANNOT}",
    # "We can't see the man's face" describes an image, "we can't see the image" declines.
    rf"we {_CANNOT}(?! (to )?see (?!(\w+ ){{0,2}}(images?|photos?|pictures?|anything)\b))",
    r"i'm (unable|not able|not allowed)\b",
    r"(i|we) (do not|don't) (have (the ability|access|enough information)|see (an|any|the) image)\b",
    r"as an? (ai|artificial intelligence|large language model|language model|text[- ]based)\b",
    # An assistant that speaks of itself: "as an assistant coach, a man stands" is a caption.
    r"as an? assistant(,| [^.!?]*\b(i|me|my|we|our)\b)",
    r"(there is|there's) no image (provided|attached|here|to describe|available)",
    r"no image (was|is|has been) (provided|attached|given)",
    r"please (provide|upload|attach|share) (an|the|your) (image|photo|picture)",
)

LONGEST_PHRASE = 12  # words
PHRASE_REPEATS = 4
CHARACTER_REPEATS = 20
RATIO_FROM_WORDS = 40
LOWEST_DISTINCT_4 = 0.5

_REFUSAL = re.compile("(?:" + "|".join(REFUSALS) + ")", re.IGNORECASE)
# Chinese and Japanese are written without spaces: there a character counts as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:'[^\W_]+)*")
_APART = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})
_CHARACTER_LOOP = re.compile(rf"(\S{{1,12}}?)\1{{{CHARACTER_REPEATS - 1},}}")


class Mark(NamedTuple):
    """A status, and one line that says why."""

    status: Status
    detail: str = ""


def mark(answer: Answer) -> Mark:
    """Decides whether an answer is usable; the rules are at the top of this file."""
    text = answer.text.strip().replace("’", "'")
    words = _words(text)
    if not words:
        return Mark("empty", "no letter and no digit" if text else "")
    if refusal := _refusal(text):
        return Mark("refusal", f"opens with {refusal.group().strip()!r}")
    counts = Counter(words)
    if loop := _phrase_loop(words, counts) or _character_loop(text) or _few_distinct(words, counts):
        return Mark("repetition", loop)
    if answer.finish == "length":
        return Mark("truncated", f"cut after {answer.tokens} tokens")
    return Mark("ok")


def _words(text: str) -> list[str]:
    if text.isascii() and "'" not in text:  # the same words, found in a quarter of the time
        return text.lower().translate(_APART).split()
    return _WORD.findall(text.casefold())


def is_refusal(text: str) -> bool:
    """Whether a text opens with one of :data:`REFUSALS`."""
    return _refusal(text.strip().replace("’", "'")) is not None


def _refusal(text: str) -> re.Match[str] | None:
    return _REFUSAL.match(text.lstrip("\"'*# "))


def _phrase_loop(words: list[str], counts: Counter[str]) -> str:
    """Describes the first phrase that occurs ``PHRASE_REPEATS`` times in succession; "" where there is none.

    A phrase of p words occurs r times in succession exactly where p * (r - 1) neighboring words each equal
    the word p places on. So counting equal words finds it wherever it starts. Most captions need no search:
    all words of such a phrase are frequent, and frequent words hardly stand together.
    """
    runs = [run for run in _frequent_runs(words, counts) if len(run) >= PHRASE_REPEATS]
    for period in range(1, LONGEST_PHRASE + 1) if runs else ():
        needed = period * (PHRASE_REPEATS - 1)
        for run in runs:
            equal = 0
            for place in range(len(run) - period):
                equal = equal + 1 if run[place] == run[place + period] else 0
                if equal == needed:
                    start = place + 1 - needed
                    phrase = " ".join(run[start : start + period])
                    return f"{phrase!r} {PHRASE_REPEATS} times or more in succession"
    return ""


def _frequent_runs(words: list[str], counts: Counter[str]) -> list[list[str]]:
    """Lists the runs of neighboring words that each occur ``PHRASE_REPEATS`` times or more in the text.

    Where no run is as long as a loop, there may be none in the list.
    """
    frequent = {word for word, count in counts.items() if count >= PHRASE_REPEATS}
    if bytes(PHRASE_REPEATS * [True]) not in bytes(map(frequent.__contains__, words)):
        return []
    runs: list[list[str]] = [[]]
    for word in words:
        if word in frequent:
            runs[-1].append(word)
        elif runs[-1]:
            runs.append([])
    return runs


def _character_loop(text: str) -> str:
    words = text.split()  # a loop holds no space
    if max(map(len, words), default=0) < CHARACTER_REPEATS:
        return ""
    for word in words:
        # A loop holds each of its characters as often as it repeats; the search takes long.
        if len(word) < CHARACTER_REPEATS or max(map(word.count, set(word))) < CHARACTER_REPEATS:
            continue
        if loop := _CHARACTER_LOOP.search(word):
            return f"{loop.group(1)!r} {len(loop.group()) // len(loop.group(1))} times in succession"
    return ""


def _few_distinct(words: list[str], counts: Counter[str]) -> str:
    if len(words) < RATIO_FROM_WORDS:
        return ""
    # All but three words begin a sequence, and other words begin other sequences: mostly this is enough.
    if len(counts) - 3 >= LOWEST_DISTINCT_4 * (len(words) - 3):
        return ""
    fours = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    ratio = len(set(fours)) / len(fours)
    return (
        f"only {ratio:.0%} of its sequences of four words are distinct" if ratio < LOWEST_DISTINCT_4 else ""
    )
