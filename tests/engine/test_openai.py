"""The engine `openai` and servers that misbehave in every way."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.engine.unruly_server import Reply, completion, serving
from vila2.engine.openai_engine import OpenAIEngine, retry_after
from vila2.engine.openai_settings import OpenAISettings
from vila2.engine.protocol import Answer, GenerationSettings, Request, RequestsRefused, Unanswered
from vila2.errors import EngineError

SETTINGS = GenerationSettings(max_new_tokens=16)


def photo(number: int, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 12), (number, 50, 90)).save(file, kind, **options)
    return file.getvalue()


PHOTO = photo(1)


def engine(*urls: str, **options: object) -> OpenAIEngine:
    return OpenAIEngine("tiny", OpenAISettings(url=urls, **({"wait": 20, "timeout": 10} | options)))


def requests(count: int) -> list[Request]:
    return [Request(str(number), (PHOTO,), f"question {number}") for number in range(count)]


def texts(found: list[tuple[int, Answer | Unanswered]]) -> list[str]:
    ordered = [answer for _, answer in sorted(found, key=lambda pair: pair[0])]
    return [answer.text if isinstance(answer, Answer) else answer.reason for answer in ordered]


def right(count: int) -> list[str]:
    with serving() as server:
        return texts(list(engine(server.url).stream(iter(requests(count)), SETTINGS)))


def first_time(reply: Reply):
    """A server that does this with every request, once."""
    return lambda prompt, before: Reply() if before else reply


@pytest.mark.parametrize(
    "reply",
    [
        Reply(429, b"slow down", {"retry-after": "0.2"}),
        Reply(503, b'{"error": {"message": "loading"}}'),
        Reply(500, b"oops"),
        Reply(502, b"<html>bad gateway</html>"),
        Reply(silent=True),
        Reply(cut=True),
        Reply(body=completion("x")[:40]),
        Reply(body=b'{"choices": []}'),
        Reply(body=b'{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}'),
        Reply(body=b"\xff\xfe"),
        Reply(body=b""),
        Reply(body=b"[]"),
    ],
    ids=[
        "429",
        "503",
        "500",
        "502",
        "silent",
        "cut",
        "half-json",
        "no-choice",
        "no-text",
        "no-utf8",
        "empty",
        "list",
    ],
)
def test_what_passes_is_tried_again_and_every_answer_is_right(reply: Reply) -> None:
    with serving(first_time(reply)) as server:
        found = list(engine(server.url).stream(iter(requests(12)), SETTINGS))
        assert sorted(number for number, _ in found) == list(range(12))
        assert set(server.asked.values()) == {2}
    assert texts(found) == right(12)


@pytest.mark.parametrize("reply", [Reply(delay=3), Reply(drip=0.05)], ids=["slow headers", "slow body"])
def test_a_reply_that_does_not_come_in_time_is_asked_for_again(reply: Reply) -> None:
    with serving(first_time(reply)) as server:
        found = list(engine(server.url, timeout=0.5).stream(iter(requests(3)), SETTINGS))
    assert texts(found) == right(3)


def test_answers_come_as_they_finish_and_look_ahead_is_bounded() -> None:
    taken = []

    def watched() -> Iterator[Request]:
        for number, request in enumerate(requests(40)):
            taken.append(number)
            yield request

    slow = {"question 0": 1.0}
    with serving(lambda prompt, before: Reply(delay=slow.get(prompt, 0))) as server:
        order = []
        for number, _ in engine(server.url, look_ahead=10).stream(watched(), SETTINGS):
            order.append(number)
            if 0 not in order:
                assert len(taken) <= 11
    assert order.index(0) == 9 and sorted(order) == list(range(40))


def test_retry_after_is_kept() -> None:
    began = time.monotonic()
    with serving(first_time(Reply(429, b"", {"retry-after": "1"}))) as server:
        list(engine(server.url).stream(iter(requests(1)), SETTINGS))
    assert time.monotonic() - began >= 1
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT", most=9) == 0
    assert retry_after("1e9", most=9) == 9
    assert retry_after("soon", most=9) is None


def test_the_number_of_requests_follows_the_server() -> None:
    with serving(lambda prompt, before: Reply(delay=0.1)) as server:
        list(engine(server.url, concurrency=24).stream(iter(requests(200)), SETTINGS))
        assert 12 <= server.most_at_once <= 24

    def overloaded(prompt: str, before: int) -> Reply:
        return Reply(429, b"", {"retry-after": "0"}) if busy.at_once > 6 else Reply(delay=0.02)

    with serving(overloaded) as busy:
        found = list(engine(busy.url, concurrency=64).stream(iter(requests(200)), SETTINGS))
        assert sum(busy.asked.values()) < 400
    assert texts(found) == right(200)


def test_a_request_that_stays_wrong_gets_its_reason_and_stops_nothing() -> None:
    def behave(prompt: str, before: int) -> Reply:
        if prompt == "question 2":
            return Reply(500, b'{"error": {"message": "CUDA error"}}')
        if prompt == "question 5":
            return Reply(400, b'{"error": {"message": "image too large"}}')
        return Reply()

    with serving(behave) as server:
        found = texts(list(engine(server.url, tries=3).stream(iter(requests(8)), SETTINGS)))
        assert server.asked["question 2"] == 3 and server.asked["question 5"] == 1
    assert found[2] == "no answer in 3 tries: HTTP 500: CUDA error"
    assert found[5] == "HTTP 400: image too large"
    assert [text for n, text in enumerate(found) if n not in (2, 5)] == [
        text for n, text in enumerate(right(8)) if n not in (2, 5)
    ]


def test_a_broken_image_is_found_here_and_others_are_shown_upright() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    images = [b"no image", photo(1, "JPEG", exif=turned), photo(2, "WEBP"), PHOTO]
    with serving() as server:
        asked = [Request(str(n), (image,), "what?") for n, image in enumerate(images)]
        with pytest.raises(RequestsRefused) as refused:
            engine(server.url).generate(asked, SETTINGS)
        assert list(refused.value.reasons) == [0]
        urls = {body["messages"][0]["content"][0]["image_url"]["url"][:15] for body in server.seen}
        assert urls == {"data:image/png;", "data:image/jpeg"}
        assert len(server.seen) == 3


def test_too_many_requests_without_an_answer_stop_the_job() -> None:
    with (
        serving(lambda prompt, before: Reply(400, b"no images here")) as server,
        pytest.raises(EngineError, match="no images here"),
    ):
        list(engine(server.url, max_failed=0.2).stream(iter(requests(50)), SETTINGS))


def test_a_model_that_never_gets_ready_ends_the_wait() -> None:
    with (
        serving(lambda prompt, before: Reply(503, b"loading the model")) as server,
        pytest.raises(EngineError, match="loading the model") as stopped,
    ):
        list(engine(server.url, wait=1).stream(iter(requests(5)), SETTINGS))
    assert "goes on where it stopped" in stopped.value.hint


@pytest.mark.parametrize(("status", "hint"), [(401, "OPENAI_API_KEY"), (404, "models")])
def test_a_wrong_key_or_model_stops_at_once(status: int, hint: str) -> None:
    with (
        serving(lambda prompt, before: Reply(status, b"no")) as server,
        pytest.raises(EngineError) as stopped,
    ):
        list(engine(server.url).stream(iter(requests(50)), SETTINGS))
    assert hint in stopped.value.hint


def test_the_key_comes_from_the_environment_and_is_told_to_nobody(monkeypatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with serving(lambda prompt, before: Reply(401, b"no")) as server:
        asked = engine(server.url, key_env="MY_KEY")
        with pytest.raises(EngineError) as stopped:
            asked.generate(requests(1), SETTINGS)
        assert server.keys == {"Bearer sk-secret"}
    assert "sk-secret" not in f"{stopped.value} {stopped.value.hint} {vars(asked)} {asked.digest}"


def test_settings_reach_the_server_and_greedy_ones_send_no_seed() -> None:
    sampled = GenerationSettings(9, temperature=0.7, top_p=0.9, repetition_penalty=1.2, seed=3)
    with serving() as server:
        asked = engine(server.url, extra={"min_p": 0.1})
        asked.generate(requests(1), SETTINGS)
        asked.generate(requests(2), sampled)
        greedy, *others = server.seen
    assert greedy["temperature"] == 0 and greedy["max_tokens"] == 16 and greedy["model"] == "tiny"
    assert not {"seed", "top_p", "repetition_penalty"} & greedy.keys() and greedy["min_p"] == 0.1
    for body in others:
        assert (body["temperature"], body["top_p"], body["repetition_penalty"]) == (0.7, 0.9, 1.2)
    assert len({body["seed"] for body in others}) == 2  # each request has its own


def test_a_cut_answer_says_so_and_a_withheld_one_gives_no_text() -> None:
    replies = {"question 0": completion("one two", "length"), "question 1": completion("", "content_filter")}
    with serving(lambda prompt, before: Reply(body=replies[prompt])) as server:
        found = dict(engine(server.url).stream(iter(requests(2)), SETTINGS))
    assert found[0] == Answer("one two", "length", 2)
    assert found[1] == Unanswered("the server withheld the answer (content_filter)")


def test_work_goes_to_the_servers_that_work() -> None:
    with serving() as good, serving(lambda prompt, before: Reply(500, b"broken")) as broken:
        gone = "http://127.0.0.1:9/v1"
        found = list(engine(good.url, broken.url, gone).stream(iter(requests(60)), SETTINGS))
        assert sum(broken.asked.values()) < 30
    assert texts(found) == right(60)


def test_a_consumer_that_stops_is_not_kept_waiting() -> None:
    with serving(lambda prompt, before: Reply(delay=0 if prompt == "question 0" else 5)) as server:
        began = time.monotonic()
        for _ in engine(server.url).stream(iter(requests(30)), SETTINGS):
            break
        assert time.monotonic() - began < 3
