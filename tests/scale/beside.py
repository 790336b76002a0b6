"""Resolves vila2's requirements together with those of vLLM or SGLang, from metadata alone.

python -m tests.scale.beside [vllm] [sglang]
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGINES = ("vllm", "sglang")
#: The resolver, and the Python that engines of servers are installed with.
UV, PYTHON = "uv>=0.9,<1", "3.12"
_SHOWN = ("torch", "transformers")


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of an engine's requirements and ours.

    Attributes:
        engine: name of the engine's package.
        versions: versions by package; empty where they do not resolve.
        why: what the resolver said where they do not.
    """

    engine: str
    versions: dict[str, str]
    why: str = ""

    def __str__(self) -> str:
        if not self.versions:
            return f"{self.engine}: does NOT resolve beside vila2\n{self.why}"
        shown = ", ".join(f"{name} {self.versions[name]}" for name in (self.engine, *_SHOWN))
        return f"{self.engine}: resolves beside vila2 and its plugins: {shown}"


def requirements() -> list[str]:
    """Requirements of vila2 and its plugins, without vila2 itself."""
    projects = [tomllib.loads(path.read_text()) for path in sorted(ROOT.glob("plugins/*/pyproject.toml"))]
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = [line for one in (own, *projects) for line in one["project"]["dependencies"]]
    return [line for line in found if not re.match(r"vila2\b", line)]


def resolver(folder: Path) -> Path:
    """Installs the resolver into a throw-away environment; returns its program."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV], check=True)
    return folder / "bin" / "uv"


def resolve(uv: Path, engine: str) -> Resolved:
    """Resolves one engine beside vila2."""
    asked = "\n".join((*requirements(), engine))
    command = [uv, "pip", "compile", "--no-header", "--no-annotate", "--python-version", PYTHON, "-"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, cwd=uv.parent)
    if done.returncode:
        return Resolved(engine, {}, done.stderr.strip())
    lines = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", done.stdout, re.M)
    return Resolved(engine, dict(lines))


def main(engines: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        uv = resolver(Path(folder) / "venv")
        found = [resolve(uv, engine) for engine in engines or ENGINES]
    print(*found, sep="\n")
    return 0 if all(one.versions for one in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
