"""A layer's answers are read anew after an upgrade of the plugin; layers are named and replaced whole."""

from __future__ import annotations

import json
import sys

import pytest

from tests.plugin.packages import install
from tests.plugin.tiny_specialist import CODE, install_finding
from vila2.data.layer_replacement import layer_to_write
from vila2.data.layers import Layer
from vila2.data.shards import ShardDataset, write_dataset
from vila2.engine.protocol import Answer
from vila2.errors import DataError
from vila2.plugin.host import Host
from vila2.recipe.specialist_recipe import AnnotateSpec
from vila2.sources import open_source
from vila2.specialist.annotating import annotate_dataset
from vila2.specialist.made import MadeSpecialist
from vila2.specialist.reparsing import reparse_layer

SAID = ("A cube [0.100,0.100,0.300,0.300].", "", "I cannot see it.", "A cube and a ball.", "bad")


class Recites:
    """Answers with given texts, one after the other."""

    name = digest = "recites"

    def __init__(self):
        self.asked = 0

    def generate(self, requests, settings):
        self.asked += len(requests)
        return [Answer(SAID[int(one.key[-4:]) % len(SAID)], "stop", 4) for one in requests]


@pytest.fixture
def dataset(tmp_path) -> ShardDataset:
    write_dataset(tmp_path / "d", open_source("world", split="pretrain", count=20), name="d", shard_size=8)
    return ShardDataset.open(tmp_path / "d")


@pytest.fixture
def site(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield tmp_path / "site"
    sys.modules.pop("vila2_finding", None)


def annotate(dataset, folder, layer="finding", **settings):
    made = MadeSpecialist("finding", folder, {})
    spec = AnnotateSpec(batch_size=4, **settings)
    return annotate_dataset(dataset, Recites(), made, folder=folder, layer=layer, settings=spec)


def upgrade(site, monkeypatch, old, new):
    """Version 2.0 of the plugin, with one line changed."""
    for path in site.glob("*.dist-info"):
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    sys.modules.pop("vila2_finding", None)
    code = CODE.replace("COORDINATES", "'text'")
    assert old in code
    install(site, "vila2-finding", code.replace(old, new), entry="finding", version="2.0")
    sys.path_importer_cache.clear()
    getattr(Host, "forget", lambda: None)()


def rows(layer):
    return {(row.key, row.text, row.prompt, row.tokens) for row in layer.rows()}


def test_answers_are_read_anew_without_a_model_and_no_answer_is_lost(dataset, site, monkeypatch):
    install_finding(site)
    folder = dataset.folder / "layers" / "finding"
    first = annotate(dataset, folder)
    assert {one.subject for row in first.rows() for one in row.claims} == {"thing"}
    upgrade(site, monkeypatch, 'subject="thing"', 'subject="cube"')
    again = reparse_layer(dataset, folder, "finding")
    assert again.folder == folder and rows(again) == rows(first)
    assert {one.subject for row in again.rows() for one in row.claims} == {"cube"}
    assert again.info["plugin"]["version"] == "2.0" and again.info["read_before"]["version"] == "1.0"
    assert again.statuses == first.statuses
    assert [path.name for path in folder.parent.iterdir()] == ["finding"]
    assert not (dataset.folder / ".layers").exists()


def test_a_status_that_a_parser_gave_is_given_back(dataset, site, monkeypatch):
    """A parser that called everything empty is mended; the host's own marks stand again."""
    module = install_finding(site)
    code = module.read_text()
    kept = "if not said.text.strip():\n        return"
    assert kept in code
    module.write_text(code.replace(kept, "if said.text != 'bad':\n        return"))
    folder = dataset.folder / "layers" / "finding"
    assert annotate(dataset, folder).statuses == {"ok": 4, "empty": 16}
    sys.modules.pop("vila2_finding")
    module.write_text(code)
    assert reparse_layer(dataset, folder, "finding").statuses == {"ok": 16, "empty": 4}


def test_a_parser_that_breaks_leaves_the_layer_as_it_was(dataset, site, monkeypatch):
    install_finding(site)
    folder = dataset.folder / "layers" / "finding"
    first = annotate(dataset, folder)
    upgrade(site, monkeypatch, "    boxes = [part.box", "    raise KeyError('x')\n    boxes = [part.box")
    with pytest.raises(Exception, match="failed on"):
        reparse_layer(dataset, folder, "finding")
    assert Layer.open(folder).digest == first.digest


def test_changed_code_of_an_editable_plugin_is_another_job_but_not_for_jobs_of_earlier_versions(
    dataset, site
):
    module = install_finding(site)
    edit = {"url": site.as_uri(), "dir_info": {"editable": True}}
    (site / "vila2_finding-1.0.dist-info" / "direct_url.json").write_text(json.dumps(edit))
    folder = dataset.folder / "layers" / "finding"
    first = annotate(dataset, folder)
    module.write_text(module.read_text().replace('subject="thing"', 'subject="cube"'))
    with pytest.raises(DataError, match=r"plugin\.code: [0-9a-f]{12} there, [0-9a-f]{12} now"):
        annotate(dataset, folder)
    read = reparse_layer(dataset, folder, "finding")
    assert read.info["plugin"]["code"] != first.info["plugin"]["code"]
    assert annotate(dataset, folder).digest == read.digest, "finished, by the code as it is now"
    info = json.loads((folder / "layer.json").read_text())
    del info["info"]["plugin"]["code"]
    (folder / "layer.json").write_text(json.dumps(info))
    assert annotate(dataset, folder).count == 20


def test_other_layers_are_refused(dataset, site):
    install_finding(site)
    folder = dataset.folder / "layers" / "finding"
    with pytest.raises(DataError, match="no layer here"):
        reparse_layer(dataset, folder, "finding")
    annotate(dataset, folder)
    with pytest.raises(DataError, match="written by the plugin 'finding', not by 'ocr'"):
        reparse_layer(dataset, folder, "ocr")


def test_a_layer_has_a_name_and_is_replaced_once_the_new_one_is_complete(dataset, site):
    install_finding(site)
    folder = dataset.folder / "layers" / "short"
    first = annotate(dataset, folder, layer="short")
    assert first.name == "short"
    with pytest.raises(RuntimeError), layer_to_write(folder, replace=True) as place:
        raise RuntimeError("killed")
    assert Layer.open(folder).digest == first.digest
    with layer_to_write(folder, replace=True) as place:
        assert place != folder
        annotate(dataset, place, layer="short", max_new_tokens=9)
    assert Layer.open(folder).info["settings"]["max_new_tokens"] == 9
    with pytest.raises(DataError, match="the layer is finished"), layer_to_write(folder, afresh=True):
        pass


def test_an_unfinished_layer_is_thrown_away_on_request(dataset, site):
    install_finding(site)
    folder = dataset.folder / "layers" / "finding"
    annotate(dataset, folder)
    (folder / "layer.json").rename(folder / "job.json")
    with pytest.raises(DataError, match="other settings"):
        annotate(dataset, folder, max_new_tokens=9)
    with layer_to_write(folder, afresh=True) as place:
        assert annotate(dataset, place, max_new_tokens=9).count == 20


def test_a_kill_in_the_middle_of_the_exchange_loses_nothing(dataset, site):
    install_finding(site)
    folder = dataset.folder / "layers" / "finding"
    first = annotate(dataset, folder)
    beside = dataset.folder / ".layers"
    beside.mkdir()
    folder.rename(beside / "finding.old")
    with layer_to_write(folder) as place:
        assert Layer.open(place).digest == first.digest
