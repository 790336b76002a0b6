"""The package that docs/plugins.md shows: installed as it stands there, and everything in it used."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from vila2.data.sample import Sample, assistant, user
from vila2.engine.protocol import GenerationSettings, Request
from vila2.engine.registry import open_engine
from vila2.evaluate.benchmarks import find_kind
from vila2.plugin.checks import check_plugin
from vila2.plugin.host import Host
from vila2.recipe.parts.evaluate import BenchmarkSpec
from vila2.run.board import Board
from vila2.run.step_files import StepResult
from vila2.sources import open_source
from vila2.train.after_stage import tell_plugins

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")


@pytest.fixture
def parrot(tmp_path, monkeypatch):
    """Puts the page's package on Python's path."""
    project = tomllib.loads("\n".join(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)))["project"]
    metadata = tmp_path / "vila2_parrot-1.0.dist-info"
    metadata.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    lines += [f"Requires-Dist: {one}" for one in project["dependencies"]]
    (metadata / "METADATA").write_text("\n".join(lines) + "\n")
    entries = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
        for group, named in project["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(entries))
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "vila2_parrot.py").write_text("\n\n".join(blocks))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("vila2_parrot", None)


def test_every_function_of_the_page_does_what_the_page_says(parrot):
    engine = open_engine("parrot", "polly", dtype="float32")
    (answer,) = engine.generate([Request("a", (), "Say two words.")], GenerationSettings(max_new_tokens=2))
    assert (engine.name, answer.text) == ("parrot of polly", "Say two")
    (parrot / "a.png").write_bytes(b"a picture")
    (parrot / "table.tsv").write_text("a.png\ta red square\nb.png\n")
    sample, reject = open_source("table", path=parrot / "table.tsv")
    assert (sample.turns[-1].text, reject.reason) == ("a red square", "missing-text")
    asked = [Sample("a", (), (user("Say three words."), assistant("three")))]
    spec = BenchmarkSpec(name="short", kind="brevity", dataset="d", max_new_tokens=8)
    assert find_kind("brevity").run(engine, asked, spec, Board()).items["words"].value == 3


def test_the_hooks_of_the_page_are_called(parrot):
    assert Host().specialist("parrot").prompts == ("What do you say?",)
    stage = StepResult("sft", "0", parrot, {}, True)
    tell_plugins(["parrot"], "sft", stage)
    assert (parrot / "stage.txt").read_text().startswith("sft is trained")


def test_the_checks_name_what_the_page_leaves_out(parrot):
    failed = [check.what.partition(":")[0] for check in check_plugin(Host(), "parrot") if not check.passed]
    assert failed == ["builder", "config", "parser", "metrics", "recipe"]


def test_every_yes_of_the_ten_specialists_names_a_test_that_is_there():
    rows = [line.split(" | ") for line in PAGE.splitlines() if re.search(r"\| (yes|in part|no)\b.*\|$", line)]
    assert len(rows) == 10
    for row in rows:
        named = re.findall(r"\[`(\w+)`\]\(\.\./([\w./-]+)\)", row[-1])
        assert bool(named) == row[-1].startswith("yes"), row[0]
        for name, file in named:
            assert f"def {name}(" in (Path(__file__).parents[2] / file).read_text(encoding="utf-8"), name
