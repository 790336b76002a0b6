"""How the report's templates are filled, and what the pages are allowed to load: nothing."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def filled(template: str, **values: object) -> str:
    """A template of this package with its values in place.

    A model, or the web, wrote the captions: everything is escaped, whatever the template's name is.
    """
    return _environment().get_template(template).render(**values)


@cache
def style_sheet(name: str) -> Markup:
    """A style sheet of this package, as it stands in a page."""
    return Markup((files("vila2.report") / name).read_text(encoding="utf-8"))


def content_policy(*style_sheets: str, served: bool = False) -> Markup:
    """The policy of a page: it loads nothing, runs nothing, and only these styles apply.

    Args:
        style_sheets: names of the style sheets that the page holds.
        served: whether a server of ours sends the page, whose images and scripts it may load then.
    """
    styles = " ".join(f"'sha256-{_sha256(style_sheet(name))}'" for name in style_sheets)
    own = "img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'"
    rest = own if served else "img-src data:; form-action 'none'"
    return Markup(f"default-src 'none'; style-src {styles}; {rest}; base-uri 'none'")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("vila2.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"style_sheet": style_sheet, "content_policy": content_policy}
    return environment
