"""The base of all parts of results.json: frozen, without unknown fields; numbers may be missing."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


#: A number, or None where there is none (0 of 0, a diverged loss); JSON's NaN reads as None.
Number = Annotated[float | None, BeforeValidator(_finite)]


class Value(BaseModel):
    """A part of the results."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
