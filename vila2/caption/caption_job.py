"""The description of a captioning job, which guards its output against being mixed with another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from vila2.caption.prompts import find_prompt
from vila2.engine.protocol import Engine, GenerationSettings


def describe_settings(prompts: Sequence[str], settings: GenerationSettings, seed: int) -> dict[str, Any]:
    """What determines captions, besides the images and the engine; JSON-able."""
    found = [find_prompt(name) for name in prompts]
    return {
        "prompts": [prompt.name for prompt in found],  # their order decides which image gets which
        "prompt_texts": {prompt.name: prompt.text for prompt in found},
        "settings": asdict(settings),
        "seed": seed,
    }


def describe_job(
    engine: Engine, prompts: Sequence[str], settings: GenerationSettings, seed: int
) -> dict[str, Any]:
    """What determines captions, besides the images; JSON-able."""
    return {"engine": engine.name, "digest": engine.digest, **describe_settings(prompts, settings, seed)}
