"""A model as the writer: caption and exchanges as one paragraph, which is then judged like any other caption.

The paper had a language model merge detections and captions, and found that it adds hallucinations (A.2).
Here this is an option, and the table of a merge shows its price: the contradiction rate of source ``writer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vila2.data.annotations import Annotation
from vila2.engine.careful_asking import ask_each
from vila2.engine.marks import mark
from vila2.engine.protocol import Answer, Engine, GenerationSettings, Request, Unanswered
from vila2.merge.answer_sentences import text_of
from vila2.merge.hearing import HeardExchange

PROMPT = (
    "Below are descriptions of one image, and questions about it with their answers. Merge them into one "
    "paragraph that describes the image in detail. Say only what they say, say each thing once, and ask no "
    "questions."
)


def describe_writer(engine: Engine, settings: GenerationSettings) -> dict[str, Any]:
    """What determines paragraphs, besides the conversations; JSON-able."""
    return {
        "engine": engine.name,
        "digest": engine.digest,
        "prompt": PROMPT,
        "max_new_tokens": settings.max_new_tokens,
    }


def write_paragraphs(
    engine: Engine, conversations: Sequence[tuple[str, Sequence[HeardExchange]]], settings: GenerationSettings
) -> list[Annotation]:
    """A paragraph for each conversation, marked as captions are; the engine sees only the text.

    Raises:
        EngineError: the engine cannot do what is asked.
    """
    requests = [Request(key, (), f"{PROMPT}\n\n{_as_text(exchanges)}") for key, exchanges in conversations]
    answers = ask_each(engine, requests, settings)
    return [_paragraph(request.key, answer) for request, answer in zip(requests, answers, strict=True)]


def _paragraph(key: str, answer: Answer | Unanswered) -> Annotation:
    if isinstance(answer, Unanswered):
        return Annotation(key, "", "", "error", answer.reason)
    status, detail = mark(answer)
    return Annotation(key, "", answer.text, status, detail, answer.tokens)


def rewritten(arranged: Sequence[HeardExchange]) -> list[HeardExchange]:
    """A conversation that a paragraph replaces: all of it is dropped."""
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
