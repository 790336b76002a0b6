"""What the dataset itself knows, and the image, in a merge; and what was read keeps its lines."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from tests.merge.merge_jobs import LEFT, RIGHT, everywhere, fates, merged
from tests.merge.merge_layers import grounded, reads, said, write_layer
from tests.plugin.packages import install_specialist
from vila2.cli.main import app
from vila2.data.annotations import Annotation
from vila2.data.evidence import Box3D, Camera, Evidence, SceneObject, WrittenText
from vila2.data.layers import original_layer
from vila2.data.shards import ShardDataset, write_dataset
from vila2.merge.fate_counts import tally_merge

CUBE = Box3D(centre=(0, 0, 3), dimensions=(1, 1, 1), rotation=((1, 0, 0), (0, 1, 0), (0, 0, 1)))
KNOWN = Evidence(
    objects=(SceneObject(label="cube", name="red cube", box=LEFT, solid=CUBE),),
    labels=("cube", "ball"),
    all_objects=True,
    texts=(WrittenText(text="TOTAL"), WrittenText(text="9.00")),
    all_texts=True,
    camera=Camera(K=((50, 0, 32), (0, 50, 32), (0, 0, 1)), width=64, height=64),
)
SAYS = 'There is a red cube. There is a ball. A sign says "TOTAL 9.00". A sign says "SALE".'


@pytest.fixture
def known(small, tmp_path) -> ShardDataset:
    """Images whose dataset knows what is in them."""
    samples = [replace(one, meta=KNOWN.to_meta()) for one in small]
    write_dataset(tmp_path / "known", samples, name="known", shard_size=3)
    return ShardDataset.open(tmp_path / "known")


def verdicts(folder, source="self-1"):
    return [one.verdict for one in fates(folder, source)][:4]


def test_a_datasets_own_evidence_supports_and_refutes_where_it_is_used(known, tmp_path):
    layers = {
        "original": original_layer(known),
        "self-1": write_layer(known, "self-1", everywhere(known, lambda key: said(key, SAYS))),
    }
    merged(known, layers, tmp_path / "without")
    assert verdicts(tmp_path / "without") == ["unverified"] * 4
    assert tally_merge(tmp_path / "without")["all"]["before"]["coverage"] == 0
    merged(known, layers, tmp_path / "with", evidence=True)
    assert verdicts(tmp_path / "with") == ["supported", "contradicted", "supported", "contradicted"]


def test_a_dataset_ranks_above_every_specialist(known, tmp_path):
    boxes = everywhere(known, lambda key: grounded(key, [("cube", LEFT), ("ball", RIGHT)]))
    layers = {"original": original_layer(known), "boxes": write_layer(known, "boxes", boxes)}
    merged(known, layers, tmp_path / "m", evidence=True, absence=())
    first, second = [(one.verdict, one.kept) for one in fates(tmp_path / "m", "boxes")][:2]
    assert first == ("supported", True) and second == ("contradicted", False)


def test_the_command_uses_what_a_dataset_knows_and_says_so(known):
    write_layer(known, "self-1", everywhere(known, lambda key: said(key, SAYS)))
    command = ["merge", str(known.folder), "-l", "original,self-1", "--name"]
    found = CliRunner().invoke(app, [*command, "checked", "--json", "-q"])
    assert json.loads(found.stdout)["sources"]["self-1"]["before"]["coverage"] == 1, found.output
    told = CliRunner().invoke(app, [*command, "checked", "-q"]).stdout
    assert "what the dataset itself knows was used" in told
    found = CliRunner().invoke(app, [*command, "unchecked", "--json", "-q", "--set", "evidence=false"])
    assert json.loads(found.stdout)["sources"]["self-1"]["before"]["coverage"] == 0, found.output


VERIFIER = """
from dataclasses import replace

def verify(claims, evidence, context):
    assert context.evidence.objects[0].solid and context.solids and context.camera.width == 64
    assert [one.called for one in evidence.objects][:1] == ["red cube"]
    width, height = context.image().size
    return [replace(one, status="supported" if width == height > 8 else "contradicted") for one in claims]
"""


@pytest.fixture
def judges(known, tmp_path, monkeypatch):
    """Merges captions with a specialist whose plugin brings a verifier; gives the merge's folder."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def judges(code, name):
        install_specialist(site, "vila2-sees", entry="sees")
        path = site / "vila2_sees.py"
        described = path.read_text().replace("prompts=", 'verifier="vila2_sees:verify", prompts=')
        path.write_text(described + code)
        things = everywhere(known, lambda key: grounded(key, [("cube", LEFT)]))
        info = {"plugin": {"name": "sees"}}
        layers = {
            "original": original_layer(known),
            "sees": write_layer(known, "sees", things, info),
            "self-1": write_layer(known, "self-1", everywhere(known, lambda key: said(key, SAYS * 3))),
        }
        merged(known, layers, tmp_path / name, evidence=True)
        return tmp_path / name

    yield judges
    sys.modules.pop("vila2_sees", None)


def test_a_verifier_may_look_at_the_image_and_at_what_the_dataset_knows(judges, caplog):
    judges(VERIFIER, "m")
    assert "claims that it decided is supported; it may look at nothing" in caplog.text


def test_a_verifier_that_always_says_the_same_is_said_aloud(judges, known, caplog):
    code = VERIFIER[: VERIFIER.index("    assert")]
    judges(code + "    return [replace(one, status='contradicted') for one in claims]\n", "m")
    assert "plugin 'sees' (vila2-sees 1.0), verifier: every one of" in caplog.text
    assert "is contradicted" in caplog.text
    layers = "original,sees,self-1"
    command = ["merge", str(known.folder), "-l", layers, "--name", "told", "-q", "--set", "base=self-1"]
    assert "every one of" in CliRunner().invoke(app, command).stdout


def test_what_was_read_keeps_its_lines_and_lines_that_occur_twice(small, tmp_path):
    receipt = "SHOP & CO\nMilk 2.00\nMilk 2.00\n\nTotal 4.00\nThank you."

    def row(key):
        return Annotation(key, "What is written?", receipt, "ok")

    read = write_layer(small, "words", everywhere(small, row))
    layer = merged(small, {"original": original_layer(small), "words": read}, tmp_path / "m")
    assert {one.text for one in layer.rows() if one.prompt} == {receipt}


def test_sentences_on_one_line_stay_on_one_line(small, tmp_path):
    words = everywhere(small, lambda key: reads(key, [("fox", "red cube"), ("dog", "ball")]))
    layers = {"original": original_layer(small), "words": write_layer(small, "words", words)}
    layer = merged(small, layers, tmp_path / "m")
    assert all("\n" not in one.text and one.text.count(".") == 2 for one in layer.rows() if one.prompt)
