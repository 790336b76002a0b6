"""Chance by name and seed: the same on every platform, in every process and in any order of work.

The bytes behind a choice never change: captions, held-out sets and finished runs on users' disks depend on them.
"""

from __future__ import annotations

import hashlib
from random import Random
from typing import Literal

import numpy as np


def drawn(*names: object, by: Literal["sha256", "blake2b"] = "sha256", size: int = 8) -> int:
    """A number in 0..2**(8 * size) - 1 that depends on the names alone.

    Args:
        names: what it depends on, the seed among them; numbers stand for their decimal text.
        by: hash function, which is part of what the number depends on.
        size: bytes of the number; of SHA-256 the first ones.

    Example:
        >>> drawn(0, "photo-1") % 3
        1
    """
    text = "\0".join(map(str, names)).encode()
    if by == "blake2b":
        return int.from_bytes(hashlib.blake2b(text, digest_size=size).digest(), "big")
    return int.from_bytes(hashlib.sha256(text).digest()[:size], "big")


def generator(*names: object) -> np.random.Generator:
    """A NumPy generator that depends on the names alone."""
    return np.random.Generator(np.random.PCG64(int.from_bytes(_digest(names)[:16], "big")))


def python_generator(*names: object) -> Random:
    """A generator of Python's own that depends on the names alone."""
    return Random(_digest(names))


def _digest(names: tuple[object, ...]) -> bytes:
    return hashlib.sha256("/".join(map(str, names)).encode()).digest()
