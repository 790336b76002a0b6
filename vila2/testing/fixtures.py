"""Fixtures for the tests of every project that installs vila2. pytest finds them by an entry point."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def vila2_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 40 rendered scenes: images with objects, solids, signs and a camera as evidence."""
    from vila2.data.shards import write_dataset
    from vila2.sources import open_source

    folder = tmp_path_factory.mktemp("vila2") / "world"
    write_dataset(folder, open_source("world", split="specialist", count=40), name="world", shard_size=16)
    return folder


@pytest.fixture(scope="session")
def vila2_questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of 10 rendered scenes with questions and their right answers."""
    from vila2.data.shards import write_dataset
    from vila2.sources import open_source

    folder = tmp_path_factory.mktemp("vila2") / "questions"
    questions = open_source("world", split="specialist", content="instructions", questions=3, count=10)
    write_dataset(folder, questions, name="questions")
    return folder
