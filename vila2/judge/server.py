"""The blind page: an HTTP server for one person on this machine."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from vila2.errors import DataError, Vila2Error
from vila2.judge.person import Session, StaleError
from vila2.report.local_server import LocalHandler, LocalServer, running

_IMAGE = re.compile(r"image/(\d{1,9})/(\d{1,3})")
_FILES = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
}


class JudgeServer(LocalServer):
    """Serves a session until it is finished.

    Attributes:
        finished: event that is set when the person finishes.
    """

    def __init__(self, session: Session, port: int) -> None:
        super().__init__(_Handler, port)
        self.session = session
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
    with running(JudgeServer(session, port)) as server:
        yield server


class _Handler(LocalHandler):
    server: JudgeServer

    def do_GET(self) -> None:
        path = self.asked_path()
        if path is None:
            return
        if path in _FILES:
            name, kind = _FILES[path]
            self.send_content(200, (files("vila2.judge") / name).read_bytes(), kind)
        elif path == "next":
            self._answer(lambda: self.server.session.show().to_json())
        elif found := _IMAGE.fullmatch(path):
            turn, number = map(int, found.groups())
            self._answer(lambda: self.server.session.image(turn, number))
        else:
            self.refuse(404, "there is no such page")

    def do_POST(self) -> None:
        path = self.asked_path()
        if path is None:
            return
        body = self.sent_object()
        if body is None:
            return
        session, turn = self.server.session, body.get("turn")
        if path == "finish":
            self.send_json(200, {"finished": True})
            self.server.finished.set()
        elif path not in ("vote", "undo"):
            self.refuse(404, "there is no such page")
        elif type(turn) is not int or (path == "vote" and not isinstance(body.get("choice"), str)):
            self.refuse(400, "turn must be a whole number, and choice a text")
        elif path == "vote":
            self._answer(lambda: session.vote(turn, body["choice"]).to_json())
        else:
            self._answer(lambda: session.undo(turn).to_json())

    def _answer(self, work: Callable[[], bytes | dict[str, Any]]) -> None:
        """Sends what ``work`` returns, or why it failed."""
        try:
            answer = work()
        except StaleError as error:
            self.refuse(409, error.what)
        except DataError as error:
            self.refuse(400, error.what)
        except (Vila2Error, OSError) as error:
            self.refuse(500, f"the vote could not be kept: {error}")
        else:
            if isinstance(answer, bytes):
                self.send_content(200, answer, "image/jpeg")
            else:
                self.send_json(200, answer)
