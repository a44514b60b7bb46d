"""A small ticketing system that a venue can ask: docs/operating/ticketing.md, docs/formats/entitlement.md.

    python service.py --tickets tickets.csv --venue-key VENUE/signing/door.pub --key ticketing.key --port 8070

It answers from a CSV file (reference,household,valid_from,valid_until,not_before,language), which it reads anew for
each question. It takes nothing from the program that asks: what is on the page of the format is written out here, so
that it can be the beginning of one in any language. Needs the packages `cbor2` and `cryptography`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import threading
import time
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LARGEST = 1 << 20
MOST = 2_000
SKEW_S = 60
HEADER = bytes.fromhex("a10127")  # {1: -8}: EdDSA
QUESTION, ANSWERS = "countenance/ticket-question/1", "countenance/ticket-answers/1"


def encode(value: Any) -> bytes:
    """Return deterministic CBOR."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes) -> Any:
    """Read deterministic CBOR and nothing else. Raises ValueError."""
    try:
        value = cbor2.loads(data)
        same = encode(value) == data
    except (cbor2.CBORError, TypeError, RecursionError) as error:
        raise ValueError("not CBOR") from error
    if not same:
        raise ValueError("not deterministic CBOR")
    return value


def key_id(key: Ed25519PublicKey) -> bytes:
    """Return the id of a key."""
    return hashlib.sha256(key.public_bytes_raw()).digest()[:8]


def signed(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return a COSE_Sign1."""
    signature = key.sign(encode(["Signature1", HEADER, b"", payload]))
    return encode(cbor2.CBORTag(18, [HEADER, {4: key_id(key.public_key())}, payload, signature]))


def verified(message: bytes, key: Ed25519PublicKey) -> bytes:
    """Return the payload of a COSE_Sign1. Raises ValueError, InvalidSignature."""
    tagged = decode(message)
    if not isinstance(tagged, cbor2.CBORTag) or tagged.tag != 18 or len(tagged.value) != 4:
        raise ValueError("not a COSE_Sign1")
    header, outside, payload, signature = tagged.value
    if header != HEADER or outside != {4: key_id(key)} or not isinstance(payload, bytes):
        raise ValueError("not signed as it must be")
    key.verify(signature, encode(["Signature1", HEADER, b"", payload]))
    return payload


def asked(message: bytes, key: Ed25519PublicKey, now: int) -> dict[str, Any]:
    """Read a question. Raises ValueError, InvalidSignature."""
    question = decode(verified(message, key))
    names = {"format", "venue", "on", "at", "nonce", "references"}
    if not isinstance(question, dict) or set(question) != names or question["format"] != QUESTION:
        raise ValueError("not a question")
    references = question["references"]
    if not 0 < len(references) <= MOST or references != sorted(set(references)) or len(question["nonce"]) != 16:
        raise ValueError("not a question")
    if abs(now - question["at"]) > SKEW_S:
        raise ValueError("not of this minute")
    date.fromisoformat(question["on"])
    return question


class Nonces:
    """Remembers the nonces of the last minutes: a question that somebody recorded is answered once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[bytes, int] = {}

    def require_new(self, nonce: bytes, now: int) -> None:
        """Raise ValueError for one that was here before."""
        with self._lock:
            self._seen = {old: at for old, at in self._seen.items() if now - at <= 2 * SKEW_S}
            if nonce in self._seen:
                raise ValueError("asked before")
            self._seen[nonce] = now


def tickets(path: Path) -> dict[str, dict[str, str]]:
    """Read the list."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["reference"]: row for row in csv.DictReader(file)}


def answer(reference: str, listed: dict[str, dict[str, str]], parties: dict[str, int], on: str) -> dict[str, Any]:
    """Answer for one ticket. Days are texts, YYYY-MM-DD, which sort as days do."""
    row = listed.get(reference)
    if row is None:
        return {"reference": reference, "state": "unknown"}
    if on > row["valid_until"]:
        return {"reference": reference, "state": "ended"}
    if on < row["valid_from"]:
        return {"reference": reference, "state": "early"}
    return {"reference": reference, "state": "good", "household": row["household"], "language": row["language"],
            "party": min(50, parties.get(row["household"], 1)), "valid_until": row["valid_until"],
            "not_before": int(row["not_before"] or 0)}


def answers(question: dict[str, Any], message: bytes, listed: dict[str, dict[str, str]], now: int) -> bytes:
    """Return the content of the answers to a question."""
    on, parties = question["on"], {}
    for row in listed.values():
        if row["household"] and row["valid_from"] <= on <= row["valid_until"]:
            parties[row["household"]] = parties.get(row["household"], 0) + 1
    return encode({"format": ANSWERS, "question": hashlib.sha256(message).digest(), "on": on, "at": now,
                   "tickets": [answer(one, listed, parties, on) for one in question["references"]]})


class Handler(BaseHTTPRequestHandler):
    """`POST /` with a question. Says nothing to whoever is not the venue."""

    protocol_version = "HTTP/1.1"
    timeout = 10
    server: Service

    def do_POST(self) -> None:
        """Answer a question."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > LARGEST:
            self._end(413 if length.isdecimal() else 411, b"")
            return
        message, now = self.rfile.read(int(length)), int(time.time())
        try:
            question = asked(message, self.server.venue_key, now)
            self.server.nonces.require_new(question["nonce"], now)
        except (ValueError, TypeError, KeyError, InvalidSignature):
            self._end(403, b"")
            return
        self._end(200, signed(answers(question, message, tickets(self.server.tickets), now), self.server.key))

    def _end(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/cose")
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_facts: object) -> None:
        """Write no line: a booking number belongs in no log."""


class Service(ThreadingHTTPServer):
    """The server with what it knows."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], listed: Path, venue_key: Ed25519PublicKey,
                 key: Ed25519PrivateKey) -> None:
        super().__init__(address, Handler)
        self.tickets, self.venue_key, self.key, self.nonces = listed, venue_key, key, Nonces()


def own_key(path: Path) -> Ed25519PrivateKey:
    """Open this service's key, made at the first start: 32 raw bytes that only its user can read."""
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(Ed25519PrivateKey.generate().private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


def main() -> None:
    """Serve until it is ended."""
    options = argparse.ArgumentParser(description="A small ticketing system.")
    options.add_argument("--tickets", type=Path, required=True)
    options.add_argument("--venue-key", type=Path, required=True, help="the venue's signing/door.pub")
    options.add_argument("--key", type=Path, default=Path("ticketing.key"))
    options.add_argument("--port", type=int, default=8070)
    given = options.parse_args()
    venue_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(given.venue_key.read_text().strip()))
    key = own_key(given.key)
    with Service(("127.0.0.1", given.port), given.tickets, venue_key, key) as service:
        print(f"key {key.public_key().public_bytes_raw().hex()}", flush=True)  # noqa: T201  # for whoever starts it
        print(f"listening on http://127.0.0.1:{service.server_address[1]}", flush=True)  # noqa: T201  # as above
        service.serve_forever()


if __name__ == "__main__":
    main()
