"""A door behind HTTP: one signed POST (Standard Webhooks, HMAC-SHA256), no redirect, no answer read but its status."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import ssl
from contextlib import suppress

import httpx

from countenance.clock import Clock
from countenance.errors import StoreFault
from countenance.formats import door_tokens
from countenance.integrations.doors import faults
from countenance.integrations.doors.settings import WebhookDoor
from countenance.transparency.exchange import Line


def signature(secret: bytes, message_id: str, at: int, body: bytes) -> str:
    """Return the header `webhook-signature` for a body sent at `at` (Unix time)."""
    signed = b".".join([message_id.encode(), str(at).encode(), body])
    return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


class Webhook:
    """Opens by `{"gate", "people", "door_token"}`, holds by `{"door", "hold_s"}`; any status but 2xx is a no."""

    def __init__(self, door: WebhookDoor, clock: Clock) -> None:
        self.door, self._clock = door, clock
        try:
            self._trusted = ssl.create_default_context(cafile=door.ca or None)
        except (OSError, ValueError):
            raise StoreFault("outside-value", f"In outside.toml, [[door]] {door.name} has a wrong ca.") from None

    def open(self, token_text: str, people: int) -> None:
        """Ask the other side to open. Raises StoreFault: door-unreachable, door-refused, door-timeout."""
        token = door_tokens.peek(token_text)
        self._send(f"door_{token.token_id.hex()}", {"gate": token.gate, "people": people, "door_token": token_text})

    def heartbeat(self) -> None:
        """Tell a fail-safe door that all is well; it never opens for that. Raises as `open`."""
        if self.door.fail == "safe":
            self._send(f"hold_{secrets.token_hex(16)}", {"door": self.door.name, "hold_s": self.door.hold_s})

    def close(self) -> None:
        """Nothing is kept open."""

    def _send(self, message_id: str, content: dict[str, str | int]) -> None:
        body, at = json.dumps(content).encode(), self._clock.now()
        headers = {"content-type": "application/json", "webhook-id": message_id, "webhook-timestamp": str(at),
                   "webhook-signature": signature(self.door.secret, message_id, at, body)}
        line = Line()
        try:
            status = line.exchange(self.door.timeout_s, lambda: self._exchanged(body, headers, line))
        except (TimeoutError, httpx.TimeoutException):
            raise faults.timeout(self.door.name) from None
        except Exception:  # noqa: BLE001  # an address, or the machine's TLS: whatever it is, nobody answered
            raise faults.unreachable(self.door.name) from None
        finally:
            line.close()
        if not 200 <= status < 300:
            raise faults.refused(self.door.name)

    def _exchanged(self, body: bytes, headers: dict[str, str], line: Line) -> int:
        client = httpx.Client(timeout=self.door.timeout_s, trust_env=False, verify=self._trusted,
                              follow_redirects=False)
        try:
            with client, client.stream("POST", self.door.url, content=body, headers=headers,
                                       extensions={"trace": line.told}) as answer:
                return answer.status_code
        finally:
            with suppress(Exception):
                client.close()
