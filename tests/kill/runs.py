"""A whole run by ``vila2 run``, made small: in one process, and with stages that two processes train."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.kill.trials import Job
from vila2.cycle.improve import run_recipe
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.board import Board

RECIPE = """
name: tiny
threads: 1
processes: {processes}
data:
  pairs: {{source: world, options: {{split: pretrain, count: 8, content: alt_text}}}}
  test: {{source: world, options: {{split: test, count: 2, content: test, questions: 1}}}}
model: {{vision: "builtin:world/vision", language: "builtin:world/language", vision_feature_layer: -1}}
stages:
  pretrain: {{mixture: [{{dataset: pairs}}], batch_size: 4, max_steps: 3, save_steps: 1, style: chat}}
cycle: {{rounds: {rounds}, max_new_tokens: 12, max_unusable: 1.0}}
evaluate:
  - {{name: questions, kind: questions, dataset: test, max_new_tokens: 4, batch_size: 2}}
"""
#: Files that tell when, how fast or on what port something was done, so no two runs write the same.
TIMED = (
    *("*/tensorboard/*", "*/metrics.jsonl", "*/done.json", "progress.json", "facts.json", "report.html"),
    *("*/processes/*", "*.log", "lock"),
)


def inputs(processes: int, rounds: int, folder: Path) -> None:
    """The recipe."""
    (folder / "recipe.yaml").write_text(RECIPE.format(processes=processes, rounds=rounds))
    (folder / "out").mkdir()


def run(folder: Path) -> None:
    """``vila2 run``."""
    run_recipe(load_recipe(folder / "recipe.yaml"), folder / "out", dry_run=False, progress=Board())


RUN_JOBS = (
    Job("run", partial(inputs, 1, 1), run, varies=TIMED),
    Job("run-two-parent", partial(inputs, 2, 0), run, varies=TIMED),
    Job("run-two-first", partial(inputs, 2, 0), run, varies=TIMED, rank=0),
    Job("run-two-second", partial(inputs, 2, 0), run, varies=TIMED, rank=1),
)
