"""Samples as the model reads them, for a dry run."""

from __future__ import annotations

import re
from typing import Any


def image_place(processor: Any) -> str:
    """The text of the tokens that an image's features replace.

    In Gemma3 it differs from what stands for an image in a prompt.
    """
    return str(getattr(processor.tokenizer, "image_token", None) or processor.image_token)


def fold_repeats(text: str, image_token: str) -> str:
    """Shortens each run of image tokens to one token with its count."""
    run = re.compile(rf"(?:{re.escape(image_token)}\s*){{2,}}")
    return run.sub(lambda hit: f"{image_token}x{hit.group().count(image_token)} ", text)
