"""What the matrix is to find, and what it found."""

from __future__ import annotations

_ROWS_AND_COLUMNS = "share a row.*counts the rows and columns"
_BOTH_WAYS = "share a row.*in both directions"
_NO_TEMPLATE = "no chat template.*chat_template.jinja"

#: By family and cell ("*": all of them), what a refusal says; every other cell works.
REFUSALS: dict[tuple[str, str], str] = {
    ("florence2", "*"): "florence2.*encoder.*decoder alone",
    **{(family, "packing"): _ROWS_AND_COLUMNS for family in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v")},
    **{(family, "packing"): _BOTH_WAYS for family in ("gemma3", "paligemma")},
    **{
        ("paligemma", cell): _NO_TEMPLATE
        for cell in ("recaption", "round", "spatial", "grounding", "ocr", "merge")
    },
}

#: "works", or what a refusal said, by family and cell.
OUTCOMES: dict[tuple[str, str], str] = {}
