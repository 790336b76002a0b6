"""Asks a model questions whose answers are known, such as those held out of a specialist's training, and has them scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from vila2.caption.careful_asking import ask_or_empty
from vila2.data.chance import drawn
from vila2.data.coordinates import CoordinateScheme
from vila2.data.exchanges import Exchange, exchanges_of
from vila2.data.images import decode_image
from vila2.data.sample import Sample, TextPart
from vila2.engine.marks import mark
from vila2.engine.protocol import Engine, GenerationSettings, Request
from vila2.errors import PluginError
from vila2.evaluate.measures.items import Items
from vila2.plugin.contract import Asked, Said
from vila2.plugin.references import call
from vila2.progress import Progress

Question = tuple[Sample, Exchange]


def choose_questions(samples: Iterable[Sample], limit: int | None, seed: int) -> list[Question]:
    """The exchanges of the samples, at most ``limit``: which ones is decided by a hash, in the samples' order."""
    found = [(sample, exchange) for sample in samples for exchange in exchanges_of(sample)]
    if limit is None or len(found) <= limit:
        return found

    def rank(number: int) -> int:
        sample, exchange = found[number]
        return drawn(seed, sample.key, exchange.number, by="blake2b")

    return [found[number] for number in sorted(sorted(range(len(found)), key=rank)[:limit])]


def ask(
    engine: Engine,
    questions: Sequence[Question],
    settings: GenerationSettings,
    *,
    batch_size: int,
    progress: Progress,
    label: str = "ask what was held out",
) -> list[Asked]:
    """Puts every question to a model by itself, with the sample's images.

    Boxes in questions are written in the model's own coordinates, and its answers are read back the same way.

    Args:
        engine: that answers; its ``coordinates`` are its model's scheme.
        questions: of :func:`choose_questions`.
        settings: of generation.
        batch_size: questions at a time.
        progress: shows how far it is, under ``label``.
    """
    scheme = scheme_of_engine(engine)
    requests = [
        Request(
            f"{sample.key}#{exchange.number}",
            sample.images,
            scheme.to_text(exchange.question.parts, _size(sample, scheme)),
        )
        for sample, exchange in questions
    ]
    # Prompts of one length together: little is padded, and the answer does not depend on its neighbours.
    order = sorted(range(len(requests)), key=lambda n: (len(requests[n].prompt), requests[n].key))
    asked: dict[int, Asked] = {}
    with progress.task(label, len(requests)) as task:
        for start in range(0, len(order), batch_size):
            chunk = order[start : start + batch_size]
            answers = ask_or_empty(engine, [requests[n] for n in chunk], settings, about=label)
            for n, answer in zip(chunk, answers, strict=True):
                sample, exchange = questions[n]
                said = read_answer(scheme, sample, requests[n], answer.text, mark(answer).status)
                asked[n] = Asked(sample, exchange.question, exchange.answer, said, exchange.kind)
            task.advance(len(chunk))
    return [asked[n] for n in range(len(requests))]


def score_asked(score: Callable[..., Any], asked: Sequence[Asked], *, of: str) -> dict[str, Items]:
    """What a plugin's ``score`` makes of the answers: items by measure.

    Args:
        score: the plugin's.
        asked: of :func:`ask`.
        of: whose it is, for the error.

    Raises:
        PluginError: it fails, or gives something else than items.
    """
    found = call(score, asked, of=of)
    if not isinstance(found, Mapping) or not all(isinstance(item, Items) for item in found.values()):
        raise PluginError(f"{of}: gives no items by measure", hint="return {measure: vila2.Items(...), ...}")
    return dict(found)


def said_rows(engine: Engine, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """Every question with its reference and what the model said, for a reader."""
    scheme = scheme_of_engine(engine)
    return [
        {"item": one.said.key, "kind": one.kind, "question": one.said.prompt}
        | {"answer": scheme.to_text(one.reference.parts, _size(one.sample, scheme)), "said": one.said.text}
        for one in asked
    ]


def read_answer(scheme: CoordinateScheme, sample: Sample, request: Request, text: str, status: str) -> Said:
    """What a model said, with every well-formed coordinate as a part."""
    parts = scheme.to_parts(text, _size(sample, scheme)) or (TextPart(text),)
    return Said(request.key, request.prompt, text, parts, status)  # type: ignore[arg-type]


def scheme_of_engine(engine: Engine) -> CoordinateScheme:
    """How an engine's model writes coordinates; as text where the engine does not say."""
    return getattr(engine, "coordinates", None) or CoordinateScheme()


def _size(sample: Sample, scheme: CoordinateScheme) -> tuple[int, int] | None:
    """Width and height of a sample's image, where the scheme asks for them."""
    if scheme.frame == "original" or len(sample.images) != 1:
        return None
    return decode_image(sample.images[0], where=sample.key).size
