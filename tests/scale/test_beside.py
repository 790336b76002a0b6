"""vila2 resolves in one environment with the engines that serve models."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.scale.beside import ENGINES, Resolved, requirements, resolve, resolver


@pytest.fixture(scope="module")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return resolver(tmp_path_factory.mktemp("resolver") / "venv")
    except subprocess.CalledProcessError:
        pytest.skip("uv cannot be installed: there is no way to PyPI")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_and_vila2_resolve_together(uv: Path, engine: str) -> None:
    found = resolve(uv, engine)
    assert found.versions, found.why
    assert found.versions[engine] and "torch" in str(found)


@pytest.mark.slow
def test_what_does_not_resolve_is_told(uv: Path) -> None:
    found = resolve(uv, "transformers<5")
    assert not found.versions and "transformers" in str(found) and "NOT" in str(found)


def test_all_plugins_count_and_vila2_does_not() -> None:
    found = requirements()
    assert any(line.startswith("transformers>=") for line in found)
    assert any(line.startswith("rapidocr") for line in found)
    assert not any(line.startswith("vila2") for line in found)


def test_the_versions_are_shown() -> None:
    found = Resolved("vllm", {"vllm": "0.33.0", "torch": "2.14.0", "transformers": "5.20.2"})
    assert str(found).endswith("vllm 0.33.0, torch 2.14.0, transformers 5.20.2")
