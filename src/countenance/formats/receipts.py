"""A receipt: what the person takes home (docs/formats/receipt.md).

JSON for people, with the same facts in a COSE_Sign1 for programs. One receipt has one spelling, and `read` takes no
other: what can be changed without being noticed is nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance.errors import BadInput
from countenance.formats import canonical, cose, strict64

FORMAT = "countenance/receipt/2"
LARGEST = 1 << 20
"""Characters of a receipt that are read at all."""

KINDS = ("enrolment", "renewal", "erasure")


@dataclass(frozen=True)
class Proven:
    """One event of the person, with the nonce that opens its leaf, and where in the log it is.

    `proof` (32 bytes each) leads from the leaf to the root of the receipt's checkpoint; empty, and `index` -1, where
    the log could not be read when the receipt was written.
    """

    leaf: bytes
    nonce: bytes
    record: bytes
    index: int
    proof: tuple[bytes, ...]

    def value(self) -> dict[str, Any]:
        """Return it as it stands in the file."""
        return {"leaf": self.leaf.hex(), "nonce": self.nonce.hex(), "record": self.record.hex(),
                "index": self.index, "proof": [strict64.encode(one) for one in self.proof]}


def write(facts: dict[str, Any], events: Sequence[Proven], key: Ed25519PrivateKey, kid: bytes) -> str:
    """Return a receipt. `facts` holds str, int, bool, None, lists and maps of those."""
    body = {"format": FORMAT, **facts, "events": [event.value() for event in events]}
    signed = cose.sign1(canonical.encode(body), key, kid)
    return _spelled({**body, "signed": strict64.encode(signed)})


def read(text: str, key: Ed25519PublicKey) -> dict[str, Any]:
    """Return the facts, verified. Raises BadInput: receipt-malformed, receipt-altered, signature codes of cose."""
    body, message = split(text)
    signed = canonical.decode(cose.verify1(message, key, "receipt"), "receipt")
    if signed != body or canonical.encode(signed) != canonical.encode(body):
        raise BadInput("receipt-altered", "The readable part of this receipt is not what was signed.")
    return body


def split(text: str) -> tuple[dict[str, Any], bytes]:
    """Return what a receipt says, unverified, and the signed message beside it. Raises BadInput(receipt-malformed)."""
    malformed = BadInput("receipt-malformed", "This is no receipt, or a program has changed its line breaks or spaces.")
    try:
        if len(text) > LARGEST:
            raise malformed
        body = json.loads(text)
        if not isinstance(body, dict) or body.get("format") != FORMAT or _spelled(body) != text:
            raise malformed
        message = strict64.decode(body.pop("signed"))
        canonical.encode(body)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise malformed from None
    return body, message


def proven(body: dict[str, Any]) -> list[Proven]:
    """Return the events of a receipt. Raises BadInput(receipt-malformed)."""
    try:
        return [_proven(event) for event in body["events"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput("receipt-malformed",
                       "This is no receipt, or a program has changed its line breaks or spaces.") from None


def _proven(event: dict[str, Any]) -> Proven:
    found = Proven(bytes.fromhex(event["leaf"]), bytes.fromhex(event["nonce"]), bytes.fromhex(event["record"]),
                   event["index"], tuple(strict64.decode(one, 32) for one in event["proof"]))
    if found.value() != event or type(event["index"]) is not int:
        raise ValueError
    return found


def _spelled(body: dict[str, Any]) -> str:
    """Return the one spelling: names sorted, one space a level, no letter escaped that need not be."""
    return json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False) + "\n"
