"""What a user gets who has the wheels and nothing else, and what the archives hold."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
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
    for folder in ("vila2/recipe/shipped", "vila2/plugin/scaffold"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file():
                assert str(file.relative_to(ROOT)) in core
    assert "recipe.yaml" in {Path(file).name for file in zipfile.ZipFile(archives["vila2-ocr"][0]).namelist()}


def test_every_sdist_has_all_of_its_tests(archives):
    for name, (_, sdist) in archives.items():
        with tarfile.open(sdist) as archive:
            inside = {member.partition("/")[2] for member in archive.getnames()}
        package = ROOT if name == "vila2" else next(one for one in PACKAGES if one.name == name)
        tests = {str(file.relative_to(package)) for file in package.glob("tests/**/*.py")}
        assert tests and tests <= inside, f"{name}: {sorted(tests - inside)[:3]}"
        assert "LICENSE" in inside


def test_day_one_is_possible_from_an_empty_folder(archives, tmp_path):
    place = tmp_path / "venv"
    venv.create(place, with_pip=False)
    (site,) = place.glob("lib/python*/site-packages")
    wheels = [str(wheel) for wheel, _ in archives.values()]
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python"), "install", "-q"]
    subprocess.run([*pip, "--no-deps", "--no-index", *wheels], check=True, capture_output=True)
    # What the packages need is taken from the environment of the tests; they themselves come first.
    (site / "needed.pth").write_text("\n".join(one for one in sys.path if one.endswith("site-packages")))
    empty = tmp_path / "empty"
    empty.mkdir()
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def command(*arguments: str) -> str:
        done = subprocess.run(
            [place / "bin" / "vila2", *arguments], cwd=empty, env=own, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    used = subprocess.run(
        [place / "bin" / "python", "-c", "import vila2; print(vila2.__file__)"],
        cwd=empty, env=own, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert str(site) in used
    assert "builtin:miniature " in command("config", "recipes")
    assert "nothing was done" in command("run", "builtin:miniature", "--dry-run")
    assert {"ocr", "counting"} <= {line.split()[0] for line in command("plugins", "list").splitlines()}
    assert not list(empty.iterdir())
    command("plugins", "new", "mine", "--kind", "tool")
    assert (empty / "vila2-mine" / "LICENSE").is_file()
