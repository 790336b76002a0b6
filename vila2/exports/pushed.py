"""What was put on the Hugging Face hub."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was put on the hub.

    Attributes:
        url: address of the repository.
        commit: digest of the commit.
        files: number of files.
        private: whether nobody else sees it.
    """

    url: str
    commit: str
    files: int
    private: bool
