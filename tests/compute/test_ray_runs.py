"""A whole run on a local Ray cluster has the results, the models and the layers of one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cycle.conftest import TINY_RECIPE
from tests.cycle.finding_site import finding_installed
from vila2.data.shards import write_dataset
from vila2.sources import open_source

RECIPE = """
extends: tiny.yaml
data:
  pairs: {source: shards, path: PAIRS, options: {}}
cycle: {max_new_tokens: 90, batch_size: 4, max_unusable: 1}
specialists: {finding: {data: {options: {count: 12}}}}
merge: {base: self-1}
evaluate:
  - {name: questions, kind: questions, dataset: test, max_new_tokens: 4, batch_size: 8}
report: {examples: 3}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the plugin `finding`. It is there before the cluster, whose workers look there too."""
    with finding_installed(tmp_path_factory.mktemp("site")) as folder:
        yield folder


def run(recipe: Path, folder: Path, site: Path, *more: str) -> None:
    places = os.pathsep.join([str(site), *(path for path in sys.path if path)])
    asked = ["run", str(recipe), "--out", str(folder), "--quiet", "--json", *more]
    env = os.environ | {"PYTHONPATH": places, "CI": "true"}
    done = subprocess.run([sys.executable, "-m", "vila2", *asked], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr


def results(folder: Path) -> dict:
    """Results of a run, without the text of the recipe, which names the cluster."""
    found = json.loads((folder / "results.json").read_text())
    del found["recipe"]
    return found


def made(folder: Path) -> dict[str, bytes]:
    """Weights and layers of a run."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for suffix in ("safetensors", "parquet")
        for path in folder.glob(f"steps/*/**/*.{suffix}")
        if "checkpoint" not in str(path)
    }


@pytest.mark.slow
def test_a_whole_run_on_a_cluster_gives_the_results_of_one_process(site, cluster, tmp_path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY_RECIPE)
    (tmp_path / "run.yaml").write_text(RECIPE.replace("PAIRS", str(tmp_path / "pairs")))
    pairs = open_source("world", split="pretrain", count=16, content="alt_text")
    write_dataset(tmp_path / "pairs", pairs, name="pairs", shard_size=4)
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    run(tmp_path / "run.yaml", alone, site)
    run(tmp_path / "run.yaml", shared, site, "--ray", cluster.address, "--workers", "2")
    assert results(shared) == results(alone)
    assert made(shared) == made(alone) and any(name.endswith("000003.parquet") for name in made(shared))
    found = results(shared)
    assert [model["name"] for model in found["models"]] == ["VILA_0", "VILA_1", "VILA²"]
    assert found["merge"]["sources"].keys() == {"original", "self-1", "finding"}
