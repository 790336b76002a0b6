"""Every package that comes with vila2 is listed with its license, and none binds those who use vila2."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.supply.dependencies import brought_along, license_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "dependencies.md"
#: Words of licenses that ask for no more than a notice, or (MPL-2.0) for the source of their changed files.
FREE = re.compile(
    r"Apache|\bMIT\b|BSD|\bISC\b|Zlib|CC0|BSL-1\.0|PSF|\bPython|CNRI-Python|MPL-2\.0|MPL 2\.0|Unlicense|HPND"
)
#: The libraries of CUDA, which come with torch's builds for GPUs, have terms of their own.
OF_NVIDIA = re.compile(r"nvidia-|cuda-|triton")


def packages() -> list[str]:
    return [name for name in brought_along() if not OF_NVIDIA.match(name)]


@pytest.mark.parametrize("name", packages())
def test_a_dependency_is_listed_and_its_license_binds_nobody(name: str):
    license = license_of(brought_along()[name])
    parts = [part for part in re.split(r"\s+AND\s+|;", license) if part.strip()]
    assert parts and all(FREE.search(part) for part in parts), f"{name} states {license!r}"
    listed = DOCUMENT.read_text()
    assert f"| {name} |" in listed, f"{name}: write `python -m tests.supply.dependencies` to {DOCUMENT.name}"


def test_the_closure_holds_what_is_needed_by_name_and_by_need():
    assert {"torch", "transformers", "pillow", "tokenizers", "jinja2"} <= set(packages())
