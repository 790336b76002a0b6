"""What the layers say about one image, as exchanges of sentences with their claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vila2.claims.names import Vocabulary
from vila2.claims.reading import read_claims
from vila2.data.annotations import Annotation, Status
from vila2.data.claims import ClaimStatus
from vila2.data.sample import Part, TextPart, Turn, user
from vila2.merge.answer_sentences import Sentence, sentences_of, with_claims
from vila2.merge.sources import Source

#: The reason of a sentence that is context of what follows, and that the loss leaves out.
MASKED = "masked"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence on its way through the merge.

    Attributes:
        sentence: sentence with its claims.
        verdict: verdict of the evidence.
        outranks: whether only layers that rank below its own contradict it.
        kept, reason: its fate.
    """

    sentence: Sentence
    verdict: ClaimStatus = "unverified"
    outranks: bool = False
    kept: bool = True
    reason: str = ""

    @property
    def masked(self) -> bool:
        """Whether it is context that the loss leaves out."""
        return not self.kept and self.reason == MASKED


@dataclass(frozen=True, slots=True)
class HeardExchange:
    """A question with its answer, or a caption.

    Attributes:
        source: layer that says it.
        number: number among the source's exchanges about this image, from 0.
        question: question; None for a caption, which answers nothing.
        spoken: sentences of the answer.
        status: status of the annotation; only "ok" ones and some "empty" ones enter the conversation.
        detail: detail of the annotation.
        prompted: whether the question is a prompt of the plugin, which one of its questions may replace.
        kept, reason: its fate.
    """

    source: Source
    number: int
    question: Turn | None
    spoken: tuple[Spoken, ...]
    status: Status = "ok"
    detail: str = ""
    prompted: bool = False
    kept: bool = True
    reason: str = ""


def hear(
    sources: Sequence[Source], rows: Mapping[str, Sequence[Annotation]], vocabulary: Vocabulary
) -> list[HeardExchange]:
    """Everything that the layers say about an image, with unverified claims.

    Args:
        sources: layers of the merge.
        rows: annotations of the image, by layer.
        vocabulary: names that the specialists use, for reading captions.
    """
    return [
        exchange
        for source in sources
        for exchange in _of_source(source, rows.get(source.name, ()), vocabulary)
    ]


def _of_source(source: Source, rows: Sequence[Annotation], vocabulary: Vocabulary) -> Iterator[HeardExchange]:
    number = 0
    for row in rows:
        pairs = list(_pairs(source, row))
        claims = row.claims if source.role == "specialist" else ()
        answers = sentences_of([parts for _, parts in pairs], row.text, claims)
        for (question, _), sentences in zip(pairs, answers, strict=True):
            spoken = tuple(Spoken(_read(source, sentence, vocabulary)) for sentence in sentences)
            asked = question.text.strip() if question is not None else None
            prompted = asked == row.prompt.strip() and (not source.prompts or asked in source.prompts)
            yield HeardExchange(source, number, question, spoken, row.status, row.detail, prompted)
            number += 1


def _pairs(source: Source, row: Annotation) -> Iterator[tuple[Turn | None, tuple[Part, ...]]]:
    """Questions and answers of an annotation; an unusable or missing answer has no sentences."""
    prompt = (
        user(row.prompt) if source.role == "specialist" or (row.prompt and source.role != "base") else None
    )
    talks = row.status == "ok" or (row.status == "empty" and bool(row.turns))
    if not talks or row.turns is None:
        yield prompt, (TextPart(row.text),) if talks else ()
        return
    asked: Turn | None = None
    anything = False
    for turn in row.turns:
        if turn.role == "assistant":
            yield asked or prompt, turn.parts
            asked, anything = None, True
        elif turn.role == "user" and source.role != "base":  # a caption answers nothing
            if asked is not None:
                yield asked, ()
            asked = turn
    if asked is not None or not anything:
        yield asked or prompt, ()


def _read(source: Source, sentence: Sentence, vocabulary: Vocabulary) -> Sentence:
    """A sentence with the claims that the parser of its layer does not read."""
    found = read_claims(sentence.bare, vocabulary)
    return with_claims(sentence, [claim for claim in found if claim.kind not in source.kinds])
