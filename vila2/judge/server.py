"""The blind page: an HTTP server for one person on this machine, behind a random token.

The page loads nothing from elsewhere.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from vila2.errors import DataError, RunError, Vila2Error
from vila2.judge.person import Session, StaleError

_HOST = "127.0.0.1"
_LONGEST_BODY = 1000  # bytes
_PATH = re.compile(r"/([A-Za-z0-9_-]{1,100})/(.{0,40})")
_IMAGE = re.compile(r"image/(\d{1,9})/(\d{1,3})")
_FILES = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class JudgeServer(ThreadingHTTPServer):
    """Serves a session until it is finished.

    Attributes:
        url: address of the page, with the token without which nothing is answered.
        finished: event that is set when the person finishes.
    """

    daemon_threads = True

    def __init__(self, session: Session, port: int) -> None:
        try:
            super().__init__((_HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise RunError(
                f"port {port} of this machine cannot be used ({error})", hint="give another --port, or none"
            ) from error
        self.session = session
        self.token = secrets.token_urlsafe(24)
        self.hosts = {f"{name}:{self.server_port}" for name in (_HOST, "localhost")}
        self.url = f"http://{_HOST}:{self.server_port}/{self.token}/"
        self.finished = threading.Event()


@contextmanager
def serve(session: Session, *, port: int = 0) -> Iterator[JudgeServer]:
    """Runs the server in the background until the block ends.

    Args:
        session: session to serve.
        port: port to listen on; 0 takes any that is free.

    Raises:
        RunError: the port is taken.
    """
    server = JudgeServer(session, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """The handler of one request; an unexpected request gets an error and changes nothing."""

    server: JudgeServer
    timeout = 30  # seconds until a silent connection is closed
    server_version, sys_version = "vila2", ""

    def do_GET(self) -> None:
        path = self._path()
        if path is None:
            return
        if path in _FILES:
            name, kind = _FILES[path]
            self._send(200, (files("vila2.judge") / name).read_bytes(), kind)
        elif path == "next":
            self._answer(lambda: self.server.session.show().to_json())
        elif found := _IMAGE.fullmatch(path):
            turn, number = map(int, found.groups())
            self._answer(lambda: self.server.session.image(turn, number))
        else:
            self._refuse(404, "there is no such page")

    def do_POST(self) -> None:
        path = self._path()
        if path is None:
            return
        body = self._body()
        if body is None:
            return
        session, turn = self.server.session, body.get("turn")
        if path == "finish":
            self._json(200, {"finished": True})
            self.server.finished.set()
        elif path not in ("vote", "undo"):
            self._refuse(404, "there is no such page")
        elif type(turn) is not int or (path == "vote" and not isinstance(body.get("choice"), str)):
            self._refuse(400, "turn must be a whole number, and choice a text")
        elif path == "vote":
            self._answer(lambda: session.vote(turn, body["choice"]).to_json())
        else:
            self._answer(lambda: session.undo(turn).to_json())

    def _path(self) -> str | None:
        """The path after the token; None, with an error sent, where token or host are wrong."""
        # A foreign page whose host name leads here would have the same origin (DNS rebinding).
        if self.headers.get("Host") not in self.server.hosts:
            self._refuse(403, "this host is not served")
            return None
        found = _PATH.fullmatch(self.path)
        if not found or not hmac.compare_digest(found.group(1), self.server.token):
            self._refuse(404, "there is no such page; its address stands in the terminal")
            return None
        return found.group(2)

    def _body(self) -> dict[str, Any] | None:
        """The JSON object sent along; None, with an error sent, for anything else."""
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            self._refuse(403, "a vote must come from the page itself")
            return None
        length = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != "application/json" or not re.fullmatch(r"\d{1,9}", length):
            self._refuse(400, "send JSON, and its length")
            return None
        if int(length) > _LONGEST_BODY:
            self._refuse(413, "that is too long for a vote")
            return None
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            self._refuse(400, "send a JSON object")
            return None
        return body

    def _answer(self, work: Callable[[], bytes | dict[str, Any]]) -> None:
        """Sends what ``work`` returns, or why it failed."""
        try:
            answer = work()
        except StaleError as error:
            self._refuse(409, error.what)
        except DataError as error:
            self._refuse(400, error.what)
        except (Vila2Error, OSError) as error:
            self._refuse(500, f"the vote could not be kept: {error}")
        else:
            if isinstance(answer, bytes):
                self._send(200, answer, "image/jpeg")
            else:
                self._json(200, answer)

    def _refuse(self, status: int, why: str) -> None:
        self.close_connection = True  # the body was perhaps not read
        self._json(status, {"error": why})

    def _json(self, status: int, value: Any) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in (_HEADERS | {"Content-Type": kind, "Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: the token would stand in every line, and the terminal shows the address."""
