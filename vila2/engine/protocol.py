"""The engine protocol: what turns images and a prompt into text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from vila2.errors import DataError, EngineError


@dataclass(frozen=True, slots=True)
class Request:
    """One question about one sample.

    Attributes:
        key: names the request; sampling is seeded by it, so it should differ between requests.
        images: encoded image files, shown before the prompt in this order.
        prompt: what is asked.
    """

    key: str
    images: tuple[bytes, ...]
    prompt: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine says.

    Attributes:
        text: the answer without the prompt, special tokens, and white space around it.
        finish: "stop" where the model ended by itself, "length" where ``max_new_tokens`` cut it.
        tokens: how many tokens were generated, the end token not counted.
    """

    text: str
    finish: Literal["stop", "length"]
    tokens: int


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How to generate.

    Attributes:
        max_new_tokens: an answer that is not over by then is cut.
        temperature: 0 takes the likeliest token each time.
        top_p: sample from the likeliest tokens that hold this much probability; used with a temperature.
        repetition_penalty: above 1 makes tokens that the answer already holds less likely.
        seed: of sampling.

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
    """Some requests can not be answered, such as for their pictures; the others can.

    Args:
        reasons: why, by the request's number in the batch.
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
        name: for a reader, e.g. the model's name.
        digest: of the weights; two engines with the same digest give the same answers.
    """

    name: str
    digest: str

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        """Answers a batch, in the order of the requests.

        Neither the order nor the company of a request in its batch changes its answer.

        Raises:
            RequestsRefused: some requests cannot be answered, such as for an image that cannot be decoded; nothing
                was generated yet. The others are asked again.
            DataError: an image cannot be decoded, and the engine does not say whose.
            EngineError: the engine cannot do what is asked.
        """
        ...


class ModelEngine(Engine, Protocol):
    """An engine whose model is in this process, so that likelihoods and hidden states can be read.

    Attributes:
        model: a ``PreTrainedModel`` in evaluation mode.
        processor: the model's own.
    """

    model: Any
    processor: Any


def with_model(engine: Engine, purpose: str) -> ModelEngine:
    """The engine, where its model can be read.

    Args:
        engine: any engine.
        purpose: what the model is read for, for the message.

    Raises:
        EngineError: the engine only answers.
    """
    if not (hasattr(engine, "model") and hasattr(engine, "processor")):
        raise EngineError(
            f"{purpose} reads the model itself, and the engine of {engine.name} only answers",
            hint="use the engine `transformers` for it",
        )
    return cast(ModelEngine, engine)
