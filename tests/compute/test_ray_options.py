"""What is said where a cluster cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vila2.compute.ray_cluster import joined
from vila2.errors import RecipeError, RunError
from vila2.recipe.parts.compute import ComputeSpec


def said(*asked: str) -> str:
    done = subprocess.run([sys.executable, "-m", "vila2", *asked], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "more", [["--ray", "local", "--part", "1/2"], ["--ray", "local", "--redo", "empty"], ["--workers", "2"]]
)
def test_options_that_contradict_each_other_are_refused(dataset, more: list[str]) -> None:
    assert "--ray" in said("recaption", str(dataset.folder), "--model", "tiny", "--layer", "a", *more)


def test_only_datasets_are_shared_out(tmp_path: Path, dataset) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.png").write_bytes(dataset[1].images[0])
    told = said("recaption", str(tmp_path / "photos"), "--model", "tiny", "--ray", "local")
    assert "shards of a dataset" in told and "--layer" in told
    told = said("annotate", str(tmp_path / "photos"), "--plugin", "ocr", "--ray", "local", "--replace")
    assert "--replace and --ray" in told


def test_a_machine_without_ray_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vila2.compute.ray_cluster.find_spec", lambda name: None)
    with pytest.raises(RunError, match="Ray is not installed") as raised, joined(ComputeSpec(ray="auto")):
        pass
    assert "vila2[ray]" in raised.value.hint


@pytest.mark.parametrize("address", ["nonsense", "ray://head:10001", "localhost:1", "localhost:word"])
def test_an_address_where_no_cluster_is_fails_at_once(ray, address: str) -> None:
    with pytest.raises((RecipeError, RunError), match=address), joined(ComputeSpec(ray=address)):
        pass


def test_nothing_of_ray_is_imported_unasked() -> None:
    code = "import sys, vila2.cycle.improve, vila2.cli.recaption_jobs, vila2.compute.cluster_steps\n"
    found = subprocess.run(
        [sys.executable, "-c", code + "print('ray' in sys.modules)"], capture_output=True, text=True
    )
    assert found.stdout.strip() == "False", found.stderr
