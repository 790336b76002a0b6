"""A saved model loads in a plain transformers process, and importing the package costs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.model.tiny_models import save_language, save_tower
from vila2.model.assemble import assemble

LOAD = """
model = AutoModelForImageTextToText.from_pretrained(sys.argv[1])
processor = AutoProcessor.from_pretrained(sys.argv[1])
print(type(model).__name__, type(processor).__name__)
"""
LIGHT = "import sys, vila2.model\nassert not {'torch', 'transformers'} & set(sys.modules)\n"


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("saved")
    model, processor = assemble(save_tower(root / "tower", "dinov2"), save_language(root / "text", "llama"))
    model.save_pretrained(root / "model")
    processor.save_pretrained(root / "model")
    return root / "model"


@pytest.mark.parametrize(
    "imports",
    [
        LIGHT + "from transformers import AutoModelForImageTextToText, AutoProcessor\n",
        "import sys\n"
        "from transformers import AutoModelForImageTextToText, AutoProcessor\n"
        "import vila2.model\n",
    ],
    ids=["vila2 first", "transformers first"],
)
def test_the_family_is_known_whoever_comes_first(saved, imports: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", imports + LOAD, saved], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["Vila2ForConditionalGeneration", "Vila2Processor"], done.stderr
