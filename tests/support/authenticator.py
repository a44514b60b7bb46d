"""A passkey in software, for tests: it signs whatever it is told to, the wrong things too."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Authenticator:
    rp: str
    origin: str
    ed: bool = False
    counter: int = 0
    name: bytes = field(default_factory=lambda: os.urandom(32))

    def __post_init__(self) -> None:
        self.key: Any = ed25519.Ed25519PrivateKey.generate() if self.ed else ec.generate_private_key(ec.SECP256R1())

    def cose(self) -> bytes:
        if self.ed:
            return cbor2.dumps({1: 1, 3: -8, -1: 6, -2: self.key.public_key().public_bytes_raw()})
        at = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: at.x.to_bytes(32, "big"), -3: at.y.to_bytes(32, "big")})

    def made(self, challenge: bytes, flags: int = PRESENT | VERIFIED, kind: str = "webauthn.create") -> dict[str, Any]:
        data = self._data(flags | ATTESTED) + bytes(15) + b"\1" + len(self.name).to_bytes(2, "big") + self.name
        whole = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data + self.cose()})
        return self._answer({"clientDataJSON": text(self._client(kind, challenge)), "attestationObject": text(whole)})

    def signed(self, challenge: bytes, flags: int = PRESENT | VERIFIED, kind: str = "webauthn.get",
               handle: str | None = None) -> dict[str, Any]:
        data, client = self._data(flags), self._client(kind, challenge)
        over = data + hashlib.sha256(client).digest()
        signature = self.key.sign(over) if self.ed else self.key.sign(over, ec.ECDSA(hashes.SHA256()))
        told = {"clientDataJSON": text(client), "authenticatorData": text(data), "signature": text(signature)}
        return self._answer(told if handle is None else {**told, "userHandle": text(handle.encode())})

    def _answer(self, response: dict[str, str]) -> dict[str, Any]:
        return {"id": text(self.name), "rawId": text(self.name), "type": "public-key", "response": response}

    def _client(self, kind: str, challenge: bytes) -> bytes:
        return json.dumps({"type": kind, "challenge": text(challenge), "origin": self.origin}).encode()

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.rp.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")
