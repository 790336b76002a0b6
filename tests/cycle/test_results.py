"""Changes between models: the sign says which way, and the interval is that of the same items."""

import json
from types import SimpleNamespace

import pytest

from vila2.cycle.controls.catalog import Control
from vila2.cycle.results import _changes, _pairs
from vila2.cycle.rounds import History


def model(folder, name, right, keys=None):
    folder.mkdir()
    item = {
        "keys": keys or [str(n) for n in range(len(right))],
        "numerators": right,
        "denominators": [1.0] * len(right),
    }
    (folder / "items.json").write_text(json.dumps({"questions/existence": item}))
    return SimpleNamespace(name=name, scores=SimpleNamespace(folder=folder))


def changes(models, controls=()):
    return _changes(_pairs(History(tuple(models), (), models[-1]), controls), seed=0)


def test_a_change_is_the_later_model_minus_the_earlier_one(tmp_path):
    before = model(tmp_path / "a", "VILA_0", [1.0, 0.0, 0.0, 0.0] * 25)
    after = model(tmp_path / "b", "VILA_1", [1.0, 1.0, 1.0, 0.0] * 25)
    (change,) = changes([before, after])
    assert (change["from"], change["to"], change["name"]) == ("VILA_0", "VILA_1", "existence")
    assert change["difference"] == pytest.approx(0.5)
    assert 0.3 < change["low"] < 0.5 < change["high"] < 0.7


def test_several_rounds_are_compared_step_by_step_and_end_to_end(tmp_path):
    models = [model(tmp_path / str(n), f"VILA_{n}", [float(n > 0)] * 10) for n in range(3)]
    pairs = [(change["from"], change["to"], change["difference"]) for change in changes(models)]
    assert pairs == [("VILA_0", "VILA_1", 1.0), ("VILA_1", "VILA_2", 0.0), ("VILA_0", "VILA_2", 1.0)]


def test_models_scored_on_other_items_are_not_compared(tmp_path):
    before = model(tmp_path / "a", "VILA_0", [1.0, 0.0])
    after = model(tmp_path / "b", "VILA_1", [1.0, 0.0], keys=["x", "y"])
    assert changes([before, after]) == []


def test_what_is_controlled_is_compared_with_its_control(tmp_path):
    models = [model(tmp_path / str(n), f"VILA_{n}", [float(n > 0)] * 10) for n in range(3)]
    controls = [
        (Control(name, "", lambda _: {}, of), model(tmp_path / name, name, [1.0] * 5 + [0.0] * 5))
        for name, of in (("one", "round"), ("whole", "outcome"), ("each", "both"))
    ]
    found = {
        (c["from"], c["to"]): c["difference"]
        for c in changes(models, controls)
        if not c["from"].startswith("VILA")
    }
    pairs = [("one", "VILA_1"), ("whole", "VILA_2"), ("each", "VILA_1"), ("each", "VILA_2")]
    assert found == dict.fromkeys(pairs, 0.5)
