"""Specialists of plugins in a merge: priority, questions, verifiers and quotas of their own."""

import json
import re
import sys
from collections import Counter
from dataclasses import replace

import pytest

from tests.merge.merge_jobs import (
    LEFT,
    RIGHT,
    captions,
    everywhere,
    fates,
    merged,
)
from tests.merge.merge_layers import grounded, reads, relates, said, write_layer
from tests.plugin.packages import install_specialist
from vila2.data.layers import original_layer
from vila2.data.sample import assistant, user
from vila2.errors import DataError, PluginError
from vila2.merge.fate_counts import tally_merge
from vila2.plugin.host import Host


def install_ranked(site, name, priority, extra=""):
    """A plugin whose specialist has a priority."""
    install_specialist(site, f"vila2-{name}", entry=name)
    path = site / f"vila2_{name}.py"
    policy = f"merge=__import__('vila2.plugin').plugin.MergePolicy(priority={priority}{extra}), recipe="
    path.write_text(path.read_text().replace("recipe=", policy))


@pytest.fixture
def site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name in ("vila2_sees", "vila2_guesses")]:
        del sys.modules[name]


def plugin_layer(dataset, name, rows):
    return write_layer(dataset, name, rows, {"plugin": {"name": name}})


@pytest.fixture(params=[(5, False), (20, True)])
def stays(request, site) -> bool:
    """Two specialists; whether what "guesses" says stays, by its priority, where "sees" contradicts it."""
    priority, outranks = request.param
    install_ranked(site, "sees", 10)
    install_ranked(site, "guesses", priority)
    return outranks


def test_of_specialists_that_contradict_each_other_the_one_with_priority_stays(small, tmp_path, stays):
    layers = {
        "original": original_layer(small),
        "sees": plugin_layer(
            small, "sees", everywhere(small, lambda k: relates(k, [("cube", "left", "ball")]))
        ),
        "guesses": plugin_layer(
            small, "guesses", everywhere(small, lambda k: relates(k, [("cube", "right", "ball")]))
        ),
    }
    merged(small, layers, tmp_path / "m")
    (fate, *_), (other, *_) = fates(tmp_path / "m", "guesses"), fates(tmp_path / "m", "sees")
    assert (fate.verdict, fate.kept, fate.reason) == (
        "contradicted",
        stays,
        "outranks" if stays else "contradicted",
    )
    assert other.kept is not stays


def test_a_changed_verifier_of_an_editable_plugin_is_another_merge(small, tmp_path, site):
    install_ranked(site, "sees", 10)
    edit = {"url": site.as_uri(), "dir_info": {"editable": True}}
    (site / "vila2_sees-1.0.dist-info" / "direct_url.json").write_text(json.dumps(edit))
    rows = everywhere(small, lambda key: grounded(key, [("red cube", LEFT)]))
    layers = {"original": original_layer(small), "sees": plugin_layer(small, "sees", rows)}
    first = merged(small, layers, tmp_path / "m")
    assert merged(small, layers, tmp_path / "m").digest == first.digest
    with (site / "vila2_sees.py").open("a") as file:
        file.write("# another verifier\n")
    with pytest.raises(DataError, match=r"plugins\.sees\.code: \w+ there, \w+ now"):
        merged(small, layers, tmp_path / "m")
    info = json.loads((tmp_path / "m" / "layer.json").read_text())
    del info["info"]["plugins"]["sees"]["code"]
    (tmp_path / "m" / "layer.json").write_text(json.dumps(info))
    assert merged(small, layers, tmp_path / "m").count == first.count, "a merge of before this was kept"


def test_boxes_refute_what_a_specialist_repeats_only_where_they_rank_above_it(small, tmp_path, stays):
    layers = {
        "original": original_layer(small),
        "sees": plugin_layer(small, "sees", everywhere(small, lambda k: grounded(k, [("red cube", LEFT)]))),
        "guesses": plugin_layer(
            small, "guesses", everywhere(small, lambda k: said(k, "A large red cube. A small red cube."))
        ),
    }
    merged(small, layers, tmp_path / "m", absence=["repeats"])
    first, second, *_ = fates(tmp_path / "m", "guesses")
    assert first.kept and second.verdict == "contradicted"
    assert (second.kept, second.reason) == (stays, "outranks" if stays else "contradicted")


def test_a_plugin_asks_its_own_questions_checks_with_its_own_verifier_and_has_its_quota(
    small, tmp_path, site
):
    install_ranked(site, "sees", 10, ", exchanges=1")
    path = site / "vila2_sees.py"
    verifier = (
        "\ndef verify(claims, evidence):\n    from dataclasses import replace\n"
        "    wrong = {'status': 'contradicted', 'detail': 'I say so'}\n"
        "    return tuple(replace(c, **wrong) if c.subject == 'sky' else c for c in claims)\n"
    )
    told = 'verifier="vila2_sees:verify", questions=("A?", "B?"), prompts=("What is where?", *'
    code = re.sub(r"prompts=(\([^)]*\))", lambda hit: f"{told}{hit[1]})", path.read_text())
    path.write_text(code + verifier)
    rows = everywhere(small, lambda k: grounded(k, [("cube", LEFT)]))
    rows += everywhere(small, lambda k: grounded(k, [("ball", RIGHT)], "And else?"))
    layers = {
        "original": original_layer(small),
        "self-1": write_layer(
            small, "self-1", everywhere(small, lambda k: said(k, "The sky is blue. A cube is there."))
        ),
        "sees": plugin_layer(small, "sees", rows),
    }
    layer = merged(small, layers, tmp_path / "m")
    asked = [row.prompt for row in layer.rows() if row.detail == "sees"]
    assert len(asked) == 4 and set(asked) <= {"A?", "B?"}
    assert set(captions(layer).values()) == {"A cube is there."}
    assert {one.detail for one in fates(tmp_path / "m", "self-1") if not one.kept} == {"'The sky': I say so"}
    assert tally_merge(tmp_path / "m")["sources"]["sees"]["exchanges"] == {"kept": 4, "dropped": {"cap": 4}}


def test_what_a_user_asks_a_plugin_besides_its_prompts_stays_as_it_was_asked(small, tmp_path, site):
    install_specialist(site, "vila2-sees", entry="sees")
    own = Host().specialist("sees").prompts[0]
    rows = everywhere(small, lambda k: grounded(k, [("cube", LEFT)], own))
    rows += everywhere(small, lambda k: grounded(k, [("ball", RIGHT)], "What is closest?"))
    path = site / "vila2_sees.py"
    path.write_text(path.read_text().replace("prompts=", 'questions=("A?",), prompts='))
    sys.modules.pop("vila2_sees")
    layer = merged(
        small, {"original": original_layer(small), "sees": plugin_layer(small, "sees", rows)}, tmp_path / "m"
    )
    assert {row.prompt for row in layer.rows() if row.detail == "sees"} == {"A?", "What is closest?"}


def test_a_layer_of_a_plugin_that_is_not_installed_is_refused(small, tmp_path):
    layers = {
        "original": original_layer(small),
        "gone": plugin_layer(small, "gone", everywhere(small, lambda k: said(k, "x"))),
    }
    with pytest.raises(PluginError, match="gone"):
        merged(small, layers, tmp_path / "m")


def test_a_question_that_the_parser_gave_stays(small, tmp_path, site):
    install_ranked(site, "sees", 10)

    def answer(key):
        turns = (
            user("How many objects are there?"),
            assistant("A cube."),
            user("Is it red?"),
            assistant("Yes."),
        )
        return replace(said(key, "A cube. Yes.", "How many objects are there?"), turns=turns)

    layers = {
        "original": original_layer(small),
        "sees": plugin_layer(small, "sees", everywhere(small, answer)),
    }
    asked = Counter(
        (row.prompt, row.text) for row in merged(small, layers, tmp_path / "m").rows() if row.prompt
    )
    assert asked == {("How many objects are there?", "A cube."): 4, ("Is it red?", "Yes."): 4}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return ()", "gave back 0"),
        ("return None", "gave None"),
        ("return [claim.status for claim in claims]", "gave 'unverified'"),
        ("return claims[::-1]", "gave back 2: .*ball.*cube"),
        ("return [replace(claim, status='true') for claim in claims]", "status='true'"),
        ("yield from (replace(claim, status='supported') for claim in claims)", ""),
    ],
)
def test_a_verifier_gives_back_the_claims_it_was_given(small, tmp_path, site, body, told):
    install_ranked(site, "sees", 10)
    path = site / "vila2_sees.py"
    verifier = f"\nfrom dataclasses import replace\ndef verify(claims, evidence):\n    {body}\n"
    path.write_text(path.read_text().replace("prompts=", 'verifier="vila2_sees:verify", prompts=') + verifier)
    things = everywhere(small, lambda k: grounded(k, [("cube", LEFT), ("ball", RIGHT)]))
    captions = everywhere(small, lambda k: said(k, "There is a cube and a ball."))
    layers = {
        "original": original_layer(small),
        "sees": plugin_layer(small, "sees", things),
        "self-1": write_layer(small, "self-1", captions),
    }
    if told:
        with pytest.raises(PluginError, match=rf"'sees' \(vila2-sees 1.0\), verifier.*{told}"):
            merged(small, layers, tmp_path / "m")
    else:
        merged(small, layers, tmp_path / "m")
        assert {one.verdict for one in fates(tmp_path / "m", "self-1")} == {"supported"}


def test_empty_and_refused_answers_stay_out_and_are_counted(dataset, tmp_path, site):
    install_ranked(site, "sees", 10, ", empty_share=0.5")
    rows = everywhere(dataset, lambda key: reads(key, []))
    refused = rows[0].__class__(rows[0].key, "?", "I am sorry.", "refusal")
    layers = {
        "original": original_layer(dataset),
        "sees": plugin_layer(dataset, "sees", [refused, *rows[1:]]),
    }
    layer = merged(dataset, layers, tmp_path / "m")
    counts = tally_merge(tmp_path / "m")["sources"]["sees"]["exchanges"]
    assert counts["dropped"]["refusal"] == 1
    assert counts["kept"] + counts["dropped"]["empty"] == 39
    assert 8 < counts["kept"] < 32
    assert sum(row.detail == "sees" for row in layer.rows()) == counts["kept"]
