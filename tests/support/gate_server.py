"""A server and a lane for `countenance gate run` that answer as a test says: well, late, wrongly, or not at all."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ADMIT = {"decision": "admit", "people": 1, "door_token": "CND1:token", "id": "00ff"}
REFER = {"decision": "refer", "people": 0, "door_token": None, "id": "00ff"}

Act = Callable[[BaseHTTPRequestHandler], None]


def says(status: int, value: Any, **headers: str) -> Act:
    """Answer with JSON, or with bytes as they are."""

    def act(request: BaseHTTPRequestHandler) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        request.send_response(status)
        for name, text in {"content-type": "application/json", "content-length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), text)
        request.end_headers()
        request.wfile.write(body)

    return act


class FakeServer:
    """What came in is in `asked`: (path, headers in lower case, body). `act` answers, and may be exchanged."""

    def __init__(self, act: Act, context: ssl.SSLContext | None = None) -> None:
        self.act, self.asked = act, list[tuple[str, dict[str, str], bytes]]()
        self.over = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                fake.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                with suppress(OSError, ValueError):
                    fake.act(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name http.server gives it
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign, assignment]  # resets are the test
        if context is not None:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.http.server_address[1]


@contextmanager
def serving(act: Act, context: ssl.SSLContext | None = None) -> Iterator[FakeServer]:
    """Serve on a free port of this machine."""
    there = FakeServer(act, context)
    there.http.daemon_threads = True
    there.http.block_on_close = False
    thread = threading.Thread(target=there.http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield there
    finally:
        there.over.set()
        there.http.shutdown()
        there.http.server_close()
        thread.join(5)


def certificate(folder: Path, name: str = "localhost") -> tuple[Path, ssl.SSLContext]:
    """Make a certificate of nobody's for `name`; return its file and a server's context."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                    "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context
