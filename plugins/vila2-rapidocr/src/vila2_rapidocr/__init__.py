"""Text in images as annotations, read by RapidOCR: a tool of vila2, which nobody trains."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from vila2.plugin import MergePolicy, Tool, hookimpl

__version__ = "0.1.0"

#: Wordings of the question; a merged conversation has one of them.
QUESTIONS = (
    "What text is in the image?",
    "Read the text in the image, line by line.",
    "Which lines of text can be read in the image?",
    "What is written in this picture?",
)


def _backend() -> str:
    try:
        return f"rapidocr {version('rapidocr')}"
    except PackageNotFoundError:  # `vila2 plugins check` says that it is missing
        return ""


@hookimpl
def vila2_specialists() -> list[Tool]:
    """The only tool of this package."""
    return [
        Tool(
            name="rapidocr",
            summary="Reads the lines of text in images with RapidOCR, without any training",
            annotate="vila2_rapidocr.reader:LineReader",
            settings="vila2_rapidocr.reader:ReaderSettings",
            claims=("text",),
            questions=QUESTIONS,
            backend=_backend(),
            # Above a trained reader of text: see the README for how much it reads.
            merge=MergePolicy(priority=25, exchanges=1, empty_share=0.02),
            licence="Apache-2.0, code and weights (PP-OCRv6 small)",
        )
    ]
