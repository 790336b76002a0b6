"""A plugin's engine, with every answer checked where it comes in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial, wraps
from reprlib import repr as shortened
from typing import Any, get_args, get_type_hints

from vila2.data.coordinates import CoordinateScheme
from vila2.engine.protocol import (
    Answer,
    Engine,
    GenerationSettings,
    Request,
    RequestsRefused,
    Unanswered,
    streaming,
)
from vila2.errors import PluginError
from vila2.plugin.references import call, checked, listed

_SEE_ANSWER = "see vila2.plugin.Answer"
_FINISHES = get_args(get_type_hints(Answer)["finish"])
#: Seconds after which an engine that loads a model or answers a batch is named; both may take minutes.
_LONG = 600.0
#: A service may count with another tokenizer than the one that ended the answer, or count the end as well.
_TOLERATED, _SOME = 2, 16


class GuardedEngine:
    """Answers with the engine that it wraps; other attributes are those of the engine.

    Args:
        engine: engine of a plugin.
        of: name of the engine and its package, for errors.

    Raises:
        PluginError: the engine has no name, no digest or no ``generate``.
    """

    #: What a plugin's engine may have under these names is not asked, since it is not guarded.
    prepare_batch = choice_likelihoods = speak = None

    def __init__(self, engine: Any, of: str) -> None:
        self._engine, self._of = engine, of
        self.name = self._text("name")
        self.digest = self._text("digest")
        if not callable(self._attribute("generate")):
            raise PluginError(f"{of}: the engine has no generate()", hint="see vila2.plugin.Engine")
        scheme = self._attribute("coordinates")
        checked(scheme, CoordinateScheme | None, of=f"{of}, coordinates")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        """Answers a batch; see :class:`vila2.engine.protocol.Engine`.

        Raises:
            PluginError: the engine fails, or gives something else than an answer to each request.
        """
        of = f"{self._of}, generate()"
        try:
            given = call(self._engine.generate, requests, settings, of=of, seconds=_LONG)
        except RequestsRefused as refused:
            _check_refused(refused, len(requests), of)
            raise
        answers = listed(given, Answer, of=of)
        if len(answers) != len(requests):
            raise PluginError(
                f"{of}: gave {len(answers)} answers to {len(requests)} requests",
                hint="give one answer for each request, in their order; RequestsRefused names the requests "
                "that have none",
            )
        for request, answer in zip(requests, answers, strict=True):
            if wrong := _wrong(answer, settings):
                raise PluginError(f"{of}: the answer about {request.key!r}: {wrong}", hint=_SEE_ANSWER)
        return answers

    @property
    def stream(self) -> Any:
        """The method of :class:`vila2.engine.protocol.StreamingEngine`, guarded, where the engine has it."""
        if streaming(self._engine) is None:
            raise AttributeError("stream")
        return self._stream

    def _stream(
        self, requests: Iterator[Request], settings: GenerationSettings
    ) -> Iterator[tuple[int, Answer | Unanswered]]:
        of, left, taken = f"{self._of}, stream()", set[int](), itertools.count()

        def counted() -> Iterator[Request]:
            for request in requests:
                left.add(next(taken))
                yield request

        answers = iter(call(self._engine.stream, counted(), settings, of=of, gives=Iterable))
        while (given := call(next, answers, None, of=of)) is not None:
            number, answer = given if isinstance(given, tuple) and len(given) == 2 else (None, None)
            if number not in left or not isinstance(answer, Answer | Unanswered):
                raise PluginError(
                    f"{of}: gave {shortened(given)}",
                    hint="give the number of each request once, with an Answer or Unanswered",
                )
            if isinstance(answer, Answer) and (wrong := _wrong(answer, settings)):
                raise PluginError(f"{of}: the answer to request {number}: {wrong}", hint=_SEE_ANSWER)
            left.discard(number)
            yield number, answer
        if left or next(requests, None) is not None:
            raise PluginError(f"{of}: ended before every request had an answer", hint=_SEE_ANSWER)

    def _attribute(self, name: str) -> Any:
        return call(lambda: getattr(self._engine, name, None), of=f"{self._of}, {name}")

    def _text(self, name: str) -> str:
        value = self._attribute(name)
        if not isinstance(value, str) or not value:
            raise PluginError(
                f"{self._of}: the engine's {name} is {shortened(value)}",
                hint="name: a text for a reader; digest: a text that changes with the weights",
            )
        return value


def guarded_opener(open_: Callable[..., Any], of: str) -> Callable[..., Engine]:
    """A plugin's function that opens an engine, so that the function and its engine are guarded.

    Args:
        open_: function that takes a model and options.
        of: name of the engine and its package, for errors.
    """

    @wraps(open_)  # its signature says whether it has options
    def opened(model: Any, **options: Any) -> Engine:
        return GuardedEngine(
            call(partial(open_, model, **options), of=f"{of}, opened with {model}", seconds=_LONG), of
        )

    return opened


def _wrong(answer: Answer, settings: GenerationSettings) -> str:
    """What is wrong with an answer; empty where nothing is."""
    if not isinstance(answer.text, str):
        return f"text is {shortened(answer.text)}, not a text"
    if not answer.text.isascii():
        try:
            answer.text.encode("utf-8")
        except UnicodeEncodeError:
            return f"text {shortened(answer.text)} holds half a character, which no file can hold"
    if answer.finish not in _FINISHES:
        return f"finish is {shortened(answer.finish)}, not one of {', '.join(_FINISHES)}"
    most = _TOLERATED * settings.max_new_tokens + _SOME
    if type(answer.tokens) is not int or not 0 <= answer.tokens <= most:
        return f"tokens is {shortened(answer.tokens)}, not a number from 0 to {most}"
    return ""


def _check_refused(refused: RequestsRefused, count: int, of: str) -> None:
    """Checks that refused requests are some of those that were asked, each with a reason."""
    for number, reason in refused.reasons.items():
        if type(number) is not int or not 0 <= number < count or not isinstance(reason, str):
            raise PluginError(
                f"{of}: refused request {shortened(number)} of {count}, because {shortened(reason)}",
                hint="name the requests by their number in the batch, from 0, each with a text",
            ) from refused
