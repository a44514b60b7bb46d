"""One question to a ticketing system over HTTP, believed only once its signature and its fit have been checked.

Bounded like a witness's answer: one deadline for all of it, which no way of answering puts off. A proxy that the
environment names is not used, redirections are not followed, and nothing compressed is unpacked.
"""

from __future__ import annotations

import ipaddress
import secrets
import ssl
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from countenance.clock import Clock
from countenance.errors import BadInput, StoreFault
from countenance.formats import ed25519, entitlements
from countenance.formats.entitlements import Answer, Question
from countenance.quantities import VenueId
from countenance.settings import Settings
from countenance.transparency.exchange import Line
from countenance.vault.keys import signing

TIMEOUT_S = 2.0
"""Seconds for the whole answer: somebody is waiting at a gate."""

LARGEST_ANSWER = 1 << 20
"""Bytes."""

_TYPE = "application/cose"
_SIGNING = "signing"


class Ask(Protocol):
    """Ask about a batch of booking numbers: ascending, none twice, at most `entitlements.MOST`."""

    def __call__(self, references: Sequence[str], on: date) -> tuple[Answer, ...]:
        """Return one answer for each. Raises StoreFault, BadInput; then nothing of it counts."""


@dataclass(frozen=True)
class Ticketing:
    """A ticketing system as the settings name it."""

    url: str
    key: Ed25519PublicKey
    venue: VenueId
    signing: Path
    clock: Clock
    context: ssl.SSLContext = field(default_factory=ssl.create_default_context)  # 20 ms; not once for each question

    def __call__(self, references: Sequence[str], on: date) -> tuple[Answer, ...]:
        """See `Ask`. Raises StoreFault (ticketing-silent, ticketing-wrong, signer-*), BadInput(tickets-*)."""
        signer = signing.signer(self.signing, "door")  # read anew: it may have been renewed
        question = Question(self.venue, on, self.clock.now(), secrets.token_bytes(entitlements.NONCE_BYTES),
                            tuple(references))
        asked = entitlements.write_question(question, signer.key, signer.kid)
        return entitlements.read_answers(self._post(asked), self.key, asked, question, self.clock.now())

    def _post(self, body: bytes) -> bytes:
        line = Line()
        try:
            return line.exchange(TIMEOUT_S, lambda: self._exchanged(body, line))
        except StoreFault:
            raise
        except Exception:  # noqa: BLE001  # a name, a connection, the machine's TLS: whatever it is, a gate must go on
            raise _silent() from None
        finally:
            line.close()

    def _exchanged(self, body: bytes, line: Line) -> bytes:
        until, got = self.clock.monotonic() + TIMEOUT_S, bytearray()
        headers = {"content-type": _TYPE, "accept": _TYPE, "accept-encoding": "identity"}
        with ExitStack() as opened:
            client = opened.enter_context(httpx.Client(timeout=TIMEOUT_S, trust_env=False, verify=self.context))
            answer = opened.enter_context(client.stream(
                "POST", self.url, content=body, headers=headers, extensions={"trace": line.told}))
            if answer.status_code >= 500 or answer.status_code == 429:
                raise _silent()
            if answer.status_code != 200:
                raise _wrong(f"answered with status {answer.status_code}")
            if answer.headers.get("content-type", "") != _TYPE or "content-encoding" in answer.headers:
                raise _wrong("gave an answer of another type, or a compressed one")
            for part in answer.iter_raw():
                got += part
                if len(got) > LARGEST_ANSWER:
                    raise _wrong("gave an answer that is too large")
                if self.clock.monotonic() > until:
                    raise TimeoutError
            return bytes(got)


def from_settings(folder: Path, here: Settings, clock: Clock) -> Ticketing:
    """Return the ticketing system that the settings name. Raises BadInput(ticketing-address, ticketing-key)."""
    return Ticketing(_address(here.ticketing_url), _key(here.ticketing_key), here.venue, folder / _SIGNING, clock)


def _address(text: str) -> str:
    """Return an address that booking numbers may be sent to: by TLS, or not beyond this machine."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    safe = url.scheme == "https" or (url.scheme == "http" and _is_here(url.host))
    if not safe or not url.host or url.userinfo or url.fragment:
        raise BadInput("ticketing-address", "The ticketing system's url must be https://, or http:// on this machine.")
    return str(url)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, "localhost" too, is whatever somebody's resolver says


def _key(text: str) -> Ed25519PublicKey:
    try:
        raw = bytes.fromhex(text)
        ed25519.require_point(raw)
        return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        raise BadInput("ticketing-key", "The ticketing system's key must be an Ed25519 public key, in hex.") from None


def _silent() -> StoreFault:
    return StoreFault("ticketing-silent", "The ticketing system does not answer.")


def _wrong(what: str) -> StoreFault:
    return StoreFault("ticketing-wrong", f"The ticketing system {what}.")
