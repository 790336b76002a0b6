"""Numbered tokens that are added to a model's vocabulary, such as ``<loc_000>`` to ``<loc_999>``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from vila2.data.coordinate_text import number_template
from vila2.errors import DataError


@dataclass(frozen=True)
class TokenSpec:
    """A request for tokens that stand for the numbers 0 to ``count - 1``; their ids are contiguous.

    A plugin requests the group, and the model adds it (:mod:`vila2.model.special_tokens`). Text that a user
    or an annotator wrote never becomes such a token, even where it holds the same characters.

    Attributes:
        name: name of the group, unique in a model.
        template: text of a token with ``{}`` for its number. Other characters enclose the number, so that a
            token is not found within ordinary text.
        count: number of tokens.
        init: initial embeddings. "mean": the mean of all embeddings; "sinusoidal": the mean plus waves of the
            number; "numeric": an interpolation between the embeddings of the digits 0 to 9. In the last two,
            neighboring numbers start near each other.
        loss: loss on a wrong number. "ce": every wrong number counts alike; "soft": a near number counts
            less.
        sigma: width of the soft loss, in numbers.

    Raises:
        DataError: a field is not valid; the error names it.
    """

    name: str
    template: str
    count: int
    init: Literal["mean", "sinusoidal", "numeric"] = "numeric"
    loss: Literal["ce", "soft"] = "ce"
    sigma: float = 1.0

    def __post_init__(self) -> None:
        where = f"token group {self.name!r}"
        if not self.name:
            raise DataError("a token group has no name", hint="give it one, such as loc")
        if not 1 <= self.count <= 100_000:
            raise DataError(f"{where}: {self.count} tokens", hint="use 1 to 100000")
        if self.init not in ("mean", "sinusoidal", "numeric"):
            raise DataError(f"{where}: unknown init {self.init!r}", hint="use mean, sinusoidal or numeric")
        if self.loss not in ("ce", "soft"):
            raise DataError(f"{where}: unknown loss {self.loss!r}", hint="use ce or soft")
        if not 0 < self.sigma < float("inf"):
            raise DataError(f"{where}: sigma is {self.sigma}", hint="use a number above 0, such as 1.0")
        number_template(self.template)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Texts of the tokens, in the order of their numbers."""
        return tuple(self.template.format(number) for number in range(self.count))

    def to_json(self) -> dict[str, Any]:
        """Gives all fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TokenSpec:
        """Reads what :meth:`to_json` wrote; other keys are ignored."""
        return cls(**{name: data[name] for name in cls.__dataclass_fields__ if name in data})


@dataclass(frozen=True)
class TokenGroup:
    """A group of tokens that a model has.

    Attributes:
        spec: request that the group fulfills.
        first: id of the token for 0; the token for n has the id ``first + n``.
    """

    spec: TokenSpec
    first: int

    def to_json(self) -> dict[str, Any]:
        """Gives the group as JSON values, as a model's configuration holds it."""
        return self.spec.to_json() | {"first": self.first}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TokenGroup:
        """Reads what :meth:`to_json` wrote."""
        return cls(TokenSpec.from_json(data), data["first"])


#: VILA²'s location tokens: 000-999 with soft cross-entropy.
LOCATION_TOKENS = TokenSpec("loc", "<loc_{:03d}>", 1000, loss="soft")
