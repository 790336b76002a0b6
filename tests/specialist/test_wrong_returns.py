"""What a plugin's builder and parser give that they should not: named, with what it was and the hint."""

from __future__ import annotations

import sys

import pytest

from tests.plugin.packages import install_specialist
from tests.plugin.tiny_specialist import install_finding
from vila2.data.annotations import Annotation
from vila2.data.coordinates import CoordinateScheme
from vila2.data.sample import Sample
from vila2.data.shards import write_dataset
from vila2.errors import PluginError
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.specialist import built_samples
from vila2.specialist.answer_reading import AnswerReader
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


def test_a_builder_that_never_ends_is_stopped(path, monkeypatch):
    monkeypatch.setattr(built_samples, "MOST_OF_A_SHARD", 50)
    endless = "import itertools; yield from (Reject(str(n), str(n), 'no') for n in itertools.count())"
    sees(path, "yield from ()", "from vila2.plugin import Reject; " + endless)
    with pytest.raises(PluginError, match=r"'sees' \(vila2-sees 1.0\).*gave 50 samples and rejects") as error:
        build(path / "step", settings("sees"), {"data": path}, Board())
    assert "more shards" in error.value.hint


def test_shards_may_come_from_a_generator(path):
    module = install_finding(path)
    module.write_text(module.read_text().replace("return [str(start) for", "yield from [str(start) for"))
    write_dataset(path / "scenes", open_source("world", split="specialist", count=20), name="scenes")
    assert build(path / "step", settings("finding"), {"data": path / "scenes"}, Board())["built"] == 40


@pytest.mark.parametrize(
    ("given", "gave"),
    [
        ("None", "gave None"),
        ("('a cube', 'ok')", "gave ('a cube', 'ok')"),
        ("1 / 0", "ZeroDivisionError"),
        ("exit()", "SystemExit"),
        ("Parsed((), status='nothing')", "unknown status 'nothing'; use one of ok, empty"),
        ("Parsed('a cube')", "gave 'a cube'"),
        ("Parsed((), ({'kind': 'object'},))", "gave {'kind': 'object'}"),
        ("Parsed((user('q'), Turn('assistant', ())))", "turn 1: an empty answer cannot be ok"),
        ("Parsed((user('q'),))", "turn 0: a question without an answer"),
        ("Parsed((Turn('robot', ()),))", "turn 0: role 'robot'"),
        ("Parsed((Turn('assistant', (5,)),))", "turn 0: 5 is no part"),
        ("Parsed((assistant(BoxPart((.5, .1, .2, .9))),))", "turn 0: box (0.5, 0.1, 0.2, 0.9) has swapped"),
        ("Parsed((assistant(PointPart((.5, 1.1))),))", "turn 0: point (0.5, 1.1) is not within the image"),
        ("Parsed((assistant(ImagePart(3), 'x'),))", "turn 0: image 3 of a sample with 1"),
        ("claimed(kind='colour')", "claim 0: unknown kind 'colour'"),
        ("claimed(status='true')", "claim 0: unknown status 'true'"),
        ("claimed(end=99)", "claim 0: span (0, 99) is not within the 6 characters"),
        ("claimed(start=.2)", "claim 0: span (0.2, 6) is not within"),
        ("claimed(boxes=((.1, .2, .3),))", "claim 0: a box of [0.1, 0.2, 0.3] instead of 4 numbers"),
        ("claimed(boxes=((0, 0, 200, 100),))", "claim 0: box (0, 0, 200, 100) is not within the image"),
        ("claimed(value=3)", "claim 0: value 3 is no text"),
    ],
)
def test_a_wrong_result_costs_its_answer_alone_and_says_why(path, given, gave):
    code = (
        "from vila2.plugin import *\ndef claimed(kind='object', start=0, end=6, status='unverified', **more):"
    )
    code += "\n    return Parsed((assistant('a cube'),), (Claim(kind, start, end, status, **more),))\n"
    sees(path, "def parse(said): return Parsed(())", f"{code}def parse(said): return {given}")
    read = AnswerReader("sees", CoordinateScheme())
    row = read(Sample("0001", (b"",), ()), Annotation("0001", "What is there?", "a cube", "ok", tokens=3))
    assert (row.status, row.mark, row.text, row.tokens, row.turns) == ("error", "ok", "a cube", 3, None)
    assert row.detail.startswith("parser: plugin 'sees' (vila2-sees 1.0), parser, on the answer about 0001: ")
    assert gave in row.detail
    assert Annotation.from_json(row.to_json()) == row


def test_a_parser_that_fails_on_many_answers_stops_the_job_and_says_so(path):
    sees(path, "return Parsed(())", "return Parsed((), status='empty') if 'a' in said.text else 1 / 0")

    def failed(texts, expected):
        read = AnswerReader("sees", CoordinateScheme(), expected)
        rows = [read(Sample("k", (b"",), ()), Annotation("k", "?", text, "ok")) for text in texts]
        return sum(row.status == "error" for row in rows)

    assert failed("a" * 96 + "bbbb", 100) == 4
    assert failed("b", 3) == 1
    for texts, expected, told in (
        ("bbbbb", 10_000, "5 of 5"),
        ("bb", 3, "2 of 2"),
        ("ab" * 50, 100, "5 of 10"),
    ):
        with pytest.raises(PluginError, match=rf"'sees' .*parser failed on {told} answers.*ZeroDivision"):
            failed(texts, expected)
