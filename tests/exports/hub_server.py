"""A hub on loopback: the endpoints with which huggingface_hub creates repositories and commits files."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_of-the-tests"


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        #: Whether each repository is private, and its files, by "datasets/USER/NAME" or "models/USER/NAME".
        self.private: dict[str, bool] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.large: dict[str, bytes] = {}
        self.messages: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        repo = self.path.removeprefix("/api/").partition("?")[0]
        if repo in self.server.private:
            self.say({"id": repo.partition("/")[2], "private": self.server.private[repo], "sha": "0" * 40})
        else:
            self.say({"error": "Repository not found"}, 404)

    def do_PUT(self) -> None:
        self.server.large[self.path.rpartition("/")[2]] = self.body()
        self.say({})

    def do_POST(self) -> None:
        content = self.body()
        if self.headers["authorization"] != f"Bearer {TOKEN}":
            self.say({"error": "Invalid credentials"}, 401)
            return
        path = self.path.partition("?")[0]
        if path == "/api/repos/create":
            self.create(json.loads(content))
        elif path == "/api/validate-yaml":
            self.say({"errors": [], "warnings": []})
        elif path.endswith("/preupload/main"):
            names = [file["path"] for file in json.loads(content)["files"]]
            modes = {
                name: "lfs" if name.endswith((".safetensors", ".parquet")) else "regular" for name in names
            }
            self.say({"files": [{"path": n, "uploadMode": modes[n], "shouldIgnore": False} for n in names]})
        elif path.endswith("/info/lfs/objects/batch"):
            self.say(
                {"transfer": "basic", "objects": [self.upload(o) for o in json.loads(content)["objects"]]}
            )
        elif path.endswith("/commit/main"):
            self.commit(path.removeprefix("/api/").removesuffix("/commit/main"), content)
        else:
            self.say({"error": f"no {path} here"}, 404)

    def create(self, asked: dict) -> None:
        repo = f"{asked.get('type') or 'model'}s/{asked.get('organization') or 'me'}/{asked['name']}"
        if repo in self.server.private:
            self.say({"error": "You already created this repo"}, 409)
            return
        # Newer versions of huggingface_hub say "visibility".
        self.server.private[repo] = asked.get("private", asked.get("visibility") == "private")
        self.server.files[repo] = {}
        self.say({"url": f"{self.server.url}/{repo.removeprefix('models/')}"})

    def upload(self, asked: dict) -> dict:
        return asked | {
            "actions": {"upload": {"href": f"{self.server.url}/put/{asked['oid']}", "header": {}}}
        }

    def commit(self, repo: str, content: bytes) -> None:
        for line in map(json.loads, content.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.server.messages.append(value["summary"])
            elif line["key"] == "file":
                self.server.files[repo][value["path"]] = base64.b64decode(value["content"])
            else:
                found = self.server.large[value["oid"]]
                assert hashlib.sha256(found).hexdigest() == value["oid"]
                self.server.files[repo][value["path"]] = found
        self.say({"commitUrl": f"{self.server.url}/{repo}/commit/{'1' * 40}", "commitOid": "1" * 40})

    def body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def say(self, answer: dict, status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
