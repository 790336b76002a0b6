"""The Cauldron: the 35 subsets with text in their images, and a reader for their rows.

The paper gives the number of subsets, not their names. These are the subsets of the groups OCR, documents,
charts, tables and diagrams, and the others whose images are mostly text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vila2.plugin import UnfitConversation

from vila2_ocr.readers.exchanges import Read, branches

CAULDRON = "the_cauldron"

SUBSETS: tuple[str, ...] = (
    # text
    "rendered_text", "docvqa", "textcaps", "textvqa", "st_vqa", "ocrvqa", "visualmrc", "iam",
    "infographic_vqa", "diagram_image_to_text",
    # charts
    "chart2text", "dvqa", "vistext", "chartqa", "plotqa", "figureqa", "mapqa",
    # tables
    "tabmwp", "tat_qa", "hitab", "multihiertt", "finqa", "robut_wikisql", "robut_sqa", "robut_wtq",
    # text books, code, screens, diagrams
    "ai2d", "tqa", "scienceqa", "websight", "datikz", "screen2words", "hateful_memes", "iconqa", "intergps",
    "geomverse",
)  # fmt: skip

#: Subsets that the paper also lists as data sets of their own, by those names. They are read only from there.
OWN_SOURCE: dict[str, str] = {
    "docvqa": "docvqa",
    "dvqa": "dvqa",
    "ai2d": "ai2d",
    "chartqa": "chartqa",
    "ocrvqa": "ocr-vqa",
    "textcaps": "textcaps",
}


def read(fields: Mapping[str, Any], images: int) -> Read:
    """Reads a row: ``texts`` holds independent exchanges about its images."""
    if not all(isinstance(one, Mapping) for one in fields["texts"]):
        raise UnfitConversation("bad-row", "texts hold something else than exchanges")
    return branches([(one.get("user"), one.get("assistant")) for one in fields["texts"]], images)
