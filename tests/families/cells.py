"""What is done with a model of every family: the cells of the matrix in docs/models.md."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from click.testing import Result
from typer.testing import CliRunner

from tests.families.outcomes import OUTCOMES, REFUSALS
from tests.families.tiny import photo
from vila2.cli.main import app
from vila2.data.sample import ImagePart, Sample, TextPart, assistant, user
from vila2.data.shards import write_dataset
from vila2.errors import Vila2Error
from vila2.model.generalist import load_generalist
from vila2.recipe.parts.stage import StageSpec
from vila2.run.board import Board
from vila2.train.stage import train_stage
from vila2.train.train_settings import TrainSettings

#: Does a cell with a family, its model and a folder to work in.
Work = Callable[[str, Path, Path], None]

#: Families whose checkpoints have no chat template: they are trained in style plain and asked nothing.
PLAIN = ("paligemma",)


class Refused(Exception):
    """A command that ended with a clear error; its text is what the command said."""


def vila2(*arguments: str | Path, cwd: Path) -> Result:
    """Runs a command here.

    Raises:
        Refused: it ended with an error of ours, which has a hint; anything else is a failure.
    """
    before = Path.cwd()
    os.chdir(cwd)
    try:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    finally:
        os.chdir(before)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if result.exit_code:
        _, error, said = result.output.rpartition("error: ")
        assert error and "hint: " in said, result.output
        raise Refused(" ".join(said.replace("hint: ", "- ").split()))
    return result


def captions(folder: Path, family: str, *, text: bool = True) -> Path:
    """Photos of four shapes with a caption or a question each, and one row of text alone."""
    samples = []
    for number in range(4):
        asked = () if family in PLAIN else (TextPart("What is it?"),)
        turns = (user(ImagePart(0), *asked), assistant("a red bus" if number % 2 else "a bus"))
        samples.append(Sample(f"photo-{number}", (photo(number),), turns))
    if text and family not in PLAIN:
        samples.append(Sample("text", (), (user("Say a bus."), assistant("a bus"))))
    write_dataset(folder, samples, name="pairs")
    return folder


def stage_of(family: str, **changes: object) -> StageSpec:
    settings = {"train": ["projector", "language"], "learning_rate": 1e-2, "batch_size": 5, "max_steps": 2}
    settings |= {"style": "plain" if family in PLAIN else "chat", "mixture": [{"dataset": "pairs"}]}
    return StageSpec.model_validate(settings | changes)


def recipe(folder: Path, family: str, model: Path, **changes: object) -> Path:
    """A recipe of one stage on the photos, as a file."""
    stage = {"mixture": [{"dataset": "pairs"}], "batch_size": 5, "learning_rate": 0.01, "max_steps": 2}
    stage |= {"style": "plain" if family in PLAIN else "chat", "train": ["projector", "language"]}
    own = {"name": "tiny", "threads": 1, "model": {"pretrained": str(model)}}
    own |= {"data": {"pairs": {"source": "shards", "path": str(captions(folder / "pairs", family))}}}
    own |= {"cycle": {"rounds": 0}, "stages": {"sft": stage | dict(changes)}}
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(own))
    return file


def recaption(family: str, model: Path, folder: Path) -> None:
    (folder / "photos").mkdir()
    for number in range(3):
        (folder / "photos" / f"{number}.png").write_bytes(photo(number))
    settings = ("--max-new-tokens", "3", "--dtype", "bfloat16")
    vila2("recaption", "photos", "--model", model, "-o", "out.jsonl", *settings, cwd=folder)
    rows = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert len(rows) == 3 and all(row["status"] != "error" for row in rows), rows


def dry_run(family: str, model: Path, folder: Path) -> None:
    told = vila2("run", recipe(folder, family, model), "--dry-run", "--json", cwd=folder)
    outcome = json.loads(told.stdout.splitlines()[-1])
    assert all(size is not None for size in outcome["memory"]["sft"].values())
    assert "abus" in outcome["samples"]["sft"]["trained_text"].replace(" ", "")


def stage(family: str, model: Path, folder: Path) -> None:
    changed = _trained(family, model, folder, stage_of(family), dtype="bfloat16")
    assert any(name.startswith("language") for name in changed) and any("proj" in name for name in changed)


def stage_with_lora(family: str, model: Path, folder: Path) -> None:
    changed = _trained(family, model, folder, stage_of(family, lora={"rank": 2}, train=["language"]))
    assert changed and {name.partition(" ")[0] for name in changed} == {"language"}


def packing(family: str, model: Path, folder: Path) -> None:
    packed = {"pack_length": 400, "max_length": 200}
    vila2("run", recipe(folder, family, model, **packed), "--dry-run", cwd=folder)
    _trained(family, model, folder, stage_of(family, **packed))


def _trained(family: str, model: Path, folder: Path, spec: StageSpec, *, dtype: str = "float32") -> set[str]:
    """Trains a stage; the names of the weights that it changed, behind the part that they belong to."""
    if not (folder / "pairs").exists():
        captions(folder / "pairs", family)
    (folder / "start").mkdir()
    (folder / "start" / "model").symlink_to(model)
    settings = TrainSettings(name="sft", stage=spec, seed=0, dtype=dtype)
    inputs = {"model": folder / "start", "data.pairs": folder / "pairs"}
    try:
        results = train_stage(folder / "stage", settings, inputs, Board())
    except Vila2Error as error:
        raise Refused(f"{error.what} - {error.hint}") from error
    assert results["steps"] == 2 and all(loss > 0 for _, loss in results["loss"])
    before, after = (
        load_generalist(where, device="cpu", dtype=dtype).model
        for where in (model, folder / "stage" / "model")
    )
    old, new = before.state_dict(), after.state_dict()
    assert old.keys() == new.keys() and all(torch.isfinite(value).all() for value in new.values())
    parts = _parts(after)
    return {f"{parts.get(name, 'other')} {name}" for name in old if not torch.equal(old[name], new[name])}


def _parts(model: torch.nn.Module) -> dict[str, str]:
    from vila2.model.generalist import parts_of

    names = {id(parameter): name for name, parameter in model.named_parameters(remove_duplicate=False)}
    found: dict[str, str] = {}
    for part, module in parts_of(model).items():
        found |= {names[id(parameter)]: part for parameter in module.parameters()}
    return found


def in_matrix(work: Work, family: str, cell: str, model: Path, folder: Path) -> None:
    """Does a cell, and holds it against what the matrix says of it."""
    expected = REFUSALS.get((family, cell)) or REFUSALS.get((family, "*"))
    if expected is None:
        work(family, model, folder)
        OUTCOMES[family, cell] = "works"
        return
    with pytest.raises(Refused) as refused:
        work(family, model, folder)
    assert re.search(expected, str(refused.value)), refused.value
    assert not [*folder.glob("runs/*/steps/*")] and not [*folder.glob("*/model")][1:]
    OUTCOMES[family, cell] = str(refused.value)


FAST: dict[str, Work] = {
    "recaption": recaption,
    "dry run": dry_run,
    "stage": stage,
    "stage with LoRA": stage_with_lora,
    "packing": packing,
}
