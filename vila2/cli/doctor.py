"""``vila2 doctor``: looks whether this machine can do the work, and takes two steps of training."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vila2.cli.options import AsJson, results_alone

if TYPE_CHECKING:
    from vila2.cli.health import Symptom

#: Two steps on four rendered scenes, by all that a stage of a real run goes through.
_RECIPE = """\
name: doctor
data: {scenes: {source: world, options: {split: pretrain, count: 4, content: alt_text}}}
model: {vision: "builtin:world/vision", language: "builtin:world/language", vision_feature_layer: -1}
stages:
  pretrain: {mixture: [{dataset: scenes}], batch_size: 2, learning_rate: 5.0e-4, style: chat}
cycle: {rounds: 0}
"""
_MARKS = {"ok": "ok", "warning": "WARN", "problem": "FAIL"}


def doctor(
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Also take two steps of training, in under a minute.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Look whether this machine can do the work: packages, GPU, memory, disk, plugins, two training steps.

    Every finding that is not well comes with a hint. The exit code is 1 if something will not work.
    """
    from vila2.cli.health import symptoms
    from vila2.data.shortening import printable

    found: list[Symptom] = []
    stdout = sys.stdout  # each finding is told at once, and what libraries print goes elsewhere

    def tell(one: Symptom) -> None:
        found.append(one)
        if not as_json:
            typer.echo(printable(f"{_MARKS[one.state]:<4}  {one.name}: {one.told}"), file=stdout)
            if one.hint:
                typer.echo(printable(f"      hint: {one.hint}"), file=stdout)

    with results_alone():
        for one in symptoms(Path.cwd()):
            tell(one)
        if train:
            tell(_two_steps())
    problems = sum(one.state == "problem" for one in found)
    warnings = sum(one.state == "warning" for one in found)
    if as_json:
        rows = [one.to_json() for one in found]
        typer.echo(
            json.dumps({"problems": problems, "warnings": warnings, "found": rows}, ensure_ascii=False)
        )
    else:
        typer.echo(f"problems: {problems}, warnings: {warnings}")
    if problems:
        raise typer.Exit(1)


def _two_steps() -> Symptom:
    """Trains the miniature for two steps, in a temporary folder."""
    import tempfile

    from vila2.api.runs import improve
    from vila2.cli.health import Symptom
    from vila2.errors import Vila2Error

    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="vila2-doctor-") as folder:
        recipe = Path(folder) / "doctor.yaml"
        recipe.write_text(_RECIPE, encoding="utf-8")
        try:
            made = improve(recipe, Path(folder) / "run")
        except Vila2Error as error:
            return Symptom("training", "problem", error.what, error.hint or "--no-train leaves this out")
        except Exception as error:  # whatever a driver or a library does: that is what is asked here
            told = f"{type(error).__name__}: {error}"
            return Symptom("training", "problem", told, "see `vila2 env`; --no-train leaves this out")
        taken = json.loads((Path(made["models"]["VILA_0"]).parent / "trained.json").read_text())
    seconds = time.perf_counter() - started
    (_, first), *_, (_, last) = taken["loss"]
    told = f"two steps of the miniature in {seconds:.0f} s, loss {first:.2f}, then {last:.2f}"
    return Symptom("training", "ok", told)
