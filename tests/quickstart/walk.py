"""What a walk along docs/quickstart.md needs: the page's commands, photos with signs, and a small model.

The model takes the place of the one on the hub. It is a tiny Llava that was taught one caption, which is true
of the first photo only.
"""

from __future__ import annotations

import io
import re
import shlex
import signal
import subprocess
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from tests.caption.tiny_llava import build_tiny_llava, picture
from vila2.caption.prompts import DEFAULT_PROMPTS, PROMPTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
HUB_MODEL = "llava-hf/llava-interleave-qwen-0.5b-hf"
SIGNS = ("OPEN 24 HOURS", "COFFEE 3.50", "")
CAPTION = 'A shop. A sign says "OPEN 24 HOURS".'
_STEPS = 100


def commands(model: Path) -> dict[str, list[str]]:
    """The page's commands as lists of words, by name: ``pip install``, ``vila2 recaption``, ..."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    found = [shlex.split(block.removeprefix("$ ").replace(HUB_MODEL, str(model))) for block in blocks]
    assert all(block.count("\n") == 1 and block.startswith("$ ") for block in blocks), "one command a step"
    return {" ".join(words[:2]): words for words in found}


def make_photos(folder: Path) -> None:
    """Draws one photo for each sign."""
    folder.mkdir()
    for number, sign in enumerate(SIGNS):
        image = Image.new("RGB", (320, 160), (200, 210, 220))
        ImageDraw.Draw(image).text((20, 50), sign, fill=(20, 20, 20), font=ImageFont.load_default(32))
        image.save(folder / f"{number}.jpg")


def make_model(folder: Path) -> None:
    """Teaches a tiny Llava to say :data:`CAPTION` to each of the three long prompts."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    build_tiny_llava(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    prompts = [PROMPTS[name] for name in DEFAULT_PROMPTS]
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    model.train()
    for step in range(_STEPS):
        content = [{"type": "image"}, {"type": "text", "text": prompts[step % len(prompts)]}]
        talk = [{"role": "user", "content": content}]
        asked = processor.apply_chat_template(talk, add_generation_prompt=True)
        image = Image.open(io.BytesIO(picture(step)))
        before = processor(images=image, text=asked, return_tensors="pt")["input_ids"].shape[1]
        inputs = processor(images=image, text=f"{asked}{CAPTION}</s>", return_tensors="pt")
        labels = inputs["input_ids"].clone()
        labels[:, :before] = -100
        model(**inputs, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    model.eval().save_pretrained(folder)


def first_page(command: Sequence[str | Path], cwd: Path, environment: Mapping[str, str]) -> str:
    """Starts ``vila2 browse``, reads its first page, and ends it with Ctrl-C."""
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Shells start background jobs with Ctrl-C ignored, and tests may be one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as browsing:
        assert browsing.stdout is not None
        try:
            lines = iter(browsing.stdout.readline, "")
            address = next((found for line in lines if (found := re.search(r"http://\S+", line))), None)
            assert address, "no address was printed"
            with urllib.request.urlopen(address[0]) as answer:
                return answer.read().decode()
        finally:
            browsing.send_signal(signal.SIGINT)
            try:
                assert browsing.wait(60) == 0
            finally:
                browsing.kill()


def conversations(out: Path) -> list[list[str]]:
    """What the assistant says in each row of the export."""
    import pyarrow.parquet

    (file,) = (out / "data").glob("*.parquet")
    rows = pyarrow.parquet.read_table(file).to_pylist()
    return [
        [
            part["text"]
            for message in row["messages"]
            for part in message["content"]
            if message["role"] == "assistant"
        ]
        for row in rows
    ]


#: What the page promises of :data:`SIGNS`: the untrue quote is gone, and what was read is there.
EXPECTED = [
    [CAPTION, '"OPEN 24 HOURS"'],
    ["A shop.", '"COFFEE 3.50"'],
    ["A shop."],
]
