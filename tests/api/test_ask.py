"""`vila2 ask` and `vila2.ask`: several images, examples, answers in pieces, boxes drawn into a picture."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import vila2
from tests.caption.tiny_llava import build_tiny_llava, picture
from vila2.cli.main import app
from vila2.engine.registry import open_engine
from vila2.errors import EngineError

SHORT = vila2.GenerationSettings(max_new_tokens=12)
SAYS = "The dog is at [100,200,500,900], its tail at [480, 300], not at [1,2,3]."


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    build_tiny_llava(folder)
    return folder


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        Path(f"{number}.png").write_bytes(picture(number))
    return tmp_path


def invoke(*words: object, code: int = 0):
    result = CliRunner().invoke(app, ["ask", *map(str, words)])
    assert result.exit_code == code, result.output
    return result


def said_by_transformers(folder: Path, messages: list[dict]) -> str:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model, processor = (
        AutoModelForImageTextToText.from_pretrained(folder),
        AutoProcessor.from_pretrained(folder),
    )
    inputs = processor.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    tokens = model.generate(**inputs, max_new_tokens=12, do_sample=False, repetition_penalty=1.0)
    return processor.tokenizer.decode(
        tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
    ).strip()


def shown(*numbers: int, text: str, role: str = "user") -> dict:
    images = [{"type": "image", "image": Image.open(f"{number}.png")} for number in numbers]
    return {"role": role, "content": [*images, {"type": "text", "text": text}]}


def test_images_and_examples_are_shown_as_a_conversation(photos, tiny):
    answer = vila2.ask(
        ["0.png", "1.png"],
        "what is it",
        tiny,
        examples=[("2.png", "a cat"), ("3.png", "a dog")],
        settings=SHORT,
    )
    assert answer.text == said_by_transformers(
        tiny,
        [
            shown(2, text="what is it"),
            shown(text="a cat", role="assistant"),
            shown(3, text="what is it"),
            shown(text="a dog", role="assistant"),
            shown(0, 1, text="what is it"),
        ],
    )
    without = vila2.ask(["0.png", "1.png"], "what is it", tiny, settings=SHORT)
    assert without.text == said_by_transformers(tiny, [shown(0, 1, text="what is it")]) != answer.text


def test_the_pieces_of_an_answer_are_the_answer(photos, tiny):
    engine = open_engine("transformers", tiny)
    pieces: list[str] = []
    answer = vila2.ask("0.png", "what is it", engine, settings=SHORT, heard=pieces.append)
    assert len(pieces) > 1 and "".join(pieces) == answer.text
    assert vila2.ask("0.png", "what is it", engine, settings=SHORT) == answer


def test_the_shipped_model_answers_on_a_terminal_and_as_json(photos):
    words = ("0.png", "Describe the image.", "-m", "builtin:miniature", "--max-new-tokens", 8)
    told = json.loads(invoke(*words, "--json").stdout)
    assert told["text"] and invoke(*words).stdout == told["text"] + "\n"
    assert told["status"] == "repetition" and told["tokens"] == 8 and told["coordinates"]


@contextmanager
def server(text: str, *, streams: bool = True, breaks: bool = False) -> Iterator[tuple[str, list[dict]]]:
    """A chat completions server that says a text, character by character where it streams."""
    seen: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            seen.append(body)
            self.send_response(200)
            if not (streams and body["stream"]):
                whole = {"message": {"content": text}, "finish_reason": "stop"}
                content = json.dumps({"choices": [whole], "usage": {"completion_tokens": 9}}).encode()
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                return
            self.send_header("content-type", "text/event-stream; charset=utf-8")
            self.end_headers()
            for letter in f" {text} "[: 9 if breaks else None]:
                self.event({"choices": [{"delta": {"content": letter}, "finish_reason": None}]})
            if not breaks:
                self.event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
                self.event({"choices": [], "usage": {"completion_tokens": 9}})
                self.wfile.write(b"data: [DONE]\n\n")

        def event(self, data: dict) -> None:
            self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}/v1", seen
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def openai(url: str, model: str = "Qwen/Qwen3-VL-4B-Instruct") -> tuple[str, ...]:
    return ("-m", model, "--engine", "openai", "--engine-option", f"url={url}", "--engine-option", "wait=1")


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "does not stream"])
def test_a_server_is_asked_and_its_boxes_are_drawn(photos, streams: bool):
    Image.new("RGB", (200, 100), "white").save("wide.png")
    with server(SAYS, streams=streams) as (url, seen):
        done = invoke(
            *("0.png", "wide.png", "Where is the dog?", "--example", "1.png=[1,2,3,4]", "--draw", "out.png"),
            *openai(url),
        )
    assert done.stdout == SAYS + "\n"
    kinds = [[part["type"] for part in message["content"]] for message in seen[0]["messages"]]
    assert kinds == [["image_url", "text"], ["text"], ["image_url", "image_url", "text"]]
    assert "2 places, read as thousandths" in done.stderr and "[1,2,3]" in done.stderr
    drawn = Image.open("out.png")
    assert drawn.size == (200, 100)
    edge, inside, tail = (drawn.getpixel(place) for place in ((20, 60), (60, 75), (96, 30)))
    assert edge == (11, 98, 164) and inside == (255, 255, 255) and tail == (184, 74, 0)


def test_json_of_a_qwen_answer_in_pixels_names_its_boxes(photos):
    Image.new("RGB", (280, 140)).save("wide.png")
    boxes = [
        {"bbox_2d": [28, 14, 140, 70], "label": "dog"},
        {"bbox_2d": [0, 0, 900, 70], "label": "x"},
    ]
    said = f"```json\n{json.dumps(boxes)}\n```"
    with server(said) as (url, _):
        words = ("wide.png", "Find the dog.", "--json", *openai(url, "Qwen/Qwen2.5-VL-7B-Instruct"))
        told = json.loads(invoke(*words).stdout)
    assert told["coordinates"] == "resized-pixels"
    assert told["places"] == [{"number": 1, "label": "dog", "box": [0.1, 0.1, 0.5, 0.5]}]
    assert told["unread"] == ["[0, 0, 900, 70]"]


def test_a_server_that_stops_within_its_answer_is_told(photos):
    with server(SAYS, breaks=True) as (url, _):
        assert "stopped in the middle" in invoke("0.png", "Where is it?", *openai(url), code=2).stderr


def test_an_engine_that_shows_no_examples_is_not_given_any(photos):
    class Blind:
        name = digest = "blind"

    with pytest.raises(EngineError, match="takes no examples"):
        vila2.ask("0.png", "what is it", Blind(), examples=[("1.png", "a cat")])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0.png"], "the question is missing"),
        (["0.pgn", "What is it?"], "did you mean 0.png?"),
        (["0.png", "What?", "--example", "1.pn=a cat"], "no image 1.pn"),
        (["0.png", "What?", "--example", "1.png"], "photo.jpg=a red door"),
        (["What?", "--draw", "x.png"], "no image to draw on"),
        (["broken.png", "What?"], "broken.png"),
        (["0.png", "What?", "--coordinates", "unti"], "did you mean 'unit'?"),
    ],
)
def test_what_is_wrong_is_told_before_a_model_is_loaded(photos, words: list[str], said: str):
    Path("broken.png").write_bytes(b"no image")
    assert said in invoke(*words, "-m", "no/such-model", code=2).output
