"""Recaptioning by servers and jobs that are killed in the middle ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.caption.tiny_llava import picture
from tests.engine.unruly_server import serving
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import write_dataset

COUNT = 90


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    samples = (
        Sample(f"{number:04d}", (picture(number),), (user(ImagePart(0)), assistant("original")))
        for number in range(COUNT)
    )
    write_dataset(tmp_path / "set", samples, name="set", shard_size=40)
    return tmp_path / "set"


@contextmanager
def server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    program = [sys.executable, "-m", "tests.engine.unruly_server", "0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def recaption(dataset: Path, layer: str, *urls: str) -> subprocess.Popen[bytes]:
    command = [
        *(sys.executable, "-m", "vila2", "recaption", str(dataset), "--layer", layer, "-m", "tiny"),
        *("--engine", "openai", "--engine-option", f"url={','.join(urls)}", "-q", "-b", "4"),
        *("--engine-option", "concurrency=4"),
    ]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))})


def until_begun(dataset: Path, layer: str, least: int) -> None:
    folder = dataset / "layers" / layer
    for _ in range(3000):
        if sum(path.read_bytes().count(b"\n") for path in folder.glob("*.partial.jsonl")) >= least:
            return
        time.sleep(0.01)
    raise AssertionError("the job did not begin")


def content(dataset: Path, layer: str) -> dict[str, bytes]:
    folder = dataset / "layers" / layer
    files = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}
    return files | {"layer.json": files["layer.json"].replace(layer.encode(), b"NAME")}


def test_a_killed_server_and_a_killed_job_change_no_byte(dataset: Path) -> None:
    with serving() as quiet:
        assert recaption(dataset, "whole", quiet.url).wait() == 0
    with server() as (dying, first), server() as (_, second):
        job = recaption(dataset, "one-dies", first, second)
        until_begun(dataset, "one-dies", 3)
        dying.send_signal(signal.SIGKILL)
        assert job.wait() == 0
    assert content(dataset, "one-dies") == content(dataset, "whole")
    assert b'"ok": 90' in content(dataset, "whole")["layer.json"]

    with server() as (_, only):
        job = recaption(dataset, "job-dies", only)
        until_begun(dataset, "job-dies", 5)
        job.kill()
        job.wait()
    with server() as (_, elsewhere):  # another address is no other job
        assert recaption(dataset, "job-dies", elsewhere).wait() == 0
    assert content(dataset, "job-dies") == content(dataset, "whole")
