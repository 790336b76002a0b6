"""``python -m tests.supply.dependencies``: the packages that vila2 brings, with their licenses.

Prints the table of docs/dependencies.md. It is read from the installed packages themselves.
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement


def brought_along(name: str = "vila2") -> dict[str, Distribution]:
    """The installed packages that a package needs, directly or not, without those of its extras; by name."""
    found: dict[str, Distribution] = {}
    _add(name, frozenset(), found)
    found.pop(name)
    return dict(sorted(found.items()))


def _add(name: str, extras: frozenset[str], found: dict[str, Distribution]) -> None:
    try:
        package = distribution(name)
    except PackageNotFoundError:  # of another platform
        return
    key = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
    if key in found:
        return
    found[key] = package
    for line in package.requires or ():
        need = Requirement(line)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            _add(need.name, frozenset(need.extras), found)


def license_of(package: Distribution) -> str:
    """The license that a package states: as an expression, as classifiers, or in the first line of a text."""
    stated = package.metadata.get("License-Expression")
    classifiers = package.metadata.get_all("Classifier", [])
    kinds = [line.split(" :: ")[-1] for line in classifiers if line.startswith("License")]
    text = (package.metadata.get("License") or "").strip().split("\n")[0]
    return stated or "; ".join(kinds) or text


def table() -> str:
    """The table as Markdown."""
    rows = [f"| {name} | {license_of(package)} |" for name, package in brought_along().items()]
    return "\n".join(["| package | license that it states |", "|---|---|", *rows])


if __name__ == "__main__":
    print(table())
