"""Changed input, where no coverage-guided fuzzer is installed: bytes, pieces, and words of the formats."""

from __future__ import annotations

import random
import re

_WORDS = (
    *(b"null", b"NaN", b"-1", b"1e999", b"9" * 400, b'"' * 3, b"{" * 40, b"[]", b"{}", b"true"),
    *(b"0.5", b"''", b"\\ud800", b"\xff\xfe", b"\x00", b"\n", b"\xef\xbb\xbf", b'"' + b"a" * 300 + b'"'),
    *(b"../../x", b"file:///dev/zero", b"data:image/png;base64,\xc3\xa9", b"<image>", b"<|im_end|>", b'""'),
    *(b"99999999999999999999", b"&a *a", b"\x1b[31m"),
)

#: Brackets nested more deeply than any parser follows; seldom, since they take long to read.
_DEEP = b"[" * 2000
_CUT = re.compile(rb'[{}\[\],:\n "]')


def mutated(chance: random.Random, examples: tuple[bytes, ...]) -> bytes:
    """Gives an example with a few changes."""
    data = bytearray(chance.choice(examples))
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        place = chance.randrange(len(data) + 1)
        end = min(len(data), place + chance.choice((1, 1, 2, 4, 16, 64)))
        match chance.randrange(6):
            case 0 if place < len(data):
                data[place] ^= 1 << chance.randrange(8)
            case 1:
                del data[place:end]
            case 2:
                data[place:place] = _word(chance)
            case 3:
                data[place:end] = _word(chance)
            case 4:
                other = chance.choice(examples)
                start = chance.randrange(len(other) + 1)
                data[place:end] = other[start : start + chance.choice((4, 16, 64))]
            case _:
                _replace_token(chance, data)
    return bytes(data)


def _replace_token(chance: random.Random, data: bytearray) -> None:
    """Replaces a value of JSON, YAML or CSV: what stands between two separators."""
    begun = _CUT.search(data, chance.randrange(len(data) + 1))
    ended = begun and _CUT.search(data, begun.end())
    if begun and ended:
        data[begun.end() : ended.start()] = _word(chance)


def _word(chance: random.Random) -> bytes:
    return _DEEP if chance.random() < 0.005 else chance.choice(_WORDS)
