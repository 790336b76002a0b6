"""Real packages for the tests.

A package is a module and its metadata in a folder. Python finds it as if pip had installed it.
"""

from __future__ import annotations

from pathlib import Path

SPECIALIST = """
from vila2.plugin import Specialist, hookimpl

@hookimpl
def vila2_specialists():
    return [Specialist(
        name={name!r}, summary="Counts.", builder="{module}:Builder", config="{module}:Config",
        recipe="{module}_files/recipe.yaml", prompts=("How many objects are there?",),
        parser="{module}:parse", metrics="{module}:score",
    )]
"""

PARTS = """
from vila2.plugin import BuilderConfig, Parsed

class Config(BuilderConfig):
    pass

class Builder:
    version = 1
    subsets = ("built",)
    def __init__(self, config): ...
    def shards(self): return ["all"]
    def build(self, shard): yield from ()

def parse(said): return Parsed(())
def score(asked): return {}
"""

RECIPE = "start: sft\nstages:\n  count:\n    mixture: [{dataset: built}]\n"


def install(
    site: Path,
    package: str,
    code: str,
    *,
    entry: str,
    version: str = "1.0",
    module: str | None = None,
    kind: str = "specialists",
    function: str = "",
    requires: str = "vila2>=0.1,<0.2",
) -> Path:
    """Puts a package with one plugin into ``site``, a folder on Python's path; returns its module's file.

    ``kind`` is what the entry point brings: "specialists", or "engines", "sources" or "benchmarks" with the
    name of the ``function``.
    """
    module = module or package.replace("-", "_")
    metadata = site / f"{package.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\nSummary: About {package}.\n"
        + (f"Requires-Dist: {requires}\n" if requires else "")
    )
    value = f"{module}:{function}" if function else module
    (metadata / "entry_points.txt").write_text(f"[vila2.{kind}]\n{entry} = {value}\n")
    (site / f"{module}.py").write_text(code)
    return site / f"{module}.py"


def install_specialist(site: Path, package: str, *, entry: str) -> None:
    """A package whose plugin is a complete, if idle, specialist."""
    module = package.replace("-", "_")
    install(site, package, SPECIALIST.format(name=entry, module=module) + PARTS, entry=entry)
    (site / f"{module}_files").mkdir()
    (site / f"{module}_files" / "recipe.yaml").write_text(RECIPE)
