"""The types of the values in a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
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
    # Python takes true for 1; in a recipe, `batch_size: true` is a mistake.
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

#: The largest whole number that a recipe can hold.
LARGEST = 2**63 - 1


def storable(value: Any) -> Any:
    """Free values, checked to hold only numbers that a recipe's file can hold."""
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for one in inner:
        storable(one)
    if isinstance(value, int) and abs(value) > LARGEST:
        raise PydanticCustomError("too_large", "should hold no number that takes more than 64 bits")
    return value


#: Settings whose keys are not the recipe's own, such as a source's options.
FreeValues = Annotated[dict[str, Any], AfterValidator(storable)]
#: A range [from, to] within 0 to 1, as JSON schemas have it.
RANGE_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"type": "number", "minimum": 0, "maximum": 1},
    "minItems": 2,
    "maxItems": 2,
}


class NotDigested:
    """Mark of a field that does not change a step's output, such as a path whose content counts instead."""


class Later:
    """Mark of a field that is newer than runs that users keep: at its default, it is not in step digests."""


#: The context in which a part is serialized for a step's digest.
FOR_DIGEST = "for a digest"


class Part(BaseModel):
    """Base of every part of a recipe: frozen, and an unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        protected_namespaces=(),
        allow_inf_nan=False,
        ser_json_inf_nan="constants",
    )

    def digested(self) -> dict[str, Any]:
        """The values for a step's digest, as JSON; see :class:`Later` and :class:`NotDigested`."""
        return self.model_dump(mode="json", context=FOR_DIGEST)

    @model_serializer(mode="wrap")
    def _leave_out(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if info.context == FOR_DIGEST:
            for name, field in type(self).model_fields.items():
                if NotDigested in field.metadata or (
                    Later in field.metadata
                    and getattr(self, name) == field.get_default(call_default_factory=True)
                ):
                    values.pop(name, None)
        return values
