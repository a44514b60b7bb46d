"""Writes `tests/vectors/passes/`: passes under fixed keys, as many invalid as valid and more.

`python -m support.make_pass_vectors` in `tests/` writes them anew; a test compares byte for byte. Each file is
JSON: `why`, `text`, `public` (hex), and `expect`: the claims that are read, or the code that refuses.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
from cbor2 import CBORTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from countenance.formats import base45, canonical
from countenance.formats.passes import Custody, Pass
from countenance.quantities import Instant, PassId, PersonId, PurposeId, VenueId

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "passes"

# Keys of nobody, for vectors only.
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KID = hashlib.sha256(KEY.public_key().public_bytes_raw()).digest()[:8]
PASS_KEY, HOLDER_KEY, NONCE = bytes(range(64, 96)), bytes(range(96, 128)), bytes(12)

PLAIN = Pass(
    PassId("000102030405060708090a0b0c0d0e0f"), VenueId("0123456789abcdef"), "A-1001", Custody.PLAIN,
    Instant(1_782_000_000), Instant(1_813_536_000), ask_not_before=Instant(1_782_172_800))
SEARCHED = replace(
    PLAIN, pass_id=PassId("10" * 16), custody=Custody.VENUE_KEYED, person=PersonId("20" * 16),
    purpose=PurposeId("entry.search"), face_id=bytes(range(16)), pack="dlib-resnet@1+0123456789ab",
    ask_not_before=Instant(0))


def _sealed() -> Pass:
    blank = replace(SEARCHED, pass_id=PassId("11" * 16), custody=Custody.HOLDER_KEYED,
                    purpose=PurposeId("entry.verify"))
    protected = cbor2.dumps({1: 3})
    bound = cbor2.dumps(["Encrypt0", protected, blank.binding()])
    sealed = AESGCM(PASS_KEY).encrypt(NONCE, HOLDER_KEY, bound)
    secret = cbor2.dumps(CBORTag(16, [protected, {4: bytes(16), 5: NONCE}, sealed]), canonical=True)
    return replace(blank, secret=secret)


SEALED = _sealed()


def claims_of(content: Pass) -> dict[int, Any]:
    """Return the claims map as docs/formats/pass.md numbers it; written out here, not taken from the code."""
    return {
        1: str(content.venue), 2: str(content.person), 3: str(content.purpose), 4: int(content.expires_at),
        6: int(content.issued_at), 7: bytes.fromhex(content.pass_id), -65543: content.reference,
        -65542: int(content.ask_not_before), -65541: content.custody.value, -65540: content.face_id,
        -65539: content.pack, -65538: content.secret, -65537: 1,
    }


def signed(payload: bytes, *, key: Ed25519PrivateKey = KEY, protected: bytes = b"\xa1\x01\x27",
           unprotected: Any = None, tag: int | None = 18) -> bytes:
    """Return a COSE_Sign1 made by hand, so that it can be made wrong."""
    signature = key.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
    parts = [protected, {4: KID} if unprotected is None else unprotected, payload, signature]
    return cbor2.dumps(parts if tag is None else CBORTag(tag, parts), canonical=True)


def text_of(message: bytes) -> str:
    """Return the text of a pass around any message."""
    return "CN1:" + base45.encode(message)


def _with(content: Pass, **changes: Any) -> str:
    claims = claims_of(content)
    for claim, value in changes.pop("claims", {}).items():
        if value is None:
            del claims[claim]
        else:
            claims[claim] = value
    return text_of(signed(canonical.encode(claims), **changes))


def _valid() -> dict[str, tuple[str, str, Any]]:
    cases = {
        "plain": ("somebody who said no", PLAIN),
        "plain-of-a-person": ("a plain pass may name a person", replace(PLAIN, person=PersonId("20" * 16))),
        "venue-keyed": ("a searched gallery: no secret inside", SEARCHED),
        "holder-keyed": ("the only key to a template is inside", SEALED),
        "other-script": ("a booking number is any text", replace(PLAIN, reference="年卡-0001 é")),
        "no-reference": ("an empty booking number", replace(PLAIN, reference="")),
    }
    return {name: (why, _with(content), _shown(claims_of(content))) for name, (why, content) in cases.items()}


def _shown(claims: dict[int, Any]) -> dict[str, Any]:
    return {str(k): v.hex() if isinstance(v, bytes) else v for k, v in claims.items()}


def _claim(content: Pass, claim: int, value: Any) -> Callable[[], str]:
    return lambda: _with(content, claims={claim: value})


_MAP = canonical.encode(claims_of(PLAIN))

_CLAIM_CASES: dict[str, tuple[str, Callable[[], str]]] = {
    "claim-missing": ("no expiry", _claim(PLAIN, 4, None)),
    "claim-unknown": ("a claim more than the format has", _claim(PLAIN, 99, "x")),
    "claim-text-for-number": ("exp as text", _claim(PLAIN, 4, "1813536000")),
    "claim-bool-for-number": ("iat as true", _claim(PLAIN, 6, True)),  # noqa: FBT003
    "format-2": ("a later format", _claim(PLAIN, -65537, 2)),
    "format-true": ("true is not 1", _claim(PLAIN, -65537, True)),  # noqa: FBT003
    "custody-unknown": ("a custody that does not exist", _claim(PLAIN, -65541, "everybody")),
    "custody-carried": ("a custody that is not built yet", _claim(SEALED, -65541, "carried")),
    "expires-before-issued": ("exp not after iat", _claim(PLAIN, 4, 1_782_000_000)),
    "issued-at-zero": ("iat 0", _claim(PLAIN, 6, 0)),
    "pass-id-short": ("15 bytes", _claim(PLAIN, 7, bytes(15))),
    "face-id-short": ("15 bytes", _claim(SEALED, -65540, bytes(15))),
    "face-without-person": ("a face that is nobody's", _claim(SEALED, 2, "")),
    "plain-with-face-id": ("a plain pass has no face", _claim(PLAIN, -65540, bytes(16))),
    "plain-with-purpose": ("a plain pass has no purpose", _claim(PLAIN, 3, "entry.verify")),
    "plain-with-pack": ("a plain pass names no model", _claim(PLAIN, -65539, "dlib-resnet@1+0123456789ab")),
    "plain-with-secret": ("a plain pass holds no secret", _claim(PLAIN, -65538, SEALED.secret)),
    "holder-without-secret": ("a holder's pass without the key", _claim(SEALED, -65538, b"")),
    "venue-with-secret": ("a searched face has no key in the pass", _claim(SEARCHED, -65538, SEALED.secret)),
    "custody-turned": ("a holder's pass that calls itself plain", _claim(SEALED, -65541, "plain")),
}

_FRAME_CASES: dict[str, tuple[str, str, Callable[[], str]]] = {
    "altered": ("one bit of a claim", "pass-altered", lambda: text_of(_flipped(signed(_MAP)))),
    "other-signer": ("signed by somebody else", "pass-altered", lambda: _with(PLAIN, key=OTHER_KEY)),
    "alg-outside": ("alg in the unprotected header only", "pass-malformed",
                    lambda: _with(PLAIN, protected=b"", unprotected={1: -8, 4: KID})),
    "alg-other": ("protected header says ES256", "pass-malformed",
                  lambda: _with(PLAIN, protected=b"\xa1\x01\x26")),
    "alg-twice": ("alg twice in the protected header", "pass-malformed",
                  lambda: _with(PLAIN, protected=b"\xa2\x01\x26\x01\x27")),
    "header-long": ("protected header in a longer spelling", "pass-malformed",
                    lambda: _with(PLAIN, protected=b"\xa1\x18\x01\x27")),
    "header-open": ("protected header of indefinite length", "pass-malformed",
                    lambda: _with(PLAIN, protected=b"\xbf\x01\x27\xff")),
    "kid-missing": ("no key id", "pass-malformed", lambda: _with(PLAIN, unprotected={})),
    "kid-text": ("key id as text", "pass-malformed", lambda: _with(PLAIN, unprotected={4: KID.hex()})),
    "header-more": ("a header more than the format has", "pass-malformed",
                    lambda: _with(PLAIN, unprotected={4: KID, 5: bytes(12)})),
    "untagged": ("no CBOR tag", "pass-malformed", lambda: _with(PLAIN, tag=None)),
    "tag-other": ("tagged as a COSE_Mac0", "pass-malformed", lambda: _with(PLAIN, tag=17)),
    "trailing": ("a byte behind the message", "pass-malformed", lambda: text_of(signed(_MAP) + b"\0")),
    "trailing-inside": ("a byte behind the claims, signed", "pass-malformed",
                        lambda: text_of(signed(_MAP + b"\0"))),
    "claims-list": ("claims as a list, signed", "pass-malformed", lambda: text_of(signed(b"\x80"))),
    "claims-twice": ("exp twice, signed", "pass-malformed",
                     lambda: text_of(signed(b"\xae\x04\x1a\x7f\xff\xff\xff" + _MAP[1:]))),
    "cut-short": ("the last three characters are missing", "pass-malformed", lambda: _with(PLAIN)[:-3]),
    "prefix-missing": ("no prefix", "pass-malformed", lambda: _with(PLAIN)[4:]),
    "prefix-other": ("a European health certificate's prefix", "pass-malformed",
                     lambda: "HC1:" + _with(PLAIN)[4:]),
    "lower-case": ("lower case", "pass-malformed", lambda: _with(PLAIN).lower()),
    "base64": ("base64 for base45", "pass-malformed", lambda: "CN1:" + base64.b64encode(signed(_MAP)).decode()),
    "nothing": ("the prefix alone", "pass-malformed", lambda: "CN1:"),
    "too-long": ("longer than a QR code holds", "pass-malformed",
                 lambda: _with(replace(PLAIN, reference="x" * 3000))),
    "deep": ("2,500 lists in one another", "pass-malformed", lambda: text_of(b"\x81" * 2_500 + b"\0")),
    "deep-enough": ("390 lists: cbor2 reads it", "pass-malformed", lambda: text_of(b"\x81" * 390 + b"\0")),
}


def _flipped(message: bytes) -> bytes:
    at = message.index(b"A-1001")
    return message[:at] + b"B" + message[at + 1 :]


def vectors() -> dict[str, str]:
    """Return every file by its path below the folder."""
    files: dict[str, dict[str, Any]] = {}
    public = KEY.public_key().public_bytes_raw().hex()
    for name, (why, text, claims) in _valid().items():
        files[f"valid/{name}.json"] = {"why": why, "public": public, "text": text, "expect": claims}
    for name, (why, make) in _CLAIM_CASES.items():
        files[f"invalid/{name}.json"] = {"why": why, "public": public, "text": make(), "expect": "pass-malformed"}
    for name, (why, code, make) in _FRAME_CASES.items():
        files[f"invalid/{name}.json"] = {"why": why, "public": public, "text": make(), "expect": code}
    return {name: json.dumps(value, ensure_ascii=False, indent=1) + "\n" for name, value in sorted(files.items())}


def main() -> None:
    """Write the folder anew."""
    for old in FOLDER.glob("*/*.json"):
        old.unlink()
    for name, text in vectors().items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
