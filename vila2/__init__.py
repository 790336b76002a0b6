"""vila2: a visual language model that improves itself (VILA²)."""

from __future__ import annotations

import importlib
from typing import Any

import vila2.model  # noqa: F401 - makes transformers know the family, importing neither it nor torch

__version__ = "0.1.0"

# One public face over private rooms; resolved on first use, so that `import vila2` stays light.
_FACE = {
    "Sample": "vila2.data.sample",
    "Turn": "vila2.data.sample",
    "TextPart": "vila2.data.sample",
    "ImagePart": "vila2.data.sample",
    "BoxPart": "vila2.data.sample",
    "PointPart": "vila2.data.sample",
    "Claim": "vila2.data.claims",
    "Evidence": "vila2.data.evidence",
    "Items": "vila2.evaluate.kinds.captions",
    "Reject": "vila2.data.shards",
    "assistant": "vila2.data.sample",
    "open_evidence": "vila2.sources.evidence",
    "user": "vila2.data.sample",
    "CoordinateScheme": "vila2.data.coordinates",
    "TokenSpec": "vila2.data.tokens",
    "Vila2Error": "vila2.errors",
}

__all__ = ["__version__", *_FACE]


def __getattr__(name: str) -> Any:
    if name in _FACE:
        return getattr(importlib.import_module(_FACE[name]), name)
    raise AttributeError(f"module 'vila2' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
