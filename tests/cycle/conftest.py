"""What several tests of the cycle need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cycle.finding_site import finding_installed

#: A whole cycle on tiny models; its specialist is the plugin of ``site``.
TINY_RECIPE = """
name: tiny
threads: 1
data:
  pairs: {source: world, options: {split: pretrain, count: 16, content: alt_text}}
  instructions: {source: world, options: {split: sft, count: 8, content: instructions, questions: 2}}
  test: {source: world, options: {split: test, count: 6, content: test, questions: 1}}
model: {vision: "builtin:world/vision", language: "builtin:world/language", vision_feature_layer: -1}
stages:
  pretrain: {mixture: [{dataset: pairs}], batch_size: 8, learning_rate: 5.0e-4, style: chat}
  sft: {mixture: [{dataset: instructions}], train: [projector, language], batch_size: 4,
        learning_rate: 1.0e-3}
cycle: {rounds: 1, max_new_tokens: 90}
specialists:
  finding: {data: {source: world, options: {split: specialist, count: 16}}, set: {stages.tune.epochs: 1}}
evaluate:
  - {name: questions, kind: questions, dataset: test, max_new_tokens: 4, batch_size: 32}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder on Python's path with the plugin ``finding`` installed."""
    with finding_installed(tmp_path_factory.mktemp("site")) as folder:
        yield folder


@pytest.fixture(scope="module")
def recipe_file(site, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(TINY_RECIPE)
    return path
