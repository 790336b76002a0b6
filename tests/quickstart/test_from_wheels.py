"""docs/quickstart.md from an empty folder: wheels of this tree in an environment of their own, then TRL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.quickstart.walk import EXPECTED, ROOT, commands, conversations, first_page, make_model, make_photos

pytestmark = pytest.mark.slow

_BUILT = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "runs", "tests")
#: What `make test-trainers` makes.
TRL = ROOT / ".venv-trl" / "bin" / "trl"
#: Settings of the test's machine, not of the data: TRL expects a GPU with bfloat16 unless it is told.
ON_THE_CPU = ["--use_cpu", "--bf16", "False", "--per_device_train_batch_size", "2", "--report_to", "none"]


def _own(environment: Path | None = None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return kept | ({"PATH": f"{environment / 'bin'}{os.pathsep}{kept['PATH']}"} if environment else {})


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """An environment with what the page installs, as wheels; what these need is that of the tests."""
    place, wheels = tmp_path_factory.mktemp("newcomer") / "venv", tmp_path_factory.mktemp("wheels")
    sources = tmp_path_factory.mktemp("sources")
    for number, package in enumerate(
        one for one in commands(Path("m"))["pip install"] if one.startswith(".")
    ):
        shutil.copytree(ROOT / package, sources / str(number), ignore=_BUILT)
    pip = [sys.executable, "-m", "pip"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", "-q", "-w", str(wheels)]
    subprocess.run([*pip, "wheel", *options, *map(str, sources.iterdir())], check=True)
    venv.create(place, with_pip=False)
    into = [*pip, "--python", str(place / "bin" / "python"), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*into, *map(str, wheels.glob("*.whl"))], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    (site / "needed.pth").write_text("\n".join(one for one in sys.path if one.endswith("site-packages")))
    return place


@pytest.fixture(scope="module")
def walked(installed, tmp_path_factory) -> tuple[Path, dict[str, list[str]]]:
    """The folder of a newcomer who has given the page's commands up to the export."""
    folder, model = tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("model")
    make_photos(folder / "photos")
    make_model(model)
    found = commands(model)
    for name in ("vila2 recaption", "vila2 annotate", "vila2 merge", "vila2 browse", "vila2 export"):
        command = [installed / "bin" / "vila2", *found[name][1:]]
        if name == "vila2 browse":
            page = first_page(command, folder, _own(installed))
            assert all(f"<b>{number}</b>" in page for number in range(len(EXPECTED)))
            continue
        done = subprocess.run(command, cwd=folder, env=_own(installed), capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: {done.stderr}"
    return folder, found


def test_the_commands_use_the_wheels(installed, tmp_path):
    code = "import vila2, vila2_rapidocr; print(vila2.__file__, vila2_rapidocr.__file__)"
    python = installed / "bin" / "python"
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=_own(), capture_output=True, text=True, check=True
    )
    assert all(str(installed) in file for file in done.stdout.split())


def test_photos_become_an_export(walked):
    folder, _ = walked
    assert conversations(folder / "out") == EXPECTED
    assert sorted(path.name for path in folder.iterdir()) == ["out", "photos", "photos-dataset"]


def test_trl_trains_two_steps_on_the_export(walked):
    if not TRL.is_file():
        pytest.skip(f"TRL is not installed: `make test-trainers` makes {TRL.parents[1].name}")
    folder, found = walked
    done = subprocess.run(
        [TRL, *found["trl sft"][1:], *ON_THE_CPU],
        cwd=folder,
        env=_own(TRL.parents[1]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "'train_loss'" in done.stdout + done.stderr
    assert (folder / "tuned" / "model.safetensors").is_file()
