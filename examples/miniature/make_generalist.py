"""Make the trained generalist that vila2 ships, `builtin:miniature`, from the shipped parts and recipe.

    python examples/miniature/make_generalist.py

It runs the recipe's VILA_0 on one thread, so that the same machine gives the same weights, and keeps them in
half precision. Then it measures what it wrote, and writes the figures into the card. A run that was stopped
goes on.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from vision_part import save_half

from vila2.api.runs import improve
from vila2.data.atomic import file_mode
from vila2.engine.registry import open_engine
from vila2.evaluate.benchmarks import run_benchmarks
from vila2.evaluate.measures.items import MeasureResult
from vila2.model.generalist import load_generalist
from vila2.recipe.file.recipe_file import load_recipe
from vila2.report.run_facts import read_facts
from vila2.run.board import Board
from vila2.specialist.origin import find_origin

GENERALIST = Path(__file__).parents[2] / "vila2" / "sources" / "world" / "generalists" / "miniature"
RECIPE = "builtin:miniature"
SETTINGS = {"name": "miniature", "cycle.rounds": 0, "threads": 1}
CARD = """# The shipped generalist, `builtin:miniature`

VILA_0 of the recipe [`builtin:miniature`](../../../../recipe/shipped/miniature.yaml): the shipped parts,
aligned, pretrained on alt texts, and instructed on 150 scenes. With it a first specialist takes minutes:

    vila2 specialize --plugin ocr --from builtin:miniature

It sees scenes of the miniature world and nothing else. Photographs are beyond it.

| | |
|---|---|
| made by | `python examples/miniature/make_generalist.py`, which runs `{command}` |
| seed | {seed}; two runs on one machine gave the same weights, bit for bit |
| commit | {commit} |
| with | {versions}; one thread, {minutes} minutes of a core |
| size | {size:.1f} MB: weights in float16, loaded as float32 |
| license | Apache-2.0, as all of vila2; trained on rendered scenes only |

`recipe.yaml` is the recipe as it was run. What `run:sft` stands for in a specialist's recipe is made anew
from it.

Scores of these files on the recipe's 500 test scenes, with 95% intervals:

| benchmark | measure | score | interval | items |
|---|---|---:|---|---:|
{rows}
"""
LARGEST = 10_000_000  # bytes


def main() -> None:
    """Parse the command line, train, save, measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, default=Path("runs/builtin-miniature"), help="folder of the run")
    parser.add_argument("--out", type=Path, default=GENERALIST, help="folder to write")
    options = parser.parse_args()
    made = improve(RECIPE, options.run, settings=SETTINGS, quiet=False)
    run, out = options.run, options.out
    save(Path(made["model"]["folder"]), out)
    shutil.copy(run / "recipe.yaml", out / "recipe.yaml")
    size = sum(file.stat().st_size for file in out.iterdir())
    if size >= LARGEST:
        raise SystemExit(f"{out} has {size:,} bytes, and at most {LARGEST:,} ride in the wheel")
    (out / "README.md").write_text(card(run, size, measure(run, out)))
    print(f"{out}: {size:,} bytes")


def save(model: Path, out: Path) -> None:
    """Writes the model in half precision, to be loaded in full precision."""
    generalist = load_generalist(model, dtype="float32", device="cpu")
    shutil.rmtree(out, ignore_errors=True)
    generalist.processor.save_pretrained(out)
    save_half(generalist.model, out)
    config = (out / "config.json").read_text()
    (out / "config.json").write_text(config.replace('"dtype": "float16"', '"dtype": "float32"'))
    (out / "model.safetensors").chmod(file_mode())  # safetensors makes files that only their owner can read


def measure(run: Path, model: Path) -> list[MeasureResult]:
    """Scores the saved model on the recipe's benchmarks."""
    recipe, origin = load_recipe(run / "recipe.yaml"), find_origin(run)
    datasets = {name: Path(str(folder)) for name, folder in origin.datasets.items()}
    engine = open_engine("transformers", str(model), dtype="float32")
    with tempfile.TemporaryDirectory() as scratch:
        return run_benchmarks(
            engine, recipe.evaluate, datasets, Path(scratch), seed=recipe.seed, progress=Board()
        )["measures"]


def card(run: Path, size: int, measures: list[MeasureResult]) -> str:
    """What the model is, how it was made, and what it scores."""
    made = read_facts(run).made
    if made is None:
        raise SystemExit(f"{run} does not say what it was made with")
    minutes = sum(step.seconds for step in read_facts(run).steps) / 60
    settings = " ".join(f"--set {key}={value}" for key, value in SETTINGS.items() if key != "name")
    versions = ", ".join(f"{name} {made.versions[name]}" for name in ("torch", "transformers"))
    rows = [
        f"| {one['benchmark']} | {one['name']} | {one['value']:.3f} | {one['low']:.3f} to {one['high']:.3f} "
        f"| {one['count']} |"
        for one in measures
        if one["value"] is not None
    ]
    return CARD.format(
        command=f"vila2 run {RECIPE} {settings}",
        minutes=round(minutes),
        seed=load_recipe(run / "recipe.yaml").seed,
        commit=made.commit,
        versions=versions,
        size=size / 1e6,
        rows="\n".join(rows),
    )


if __name__ == "__main__":
    main()
