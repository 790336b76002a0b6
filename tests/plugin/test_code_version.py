"""A plugin under development: its code counts as its version. Slow imports and Ctrl-C are told apart."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time

import pytest

from tests.plugin.packages import install, install_specialist
from vila2.data.rejects import Reject
from vila2.errors import DataError, PluginError
from vila2.plugin import host as host_module, references
from vila2.plugin.code_version import code_version
from vila2.plugin.host import Host
from vila2.plugin.references import call
from vila2.run.step_files import StepResult
from vila2.sources import open_source
from vila2.specialist.built_samples import samples_of
from vila2.specialist.changed_code import notice_changed_code


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in ("vila2_tallying", "vila2_slow"):
        sys.modules.pop(name, None)


def test_only_the_code_of_an_editable_install_counts(site):
    install_specialist(site, "vila2-tallying", entry="tallying")
    assert code_version(Host().plugin("tallying")) == "1.0"
    origin = {"url": site.as_uri(), "dir_info": {"editable": True}}
    (site / "vila2_tallying-1.0.dist-info" / "direct_url.json").write_text(json.dumps(origin))
    before = code_version(Host().plugin("tallying"))
    assert before.startswith("1.0+") and code_version(Host().plugin("tallying")) == before
    module = site / "vila2_tallying.py"
    module.write_text(module.read_text().replace("return {}", "return None"))
    assert code_version(Host().plugin("tallying")) != before
    assert "vila2_tallying" not in sys.modules, "nothing is imported for it"


def test_data_that_other_code_built_are_noticed(site, tmp_path, caplog):
    install_specialist(site, "vila2-tallying", entry="tallying")
    origin = {"url": site.as_uri(), "dir_info": {"editable": True}}
    (site / "vila2_tallying-1.0.dist-info" / "direct_url.json").write_text(json.dumps(origin))
    built = StepResult("build", "0", tmp_path, {}, True)
    for _ in range(2):
        notice_changed_code(Host().plugin("tallying"), built, dry=False)
    assert caplog.text == ""
    (site / "vila2_tallying.py").write_text("# another\n")
    notice_changed_code(Host().plugin("tallying"), built, dry=False)
    assert "'tallying' (vila2-tallying 1.0) has changed since its data were built" in caplog.text


def test_an_import_that_takes_long_is_named_while_it_goes_on(site, caplog, monkeypatch):
    monkeypatch.setattr(host_module, "LIGHT", 0.2)
    code = "import time; time.sleep(1.5); END = time.time()\nfrom vila2.plugin import hookimpl\n\n"
    code += "@hookimpl\ndef vila2_specialists():\n    return []\n"
    install(site, "vila2-slow", code, entry="slow")
    with caplog.at_level(logging.WARNING):
        module = Host().load(Host().plugin("slow"))
    (told,) = [record for record in caplog.records if "takes more than" in record.getMessage()]
    assert "'slow' (vila2-slow 1.0): the import of vila2_slow" in told.getMessage()
    assert told.created < module.END, "before the import ended"


def test_a_builder_that_gives_nothing_is_named_while_it_runs(caplog, monkeypatch):
    monkeypatch.setattr(references, "LONG", 0.1)

    class Builder:
        def build(self, shard):
            time.sleep(0.6)
            self.end = time.time()
            yield Reject("x", "x", "none")

    builder = Builder()
    with caplog.at_level(logging.WARNING):
        assert len(list(samples_of(builder, "7", "plugin 'slow', builder"))) == 1
    (told,) = [record for record in caplog.records if "takes more than 0.1 seconds" in record.getMessage()]
    assert "plugin 'slow', builder, shard '7'" in told.getMessage() and "Ctrl-C" in told.getMessage()
    assert told.created < builder.end


def test_a_thousand_quick_calls_are_named_by_nobody_and_one_among_them_is(caplog, monkeypatch):
    monkeypatch.setattr(references, "LONG", 0.2)
    with caplog.at_level(logging.WARNING):
        for number in range(1000):
            call(time.sleep, 0.5 if number == 500 else 0, of=f"call {number}")
    assert [record.getMessage().split(" takes")[0] for record in caplog.records] == ["call 500"]


def test_an_entry_point_that_was_added_after_the_install_is_named(site):
    install_specialist(site, "vila2-tallying", entry="tallying")
    origin = {"url": site.as_uri(), "dir_info": {"editable": True}}
    (site / "vila2_tallying-1.0.dist-info" / "direct_url.json").write_text(json.dumps(origin))
    (site / "pyproject.toml").write_text(
        '[project]\nname = "vila2-tallying"\n[project.entry-points."vila2.sources"]\nbeads = "a:read"\n'
    )
    with pytest.raises(DataError, match="unknown source 'beads'") as error:
        open_source("beads")
    assert f"`pip install -e {site}` once more" in error.value.hint


def test_ctrl_c_stops_a_plugin_and_is_no_fault_of_it():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background has none
    try:
        with pytest.raises(KeyboardInterrupt):
            call(lambda: os.kill(os.getpid(), signal.SIGINT), of="plugin 'busy'")
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(PluginError, match="plugin 'busy': KeyboardInterrupt"):
        call(_raise_it, of="plugin 'busy'")


def _raise_it():
    raise KeyboardInterrupt
