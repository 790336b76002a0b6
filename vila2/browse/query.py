"""What a reader asks for: words, a layer, a status, a verdict, a fate, marks of a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from urllib.parse import urlencode

_PIECE = re.compile(r'(-?)"([^"]*)"?|(\S+)')
_LONGEST = 300  # characters


@dataclass(frozen=True, slots=True)
class Query:
    """A choice of samples; an empty field chooses all.

    Attributes:
        q: words that a sample's texts hold, all of them: `red cube`, `"red cube"`, `-cube`.
        layer: layer that the words, the status, the verdict and the fate are about.
        status: status of an answer.
        verdict: verdict on a claim or a sentence.
        fate: fate of a sentence in a merge: "kept", or the reason why it was dropped.
        mark: what a person did: "good", "bad", "corrected", or "any".
    """

    q: str = ""
    layer: str = ""
    status: str = ""
    verdict: str = ""
    fate: str = ""
    mark: str = ""

    @classmethod
    def of(cls, values: Mapping[str, list[str]]) -> Query:
        """Reads the fields of an address."""
        return cls(**{one.name: values.get(one.name, [""])[0].strip()[:_LONGEST] for one in fields(cls)})

    @property
    def address(self) -> str:
        """The part of an address that asks for the same."""
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return urlencode({name: value for name, value in given.items() if value})

    def words(self) -> tuple[list[str], list[str]]:
        """The wanted and the unwanted words, as phrases of SQLite's full-text search.

        The last letters of a wanted word may be missing: `cat` finds "cats".
        """
        wanted, unwanted = [], []
        for minus, phrase, word in _PIECE.findall(self.q):
            text = phrase or word.removeprefix("-")
            if not any(letter.isalnum() for letter in text):
                continue
            quoted = '"' + text.replace('"', '""').replace("\0", "") + '"'
            if minus or (word.startswith("-") and len(word) > 1):
                unwanted.append(quoted)
            else:
                wanted.append(quoted if phrase else f"{quoted} *")
        return wanted, unwanted
