"""A server of files that serves ranges, cuts transfers and counts what it sent."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class CuttingServer:
    """What the server does, and what it was asked for.

    Attributes:
        root: folder that it serves.
        url: its URL.
        cuts: number of the next transfers of tars that end half way.
        refuses: status that it answers with in place of files; 0 for none.
        whole: whether it ignores ranges.
        ranges: path, start and end of every range of a tar that it was asked for.
    """

    root: Path
    url: str = ""
    cuts: int = 0
    refuses: int = 0
    whole: bool = False
    ranges: list[tuple[str, int, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def serving_files(root: Path) -> Iterator[CuttingServer]:
    """Serves a folder within the block."""
    state = CuttingServer(root)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path = root / self.path.lstrip("/")
            if state.refuses or not path.is_file():
                self.send_response(state.refuses or 404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            data = path.read_bytes()
            found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if found and not state.whole:
                start, end = int(found[1]), min(int(found[2] or len(data)) + 1, len(data))
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(data)}")
                data = data[start:end]
            else:
                start, end = 0, len(data)
                self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Accept-Ranges", "bytes")
            self.end_headers()
            if not body:
                return
            with state.lock:
                cut = path.suffix == ".tar" and state.cuts > 0
                state.cuts -= cut
                if path.suffix == ".tar":
                    state.ranges.append((self.path, start, end))
            self.wfile.write(data[: len(data) // 2] if cut else data)
            if cut:
                self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
