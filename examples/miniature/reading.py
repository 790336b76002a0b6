"""Does a generalist read after so many readings? A cycle without specialists, given true answers about signs.

    python examples/miniature/reading.py --out runs/reading

The images with one sign are asked what it says, in the seven ways in which the OCR specialist is asked
(``vila2_ocr``); the answers are the truth. VILA_0 is trained on them beside the alt-texts, then on SFT, and
is asked to read known and unseen words. This is what the layer of a perfect OCR specialist would give.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from vila2_ocr.wording import ONLY_SIGN

from vila2.cycle.improve import run_recipe
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import write_dataset
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.board import Board
from vila2.sources.world import Scene, world_samples

RECIPE = Path(__file__).parents[1] / "miniature-cycle.yaml"


def readings(images: int) -> Iterator[Sample]:
    """The images with one sign, each asked in every way, in branches that do not see each other."""
    for row in world_samples("pretrain", 0, images, questions_per_scene=0):
        signs = [thing.word for thing in Scene.from_json(row["scene"]).objects if thing.word]
        if len(signs) != 1:
            continue
        turns = [user(ImagePart())]
        for branch, question in enumerate(ONLY_SIGN, start=1):
            turns += [user(question, branch=branch), assistant(signs[0], branch=branch)]
        yield Sample(row["key"], (row["image_bytes"],), tuple(turns))


def main() -> None:
    """Parses the command line, trains, and prints what the model reads."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--passes", type=float, default=3.0, help="how often the readings are read")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    options = parser.parse_args()
    data = options.out.with_name(f"{options.out.name}-data")
    if not (data / "dataset.json").exists():
        write_dataset(data, readings(options.images), name="readings")
    recipe = load_recipe(
        RECIPE,
        [
            f"seed={options.seed}", "name=reading", "threads=1", "cycle.rounds=0", "cycle.saturation=null",
            "specialists={}", "controls=[]", f"data.pretrain.options.count={options.images}",
            f"data.readings={{source: shards, path: {data}}}", "stages.pretrain.epochs=1",
            "stages.pretrain.mixture=[{dataset: pretrain, weight: 2}, "
            f"{{dataset: readings, weight: {options.passes}}}]",
            "evaluate=[{name: questions, kind: questions, dataset: test, max_new_tokens: 6, "
            "batch_size: 125}]",
        ],
    )  # fmt: skip
    results = run_recipe(recipe, options.out, dry_run=False, progress=Board())
    for model in results["models"]:
        for one in model["measures"]:
            if one["name"] in ("reading", "reading_unseen"):
                print(f"{model['name']} {one['name']}: {100 * one['value']:.1f}% of {one['count']}")


if __name__ == "__main__":
    main()
