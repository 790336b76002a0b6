"""The kinds of values that recipes are made of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError


def _no_truth_values(value: Any) -> Any:
    # Python counts true as 1; in a recipe `batch_size: true` is a slip.
    if isinstance(value, bool):
        raise PydanticCustomError("number_expected", "should be a number")
    return value


Whole = Annotated[int, BeforeValidator(_no_truth_values)]
Number = Annotated[float, BeforeValidator(_no_truth_values)]
Count = Annotated[Whole, Field(ge=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
Text = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """Base of every part of a recipe: frozen, and a key that does not exist is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)
