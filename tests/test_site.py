"""The documentation site: links that leave docs/ lead to something there, and references follow the code."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vila2

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs/site/hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_lead_to_where_the_site_has_their_targets(hooks):
    text = (
        "[a](../README.md#install) [b](../vila2/errors.py) [c](../examples) [d](export.md) "
        "[e](https://x.org/y.md) [f](#here) [g](../plugins/vila2-rapidocr/README.md)"
    )
    assert hooks._moved(text, ROOT / "docs") == (
        "[a](index.md#install) [b](source/vila2/errors.py) [c](source/examples/index.md) [d](export.md) "
        "[e](https://x.org/y.md) [f](#here) [g](source/plugins/vila2-rapidocr/README.md.txt)"
    )
    assert hooks._moved("[a](docs/export.md)", ROOT) == "[a](export.md)"


def test_the_references_name_every_command_and_function(hooks):
    commands = hooks.cli_reference()
    assert all(f"## vila2 {name}\n" in commands for name in ("ask", "eval", "data import", "model push"))
    assert "--example" in commands
    names = hooks.api_reference()
    assert all(f"### {name}\n" in names for name in vila2.__all__ if name != "__version__")


def test_every_page_is_in_the_navigation(hooks):
    named = set(re.findall(r"[a-z0-9-]+\.md", (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} | set(hooks.PAGES.values())
    assert named == pages | {"reference-cli.md", "reference-api.md"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mkdocs") is None, reason="mkdocs is not here: make site")
def test_the_site_is_built_without_a_warning(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = ["mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "vila2 recaption" in (tmp_path / "site/quickstart.html").read_text()
