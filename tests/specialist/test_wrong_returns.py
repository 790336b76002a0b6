"""What a plugin's builder and parser give that they should not: named, with what it was and the hint."""

from __future__ import annotations

import sys

import pytest

from tests.plugin.packages import install_specialist
from tests.plugin.tiny_specialist import install_finding
from vila2.data.annotations import Annotation
from vila2.data.sample import Sample
from vila2.data.shards import write_dataset
from vila2.errors import PluginError
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.specialist.annotating import answer_reader
from vila2.specialist.making_steps import BuildSettings, build


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("vila2_sees", "vila2_finding"):
        sys.modules.pop(name, None)


def sees(path, old, new):
    """A plugin one line of which is wrong."""
    install_specialist(path, "vila2-sees", entry="sees")
    module = path / "vila2_sees.py"
    code = module.read_text()
    assert old in code
    module.write_text(code.replace(old, new))


def settings(plugin):
    return BuildSettings(plugin=plugin, plugin_version="1.0", config={}, prompts=(), held_out=0.25, seed=0)


@pytest.mark.parametrize(
    ("old", "new", "gave", "hint"),
    [
        ('return ["all"]', "return None", r"shards\(\): gave None", "a list of str"),
        ('return ["all"]', "return 'all'", r"shards\(\): gave 'all'", "a list of str"),
        ('return ["all"]', "yield 1", r"shards\(\): gave 1", "str"),
        ('return ["all"]', "yield 1 / 0", "ZeroDivisionError", "author"),
        ("yield from ()", "return None", "shard 'all': gave None", "Iterable"),
        ("yield from ()", "yield {'key': 1}", "shard 'all': gave {'key': 1}", "Sample or Reject"),
    ],
)
def test_a_builder_that_gives_something_else_is_named(path, old, new, gave, hint):
    sees(path, old, new)
    with pytest.raises(PluginError, match=rf"'sees' \(vila2-sees 1.0\), builder.*{gave}") as error:
        build(path / "step", settings("sees"), {"data": path}, Board())
    assert hint in error.value.hint


def test_shards_may_come_from_a_generator(path):
    module = install_finding(path)
    module.write_text(module.read_text().replace("return [str(start) for", "yield from [str(start) for"))
    write_dataset(path / "scenes", open_source("world", split="specialist", count=20), name="scenes")
    assert build(path / "step", settings("finding"), {"data": path / "scenes"}, Board())["built"] == 40


@pytest.mark.parametrize(
    ("given", "gave", "hint"),
    [
        ("None", "gave None", "give Parsed"),
        ("('a cube', 'ok')", r"gave \('a cube', 'ok'\)", "give Parsed"),
        ("Parsed((), status='nothing')", "unknown status 'nothing'", "repetition"),
        ("Parsed((), status='ok')", "without text cannot be ok", "empty"),
        ("Parsed('a cube')", "gave 'a cube'", "a list of Turn"),
        ("Parsed((), ({'kind': 'object'},))", "gave {'kind': 'object'}", "Claim"),
    ],
)
def test_a_parser_that_gives_something_else_is_named(path, given, gave, hint):
    sees(path, "return Parsed(())", f"return {given}")
    read = answer_reader(object(), "sees")
    with pytest.raises(
        PluginError, match=rf"'sees' \(vila2-sees 1.0\), parser, on .* 0001: .*{gave}"
    ) as error:
        read(Sample("0001", (), ()), Annotation("0001", "What is there?", "", "empty"))
    assert hint in error.value.hint
