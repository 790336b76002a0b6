"""The examples of CONTRIBUTING.md run as they stand."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vila2.data.sample import Sample
from vila2.engine.protocol import GenerationSettings, Request
from vila2.recipe.parts.evaluate import BenchmarkSpec
from vila2.run.board import Board

GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"


def example(heading: str) -> dict[str, Any]:
    """The names that the Python example below a heading defines."""
    section = GUIDE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, f"{GUIDE.name}: {heading}", "exec"), names)
    return names


@pytest.fixture
def table(tmp_path) -> Path:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "PNG")
    (tmp_path / "a.png").write_bytes(picture.getvalue())
    (tmp_path / "table.tsv").write_text("a.png\ta red square\nb.png\n")
    return tmp_path / "table.tsv"


def test_the_source_gives_samples_and_rejects(table):
    sample, reject = example("Add a source")["read"](table)
    assert isinstance(sample, Sample) and sample.turns[-1].text == "a red square"
    assert (reject.reason, reject.where) == ("missing-text", f"{table}:2")


def test_the_engine_answers_and_the_benchmark_scores_what_it_says(table):
    samples = [next(iter(example("Add a source")["read"](table)))]
    engine = example("Add an engine")["open_parrot"]("model", dtype="float32")
    (answer,) = engine.generate([Request("a", samples[0].images, "Say two words.")], GenerationSettings())
    assert answer.text == "Say two words."
    kind = example("Add a benchmark")["KIND"]
    spec = BenchmarkSpec(name="brief", kind="brevity", dataset="d", prompt="One word.", max_new_tokens=4)
    kind.needs(spec, samples[0])
    outcome = kind.run(engine, samples, spec, Board())
    assert outcome.items["words"].value == 2 and not kind.more_is_better("words")
    assert outcome.said == [{"key": "a.png", "said": "One word."}]


def test_the_examples_import_from_the_public_face_alone():
    found = re.findall(r"^from (vila2[\w.]*) import", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found and set(found) == {"vila2.plugin"}
