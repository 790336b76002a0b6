"""What the matrix is to find, and what it found."""

from __future__ import annotations

import re
from pathlib import Path

_ROWS_AND_COLUMNS = "share a row.*counts the rows and columns"
_BOTH_WAYS = "share a row.*in both directions"
_NO_TEMPLATE = "no chat template.*chat_template.jinja"

#: By family and cell ("*": all of them), what a refusal says; every other cell works.
REFUSALS: dict[tuple[str, str], str] = {
    ("florence2", "*"): "florence2.*encoder.*decoder-only",
    **{(family, "packing"): _ROWS_AND_COLUMNS for family in ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v")},
    **{(family, "packing"): _BOTH_WAYS for family in ("gemma3", "paligemma")},
    **{
        ("paligemma", cell): _NO_TEMPLATE
        for cell in ("recaption", "round", "spatial", "grounding", "ocr", "merge")
    },
}

#: "works", or what a refusal said, by family and cell.
OUTCOMES: dict[tuple[str, str], str] = {}

#: How the families are called, and a checkpoint of each.
NAMES = {
    "ours": ("vila2's own", "`vila2 run`, `vila2 model convert`"),
    "llava": ("LLaVA", "llava-hf/llava-1.5-7b-hf"),
    "llava_next": ("LLaVA-NeXT", "llava-hf/llava-v1.6-mistral-7b-hf"),
    "llava_onevision": ("LLaVA-OneVision", "llava-hf/llava-onevision-qwen2-0.5b-ov-hf"),
    "idefics3": ("Idefics3", "HuggingFaceM4/Idefics3-8B-Llama3"),
    "smolvlm": ("SmolVLM", "HuggingFaceTB/SmolVLM2-2.2B-Instruct"),
    "internvl": ("InternVL", "OpenGVLab/InternVL3-1B-hf"),
    "qwen2_vl": ("Qwen2-VL", "Qwen/Qwen2-VL-2B-Instruct"),
    "qwen2_5_vl": ("Qwen2.5-VL", "Qwen/Qwen2.5-VL-3B-Instruct"),
    "qwen3_vl": ("Qwen3-VL", "Qwen/Qwen3-VL-2B-Instruct"),
    "glm4v": ("GLM-4V", "zai-org/GLM-4.1V-9B-Thinking"),
    "gemma3": ("Gemma 3", "google/gemma-3-4b-it"),
    "paligemma": ("PaliGemma", "google/paligemma2-3b-pt-224"),
    "pixtral": ("Pixtral", "mistral-community/pixtral-12b"),
    "mistral3": ("Mistral Small 3.1", "mistralai/Mistral-Small-3.1-24B-Instruct-2503"),
    "florence2": ("Florence-2", "florence-community/Florence-2-base"),
}
_CELLS = (
    "recaption",
    "dry run",
    "stage",
    "stage with LoRA",
    "packing",
    "round",
    "spatial",
    "grounding",
    "ocr",
)
CELLS = (*_CELLS, "merge", "resume")
_TABLE = re.compile(r"(<!-- table -->\n).*(<!-- end of table -->)", re.DOTALL)


def write_table(file: Path) -> None:
    """Puts what was found into the page, in the place of its last table.

    Raises:
        ValueError: not every cell was tried.
    """
    missing = [(family, cell) for family in NAMES for cell in CELLS if (family, cell) not in OUTCOMES]
    if missing:
        raise ValueError(f"{len(missing)} cells were not tried, such as {missing[0]}: {file} stays as it is")
    reasons: dict[str, int] = {}
    rows = ["| family | for example | " + " | ".join(CELLS) + " |", "|---|---|" + ":-:|" * len(CELLS)]
    for family, (name, example) in NAMES.items():
        cells = []
        for cell in CELLS:
            said = OUTCOMES[family, cell]
            reason = _in_general(said, family)
            cells.append("✓" if said == "works" else str(reasons.setdefault(reason, len(reasons) + 1)))
        rows.append(f"| {name} | {example} | " + " | ".join(cells) + " |")
    notes = [f"{number}. {reason}" for reason, number in reasons.items()]
    table = "\n".join([*rows, "", "Refused, before any work, with these words:", "", *notes, ""])
    page = file.read_text()
    file.write_text(_TABLE.sub(lambda found: f"{found[1]}{table}{found[2]}", page))


def _in_general(said: str, family: str) -> str:
    """A refusal without the paths and names of the tiny model."""
    said = re.sub(r"^stage \w+: ", "", re.sub(r"/\S*/", "", said))
    return re.sub(rf"^\w+ is a '{family}'", f"it is a '{family}'", said.replace(f": {family} ", ": it "))
