"""A headless Chromium that is steered through a pipe (its DevTools protocol)."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_SECONDS = 30
#: Is true when a page and its script are there.
LOADED = "document.readyState === 'complete'"


class NotDone(Exception):
    """The browser could not do what was asked."""


class Tab:
    """A page of the browser."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._number, self._rest, self._session = 0, b"", ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Sends a command and gives its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                read = os.read(self._back, 1 << 16)
                assert read, "the browser ended"
                self._rest += read
            whole, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(whole)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise NotDone(answer["error"])
                return answer["result"]

    def run(self, script: str) -> Any:
        """The value of an expression on the page."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    def wait(self, script: str) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + _SECONDS
        while True:
            with contextlib.suppress(NotDone):  # the page is being left
                if self.run(script):
                    return
            assert time.monotonic() < end, script
            time.sleep(0.05)

    def open(self, url: str) -> None:
        self.ask("Page.navigate", url=url)
        self.wait(f"location.href === {json.dumps(url)} && {LOADED}")

    def press(self, key: str) -> None:
        typed = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, **typed)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    def look(self, width: int, height: int, *, dark: bool) -> None:
        """Sets the size of the window, and the colors that the reader likes."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot")["data"]))


@contextmanager
def chromium(profile: Path) -> Iterator[Tab]:
    """Runs the browser until the block ends."""
    assert BROWSER is not None
    pipes = [os.pipe(), os.pipe()]
    # The browser reads 3 and writes 4, so our own ends must have other numbers.
    (its_in, to), (back, its_out) = [
        tuple(fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in pipe) for pipe in pipes
    ]
    for end in (end for pipe in pipes for end in pipe):
        os.close(end)
    command = f'exec "$@" 3<&{its_in} 4>&{its_out}'
    process = subprocess.Popen(
        ["bash", "-c", command, "bash", BROWSER, *_SWITCHES, f"--user-data-dir={profile}"],
        pass_fds=(its_in, its_out),
        stderr=subprocess.DEVNULL,
    )
    os.close(its_in)
    os.close(its_out)
    try:
        tab = Tab(to, back)
        yield tab
        with contextlib.suppress(NotDone, OSError):
            tab._session = ""
            tab.ask("Browser.close")
    finally:
        process.terminate()
        process.wait(20)
        os.close(to)
        os.close(back)
