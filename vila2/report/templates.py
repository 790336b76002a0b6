"""How the report's templates are filled."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def filled(template: str, **values: Any) -> str:
    """A template of this package with its values in place.

    Captions are what a model, or the web, wrote: everything is escaped, whatever a template's name is.
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("vila2.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
