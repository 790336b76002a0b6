"""Whether the terms of an export's layers allow its license."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vila2.errors import DataError
from vila2.exports.facts import LayerFacts

#: What terms may ask of those who pass the data on, and the words that say so.
_ASKED = {
    "NC": (re.compile(r"\bNC\b|non-?commercial", re.IGNORECASE), "forbids commercial use"),
    "SA": (re.compile(r"\bSA\b|share-?alike", re.IGNORECASE), "asks for the same license"),
    "ND": (re.compile(r"\bND\b|no-?derivatives", re.IGNORECASE), "forbids changed copies"),
}
_SAME = re.compile(r"\bCC[ -]BY(?:-NC)?-SA\b", re.IGNORECASE)
_HINT = "leave the layer out, or say --despite-licenses if you have the right to it in another way"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the license of a layer, or of an export, asks for.

    Attributes:
        text: the license as it is stated.
        asks: "NC", "SA" and "ND", as far as it asks for them.
    """

    text: str
    asks: frozenset[str]

    @classmethod
    def of(cls, text: str) -> Terms:
        """Reads a license, an identifier such as cc-by-nc-4.0 or a sentence."""
        return cls(text, frozenset(name for name, (words, _) in _ASKED.items() if words.search(text)))


def check_licenses(license: str, layers: Sequence[LayerFacts]) -> None:
    """Refuses an export that the terms of a layer forbid, as far as the terms say so in words that are known.

    Args:
        license: license of the export; "" where none is stated.
        layers: facts of its layers, and of those that they were made of.

    Raises:
        DataError: a layer forbids changed copies, asks for what the license does not, or for the same license
            as another that two layers do not share.
    """
    given = Terms.of(license)
    same: dict[str, str] = {}
    for layer in layers:
        terms = Terms.of(layer.license)
        wanting = terms.asks - given.asks if license else terms.asks & {"ND"}
        if wanting:
            what = " and ".join(_ASKED[name][1] for name in sorted(wanting))
            under = f"; --license {license} does not" if license else ""
            raise DataError(f"layer {layer.name!r} ({terms.text}) {what}{under}", hint=_HINT)
        for found in _SAME.findall(terms.text):
            same.setdefault(found.upper().replace(" ", "-"), layer.name)
    if len(same) > 1:
        told = ", ".join(f"{name} for {layer!r}" for name, layer in sorted(same.items()))
        raise DataError(f"these layers ask for different licenses of the whole: {told}", hint=_HINT)
