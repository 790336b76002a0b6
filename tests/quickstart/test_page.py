"""docs/quickstart.md, walked in the environment of the tests; see test_from_wheels.py for the real thing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from typer.testing import CliRunner

from tests.quickstart.walk import (
    EXPECTED,
    HUB_MODEL,
    PAGE,
    ROOT,
    commands,
    conversations,
    first_page,
    make_model,
    make_photos,
)
from vila2.cli.main import app


def test_the_pages_commands_lead_from_photos_to_an_export(tmp_path, monkeypatch):
    make_photos(tmp_path / "photos")
    make_model(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    found = commands(tmp_path / "model")
    said = {}
    for name in ("vila2 recaption", "vila2 annotate", "vila2 merge", "vila2 export"):
        done = CliRunner().invoke(app, found[name][1:])
        assert done.exit_code == 0, f"{name}: {done.output}"
        said[name] = done.stdout
    assert conversations(Path("out")) == EXPECTED
    agreed = ["data", "filter", "photos-dataset", "--layer", "merged", "-o", "agreed"]
    done = CliRunner().invoke(app, [*agreed, "--without-fate", "contradicted", "--json"])
    assert json.loads(done.stdout)["kept"] == len(EXPECTED[0])  # the first photo, of which all is true
    # Each command names the page's next one.
    assert f"next        {' '.join(found['vila2 merge'])}" in said["vila2 annotate"]
    for name in ("vila2 browse", "vila2 export"):
        assert " ".join(found[name]) in said["vila2 merge"]
    assert found["trl sft"][:2] == ["trl", "sft"] and "trl sft" in said["vila2 export"]
    browse = [sys.executable, "-m", *found["vila2 browse"]]
    page = first_page(browse, tmp_path, os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
    assert all(f"<b>{number}</b>" in page for number in range(len(EXPECTED)))
    card = Path("out/README.md").read_text()
    assert "`captions` (digest" in card and "Plugin vila2-rapidocr" in card
    assert json.loads(Path("out/export.json").read_text())["rows"] == len(EXPECTED)


def test_what_the_page_installs_is_there():
    install = commands(Path(HUB_MODEL))["pip install"]
    assert all((ROOT / place / "pyproject.toml").is_file() for place in install if place.startswith("."))
    assert (ROOT / install[install.index("-c") + 1]).is_file()
    assert "docs/quickstart.md" in (ROOT / "README.md").read_text()[:2000]
    assert len(PAGE.splitlines()) < 90
