"""A headless Chromium, where one is installed: cards are drawn, and pages run, by what people use for it."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
DPI = 300
PATIENCE_SECONDS = 20
_OFFLINE = ("--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking", "--disable-component-update",
            "--no-first-run", "--proxy-server=127.0.0.1:9")


def _command(folder: Path, *options: str) -> list[str]:
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is installed to draw the card or to run the page")
    return [found, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}",
            *options]


def _run(folder: Path, *options: str) -> str:
    done = subprocess.run(_command(folder, *options), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def picture(svg: str, width_mm: float, height_mm: float, folder: Path) -> bytes:
    """Return a PNG of the card in its real size at 300 dpi."""
    (folder / "card.svg").write_text(svg, encoding="utf-8")
    width, height = (int(mm / 25.4 * 96) + 1 for mm in (width_mm, height_mm))
    _run(folder / "profile", f"--force-device-scale-factor={DPI / 96}", f"--window-size={width},{height}",
         f"--screenshot={folder / 'card.png'}", (folder / "card.svg").as_uri())
    return (folder / "card.png").read_bytes()


def page(html: str, folder: Path) -> str:
    """Return a page as it is after its own script has run."""
    (folder / "page.html").write_text(html, encoding="utf-8")
    return _run(folder / "profile", "--dump-dom", (folder / "page.html").as_uri())


class Tab:
    """One page in a browser that is told what to do over a pipe; it reaches no network, not even this machine's."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._unread = reads, bytearray()
        self._orders = os.fdopen(writes, "wb")
        self._number = 0
        self._session: str | None = None
        self.seen: list[dict[str, Any]] = []
        """Events since the last `go`: requests, exceptions, lines on the console."""
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "DOM", "Log"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **params: Any) -> dict[str, Any]:
        """Give one order and return its answer."""
        self._number += 1
        order: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            order["sessionId"] = self._session
        self._orders.write(json.dumps(order).encode() + b"\0")
        self._orders.flush()
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                found: dict[str, Any] = answer["result"]
                return found

    def go(self, file: Path) -> None:
        """Open a file and wait until it has loaded."""
        self.seen = []
        self.tell("Page.navigate", url=file.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.seen):
            self._next()

    def run(self, script: str) -> Any:
        """Return what an expression gives; a promise is waited for."""
        answer = self.tell("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def call(self, function: str, *arguments: Any) -> Any:
        """Return what a function gives for plain values."""
        return self.run(f"({function})(...{json.dumps(arguments)})")

    def choose(self, selector: str, *files: Path) -> None:
        """Put files into a file input, as a person does."""
        root = self.tell("DOM.getDocument")["root"]["nodeId"]
        node = self.tell("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.tell("DOM.setFileInputFiles", nodeId=node, files=[str(file) for file in files])

    def size(self, width: int, height: int) -> None:
        """Give the page the size of a screen."""
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def shot(self, file: Path) -> None:
        """Write what is on the screen as a PNG."""
        file.write_bytes(base64.b64decode(self.tell("Page.captureScreenshot", format="png")["data"]))

    def asked(self) -> list[str]:
        """Return the addresses that were asked for since the last `go`, beside files and data."""
        asked = [event["params"]["request"]["url"] for event in self.seen
                 if event["method"] == "Network.requestWillBeSent"]
        return [address for address in asked if not address.startswith(("file:", "data:"))]

    def faults(self) -> list[str]:
        """Return what the browser complained about since the last `go`."""
        names = {"Runtime.exceptionThrown": "exceptionDetails", "Log.entryAdded": "entry"}
        return [json.dumps(event["params"][names[event["method"]]]) for event in self.seen if event["method"] in names]

    def close(self) -> None:
        """Close both ends of the pipe."""
        self._session = None
        self.tell("Browser.close")
        self._orders.close()
        os.close(self._reads)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._reads], [], [], PATIENCE_SECONDS)
            assert ready, f"the browser says nothing any more, after {self._number} orders"
            part = os.read(self._reads, 1 << 20)
            assert part, "the browser has gone"
            self._unread += part
        text, _, rest = self._unread.partition(b"\0")
        self._unread = bytearray(rest)
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self.seen.append(message)
        return message


@contextmanager
def opened(folder: Path, *options: str) -> Iterator[Tab]:
    """Start a browser with a profile of its own and end it afterwards."""
    to_us, from_us = os.pipe(), os.pipe()
    theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (from_us[0], to_us[1])]  # above 3 and 4, which it expects
    for fd in (from_us[0], to_us[1]):
        os.close(fd)
    moved = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
    command = _command(folder, "--remote-debugging-pipe", "--lang=en", *_OFFLINE, *options)
    process = subprocess.Popen(["bash", "-c", moved, "bash", *map(str, theirs), *command], pass_fds=theirs,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for fd in theirs:
        os.close(fd)
    tab = Tab(to_us[0], from_us[1])
    try:
        yield tab
        tab.close()
        process.wait(timeout=30)
    finally:
        process.kill()  # where it did not end by itself; bash gave its place to it
        process.wait()
