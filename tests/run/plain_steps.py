"""Steps for tests: a function of any settings as a kind of step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ConfigDict

from vila2.recipe.parts.values import Part
from vila2.run.step_kinds import StepKind


class Plain(Part):
    """Settings of any names."""

    model_config = ConfigDict(extra="allow")

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, name, default)


def plain_step(work: Callable[..., Any]) -> StepKind[Plain]:
    """A function as a kind of step under its own name."""
    return StepKind(work.__name__, Plain, work, digested_as=work.__name__)
