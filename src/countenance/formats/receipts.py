"""A receipt: what the person takes home (docs/formats/receipt.md).

JSON for people, with the same facts in a COSE_Sign1 for programs; `read` takes the signed one as true and
refuses a file whose readable half says something else.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance.errors import BadInput
from countenance.formats import canonical, cose

_FORMAT = "countenance/receipt/1"


def write(facts: dict[str, Any], key: Ed25519PrivateKey, kid: bytes) -> str:
    """Return a receipt. `facts` holds str, int, bool, None, lists and maps of those."""
    signed = cose.sign1(canonical.encode({"format": _FORMAT, **facts}), key, kid)
    body = {"format": _FORMAT, **facts, "signed": base64.b64encode(signed).decode()}
    return json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def read(text: str, key: Ed25519PublicKey) -> dict[str, Any]:
    """Return the facts, verified. Raises BadInput: receipt-malformed, receipt-altered."""
    malformed = BadInput("receipt-malformed", "This file is not a receipt.")
    try:
        body = json.loads(text, object_pairs_hook=_no_twice)
        message = base64.b64decode(body.pop("signed"), validate=True)
        readable = canonical.encode(body)  # not `body` itself: in Python 1 == 1.0 == True
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error, RecursionError):
        raise malformed from None
    facts = canonical.decode(cose.verify1(message, key, "receipt"), "receipt")
    if not isinstance(facts, dict) or facts.get("format") != _FORMAT:
        raise malformed
    if canonical.encode(facts) != readable:
        raise BadInput("receipt-altered", "The readable part of this receipt is not what was signed.")
    return {name: value for name, value in facts.items() if name != "format"}


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice: people read the first, programs the last."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError
    return dict(pairs)
