"""What a user gets who has the wheels and nothing else, and what the archives hold."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = [ROOT, *sorted((ROOT / "plugins").glob("vila2-*")), ROOT / "examples" / "vila2-counting"]
_LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "runs", "plugins")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def archives(tmp_path_factory) -> dict[str, tuple[Path, Path]]:
    """The wheel and the sdist of each package, built from a copy of its sources."""
    out = tmp_path_factory.mktemp("dist")
    built = {}
    for package in PACKAGES:
        source = tmp_path_factory.mktemp("source") / "package"
        shutil.copytree(package, source, ignore=_LEFT_OUT)
        code = (
            "from setuptools import build_meta as made\n"
            f"print(made.build_wheel({str(out)!r}), made.build_sdist({str(out)!r}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        wheel, sdist = done.stdout.splitlines()[-1].split()
        built["vila2" if package == ROOT else package.name] = (out / wheel, out / sdist)
    return built


def test_every_wheel_has_its_license_and_the_files_that_it_reads(archives):
    for name, (wheel, _) in archives.items():
        inside = zipfile.ZipFile(wheel).namelist()
        assert any(file.endswith(".dist-info/licenses/LICENSE") for file in inside), name
        assert any(file.endswith("py.typed") for file in inside), name
        assert not [file for file in inside if file.startswith(("tests/", "docs/", "examples/"))], name
    core = zipfile.ZipFile(archives["vila2"][0]).namelist()
    for folder in ("vila2/recipe/shipped", "vila2/plugin/scaffold", "vila2/sources/world/generalists"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file():
                assert str(file.relative_to(ROOT)) in core
    assert archives["vila2"][0].stat().st_size < 12_000_000, "the wheel stays small"
    assert "recipe.yaml" in {Path(file).name for file in zipfile.ZipFile(archives["vila2-ocr"][0]).namelist()}


def test_every_sdist_has_all_of_its_tests(archives):
    for name, (_, sdist) in archives.items():
        with tarfile.open(sdist) as archive:
            inside = {member.partition("/")[2] for member in archive.getnames()}
        package = ROOT if name == "vila2" else next(one for one in PACKAGES if one.name == name)
        tests = {str(file.relative_to(package)) for file in package.glob("tests/**/*.py")}
        assert tests and tests <= inside, f"{name}: {sorted(tests - inside)[:3]}"
        assert "LICENSE" in inside


@dataclass(frozen=True)
class Place:
    """An environment with the wheels, and an empty folder to work in.

    Attributes:
        programs: folder of its programs.
        empty: the folder.
    """

    programs: Path
    empty: Path

    def run(self, *words: str) -> str:
        """Runs one of its programs in the empty folder; returns what it prints."""
        own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        program, *arguments = words
        done = subprocess.run(
            [self.programs / program, *arguments], cwd=self.empty, env=own, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def vila2(self, *words: str) -> str:
        return self.run("vila2", *words)


@pytest.fixture
def place(archives, tmp_path) -> Place:
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    wheels = [str(wheel) for wheel, _ in archives.values()]
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-q"]
    subprocess.run([*pip, "--no-deps", "--no-index", *wheels], check=True, capture_output=True)
    # What the packages need is taken from the environment of the tests; they themselves come first.
    (site / "needed.pth").write_text("\n".join(one for one in sys.path if one.endswith("site-packages")))
    (tmp_path / "empty").mkdir()
    found = Place(folder / "bin", tmp_path / "empty")
    assert str(site) in found.run("python", "-c", "import vila2; print(vila2.__file__)")
    return found


def test_looking_around_writes_nothing(place):
    assert "builtin:miniature " in place.vila2("config", "recipes")
    assert "nothing was done" in place.vila2("run", "builtin:miniature", "--dry-run")
    assert "nothing was done" in place.vila2(
        "specialize", "--plugin", "ocr", "--from", "builtin:miniature", "--dry-run"
    )
    assert {"ocr", "counting"} <= {line.split()[0] for line in place.vila2("plugins", "list").splitlines()}
    assert not list(place.empty.iterdir())
    place.vila2("plugins", "new", "mine", "--kind", "tool")
    assert (place.empty / "vila2-mine" / "LICENSE").is_file()


def test_day_one_from_an_empty_folder(place):
    """Every command of the README's first day, on few scenes: a run, a specialist, its layer, a merge."""
    few = {
        "data.pretrain.options.count": 24,
        "data.instructions.options.count": 8,
        "data.test.options.count": 8,
        "stages.sft.epochs": 1,
        "cycle.max_new_tokens": 30,
        "cycle.max_unusable": 1,
    }
    place.vila2("run", "builtin:miniature", "-q", *_set(few))
    assert (place.empty / "runs/miniature/report.html").is_file()

    few = {"data.options.count": 40, "stages.reading.epochs": 1, "evaluate.limit": 20}
    asked = ("specialize", "--plugin", "ocr", "--from", "builtin:miniature", "--json", "-q", *_set(few))
    made = json.loads(place.vila2(*asked))
    assert made["folder"] == "runs/miniature-ocr" and (place.empty / made["report"]).is_file()

    place.vila2(
        "data",
        "import",
        "world",
        "--option",
        "split=specialist",
        "--option",
        "count=6",
        "--out",
        "scenes",
        "-q",
    )
    told = ("scenes", "--plugin", "ocr", "--specialist", made["folder"], "--set", "max_new_tokens=12")
    assert json.loads(place.vila2("annotate", *told, "--json", "-q"))["annotations"] >= 6
    captions = ("scenes", "--model", "builtin:miniature", "--layer", "told", "--max-new-tokens", "60")
    assert json.loads(place.vila2("recaption", *captions, "--json", "-q"))
    merged = json.loads(place.vila2("merge", "scenes", "--layers", "original,told,ocr", "--json", "-q"))
    assert merged["images"] == 6 and merged["all"]["before"]["coverage"] > 0.5


def _set(settings: Mapping[str, object]) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
