"""Made-up results for the tests of the report."""

from __future__ import annotations

import copy
from typing import Any

DOT = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def measure(name: str, value: float | None, width: float = 0.02, **more: Any) -> dict[str, Any]:
    ends = {"low": None, "high": None} if value is None else {"low": value - width, "high": value + width}
    row = {"benchmark": "captions", "name": name, "value": value, **ends, "count": 500, "unit": "share"}
    return row | {"higher_is_better": True} | more


def change(name: str, difference: float, width: float, **more: Any) -> dict[str, Any]:
    row = {"benchmark": "captions", "name": name, "from": "VILA_0", "to": "VILA_1", "difference": difference}
    return row | {"low": difference - width, "high": difference + width} | more


def claim(
    kind: str, start: int, end: int, status: str, detail: str = "", subject: str = ""
) -> dict[str, Any]:
    return {"kind": kind, "start": start, "end": end, "status": status, "detail": detail, "subject": subject}


def caption(
    text: str, *claims: dict[str, Any], layer: str = "original", status: str = "ok"
) -> dict[str, Any]:
    return {"layer": layer, "prompt": None, "text": text, "status": status, "claims": list(claims)}


def example(key: str, *captions: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, "image": DOT, "truth": None, "captions": list(captions)}


def small(**replaced: Any) -> dict[str, Any]:
    """Complete results of two models; named entries replaced."""
    return copy.deepcopy(_SMALL) | replaced


_FALLS = {"unit": "count", "higher_is_better": False}
_SMALL: dict[str, Any] = {
    "title": "A small run",
    "recipe": {"name": "small", "seed": 3, "text": "name: small\nseed: 3\n"},
    "vila2_version": "0.1.0",
    "models": [
        {
            "name": f"VILA_{n}",
            "round": n,
            "stages": [
                {
                    "name": "align",
                    "trained": ["projector"],
                    "parameters_trained": 612_352,
                    "samples": 1000,
                    "steps": 40,
                    "loss": [[step, 3.0 / step + 1 - 0.1 * n] for step in range(1, 41)],
                }
            ],
            "measures": [
                measure("object precision", 0.74 + 0.05 * n),
                measure("existence", 0.81, benchmark="questions"),
                measure("hallucinated objects", 0.8 - 0.2 * n, 0.05, **_FALLS),
                measure("words", 30.0 + 8 * n, 1.0, unit="words", higher_is_better=None),
            ],
        }
        for n in (0, 1)
    ],
    "changes": [
        change("object precision", 0.05, 0.02),
        change("existence", 0.0, 0.02, benchmark="questions"),
        change("hallucinated objects", -0.2, 0.1),
        change("words", 8.0, 1.0),
    ],
    "layers": [
        {
            "name": "original",
            "written_by": None,
            "captions": 200,
            "words_mean": 6.1,
            "words_sd": 2.7,
            "status": {"ok": 200},
            "measures": [measure("object precision", 0.59)],
        },
        {
            "name": "self-1",
            "written_by": "VILA_0",
            "captions": 200,
            "words_mean": 31.4,
            "words_sd": 9.8,
            "status": {"truncated": 6, "ok": 194},
            "measures": [measure("object precision", 0.74)],
        },
    ],
    "examples": [
        example(
            "scene-1",
            caption(
                "red cube photo",
                claim("object", 0, 8, "contradicted", "no red cube in the scene", "red cube"),
            ),
            caption(
                "A blue cube left of a ball",
                claim("object", 0, 11, "supported", "", "blue cube"),
                claim("relation", 12, 19, "supported", "", "blue cube left ball"),
                layer="self-1",
                status="truncated",
            ),
        ),
        example("scene-2", caption("a ball"), caption("a ball", layer="self-1")),
    ],
    "notes": ["The shipped encoder was taught colours & shapes."],
}
