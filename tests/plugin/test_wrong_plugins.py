"""Eighty plugins in one environment: the wrong ones are named with a hint, and the right ones work on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.packages import install
from tests.plugin.right_plugins import RIGHT
from tests.plugin.wrong_calls import WRONG
from tests.plugin.wrong_plugins import Wrong, install_all, source
from vila2.data.sample import Sample, assistant, user
from vila2.engine.protocol import GenerationSettings, Request
from vila2.engine.registry import open_engine
from vila2.errors import PluginError
from vila2.evaluate.benchmarks import find_kind
from vila2.evaluate.held_out import score_asked
from vila2.plugin.checks import load_part
from vila2.plugin.host import Host
from vila2.plugin.references import call, load_reference
from vila2.recipe.parts.evaluate import BenchmarkSpec
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.specialist.built_samples import samples_of, shards_of


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("crowd")
    install_all(folder, [*WRONG, *RIGHT])
    for package in ("vila2-twin", "other-twin"):
        install(folder, package, source("yield None"), entry="twin", kind="sources", function="read")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder
    for name in [name for name, module in sys.modules.items() if str(folder) in str(module)]:
        del sys.modules[name]


def use(plugin: Wrong) -> object:
    """Uses what a plugin brings, as the commands do."""
    host, name = Host(), plugin.name
    match plugin.kind:
        case "engine":
            requests = [Request(key, (), "What is it?") for key in "ab"]
            return open_engine(name, "model", dtype="float32").generate(requests, GenerationSettings())
        case "source":
            return list(open_source(name, count=3))
        case "benchmark":
            samples = [Sample(key, (), (user("What is it?"), assistant("right"))) for key in "cd"]
            spec = BenchmarkSpec(name="tried", kind=name, dataset="d", max_new_tokens=4)
            return find_kind(name).run(open_engine("good_engine", "model"), samples, spec, Board()).items
        case "after":
            host.check_after_stage(name)
            host.after_stage(name, folder=Path(), stage="sft", results={})
            return "told"
    specialist, of = host.specialist(name), str(host.plugin(name))
    if plugin.kind == "metrics":
        return score_asked(load_reference(specialist.metrics, of=of), [], of=of)
    if plugin.kind == "build":
        config = load_part(specialist, "config", of=of)(data=Path())
        builder = call(load_part(specialist, "builder", of=of), config, of=of)
        return [item for shard in shards_of(builder, of) for item in samples_of(builder, shard, of)]
    return specialist


def test_there_are_forty_wrong_and_twenty_four_right_ones():
    assert len({one.name for one in WRONG}) >= 40 and len({one.name for one in RIGHT}) >= 24


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: one.name)
def test_a_wrong_plugin_is_named_with_what_is_wrong_and_what_to_do(site, wrong, capsys):
    with pytest.raises(PluginError) as caught:
        use(wrong)
    told = "\n".join([caught.value.what, *getattr(caught.value, "__notes__", ())])
    assert wrong.says in told
    assert f"{wrong.name!r} (vila2-{wrong.name} 1.0)" in told, "the plugin and its package are named"
    assert wrong.hint in caught.value.hint and caught.value.hint
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("right", RIGHT, ids=lambda one: one.name)
def test_a_right_plugin_works_beside_the_wrong_ones(site, right, capsys):
    assert use(right)
    assert capsys.readouterr().out == "", "what it prints does not spoil the results"


def test_a_name_of_two_packages_is_named_with_both(site):
    with pytest.raises(PluginError, match=r"'twin' is brought by other-twin 1.0 and by vila2-twin 1.0"):
        open_source("twin")


def test_nothing_is_imported_that_nobody_asked_for(site):
    code = (
        "import sys; from vila2.engine.registry import open_engine; from vila2.sources import source_names\n"
        "assert 'good_source' in source_names()\n"
        "print(open_engine('good_engine', 'model').name)\n"
        "print(*[name for name in sys.modules if name.startswith('vila2_')])"
    )
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["w", "vila2_good_engine"] and run.stderr == ""


def test_the_list_shows_all_of_them(site):
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = [sys.executable, "-m", "vila2", "plugins", "list", "--json"]
    run = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    rows = {row["name"]: row for row in json.loads(run.stdout)}
    assert run.returncode == 0 and {one.name for one in (*WRONG, *RIGHT)} <= rows.keys()
    assert rows["twin"]["state"] == "clash" and rows["eos"]["kind"] == "engine"
