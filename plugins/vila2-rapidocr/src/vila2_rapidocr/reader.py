"""Reads the lines of an image with RapidOCR, and says them as quotes with claims."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field
from rapidocr import RapidOCR
from vila2.plugin import BoxPart, Claimed, Parsed, Part, Seen, ToolSettings, reply

from vila2_rapidocr import QUESTIONS
from vila2_rapidocr.lines import Fragment, Line, lines_of

NOTHING = "There is no text in the image."


class ReaderSettings(ToolSettings):
    """Settings of the reading.

    Attributes:
        threshold: Lowest score of a piece of text, 0..1; less certain ones are left out.
        gap: Widest gap within a line, in heights of its text.
        boxes: Whether each line's box stands behind it. The claims have boxes in any case.
    """

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    gap: Annotated[float, Field(ge=0)] = 1.0
    boxes: bool = False


class LineReader:
    """An opened RapidOCR with the weights of its wheel."""

    def __init__(self, settings: ReaderSettings) -> None:
        self._settings = settings
        # Its own log would write colors between the lines of ours.
        self._engine = RapidOCR(params={"Global.log_level": "error", "Global.text_score": settings.threshold})

    def __call__(self, seen: Seen) -> Parsed:
        """The lines of an image, each a quote and a claim of written text."""
        lines = self.read(seen)
        if not lines:
            return reply((QUESTIONS[0], [NOTHING]), status="empty", detail="no text was found")
        pieces: list[str | Part | Claimed] = []
        for line in lines:
            pieces += ["\n"] if pieces else []
            pieces.append(Claimed(f'"{line.text}"', kind="text", value=line.text, boxes=(line.box,)))
            pieces += [" ", BoxPart(line.box)] if self._settings.boxes else []
        return reply((QUESTIONS[0], pieces))

    def read(self, seen: Seen) -> list[Line]:
        """The lines of an image in reading order."""
        pixels = np.asarray(seen.decoded())[:, :, ::-1]  # RapidOCR takes blue, green, red
        found: Any = self._engine(np.ascontiguousarray(pixels))
        if found.boxes is None or not found.txts:
            return []
        height, width = pixels.shape[:2]
        outlines = np.clip(np.asarray(found.boxes, dtype=float) / (width, height), 0.0, 1.0)
        fragments = [
            Fragment(text, (*outline.min(axis=0).tolist(), *outline.max(axis=0).tolist()))
            for outline, text in zip(outlines, found.txts, strict=True)
            if text.strip()
        ]
        return lines_of(fragments, gap=self._settings.gap, aspect=width / height)
