"""The kinds of values that recipes are made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
)
from pydantic_core import PydanticCustomError


def _no_truth_values(value: Any) -> Any:
    # Python counts true as 1; in a recipe `batch_size: true` is a slip.
    if isinstance(value, bool):
        raise PydanticCustomError("number_expected", "should be a number")
    return value


#: The engine that generates where nothing names another.
DEFAULT_ENGINE = "transformers"

Whole = Annotated[int, BeforeValidator(_no_truth_values)]
Number = Annotated[float, BeforeValidator(_no_truth_values)]
Count = Annotated[Whole, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
Text = Annotated[str, Field(min_length=1)]


class NotDigested:
    """Marks a field that a step's output does not depend on, such as a path whose content counts instead."""


class Later:
    """Marks a field that is younger than runs that users keep: at its default it is left out of a step's digest."""


#: The context in which a part is serialized for a step's digest.
_FOR_DIGEST = "for a digest"


class Part(BaseModel):
    """Base of every part of a recipe: frozen, and a key that does not exist is an error."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        allow_inf_nan=False,
        ser_json_inf_nan="constants",
    )

    def digested(self) -> dict[str, Any]:
        """The values that a step's digest is made of, as JSON has them; see :class:`Later` and :class:`NotDigested`."""
        return self.model_dump(mode="json", context=_FOR_DIGEST)

    @model_serializer(mode="wrap")
    def _leave_out(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if info.context == _FOR_DIGEST:
            for name, field in type(self).model_fields.items():
                if NotDigested in field.metadata or (
                    Later in field.metadata
                    and getattr(self, name) == field.get_default(call_default_factory=True)
                ):
                    values.pop(name, None)
        return values
