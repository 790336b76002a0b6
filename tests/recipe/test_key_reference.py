"""The reference of recipe keys: complete, with links that lead somewhere, and an example that vila2 reads."""

from __future__ import annotations

import re
from pathlib import Path

from vila2.recipe.file.recipe_file import load_recipe
from vila2.recipe.file.shape import all_keys
from vila2.recipe.key_reference import EXAMPLE, recipe_reference
from vila2.recipe.specialist_recipe import SpecialistRecipe

TEXT = recipe_reference()


def rows(text: str) -> set[str]:
    """The places of all keys that have a row, as paths."""
    found, section = set(), ""
    for line in text.splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ").removesuffix(" (specialist)")
            section = "" if "recipe" in heading else heading.replace("[]", ".*").replace("NAME", "*")
        elif cell := re.match(r"\| `(\w+)` \| .* \| .* \| [A-Z]", line):
            found.add(f"{section}.{cell[1]}".removeprefix("."))
    return found


def paths(*known: tuple[str, ...]) -> set[str]:
    return {".".join(path) for path in known}


def test_every_key_has_a_row():
    general, _, special = TEXT.partition("# A specialist's recipe")
    assert rows(general) == paths(*all_keys()) | {"extends"}
    own = {path for path in paths(*all_keys(SpecialistRecipe)) if not path.startswith(("stages.*.", "data."))}
    assert rows(special) == own | {"miniature"}


def test_every_link_leads_to_a_heading():
    headings = {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    }
    links = set(re.findall(r"\]\(#([^)]*)\)", TEXT))
    assert len(links) > 10 and links <= headings


def test_ranges_and_defaults_are_told():
    assert "| `epochs` | number above 0 | `1` |" in TEXT
    assert "| `max_unusable` | number from 0, to 1 | `0.95` |" in TEXT
    assert "| `batch_size` | whole number from 1 | required |" in TEXT
    assert "| `learning_rate` | `0.001` | `5e-05` | `2e-05` |" in TEXT


def test_the_example_is_a_recipe(tmp_path: Path):
    path = tmp_path / "photos.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    assert EXAMPLE in TEXT
    assert load_recipe(path, environment={}).specialists.keys() == {"ocr"}
