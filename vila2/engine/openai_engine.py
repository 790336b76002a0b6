"""The engine ``openai``: asks servers that speak chat completions with images (vLLM, SGLang, hosted ones)."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx2

from vila2.engine.chat_messages import (
    WrongReply,
    chat_body,
    read_completion,
    read_scored_tokens,
    scored_body,
    told,
)
from vila2.engine.choice_likelihoods import ChoiceQuestion, ScoredTokens, beyond_the_shared
from vila2.engine.openai_settings import OpenAISettings
from vila2.engine.protocol import Answer, GenerationSettings, Request, RequestsRefused, Unanswered
from vila2.engine.servers import Server, Servers
from vila2.engine.spoken_answer import spoken_answer
from vila2.engine.workers import Workers
from vila2.errors import DataError, EngineError, one_line
from vila2.run.digests import digest_value

R = TypeVar("R")
A = TypeVar("A")

_CONNECT_SECONDS = 10.0
_LARGEST_REPLY = 2**24
_MOST_THREADS = 512
_PREPARED = 4
#: Failures that may be the server's alone, such as a cut connection, count as this part of a try.
_SERVERS_FAULT = 0.25
_FEW = 20  # requests, below which no share of failures stops a job


def open_openai(model: str | Path, settings: OpenAISettings, *, dtype: object = None) -> OpenAIEngine:
    """The engine for a model that servers have.

    Args:
        model: name of the model, where ``settings`` has none.
        settings: options of the engine.
        dtype: type of the weights; not used, since the servers decide it.
    """
    return OpenAIEngine(settings.model or str(model), settings)


class OpenAIEngine:
    """Asks servers over HTTP; answers come in any order.

    Args:
        model: name of the model at the servers.
        settings: where the servers are, and how patiently they are asked.
    """

    takes_examples = True

    def __init__(self, model: str, settings: OpenAISettings) -> None:
        self.name, self.settings = model, settings
        self.digest = digest_value({"engine": "openai", "model": model, "extra": settings.extra})

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        """Answers a batch; see :class:`vila2.engine.protocol.Engine`."""
        found = dict(self.stream(iter(requests), settings))
        refused = {n: answer.reason for n, answer in found.items() if isinstance(answer, Unanswered)}
        if refused:
            raise RequestsRefused(refused)
        return [answer for _, answer in sorted(found.items()) if isinstance(answer, Answer)]

    def stream(
        self, requests: Iterator[Request], settings: GenerationSettings
    ) -> Iterator[tuple[int, Answer | Unanswered]]:
        """Answers as they come; see :class:`vila2.engine.protocol.StreamingEngine`.

        Raises:
            EngineError: no server works for ``wait`` seconds, the key or the model is refused, or too many
                requests stay without an answer.
        """
        extra = self.settings.extra
        yield from self._asked(
            requests, lambda request: chat_body(request, settings, self.name, extra), read_completion
        )

    def speak(self, request: Request, settings: GenerationSettings, heard: Callable[[str], None]) -> Answer:
        """Answers while it tells the text; see :class:`vila2.engine.protocol.SpeakingEngine`.

        A server that does not stream, or fails before it says anything, is asked as for any other answer.
        """
        body = chat_body(request, settings, self.name, self.settings.extra)
        with _client(self.settings, 1) as client:
            answer = spoken_answer(client, self.settings.url[0], body, heard)
        if answer is None:
            (answer,) = self.generate([request], settings)
            heard(answer.text)
        return answer

    def choice_likelihoods(self, questions: Sequence[ChoiceQuestion]) -> list[list[float] | Unanswered]:
        """Likelihoods of given answers; see :class:`vila2.engine.choice_likelihoods.LikelihoodEngine`.

        Raises:
            EngineError: the servers tell no log-probabilities of prompts.
        """
        if not questions:
            return []
        first = questions[0].choices[0]
        whole, open_ = self._scored([(questions[0], first, True), (questions[0], first, False)])
        if isinstance(whole, Unanswered) or isinstance(open_, Unanswered):
            reason = next(one.reason for one in (whole, open_) if isinstance(one, Unanswered))
            raise EngineError(
                f"the servers of {self.name} do not tell how likely given answers are: {reason}",
                hint="vLLM does; elsewhere use the engine `transformers`",
            )
        asked = [(question, choice, True) for question in questions for choice in question.choices]
        scored = iter(self._scored(asked))
        found: list[list[float] | Unanswered] = []
        for question in questions:
            own = [next(scored) for _ in question.choices]
            known = [one for one in own if not isinstance(one, Unanswered)]
            wrong = [one for one in own if isinstance(one, Unanswered)]
            found.append(wrong[0] if wrong else beyond_the_shared(known, len(whole) - len(open_)))
        return found

    def _scored(self, asked: Sequence[tuple[ChoiceQuestion, str, bool]]) -> list[ScoredTokens | Unanswered]:
        def body(one: tuple[ChoiceQuestion, str, bool]) -> dict[str, Any]:
            question, choice, finished = one
            extra = self.settings.extra
            return scored_body(question, choice, finished=finished, model=self.name, extra=extra)

        return [found for _, found in sorted(self._asked(iter(asked), body, read_scored_tokens))]

    def _asked(
        self, requests: Iterator[R], body: Callable[[R], dict[str, Any]], read: Callable[[bytes], A]
    ) -> Iterator[tuple[int, A | Unanswered]]:
        """Asks, and reads what the servers reply; numbers and answers as they come."""
        own = self.settings
        servers = Servers(own.url, concurrency=own.concurrency, wait=own.wait)
        threads = min(own.concurrency * len(own.url), _MOST_THREADS)
        client = _client(own, threads)
        asker = _Asker(self.name, own, servers, client, body, read)
        workers = Workers(asker.ask, threads)
        try:
            yield from self._answers(requests, asker, workers, threads)
        finally:
            servers.stop()
            workers.stop()
            client.close()

    def _answers(
        self,
        requests: Iterator[R],
        asker: _Asker[R, A],
        workers: Workers[R, A | Unanswered],
        threads: int,
    ) -> Iterator[tuple[int, A | Unanswered]]:
        taken, left = 0, True
        while left or workers.under_way:
            # A few more than the servers have room for, so that images are read and encoded meanwhile.
            most = min(asker.servers.room + _PREPARED, threads)
            ahead = min(workers.under_way, default=taken) + self.settings.look_ahead
            if left and len(workers.under_way) < most and taken < ahead:
                request = next(requests, None)
                if request is None:
                    left = False
                else:
                    workers.give(taken, request)
                    taken += 1
                continue
            number, answer = workers.next()
            self._check_failures(asker.lost, taken)
            yield number, answer

    def _check_failures(self, lost: Sequence[str], taken: int) -> None:
        if lost and taken >= _FEW and len(lost) > self.settings.max_failed * taken:
            raise EngineError(
                f"{len(lost)} of {taken} requests to {self.name} have no answer; the last: {lost[-1]}",
                hint="look at the server's log, or allow a larger share with the option max_failed",
            )


class _Asker(Generic[R, A]):
    """Asks one request after the other, from any thread."""

    def __init__(
        self,
        model: str,
        options: OpenAISettings,
        servers: Servers,
        client: httpx2.Client,
        body: Callable[[R], dict[str, Any]],
        read: Callable[[bytes], A],
    ) -> None:
        self.model, self.options, self.servers = model, options, servers
        self.client, self.body, self.read = client, body, read
        self.was_answered = False
        self.lost: list[str] = []  # why requests stay without an answer, images that are broken apart

    def ask(self, request: R) -> A | Unanswered:
        """The answer to a request, tried as often as the options say, or why there is none."""
        try:
            body = json.dumps(self.body(request)).encode()
        except DataError as error:
            return Unanswered(one_line(error))
        tried, fault = 0.0, ""
        while tried < self.options.tries:
            with self.servers.one() as server:
                found = self._once(server, body)
            if isinstance(found, Unanswered):
                self.lost.append(found.reason)
            if not isinstance(found, _Fault):
                return found
            tried, fault = tried + found.weight, found.what
            if found.weight:
                self.servers.pause(min(8.0, 0.1 * 2**tried) * random.uniform(0.5, 1))
        self.lost.append(fault)
        return Unanswered(f"no answer in {self.options.tries} tries: {fault}")

    def _once(self, server: Server, body: bytes) -> A | Unanswered | _Fault:
        asked_at = time.monotonic()
        try:
            status, headers, content = self._posted(server.url, body, asked_at)
        except httpx2.ConnectError as error:
            return self._failed(server, f"cannot be reached ({error})", asked_at, weight=0)
        except (httpx2.TimeoutException, _TooSlow):
            what = f"no reply within {self.options.timeout:g} s"
            self.servers.overloaded(server, what, asked_at=asked_at, rest=0)
            return _Fault(what, 1)
        except httpx2.HTTPError as error:
            what = f"the connection broke ({one_line(error) or type(error).__name__})"
            return self._failed(server, what, asked_at, weight=_SERVERS_FAULT)
        if status == 200:
            return self._read(server, content, asked_at)
        what = f"HTTP {status}: {told(content)}"
        rest = retry_after(headers.get("retry-after"), most=self.options.wait)
        if status == 429 or (status == 503 and rest is not None):
            self.servers.overloaded(server, what, asked_at=asked_at, rest=rest)
            return _Fault(what, 0)
        if status in (401, 403) or (status == 404 and not self.was_answered):
            raise EngineError(
                f"{server.url} refuses to answer for {self.model!r}: {what}",
                hint=f"put the key into the environment variable {self.options.key_env}"
                if status != 404
                else "check the options url (it ends with /v1) and model; `GET URL/models` lists the models",
            )
        if status in (404, 408, 409, 425, 502, 503, 504):
            return self._failed(server, what, asked_at, weight=0 if status == 503 else _SERVERS_FAULT)
        if status >= 500:
            return self._failed(server, what, asked_at, weight=1)
        self.servers.answered(server)
        return Unanswered(what)

    def _posted(self, url: str, body: bytes, asked_at: float) -> tuple[int, httpx2.Headers, bytes]:
        content = bytearray()
        with self.client.stream("POST", f"{url}/chat/completions", content=body) as reply:
            for part in reply.iter_bytes():
                content += part
                if time.monotonic() - asked_at > self.options.timeout:
                    raise _TooSlow
                if len(content) > _LARGEST_REPLY:
                    break
            return reply.status_code, reply.headers, bytes(content)

    def _read(self, server: Server, content: bytes, asked_at: float) -> A | Unanswered | _Fault:
        try:
            answer = self.read(content)
        except WrongReply as error:
            return self._failed(server, str(error), asked_at, weight=1)
        self.was_answered = True
        self.servers.answered(server)
        return answer

    def _failed(self, server: Server, what: str, asked_at: float, *, weight: float) -> _Fault:
        self.servers.failed(server, what, asked_at=asked_at)
        return _Fault(what, weight)


class _Fault:
    """A try without an answer.

    Attributes:
        what: what happened.
        weight: part of a try that it counts as: 0 where only the server is to blame.
    """

    def __init__(self, what: str, weight: float) -> None:
        self.what, self.weight = what, weight


class _TooSlow(Exception):
    """A reply that began in time and does not end."""


def _client(options: OpenAISettings, connections: int) -> httpx2.Client:
    key = os.environ.get(options.key_env, "").strip()
    headers: dict[str, Any] = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    return httpx2.Client(
        headers=headers,
        timeout=httpx2.Timeout(options.timeout, connect=min(_CONNECT_SECONDS, options.timeout)),
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
    )


def retry_after(value: str | None, *, most: float) -> float | None:
    """Seconds that a ``Retry-After`` header asks to wait, a number or a date; None where it says nothing."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(0.0, seconds), most)
