"""vila2: a visual language model that improves itself (VILA²)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import vila2.model  # noqa: F401 - makes transformers know the family, importing neither it nor torch

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vila2.api.asked_images import ask as ask
    from vila2.api.exported_data import export as export
    from vila2.api.published_benchmarks import benchmark as benchmark
    from vila2.api.recaptioning import recaption as recaption
    from vila2.api.runs import improve as improve, specialize as specialize
    from vila2.data.claims import Claim as Claim
    from vila2.data.coordinates import CoordinateScheme as CoordinateScheme
    from vila2.data.evidence import Evidence as Evidence
    from vila2.data.rejects import Reject as Reject
    from vila2.data.sample import (
        BoxPart as BoxPart,
        ImagePart as ImagePart,
        PointPart as PointPart,
        PolygonPart as PolygonPart,
        Sample as Sample,
        TextPart as TextPart,
        Turn as Turn,
        assistant as assistant,
        user as user,
    )
    from vila2.data.tokens import TokenSpec as TokenSpec
    from vila2.engine.protocol import GenerationSettings as GenerationSettings
    from vila2.errors import Vila2Error as Vila2Error
    from vila2.evaluate.measures.items import Items as Items
    from vila2.sources.evidence import open_evidence as open_evidence

# One public face over private rooms; resolved on first use, so that `import vila2` stays light.
_HOMES = {
    "ask": "vila2.api.asked_images",
    "benchmark": "vila2.api.published_benchmarks",
    "export": "vila2.api.exported_data",
    "improve": "vila2.api.runs",
    "recaption": "vila2.api.recaptioning",
    "specialize": "vila2.api.runs",
    "BoxPart": "vila2.data.sample",
    "ImagePart": "vila2.data.sample",
    "PointPart": "vila2.data.sample",
    "PolygonPart": "vila2.data.sample",
    "Sample": "vila2.data.sample",
    "TextPart": "vila2.data.sample",
    "Turn": "vila2.data.sample",
    "assistant": "vila2.data.sample",
    "user": "vila2.data.sample",
    "Claim": "vila2.data.claims",
    "CoordinateScheme": "vila2.data.coordinates",
    "Evidence": "vila2.data.evidence",
    "Reject": "vila2.data.rejects",
    "TokenSpec": "vila2.data.tokens",
    "GenerationSettings": "vila2.engine.protocol",
    "Vila2Error": "vila2.errors",
    "Items": "vila2.evaluate.measures.items",
    "open_evidence": "vila2.sources.evidence",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
