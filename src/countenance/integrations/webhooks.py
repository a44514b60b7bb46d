"""Webhooks as Standard Webhooks has them: signed with a secret that one recipient shares, sent once for each call.

`webhook-id` stays the same however often something is sent; `webhook-timestamp` is of this attempt; the signature is
over both and the body. Of the answer only its status counts: its body is not read, and it leads nowhere else.
"""

from __future__ import annotations

import ssl
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from countenance.clock import Clock, SystemClock
from countenance.errors import Refused
from countenance.flows.events_out import Message
from countenance.integrations import addresses
from countenance.integrations.addresses import Lookup, Place
from countenance.integrations.doors.webhook import signature
from countenance.transparency.exchange import Line

TIMEOUT_S = 5.0
"""Seconds for all of one delivery: looking the name up, connecting, sending, and the answer's first lines."""

_GONE = 410


class Undelivered(Exception):
    """A recipient did not take something. `code`: why, in short. `for_good`: it said that it never will."""

    def __init__(self, code: str, *, for_good: bool = False) -> None:
        super().__init__(code)
        self.code, self.for_good = code, for_good


class Sender(Protocol):
    """The way to one recipient."""

    def send(self, message: Message) -> None:
        """Send once, and return when it was taken. Raises Undelivered, after some seconds at most."""

    def close(self) -> None:
        """Let go of connections; what is under way ends soon."""


@dataclass(frozen=True)
class Webhook:
    """A recipient's address and secret: 24 to 64 bytes."""

    url: str
    secret: bytes = field(repr=False)


class WebhookSender:
    """Sends to one recipient over HTTP, each time over a connection of its own to an address that was checked.

    Raises StoreFault(recipient-url) where its address needs a host in `private_hosts` that is not there.
    """

    def __init__(self, webhook: Webhook, private_hosts: Collection[str] = (), clock: Clock | None = None,
                 lookup: Lookup = addresses.look_up, tls: ssl.SSLContext | None = None) -> None:
        self._place: Place = addresses.place_of(webhook.url, private_hosts)
        self._secret, self._clock, self._lookup = webhook.secret, clock or SystemClock(), lookup
        self._client = httpx.Client(
            timeout=TIMEOUT_S, trust_env=False, follow_redirects=False, verify=tls or ssl.create_default_context(),
            limits=httpx.Limits(max_keepalive_connections=0))

    def send(self, message: Message) -> None:
        """See `Sender`. Raises Undelivered(status-NNN, timeout, address-private, unreachable)."""
        line = Line()
        try:
            status = line.exchange(TIMEOUT_S, lambda: self._exchanged(message, line))
        except TimeoutError:
            raise Undelivered("timeout") from None
        except Refused as refusal:
            raise Undelivered(refusal.code) from None
        except Exception:  # noqa: BLE001  # a name, a certificate, the other end: it is tried again
            raise Undelivered("unreachable") from None
        finally:
            line.close()
        if not 200 <= status < 300:
            raise Undelivered(f"status-{status}", for_good=status == _GONE)

    def close(self) -> None:
        """See `Sender`."""
        self._client.close()

    def _exchanged(self, message: Message, line: Line) -> int:
        place = self._place
        address = addresses.checked(place, self._lookup)
        at = self._clock.now()
        host = f"[{place.host}]" if ":" in place.host else place.host
        standard = 443 if place.tls else 80
        headers = {
            "host": host if place.port == standard else f"{host}:{place.port}", "content-type": "application/json",
            "user-agent": "countenance", "accept-encoding": "identity", "webhook-id": message.event_id,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(self._secret, message.event_id, at, message.body)}
        url = httpx.URL(scheme="https" if place.tls else "http", host=address, port=place.port,
                        raw_path=place.path.encode())
        # The certificate is checked against the recipient's name, not against the address.
        with self._client.stream("POST", url, content=message.body, headers=headers,
                                 extensions={"trace": line.told, "sni_hostname": place.host}) as answer:
            return answer.status_code
