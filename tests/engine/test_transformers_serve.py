"""The engine `openai` against a real server: `transformers serve` with a tiny model."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.caption.tiny_llava import build_tiny_llava, picture
from vila2.engine.openai_engine import OpenAIEngine
from vila2.engine.openai_settings import OpenAISettings
from vila2.engine.protocol import GenerationSettings, Request
from vila2.engine.transformers_engine import open_transformers

SERVE = "from transformers.cli.transformers import main; main()"


@pytest.mark.slow
def test_a_server_that_is_still_starting_gives_the_answers_of_the_model(tmp_path: Path) -> None:
    for package in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(package, reason="install the extra serve-tests")
    build_tiny_llava(tmp_path)
    defaults = tmp_path / "generation_config.json"  # a server obeys them where a request says nothing
    values = json.loads(defaults.read_text())
    del values["repetition_penalty"]
    defaults.write_text(json.dumps(values))
    requests = [Request(str(number), (picture(number),), f"describe {number}") for number in range(6)]
    settings = GenerationSettings(max_new_tokens=20)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    server = subprocess.Popen([sys.executable, "-c", SERVE, "serve", str(tmp_path), *place])
    try:
        options = OpenAISettings(url=f"http://127.0.0.1:{port}/v1", wait=300)
        answers = OpenAIEngine(str(tmp_path), options).generate(requests, settings)
    finally:
        server.terminate()
        server.wait()
    expected = open_transformers(tmp_path, dtype="float32", device="cpu").generate(requests, settings)
    assert [answer.text for answer in answers] == [answer.text for answer in expected]
    assert [answer.finish for answer in answers] == [answer.finish for answer in expected]
