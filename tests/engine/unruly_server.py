"""A chat completions server on loopback that misbehaves as told; also a program, so that it can be killed."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Reply:
    """What the server does with a request; the default is a right answer."""

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False  # in the middle of the body
    silent: bool = False  # closes without a word
    drip: float = 0.0  # seconds between bytes


#: Decides by the prompt and by how often it was asked before.
Behavior = Callable[[str, int], Reply]


class UnrulyServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, behave: Behavior = lambda prompt, before: Reply(), port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.behave, self.asked, self.lock = behave, Counter[str](), threading.Lock()
        self.at_once = self.most_at_once = 0
        self.seen: list[dict] = []
        self.keys: set[str | None] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request, client_address) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: UnrulyServer

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        *images, text = body["messages"][0]["content"]
        with server.lock:
            before = server.asked[text["text"]]
            server.asked[text["text"]] += 1
            server.seen.append(body)
            server.keys.add(self.headers["authorization"])
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            self._reply(server.behave(text["text"], before), said(images, text["text"]))
        finally:
            with server.lock:
                server.at_once -= 1

    def _reply(self, reply: Reply, text: str) -> None:
        time.sleep(reply.delay)
        if reply.silent:
            self.close_connection = True
            return
        body = completion(text) if reply.body is None else reply.body
        self.send_response(reply.status)
        for name, value in {"content-length": str(len(body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.cut:
            body, self.close_connection = body[: len(body) // 2], True
        if not reply.drip:
            self.wfile.write(body)
        for byte in body if reply.drip else b"":
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(reply.drip)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def completion(text: str, finish: str = "stop") -> bytes:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
    usage = {"completion_tokens": len(text.split())}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()


def said(images: list[dict], prompt: str) -> str:
    """A text that depends on the images and the prompt alone."""
    files = [base64.b64decode(image["image_url"]["url"].partition(",")[2]) for image in images]
    return f"Seen {hashlib.sha256(b''.join(files)).hexdigest()[:12]} about {prompt}."


@contextmanager
def serving(behave: Behavior = lambda prompt, before: Reply()) -> Iterator[UnrulyServer]:
    server = UnrulyServer(behave)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    slow = UnrulyServer(lambda prompt, before: Reply(delay=0.05), int(sys.argv[1]))
    print(slow.url, flush=True)
    slow.serve_forever()
