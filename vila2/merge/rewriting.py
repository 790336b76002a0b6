"""A model as the writer: caption and exchanges as one paragraph, which is then judged like any other caption.

The paper had a language model merge detections and captions, and found that it adds hallucinations (A.2). This keeps
that an option whose price can be read off the table of a merge: the contradiction rate of source ``writer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vila2.caption.careful_asking import Unanswered, ask_each
from vila2.data.annotations import Annotation
from vila2.engine.marks import mark
from vila2.engine.protocol import Engine, GenerationSettings, Request
from vila2.merge.answer_sentences import text_of
from vila2.merge.hearing import HeardExchange

PROMPT = (
    "Below are descriptions of one image, and questions about it with their answers. Merge them into one paragraph "
    "that describes the image in detail. Say only what they say, say each thing once, and ask no questions."
)


def describe_writer(engine: Engine, settings: GenerationSettings) -> dict[str, Any]:
    """What paragraphs are a function of besides the conversations; JSON-able."""
    return {
        "engine": engine.name,
        "digest": engine.digest,
        "prompt": PROMPT,
        "max_new_tokens": settings.max_new_tokens,
    }


def write_paragraphs(
    engine: Engine, conversations: Sequence[tuple[str, Sequence[HeardExchange]]], settings: GenerationSettings
) -> list[Annotation]:
    """A paragraph for each key's conversation, marked as captions are; the engine sees the text alone.

    Raises:
        EngineError: the engine cannot do what is asked.
    """
    requests = [Request(key, (), f"{PROMPT}\n\n{_as_text(exchanges)}") for key, exchanges in conversations]
    return [
        Annotation(request.key, "", "", "error", answer.reason)
        if isinstance(answer, Unanswered)
        else Annotation(request.key, "", answer.text, *mark(answer), answer.tokens)
        for request, answer in zip(requests, ask_each(engine, requests, settings), strict=True)
    ]


def rewritten(arranged: Sequence[HeardExchange]) -> list[HeardExchange]:
    """A conversation that a paragraph takes the place of."""
    return [
        replace(
            one,
            kept=False,
            reason="rewritten",
            spoken=tuple(
                replace(spoken, kept=False, reason="rewritten") if spoken.kept else spoken
                for spoken in one.spoken
            ),
        )
        if one.kept
        else one
        for one in arranged
    ]


def _as_text(exchanges: Sequence[HeardExchange]) -> str:
    lines = []
    for one in exchanges:
        if one.kept:
            answer = " ".join(text_of(spoken.sentence.parts) for spoken in one.spoken if spoken.kept)
            lines.append(f"Question: {one.question.text}\nAnswer: {answer}" if one.question else answer)
    return "\n".join(lines)
