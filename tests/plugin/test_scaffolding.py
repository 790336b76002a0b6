"""A new plugin, as the command line writes it, installed and put through every check."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.plugin.scaffolded import changed, installed, run_tests
from vila2.errors import PluginError
from vila2.plugin.discovery import GROUPS
from vila2.plugin.scaffolding import SCAFFOLDS, new_plugin


@pytest.mark.parametrize(
    ("name", "kind"), [("street-signs", "specialist"), *[(f"my-{one}", one) for one in SCAFFOLDS]]
)
def test_a_new_plugin_passes_its_tests_untouched(tmp_path, name, kind):
    files = new_plugin(name, tmp_path, kind=kind, summary='It says "hello".')
    folder = files[0].parent
    installed(folder, tmp_path / "site")
    tests = run_tests([folder], tmp_path / "site")
    assert tests.returncode == 0, tests.stdout[-3000:]
    assert " passed" in tests.stdout


@pytest.mark.parametrize(
    ("file", "old", "new", "caught_by"),
    [
        ("builder.py", "sorted({thing.called for thing in evidence.objects})",
         "list({thing.called for thing in evidence.objects})", "same_in_another_process"),
        ("builder.py", "        names = sorted",
         "        open('built.txt', 'a').close()\n        names = sorted", "writes_nothing"),
        ("builder.py", "from collections.abc import Iterator",
         "from collections.abc import Iterator\nimport pickle", "does_not_unpickle"),
        ("answers.py", "    if said.status", "    said.text[3]\n    if said.status", "takes_any_answer"),
        ("answers.py", "len(there & named), len(there))", "1, 1)", "score_better_than_none"),
        ("__init__.py", "answers:parse", "answers:parsed", "every_reference_resolves"),
        ("__init__.py", "from vila2.plugin import", "import torch\nfrom vila2.plugin import", "nor_torch"),
    ],
)  # fmt: skip
def test_the_checks_catch_a_plugin_that_misbehaves(tmp_path, file, old, new, caught_by):
    folder = new_plugin("counting", tmp_path)[0].parent
    changed(folder, file, old, new)
    installed(folder, tmp_path / "site")
    tests = run_tests([folder], tmp_path / "site")
    failed = [line for line in tests.stdout.splitlines() if line.startswith("FAILED")]
    assert any(caught_by in line for line in failed), tests.stdout[-3000:]


def test_a_package_has_what_a_package_needs(tmp_path):
    for kind in SCAFFOLDS:
        folder = new_plugin(f"my-{kind}", tmp_path, kind=kind)[0].parent
        assert {"LICENSE", "README.md", "pyproject.toml", "src", "tests"} == {
            one.name for one in folder.iterdir()
        }
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        (needed,) = project["dependencies"]
        assert needed.startswith("vila2>=") and ",<" in needed
        (group,) = project["entry-points"]
        assert group == GROUPS[SCAFFOLDS[kind].brings]
        assert f"my-{kind}" in (folder / "README.md").read_text()


def test_a_kind_that_is_none_is_refused(tmp_path):
    with pytest.raises(PluginError, match=r"(?s)'sauce' is no kind of plugin.*did you mean 'source'"):
        new_plugin("mine", tmp_path, kind="sauce")


@pytest.mark.parametrize("name", ["Counting", "2d", "a--b", "", "../x", "class"])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(PluginError, match="is no name for a plugin"):
        new_plugin(name, tmp_path)


def test_nothing_is_overwritten(tmp_path):
    new_plugin("counting", tmp_path)
    with pytest.raises(PluginError, match="is there already"):
        new_plugin("counting", tmp_path)


def test_the_example_of_a_third_party_passes_its_tests(tmp_path):
    folder = Path(__file__).parents[2] / "examples" / "vila2-counting"
    installed(folder, tmp_path / "site")
    tests = run_tests([folder], tmp_path / "site")
    assert tests.returncode == 0, tests.stdout[-3000:]


def test_the_example_uses_public_names_only():
    folder = Path(__file__).parents[2] / "examples" / "vila2-counting"
    for file in folder.rglob("*.py"):
        for line in file.read_text().splitlines():
            module = line.split()[1] if line.startswith(("from vila2", "import vila2")) else "vila2"
            assert module in ("vila2", "vila2.plugin", "vila2.testing") or module.startswith("vila2_counting")
