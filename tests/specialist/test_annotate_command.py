"""`vila2 annotate` with a specialist: layers of any name, replaced, begun anew, read anew."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from tests.plugin.packages import install
from tests.plugin.tiny_specialist import install_finding
from vila2.cli.main import app
from vila2.data.layers import Layer
from vila2.data.shards import write_dataset
from vila2.sources import open_source

ENGINE = """
from pathlib import Path
from vila2.plugin import Answer

class Recites:
    name = digest = "recites"

    def generate(self, requests, settings):
        with open(Path(__file__).with_name("asked.txt"), "a") as file:
            file.write("x" * len(requests))
        return [Answer("A cube [0.100,0.100,0.300,0.300].", "stop", 4) for one in requests]

def opened(model, **options):
    return Recites()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a dataset of twelve images, a specialist, and an engine in whose place no model is."""
    site = tmp_path / "site"
    install_finding(site)
    install(site, "vila2-recites", ENGINE, entry="recites", kind="engines", function="opened")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "d", open_source("world", split="pretrain", count=12), name="d", shard_size=8)
    (tmp_path / "made").mkdir()
    about = {"plugin": "finding", "annotate": {"batch_size": 4}, "dtype": "float32"}
    (tmp_path / "made" / "specialist.json").write_text(json.dumps(about))
    yield tmp_path
    for name in ("vila2_finding", "vila2_recites"):
        sys.modules.pop(name, None)


def annotate(*more: str, code: int = 0):
    """Counts of the layer, or what is said of a failure."""
    asked = ["annotate", "d", "-p", "finding", "--specialist", "made", "--engine", "recites", "--json", "-q"]
    done = CliRunner().invoke(app, [*asked, *more])
    assert done.exit_code == code, done.output
    return " ".join(done.output.split()) if code else json.loads(done.stdout)


def asked(place) -> int:
    return len((place / "site" / "asked.txt").read_text())


def mend(place):
    """The plugin's parser calls the things cubes from now on."""
    sys.modules.pop("vila2_finding")
    module = place / "site" / "vila2_finding.py"
    module.write_text(module.read_text().replace('subject="thing"', 'subject="a red cube"'))


def subjects(layer: str) -> set[str]:
    return {claim.subject for row in Layer.open(layer).rows() for claim in row.claims}


def test_answers_are_read_anew_and_nobody_is_asked(place):
    first = annotate("--layer", "found")
    assert first["layer"] == "d/layers/found" and first["statuses"] == {"ok": 12} and asked(place) == 12
    mend(place)
    assert subjects(annotate("--layer", "found", "--reparse")["layer"]) == {"a red cube"}
    assert asked(place) == 12
    assert "no layer here" in annotate("--reparse", code=2), "the layer of the plugin's own name is not there"


def test_a_finished_layer_is_replaced_only_when_asked_for(place):
    first = annotate("--limit", "3")
    assert first["layer"] == "d/layers/finding" and first["annotations"] == 3
    assert annotate("--limit", "3") == first and asked(place) == 3
    told = annotate("--seed", "5", "--limit", "3", code=2)
    assert "begun with other settings" in told and "--replace makes a finished one anew" in told
    assert annotate("--seed", "5", "--replace")["annotations"] == 12
    assert annotate("--seed", "5")["annotations"] == 12 and asked(place) == 15


def test_an_unfinished_layer_is_thrown_away_with_restart(place):
    annotate()
    folder = place / "d" / "layers" / "finding"
    info = json.loads((folder / "layer.json").read_text())["info"]
    (folder / "job.json").write_text(json.dumps({name: info[name] for name in ("prompts", "seed")}))
    (folder / "layer.json").unlink()  # as a kill would leave it
    assert "seed: 0 there, 5 now" in annotate("--seed", "5", code=2)
    assert annotate("--seed", "5", "--restart")["annotations"] == 12 and asked(place) == 24
    assert "exclude each other" in annotate("--replace", "--restart", code=2)
    assert annotate("--seed", "5", "--restart", code=2), "a finished layer is not thrown away"
