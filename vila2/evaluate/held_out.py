"""Questions with known answers, such as those held out of a specialist's training: asked, read and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from vila2.data.annotations import Status
from vila2.data.chance import drawn
from vila2.data.coordinates import CoordinateScheme
from vila2.data.exchanges import Exchange, exchanges_of
from vila2.data.images import decode_image
from vila2.data.sample import ImagePart, Sample, TextPart, Turn
from vila2.engine.marks import mark
from vila2.engine.protocol import Engine, GenerationSettings, Request
from vila2.errors import PluginError
from vila2.evaluate.asking import SaidRow, ask_in_batches
from vila2.evaluate.measures.item_checks import wrong_items
from vila2.evaluate.measures.items import Items
from vila2.plugin.contract import Asked, Said
from vila2.plugin.references import call
from vila2.progress import Progress

#: A question turn with its answer, and the sample that it belongs to.
Question = tuple[Sample, Exchange]


def choose_questions(samples: Iterable[Sample], limit: int | None, seed: int) -> list[Question]:
    """Chooses exchanges of the samples by a hash, and returns them in the order of the samples.

    Args:
        samples: samples with conversations.
        limit: largest number of exchanges; None takes all.
        seed: seed of the choice.
    """
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
    """Asks a model every question by itself, with the sample's images.

    Boxes in questions are written in the model's own coordinates, and its answers are read back the same way.

    Args:
        engine: engine to ask; its ``coordinates``, where it has some, are the scheme of its model.
        questions: questions, as :func:`choose_questions` returns them.
        settings: settings of generation.
        batch_size: number of questions that are asked together.
        progress: progress that shows a task.
        label: name of that task.
    """
    scheme = scheme_of_engine(engine)
    requests = [
        Request(f"{sample.key}#{exchange.number}", sample.images, _written(exchange.question, sample, scheme))
        for sample, exchange in questions
    ]
    with progress.task(label, len(requests)) as task:
        answers = ask_in_batches(engine, requests, settings, batch_size=batch_size, task=task, about=label)
    return [
        Asked(
            sample,
            exchange.question,
            exchange.answer,
            read_answer(scheme, sample, request, answer.text, mark(answer).status),
            exchange.kind,
        )
        for (sample, exchange), request, answer in zip(questions, requests, answers, strict=True)
    ]


def score_asked(score: Callable[..., Any], asked: Sequence[Asked], *, of: str) -> dict[str, Items]:
    """Scores answers by a plugin's function.

    Args:
        score: the plugin's function, given the answers.
        asked: answers, as :func:`ask` returns them.
        of: name of the plugin, for the error.

    Returns:
        Items by measure.

    Raises:
        PluginError: the function fails, or returns something else than sound items; the error names the
            measure.
    """
    found = call(score, asked, of=of)
    if not isinstance(found, Mapping) or not all(isinstance(item, Items) for item in found.values()):
        raise PluginError(f"{of}: gives no items by measure", hint="return {measure: vila2.Items(...), ...}")
    if not found:
        raise PluginError(f"{of}: gives no measure", hint="return {measure: vila2.Items(...), ...}")
    known = {
        key for one in asked for key in (one.said.key, one.sample.key, str(one.sample.meta.get("image")))
    }
    for measure, items in found.items():
        if not isinstance(measure, str) or not measure:
            raise PluginError(f"{of}: a measure is called {measure!r}", hint="name it with a text")
        if wrong := wrong_items(items, known):
            raise PluginError(f"{of}, measure {measure!r}: {wrong}", hint="see vila2.plugin.Items")
    return dict(found)


def said_rows(engine: Engine, asked: Sequence[Asked]) -> list[SaidRow]:
    """Makes a row for each question: its right answer, and what the model said."""
    scheme = scheme_of_engine(engine)
    return [
        {
            "item": one.said.key,
            "kind": one.kind,
            "question": one.said.prompt,
            "answer": _written(one.reference, one.sample, scheme),
            "said": one.said.text,
        }
        for one in asked
    ]


def read_answer(
    scheme: CoordinateScheme, sample: Sample, request: Request, text: str, status: Status
) -> Said:
    """Reads a model's answer, with every well-formed coordinate as a part."""
    parts = scheme.to_parts(text, _size(sample, scheme)) or (TextPart(text),)
    return Said(request.key, request.prompt, text, parts, status)


def scheme_of_engine(engine: Engine) -> CoordinateScheme:
    """Returns how an engine's model writes coordinates; as text where the engine does not say."""
    scheme: CoordinateScheme | None = getattr(engine, "coordinates", None)
    return scheme or CoordinateScheme()


def _written(turn: Turn, sample: Sample, scheme: CoordinateScheme) -> str:
    """A turn as the model reads and writes it."""
    parts = [part for part in turn.parts if not isinstance(part, ImagePart)]
    return scheme.to_text(parts, _size(sample, scheme))


def _size(sample: Sample, scheme: CoordinateScheme) -> tuple[int, int] | None:
    """Width and height of a sample's image, where the scheme depends on them."""
    if scheme.frame == "original" or len(sample.images) != 1:
        return None
    return decode_image(sample.images[0], where=sample.key).size
