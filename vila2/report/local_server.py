"""An HTTP server for pages of this machine: behind a random token, for hosts that it knows.

The pages load nothing from elsewhere.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import re
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from vila2.errors import RunError

LOOPBACK = "127.0.0.1"
_EVERYWHERE = "0.0.0.0"
_PATH = re.compile(r"/([A-Za-z0-9_-]{1,100})/(.{0,4000})")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class LocalServer(ThreadingHTTPServer):
    """Listens on one address; :func:`running` runs it.

    Args:
        handler: class that answers requests.
        port: port to listen on; 0 takes any that is free.
        host: address to listen on; "0.0.0.0" for all of this machine.

    Attributes:
        url: address of the page, with the token without which nothing is answered.

    Raises:
        RunError: the address cannot be listened on.
    """

    daemon_threads = True

    def __init__(self, handler: type[LocalHandler], port: int, host: str = LOOPBACK) -> None:
        try:
            super().__init__((host, port), handler)
        except (OSError, OverflowError) as error:
            place = f"port {port} of {'this machine' if host == LOOPBACK else host}"
            raise RunError(
                f"{place} cannot be used ({error})", hint="give another --port, or none"
            ) from error
        self.token = secrets.token_urlsafe(24)
        self._names = {LOOPBACK, "localhost", host}
        self._everywhere = host == _EVERYWHERE
        if self._everywhere:
            self._names.add(socket.gethostname())
        shown = socket.gethostname() if self._everywhere else host
        self.url = f"http://{shown}:{self.server_port}/{self.token}/"

    def is_served(self, host: str | None) -> bool:
        """Tells whether a Host header is this server's.

        A foreign page whose host name leads here would have the same origin (DNS rebinding).
        """
        name, colon, port = (host or "").rpartition(":")
        if not colon or port != str(self.server_port):
            return False
        return name in self._names or (self._everywhere and _is_address(name))


_Served = TypeVar("_Served", bound=LocalServer)


@contextmanager
def running(server: _Served) -> Iterator[_Served]:
    """Runs a server in the background until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class LocalHandler(BaseHTTPRequestHandler):
    """The handler of one request; an unexpected request gets an error and changes nothing.

    Attributes:
        policy: content security policy of every answer.
        longest_body: number of bytes that may be sent along.
    """

    server: LocalServer
    timeout = 30  # seconds until a silent connection is closed
    server_version, sys_version = "vila2", ""
    policy = (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    longest_body = 1000

    def asked_path(self) -> str | None:
        """The path after the token; None, with an error sent, where token or host are wrong."""
        if not self.server.is_served(self.headers.get("Host")):
            self.refuse(403, "this host is not served")
            return None
        found = _PATH.fullmatch(self.path)
        if not found or not hmac.compare_digest(found.group(1), self.server.token):
            self.refuse(404, "there is no such page; its address stands in the terminal")
            return None
        return found.group(2)

    def sent_object(self) -> dict[str, Any] | None:
        """The JSON object sent along; None, with an error sent, for anything else."""
        origin = self.headers.get("Origin")
        if origin is not None and not self.server.is_served(origin.removeprefix("http://")):
            self.refuse(403, "it must come from the page itself")
            return None
        length = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != "application/json" or not re.fullmatch(r"\d{1,9}", length):
            self.refuse(400, "send JSON, and its length")
            return None
        if int(length) > self.longest_body:
            self.refuse(413, f"that is too long: {self.longest_body} bytes are taken")
            return None
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            self.refuse(400, "send a JSON object")
            return None
        return body

    def refuse(self, status: int, why: str) -> None:
        """Sends an error."""
        self.close_connection = True  # the body was perhaps not read
        self.send_json(status, {"error": why})

    def send_json(self, status: int, value: Any) -> None:
        """Sends a JSON value."""
        self.send_content(status, json.dumps(value).encode(), "application/json")

    def send_content(self, status: int, content: bytes, kind: str, *, cached: bool = False) -> None:
        """Sends an answer of any kind; a ``cached`` one may stay in the browser for an hour."""
        self.send_response(status)
        own = {"Content-Security-Policy": self.policy, "Content-Type": kind}
        own |= {"Cache-Control": "private, max-age=3600"} if cached else {}
        for name, value in (_HEADERS | own | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: the token would stand in every line, and the terminal shows the address."""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
