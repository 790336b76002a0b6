"""The host: real packages on the path, found, refused, broken and in each other's way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.packages import install, install_specialist
from vila2.errors import DataError, EngineError, PluginError
from vila2.plugin.checks import check_plugin
from vila2.plugin.discovery import Switch
from vila2.plugin.host import Host
from vila2.sources import open_source

BROKEN = "raise RuntimeError('out of order')\n"
IDLE = "from vila2.plugin import hookimpl\n\n@hookimpl\ndef vila2_specialists():\n    return []\n"


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    known = set(sys.modules)
    yield folder
    for name in set(sys.modules) - known:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def command(*words: str, site: Path, **environment: str) -> subprocess.CompletedProcess:
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "vila2", *words],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path} | environment,
        check=False,
    )


def test_a_specialist_is_found_by_its_name(site):
    install_specialist(site, "vila2-tallying", entry="tallying")
    found = Host().specialist("tallying")
    assert (found.name, found.prompts) == ("tallying", ("How many objects are there?",))


def test_listing_imports_no_plugin_and_no_torch(site):
    install(site, "vila2-loud", "print('imported')\n" + IDLE, entry="loud")
    code = (
        "import sys; from vila2.cli.main import app\n"
        "try: app(['plugins', 'list'])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules and 'vila2_loud' not in sys.modules"
    )
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}
    )
    assert run.returncode == 0, run.stderr
    assert "vila2-loud" in run.stdout and "About vila2-loud." in run.stdout
    assert "imported" not in run.stdout


def test_a_broken_plugin_that_was_asked_for_is_an_error_with_its_name(site):
    install(site, "vila2-broken", BROKEN, entry="broken")
    with pytest.raises(PluginError, match=r"'broken' \(vila2-broken 1.0\).*out of order") as error:
        Host().specialist("broken")
    assert "VILA2_PLUGINS=-broken" in error.value.hint


def test_a_plugin_that_ends_the_process_on_import_is_only_broken(site):
    install(site, "vila2-exit", "raise SystemExit(3)\n", entry="exit")
    with pytest.raises(PluginError, match="SystemExit"):
        Host().specialist("exit")


def test_two_packages_of_one_plugin_name_are_an_error_naming_both(site):
    install(site, "vila2-tallying", IDLE, entry="tallying")
    install(site, "other-tallying", IDLE, entry="tallying", version="2.0")
    with pytest.raises(PluginError, match=r"other-tallying 2\.0 and by vila2-tallying 1\.0"):
        Host().specialist("tallying")
    shown = command("plugins", "list", site=site)
    assert shown.returncode == 0, "who asks for another plugin is not hindered"
    assert "other-tallying 2.0 and by vila2-tallying 1.0" in shown.stderr


def test_a_misspelt_hook_is_reported(site):
    code = "from vila2.plugin import hookimpl\n\n@hookimpl\ndef vila2_specialist():\n    return []\n"
    install(site, "vila2-slip", code, entry="slip")
    with pytest.raises(PluginError, match="hook 'vila2_specialist', which this vila2 does not have") as error:
        Host().specialist("slip")
    assert "vila2_specialists" in error.value.hint


def test_a_hook_with_an_argument_that_is_not_given_is_reported(site):
    code = "from vila2.plugin import hookimpl\n\n@hookimpl\ndef vila2_specialists(colour):\n    return []\n"
    install(site, "vila2-slip", code, entry="slip")
    with pytest.raises(PluginError, match=r"(?s)'slip' .*colour"):
        Host().specialist("slip")


def test_what_goes_wrong_inside_a_hook_carries_the_plugins_name(site):
    code = "from vila2.plugin import hookimpl\n\n@hookimpl\ndef vila2_specialists():\n    return 1 / 0\n"
    install(site, "vila2-zero", code, entry="zero")
    with pytest.raises(PluginError, match=r"'zero' .*ZeroDivisionError"):
        Host().specialist("zero")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{'name': 'odd', 'colour': 1}", "summary: field required"),
        ("'x'", "'odd' .*its specialist: input should be"),
        ("Specialist(name='other', summary='x', builder='a:B', config='a:C', recipe='a/r.yaml', "
         "prompts=('p',), parser='a:p', metrics='a:m')", "no specialist called 'odd' but 'other'"),
        ("Specialist(name='odd', summary='x', builder='a:B', config='a:C', recipe='a/r.yaml', "
         "prompts=('p',), parser='a:p', metrics='a:m', api_version=0)", "version 0 of the contract"),
    ],
)  # fmt: skip
def test_a_specialist_that_is_none_is_refused(site, given, message):
    code = (
        "from vila2.plugin import Specialist, hookimpl\n\n"
        f"@hookimpl\ndef vila2_specialists():\n    return [{given}]\n"
    )
    install(site, "vila2-odd", code, entry="odd")
    with pytest.raises(PluginError, match=message):
        Host().specialist("odd")


@pytest.mark.parametrize("given", ["5", "'odd'", "{'odd': 5}"])
def test_specialists_that_are_no_list_are_refused(site, given):
    code = f"from vila2.plugin import hookimpl\n\n@hookimpl\ndef vila2_specialists():\n    return {given}\n"
    install(site, "vila2-odd", code, entry="odd")
    with pytest.raises(PluginError, match=r"'odd' \(vila2-odd 1.0\), vila2_specialists: gave") as error:
        Host().specialist("odd")
    assert "a list" in error.value.hint


@pytest.mark.parametrize("switch", ["none", "-counted", "other"])
def test_a_plugin_that_is_switched_off_is_not_imported(site, monkeypatch, switch):
    install(site, "vila2-counted", BROKEN, entry="counted")
    monkeypatch.setenv("VILA2_PLUGINS", switch)
    with pytest.raises(PluginError, match=r"\(vila2-counted 1.0\) is switched off"):
        Host().specialist("counted")


def test_a_switch_cannot_both_name_and_leave_out():
    with pytest.raises(PluginError, match="both"):
        Switch.read("a,-b")


def test_an_unknown_plugin_names_the_nearest_and_how_to_get_it(site):
    install(site, "vila2-tallying", IDLE, entry="tallying")
    with pytest.raises(PluginError) as error:
        Host().specialist("tallyin")
    assert "'tallying'" in error.value.hint


def test_a_plugin_brings_a_source(site):
    code = (
        "from vila2.plugin import Sample, assistant, user\n\n"
        "def read(path=None, *, count=None):\n"
        "    for n in range(count):\n"
        "        yield Sample(f'dot-{n}', (), (user('what?'), assistant('a dot')))\n"
    )
    install(site, "vila2-dots", code, entry="dots", kind="sources", function="read")
    assert [sample.key for sample in open_source("dots", count=2)] == ["dot-0", "dot-1"]
    with pytest.raises(DataError, match="unknown source 'dotz'") as error:
        open_source("dotz")
    assert "'dots'" in error.value.hint


def test_a_plugin_brings_an_engine(site):
    code = (
        "class Parrot:\n    name = digest = 'parrot'\n"
        "    def generate(self, requests, settings):\n"
        "        from vila2.engine.protocol import Answer\n"
        "        return [Answer(one.prompt, 'stop', 1) for one in requests]\n\n"
        "def open(model, **options):\n    return Parrot()\n"
    )
    install(site, "vila2-parrot", code, entry="parrot", kind="engines", function="open")
    from vila2.engine.registry import open_engine

    assert open_engine("parrot", "any").name == "parrot"
    with pytest.raises(EngineError, match="unknown engine 'parot'") as error:
        open_engine("parot", "any")
    assert "'parrot'" in error.value.hint


def test_one_name_from_two_plugins_is_an_error_for_who_asks_for_it_and_for_nobody_else(site):
    code = "def read(*, start=0, count=0):\n    yield from ()\n"
    for package in ("vila2-a", "vila2-b"):
        install(site, package, code, entry="maps", kind="sources", function="read")
    install(site, "vila2-c", code, entry="charts", kind="sources", function="read")
    assert list(open_source("charts")) == []
    with pytest.raises(
        PluginError, match=r"source 'maps' is brought by vila2-a 1.0 and by vila2-b 1.0"
    ) as error:
        open_source("maps")
    assert "VILA2_PLUGINS=-PACKAGE" in error.value.hint
    assert list(open_source("charts")) == []


def test_the_package_of_a_clash_can_be_switched_off(site, monkeypatch):
    code = "def read(*, start=0, count=0):\n    yield from ()\n"
    for package in ("vila2-a", "vila2-b"):
        install(site, package, code, entry="maps", kind="sources", function="read")
    monkeypatch.setenv("VILA2_PLUGINS", "-vila2-b")
    assert Host().brought("source", "maps").package == "vila2-a" and list(open_source("maps")) == []


def test_a_switch_that_names_a_plugin_takes_what_its_package_brings_along(site, monkeypatch):
    install_specialist(site, "vila2-tallying", entry="tallying")
    entries = site / "vila2_tallying-1.0.dist-info" / "entry_points.txt"
    entries.write_text(entries.read_text() + "[vila2.sources]\nbeads = vila2_tallying:read\n")
    assert "beads" in Host().names("source")
    for switch, there in {"tallying": True, "-tallying": False, "other": False, "-beads": False}.items():
        monkeypatch.setenv("VILA2_PLUGINS", switch)
        assert ("beads" in Host().names("source")) is there, switch
    assert Host().specialist("tallying").name == "tallying", "only the source is off"


def test_check_looks_at_every_reference(site):
    install_specialist(site, "vila2-tallying", entry="tallying")
    assert all(check.passed for check in check_plugin(Host(), "tallying"))
    module = site / "vila2_tallying.py"
    module.write_text(module.read_text().replace("def parse(said)", "def parsed(said)"))
    (site / "vila2_tallying_files" / "recipe.yaml").write_text("stages: [")
    sys.modules.pop("vila2_tallying")
    failed = [check for check in check_plugin(Host(), "tallying") if not check.passed]
    assert [check.what.partition(":")[0] for check in failed] == ["parser", "recipe"]
    assert all("vila2-tallying" in check.detail for check in failed)


def test_the_command_line_shows_and_checks_a_plugin(site):
    install_specialist(site, "vila2-tallying", entry="tallying")
    shown = command("plugins", "show", "tallying", "--json", site=site)
    assert json.loads(shown.stdout)["package"] == "vila2-tallying", shown.stderr
    assert command("plugins", "check", "tallying", site=site).returncode == 0
    off = command("--plugins", "none", "plugins", "list", "--json", site=site)
    assert {plugin["state"] for plugin in json.loads(off.stdout)} == {"off"}
