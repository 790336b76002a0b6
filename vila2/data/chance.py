"""Random choices that depend on names and a seed alone.

A choice is the same on every platform, in every process and in any order of work, because it is computed from
its names (such as the seed and a sample's key) and not from the state of a shared generator. The bytes behind
a choice
never change: captions, held-out sets and finished runs on users' disks depend on them.

Use :func:`drawn` for one choice, :func:`generator` for arrays of numbers, and :func:`python_generator` for
``choice``, ``sample`` and ``shuffle``::

    question = QUESTIONS[drawn(seed, sample.key) % len(QUESTIONS)]
    rng = generator("noise", seed, sample.key)
    python_generator(seed, sample.key).shuffle(exchanges)
"""

from __future__ import annotations

import hashlib
from random import Random
from typing import Literal

import numpy as np


def drawn(*names: object, by: Literal["sha256", "blake2b"] = "sha256", size: int = 8) -> int:
    """Draws a whole number that depends on the names alone.

    Args:
        names: values that the number depends on, the seed among them. A value counts by its text, so 1 and
            "1" are the same name.
        by: hash function that computes the number; another function gives another number.
        size: number of bytes that are drawn, at most 32 with SHA-256 and 64 with BLAKE2b.

    Returns:
        A number in 0..2**(8 * size) - 1, each equally likely.

    Example:
        >>> drawn(0, "photo-1") % 3
        2
    """
    text = "\0".join(map(str, names)).encode()
    if by == "blake2b":
        return int.from_bytes(hashlib.blake2b(text, digest_size=size).digest(), "big")
    return int.from_bytes(hashlib.sha256(text).digest()[:size], "big")


def generator(*names: object) -> np.random.Generator:
    """Makes a NumPy generator that depends on the names alone.

    Args:
        names: values that the generator depends on, as in :func:`drawn`.

    Example:
        >>> int(generator("example", 0).integers(100)) == int(generator("example", 0).integers(100))
        True
    """
    return np.random.Generator(np.random.PCG64(int.from_bytes(_digest(names)[:16], "big")))


def python_generator(*names: object) -> Random:
    """Makes a generator of Python's ``random`` that depends on the names alone.

    Args:
        names: values that the generator depends on, as in :func:`drawn`.

    Example:
        >>> python_generator("example", 0).random() == python_generator("example", 0).random()
        True
    """
    return Random(_digest(names))


def _digest(names: tuple[object, ...]) -> bytes:
    return hashlib.sha256("/".join(map(str, names)).encode()).digest()
