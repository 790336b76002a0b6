"""The protocol of engines, which turn images and a prompt into text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from vila2.errors import DataError, EngineError


@dataclass(frozen=True, slots=True)
class InContextExample:
    """An image with a right answer, which a model is shown before it is asked.

    Attributes:
        image: encoded image file.
        text: answer about it.
    """

    image: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Request:
    """One question about one sample.

    Attributes:
        key: name of the request; it seeds the sampling, so it should differ between requests.
        images: encoded image files, shown before the prompt in this order.
        prompt: question or instruction.
        examples: answers to the same prompt, each about an image of its own; turns of the conversation before
            this one. Only engines whose ``takes_examples`` is true are given any.
    """

    key: str
    images: tuple[bytes, ...]
    prompt: str
    examples: tuple[InContextExample, ...] = ()

    @property
    def shown_images(self) -> tuple[bytes, ...]:
        """All images in the order in which the model sees them: those of the examples first."""
        return (*(example.image for example in self.examples), *self.images)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of an engine.

    Attributes:
        text: answer without the prompt, special tokens, and white space around it.
        finish: "stop" where the model ended by itself, "length" where ``max_new_tokens`` cut it.
        tokens: number of tokens generated, without the end token.
    """

    text: str
    finish: Literal["stop", "length"]
    tokens: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The reason why a request has no answer."""

    reason: str


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How to generate.

    Attributes:
        max_new_tokens: number of tokens at which an answer is cut.
        temperature: temperature of sampling; 0 takes the likeliest token each time.
        top_p: probability of the likeliest tokens that are sampled from, above 0 and at most 1; needs a
            temperature.
        repetition_penalty: penalty for tokens that the answer already holds; 1 switches it off.
        seed: seed of sampling.

    Raises:
        EngineError: a value outside its range.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = {
            "max_new_tokens": (self.max_new_tokens >= 1, "1 or more"),
            "temperature": (0 <= self.temperature < math.inf, "0 or more"),
            "top_p": (0 < self.top_p <= 1, "above 0, at most 1"),
            "repetition_penalty": (0 < self.repetition_penalty < math.inf, "above 0; 1 switches it off"),
        }
        for name, (fits, allowed) in ranges.items():
            if not fits:
                raise EngineError(f"{name} = {getattr(self, name)}", hint=f"give a value {allowed}")


class RequestsRefused(DataError):
    """Some requests cannot be answered, for example because of their images; the others can.

    Args:
        reasons: reasons by the request's number in the batch.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        self.reasons = dict(reasons)
        first = next(iter(self.reasons.values()))
        super().__init__(first, hint="leave these requests out of the batch")

    def __reduce__(self) -> tuple[type[RequestsRefused], tuple[dict[int, str]]]:
        return type(self), (self.reasons,)


class Engine(Protocol):
    """Anything that answers requests.

    Attributes:
        name: name for a reader, such as the model's name.
        digest: digest of the weights; two engines with the same digest give the same answers.
    """

    name: str
    digest: str

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        """Answers a batch, in the order of the requests.

        Neither the order nor the company of a request in its batch changes its answer.

        Raises:
            RequestsRefused: some requests cannot be answered, for example because an image cannot be decoded.
                Nothing was generated yet; the others are asked again.
            DataError: an image cannot be decoded, and the engine does not say which.
            EngineError: the engine cannot do what is asked.
        """
        ...


class StreamingEngine(Engine, Protocol):
    """An engine that takes requests while it answers others, such as one that asks a server.

    The jobs restore the order. They prefer this to ``generate`` where an engine has it.
    """

    def stream(
        self, requests: Iterator[Request], settings: GenerationSettings
    ) -> Iterator[tuple[int, Answer | Unanswered]]:
        """Answers requests as they finish, in any order.

        It takes a bounded number of requests beyond the oldest one that is not answered yet.

        Args:
            requests: requests, made when they are taken.
            settings: settings of generation.

        Returns:
            The number of each request, counted from 0 as they were taken, and its answer, or why there is
            none.

        Raises:
            EngineError: the engine cannot do what is asked, whatever the request.
        """
        ...


def streaming(engine: Engine) -> StreamingEngine | None:
    """The engine, where it streams."""
    return cast(StreamingEngine, engine) if callable(getattr(engine, "stream", None)) else None


class PreparingEngine(Engine, Protocol):
    """An engine that prepares a batch apart from generating, so that the next one is ready in time.

    The jobs prefer this to ``generate`` where an engine has it.
    """

    def prepare_batch(self, requests: Sequence[Request], settings: GenerationSettings) -> Any:
        """Does all of the work on a batch that needs no model; it runs in any thread.

        Whatever it raises, the batch is then asked with ``generate``, which says what is wrong.
        """
        ...

    def answer_prepared(self, prepared: Any, settings: GenerationSettings) -> list[Answer]:
        """Answers a batch that :meth:`prepare_batch` prepared; the same as ``generate``."""
        ...

    def expected_tokens(self, request: Request) -> int:
        """About how many tokens a request has with its images, so that alike ones can be asked together."""
        ...


def preparing(engine: Engine) -> PreparingEngine | None:
    """The engine, where it prepares batches apart."""
    return cast(PreparingEngine, engine) if callable(getattr(engine, "prepare_batch", None)) else None


class SpeakingEngine(Engine, Protocol):
    """An engine whose answer can be read while it is written."""

    def speak(self, request: Request, settings: GenerationSettings, heard: Callable[[str], None]) -> Answer:
        """Answers one request; the same as ``generate``.

        Args:
            request: request to answer.
            settings: settings of generation.
            heard: function that is given the pieces of the text as they come; joined they are the text.
        """
        ...


def speaking(engine: Engine) -> SpeakingEngine | None:
    """The engine, where its answers can be read while they are written."""
    return cast(SpeakingEngine, engine) if callable(getattr(engine, "speak", None)) else None


def takes_examples(engine: Engine) -> bool:
    """Whether an engine shows a model the examples of a request."""
    return bool(getattr(engine, "takes_examples", False))


class ModelEngine(Engine, Protocol):
    """An engine whose model is in this process, so that likelihoods and hidden states can be read.

    Attributes:
        model: ``PreTrainedModel`` in evaluation mode.
        processor: the model's own processor.
    """

    model: Any
    processor: Any


def with_model(engine: Engine, purpose: str) -> ModelEngine:
    """The engine, where its model can be read.

    Args:
        engine: any engine.
        purpose: what reads the model, for the message.

    Raises:
        EngineError: the engine only answers.
    """
    if not (hasattr(engine, "model") and hasattr(engine, "processor")):
        raise EngineError(
            f"{purpose} reads the model itself, and the engine of {engine.name} only answers",
            hint="use the engine `transformers` for it",
        )
    return cast(ModelEngine, engine)
