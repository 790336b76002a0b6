"""Corrections and marks: on disk at once, a layer at the end, and nothing lost by a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.browse.browsing import HOSTILE, browsing, described, refused
from vila2.data.layers import Layer
from vila2.data.mixtures import ViewedDataset
from vila2.data.shards import ShardDataset
from vila2.data.verification import verify_dataset
from vila2.data.views import View
from vila2.errors import DataError


@pytest.fixture
def dataset(tmp_path: Path) -> ShardDataset:
    return described(tmp_path / "set")


def human(dataset: ShardDataset) -> dict[str, list]:
    layer = Layer.open(dataset.folder / "layers" / "human-1")
    found: dict[str, list] = {}
    for row in layer.rows():
        found.setdefault(row.key, []).append(row)
    return found


def test_corrections_and_marks_become_a_layer_that_views_use(dataset: ShardDataset):
    keys = dataset.keys()
    with browsing(dataset.folder) as reader:
        before = reader.server.collection.rows["self-1"].of(3, keys[3])[0].text
        assert reader.correct(3, "self-1", text="A better caption.\r\nTwo lines.", note="was wrong")[
            "corrected"
        ]
        assert reader.correct(4, "self-1", text=before, mark="good") == {
            "mark": "good",
            "corrected": False,
            "note": "",
        }
        assert reader.correct(20, "self-2", text="a cube a cube", mark="bad")["mark"] == "bad"
        assert (
            reader.correct(0, "self-2", text=HOSTILE.replace("\x1b", "\u241b"), mark="good")["corrected"]
            is False
        )
        assert reader.keys(mark="any") == [keys[0], keys[3], keys[4], keys[20]]
        assert reader.keys(mark="corrected") == [keys[3]] and reader.keys(mark="bad") == [keys[20]]
        page = reader.sample(keys[3])
        assert "A better caption." in page and "note: was wrong" in page
    rows = human(dataset)
    assert [(row.text, row.status) for row in rows[keys[3]]] == [("A better caption.\nTwo lines.", "ok")]
    assert rows[keys[4]][0].text == before and rows[keys[4]][0].status == "ok"
    assert rows[keys[20]][0].status == "error" and "marked bad" in rows[keys[20]][0].detail
    assert rows[keys[0]][0].text == HOSTILE
    layer = Layer.open(dataset.folder / "layers" / "human-1")
    assert (layer.info["engine"], layer.info["corrected"], layer.info["bad"]) == ("person", 1, 1)
    seen = ViewedDataset(dataset, View.parse("only(human-1)"), {"human-1": layer})
    assert seen.keys() == [keys[0], keys[3], keys[4]]
    assert "A better caption." in seen[1].turns[-1].text
    assert verify_dataset(dataset.folder).problems == ()


def test_a_later_word_replaces_an_earlier_one_and_nothing_said_takes_it_back(dataset: ShardDataset):
    keys = dataset.keys()
    with browsing(dataset.folder) as reader:
        text = reader.server.collection.rows["self-1"].of(3, keys[3])[0].text
        reader.correct(3, "self-1", text="First.")
        reader.correct(4, "self-1", text="Kept.")
    assert human(dataset)[keys[3]][0].text == "First."
    with browsing(dataset.folder) as reader:
        assert "First." in reader.sample(keys[3])
        reader.correct(3, "self-1", text=text)
        assert reader.keys(mark="any") == [keys[4]]
    assert list(human(dataset)) == [keys[4]]


def test_a_good_answer_with_places_keeps_its_turns_and_cannot_be_rewritten(dataset: ShardDataset):
    with browsing(dataset.folder) as reader:
        row = reader.server.collection.rows["boxes"].of(2, dataset.keys()[2])[0]
        assert "several turns" in refused(reader.correct, 2, "boxes", text="something else")[1]
        reader.correct(2, "boxes", text=row.text, mark="good")
    [kept] = human(dataset)[dataset.keys()[2]]
    assert kept.turns == row.turns and kept.claims == row.claims


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"layer": "nobody"}, "no such answer"),
        ({"number": 4000}, "no such answer"),
        ({"row": 9}, "no such answer"),
        ({"text": "  "}, "not empty"),
        ({"text": "\ud800"}, "half a character"),
        ({"text": "x" * 20_001}, "at most 20000"),
        ({"mark": "great"}, "no mark 'great'"),
        ({"text": 7}, "send layer, row"),
        ({"more": "x"}, "send layer, row"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(dataset: ShardDataset, changed: dict, told: str):
    with browsing(dataset.folder) as reader:
        body = {"number": 3, "layer": "self-1", "row": 0, "text": "t", "mark": "", "note": ""} | changed
        status, text = refused(reader.post, "correct", json.dumps(body).encode())
        assert status == 400 and told in text
    assert not (dataset.folder / "layers" / "human-1" / "layer.json").exists()


def test_looking_alone_writes_no_layer(dataset: ShardDataset):
    with browsing(dataset.folder) as reader:
        reader.get()
    assert not (dataset.folder / "layers" / "human-1").exists()


def test_two_servers_do_not_write_the_same_layer(dataset: ShardDataset):
    with browsing(dataset.folder) as first, browsing(dataset.folder) as second:
        first.correct(3, "self-1", text="Mine.")
        assert "another `vila2 browse`" in refused(second.correct, 4, "self-1", text="Too late.")[1]
        with browsing(dataset.folder) as third:
            assert "nothing can be changed" in third.get()
            assert "correct or mark" not in third.sample(dataset.keys()[3])
    assert [row.text for rows in human(dataset).values() for row in rows] == ["Mine."]


def test_a_layer_of_somebody_else_is_not_touched(dataset: ShardDataset):
    with pytest.raises(DataError, match="did not write"), browsing(dataset.folder, name="self-1"):
        pass


def test_a_killed_server_loses_nothing(dataset: ShardDataset):
    command = [sys.executable, "-m", "vila2", "browse", str(dataset.folder)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    url = process.stderr.readline().split()[-1]
    body = {"number": 3, "layer": "self-1", "row": 0, "text": "Before the kill.", "mark": "", "note": ""}
    request = urllib.request.Request(
        url + "correct", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        assert json.loads(answer.read())["corrected"]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    journal = dataset.folder / "layers" / "human-1" / "journal.jsonl"
    with journal.open("ab") as file:
        file.write(b"deadbeef {half a li")
    with browsing(dataset.folder) as reader:
        assert "Before the kill." in reader.sample(dataset.keys()[3])
        reader.correct(4, "self-1", text="After it.")
    rows = human(dataset)
    assert [rows[dataset.keys()[n]][0].text for n in (3, 4)] == ["Before the kill.", "After it."]


def test_the_layer_is_written_while_the_server_runs(dataset: ShardDataset):
    with browsing(dataset.folder) as reader:
        reader.correct(3, "self-1", text="While it runs.")
        end = time.monotonic() + 20
        while not (dataset.folder / "layers" / "human-1" / "layer.json").exists():
            assert time.monotonic() < end
            time.sleep(0.1)
        assert human(dataset)[dataset.keys()[3]][0].text == "While it runs."
        reader.correct(4, "self-1", text="And on.")
    assert len(human(dataset)) == 2
