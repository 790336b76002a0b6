"""``vila2 plugins show`` and ``check``: of specialists, and of packages without one."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from tests.plugin.packages import install, install_specialist
from vila2 import __version__
from vila2.cli.main import app
from vila2.plugin.scaffolding import new_plugin
from vila2.plugin.versions import has_ceiling

ENGINE = '''
print("loud")

def opened(model, *, dtype="float32", url: str = "http://localhost", **options):
    """Asks a server."""
'''
SOURCE = "def read(path, *, start=0, count=None, language: str):\n    yield from ()\n"


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [name for name, module in sys.modules.items() if str(folder) in str(module)]:
        del sys.modules[name]


def told(*words: str):
    """What a command of plugins prints as JSON, and its exit code."""
    done = CliRunner().invoke(app, ["plugins", *words, "--json"])
    return json.loads(done.stdout), done.exit_code


def failed(name: str) -> dict[str, str]:
    checks, code = told("check", name)
    found = {one["what"].partition(":")[0]: one["detail"] for one in checks if not one["passed"]}
    assert code == bool(found)
    return found


def test_show_says_what_an_engine_takes_and_nothing_that_it_prints(site):
    install(site, "vila2-served", ENGINE, entry="served", kind="engines", function="opened")
    shown, code = told("show", "served")
    assert code == 0 and (shown["kind"], shown["summary"]) == ("engine", "Asks a server.")
    assert shown["settings"] == [
        {"name": "dtype", "type": "", "default": "'float32'"},
        {"name": "url", "type": "str", "default": "'http://localhost'"},
    ]
    assert shown["requires"] == "vila2<0.2,>=0.1" and shown["engines"] == ["served"]


def test_show_says_what_a_specialist_reads_and_what_its_package_brings(site):
    install_specialist(site, "vila2-tallying", entry="tallying")
    module = site / "vila2_tallying.py"
    module.write_text(
        module.read_text()
        .replace('summary="Counts.",', 'summary="Counts.", reads="rows of boxes",')
        .replace("class Config(BuilderConfig):\n    pass", "class Config(BuilderConfig):\n    least: int = 2")
    )
    entries = site / "vila2_tallying-1.0.dist-info" / "entry_points.txt"
    entries.write_text(entries.read_text() + "[vila2.sources]\nbeads = vila2_tallying:read\n")
    shown, _ = told("show", "tallying")
    assert (shown["reads"], shown["hooks"], shown["sources"]) == (
        "rows of boxes",
        ["vila2_specialists"],
        ["beads"],
    )
    assert {"name": "least", "type": "int", "default": "2"} in shown["settings"]


def test_check_passes_for_packages_without_a_specialist(site):
    install(site, "vila2-served", ENGINE, entry="served", kind="engines", function="opened")
    install(site, "vila2-table", SOURCE, entry="table", kind="sources", function="read")
    assert failed("served") == failed("table") == {}


def test_check_finds_a_name_of_the_core_and_arguments_that_do_not_fit(site):
    install(site, "vila2-own", SOURCE, entry="folder", kind="sources", function="read")
    assert "vila2 itself has the source 'folder'" in failed("folder")["its name is free"]
    install(site, "vila2-few", "def opened(model): ...", entry="few", kind="engines", function="opened")
    assert "cannot be called with a model and options" in failed("few")["it takes a model and options"]


def test_check_finds_a_mixture_that_the_builder_does_not_make(site):
    install_specialist(site, "vila2-tallying", entry="tallying")
    assert failed("tallying") == {}
    recipe = site / "vila2_tallying_files" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("dataset: built", "dataset: bilt"))
    (problem,) = failed("tallying").values()
    assert "'tallying' (vila2-tallying 1.0): the recipe trains on 'bilt'" in problem and "'built'" in problem


def test_check_reads_the_mixtures_of_the_miniature_too(site):
    install_specialist(site, "vila2-tallying", entry="tallying")
    recipe = site / "vila2_tallying_files" / "recipe.yaml"
    changes = "miniature:\n  stages:\n    count:\n      mixture: [{dataset: smal}]\n"
    recipe.write_text(recipe.read_text() + changes)
    (problem,) = failed("tallying").values()
    assert "the recipe trains on 'smal'" in problem


def test_check_finds_a_name_of_two_packages_and_one_that_is_not_there(site):
    for package in ("vila2-a", "vila2-b"):
        install(site, package, SOURCE, entry="maps", kind="sources", function="read")
    (problem,) = failed("maps").values()
    assert "vila2-a 1.0 and by vila2-b 1.0" in problem
    (problem,) = failed("mops").values()
    assert "no plugin 'mops' is installed" in problem


def test_every_package_states_the_versions_of_the_core_that_it_works_with(tmp_path):
    new_plugin("mine", tmp_path)
    root = Path(__file__).parents[2]
    files = [*root.glob("plugins/*/pyproject.toml"), *root.glob("examples/*/pyproject.toml")]
    for file in (tmp_path / "vila2-mine" / "pyproject.toml", *files):
        (wanted,) = (
            Requirement(one)
            for one in tomllib.loads(file.read_text())["project"]["dependencies"]
            if one.startswith("vila2")
        )
        assert wanted.specifier.contains(__version__) and has_ceiling(wanted.specifier), file
