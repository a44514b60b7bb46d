"""Writes `tests/vectors/revocation-lists/`: lists under fixed keys, more invalid than valid.

`python -m support.make_list_vectors` in `tests/` writes them anew; a test compares byte for byte. Each file is
JSON: `why`, `public` (hex), `text`, and `expect`: what is read, or the code that refuses. The layout is written out
here from docs/formats/revocation-list.md and taken from no code.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.make_pass_vectors import KEY, KID, OTHER_KEY, signed
from support.spelled import BYTES, Raw, head, mapping, open_ended, pairs, spell, tagged

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "revocation-lists"
MALFORMED, ALTERED = "list-malformed", "list-altered"


def face(number: int) -> bytes:
    """Return what stands for the face of a pass whose `face_id` is 16 times one byte."""
    return hashlib.sha256(bytes([number]) * 16).digest()[:16]


def void(reference: str, venue: str = "0123456789abcdef") -> bytes:
    """Return what stands for a booking number at a venue."""
    return hashlib.sha256(spell(["countenance/void/1", venue, reference])).digest()[:16]


FACES = sorted(face(number) for number in range(3))
VOID = sorted((void(reference), 1_782_000_000 + at) for at, reference in enumerate(("A-1001", "年卡-0001")))


def content(faces: list[bytes], replaced: list[tuple[bytes, int]], **other: Any) -> dict[str, Any]:
    """Return the map that is signed."""
    return {"format": "countenance/revocations/1", "venue": "0123456789abcdef", "number": 7,
            "issued_at": 1_782_000_000, "good_until": 1_782_003_600, "faces": b"".join(faces),
            "void": b"".join(digest for digest, _ in replaced), "before": [at for _, at in replaced]} | other


FULL = content(FACES, VOID)


def text_of(message: bytes) -> str:
    """Return the text of a list around any message."""
    return base64.b64encode(message).decode() + "\n"


def _text(value: Any) -> str:
    return text_of(signed(spell(value)))


_VALID: dict[str, tuple[str, dict[str, Any]]] = {
    "empty": ("nothing was revoked yet", content([], [], number=0)),
    "face": ("one face", content(FACES[:1], [])),
    "void": ("one pass was replaced", content([], VOID[:1])),
    "both": ("three faces, two booking numbers", FULL),
    "many": ("300 faces: longer than one byte says", content(sorted(
        hashlib.sha256(bytes([number % 256, number // 256])).digest()[:16] for number in range(300)), [])),
    "short-lease": ("good for a second", content([], [], good_until=1_782_000_001)),
}

_TOO_MUCH: dict[type, Callable[[Any], bytes]] = {
    int: lambda _: tagged(2, (1 << 64).to_bytes(9, "big")), str: lambda value: spell(value + "x" * 300),
    bytes: lambda value: spell(value + b"\0"), list: lambda value: spell([*value, 1])}
_OTHER_TYPE: dict[type, Callable[[Any], bytes]] = {
    int: lambda value: spell(str(value)), str: lambda value: spell(value.encode()),
    bytes: lambda value: spell(value.hex()), list: lambda value: spell(dict(enumerate(value)))}
_OPEN: dict[type, Callable[[Any], bytes]] = {
    int: lambda value: tagged(2, value.to_bytes(max(1, -(-value.bit_length() // 8)), "big")), str: open_ended,
    bytes: open_ended, list: open_ended}

Items = list[tuple[bytes, bytes]]
_WRONG: dict[str, tuple[str, Callable[[Items, int, Any], Items]]] = {
    "missing": ("left out", lambda items, at, _value: items[:at] + items[at + 1 :]),
    "twice": ("twice", lambda items, at, _value: [*items[:at], items[at], *items[at:]]),
    "other-type": ("of another type", lambda items, at, value: _put(items, at, _OTHER_TYPE[type(value)](value))),
    "null": ("null", lambda items, at, _value: _put(items, at, b"\xf6")),
    "long": ("in a longer spelling", lambda items, at, value: _put(items, at, spell(value, 1))),
    "open": ("of indefinite length, a number as a bignum",
             lambda items, at, value: _put(items, at, _OPEN[type(value)](value))),
    "unsorted": ("not in its place", lambda items, at, _value: (
        [items[at], *items[:at], *items[at + 1 :]] if at else [*items[1:], items[0]])),
}
_OVERSIZED = ("format", "number", "issued_at", "good_until", "faces", "void", "before")
"""Not the venue, whose name may be any text: whether it is this one the gate asks."""


def _put(items: Items, at: int, value: bytes) -> Items:
    return [*items[:at], (items[at][0], value), *items[at + 1 :]]


def _field(name: str, change: Callable[[Items, int, Any], Items]) -> str:
    items = pairs(FULL)
    at = [k for k, _ in items].index(spell(name))
    return text_of(signed(mapping(change(items, at, FULL[name]))))


def _field_cases() -> dict[str, tuple[str, str]]:
    cases = {f"{name}-{wrong}": (f"{name} {why}", _field(name, change))
             for name in FULL for wrong, (why, change) in _WRONG.items()}
    for name in _OVERSIZED:
        cases[f"{name}-oversized"] = (f"{name} too long or too large", _field(
            name, lambda items, at, value: _put(items, at, _TOO_MUCH[type(value)](value))))
    return cases


_CONTENT_CASES: dict[str, tuple[str, str]] = {
    "more": ("a name more than the format has", _text(FULL | {"more": 1})),
    "format-2": ("a later format", _text(FULL | {"format": "countenance/revocations/2"})),
    "number-negative": ("a number below 0", _text(FULL | {"number": -1})),
    "number-true": ("a number that is true", _text(FULL | {"number": True})),
    "issued-at-zero": ("issued at 0", _text(FULL | {"issued_at": 0})),
    "good-until-before": ("good until before it was made", _text(FULL | {"good_until": 1_781_999_999})),
    "good-until-same": ("good for no time", _text(FULL | {"good_until": 1_782_000_000})),
    "good-until-never": ("good after the calendar's end", _text(FULL | {"good_until": 253_402_300_800})),
    "faces-unsorted": ("hashes not in order", _text(FULL | {"faces": b"".join(reversed(FACES))})),
    "faces-same": ("a hash twice", _text(FULL | {"faces": FACES[0] * 2})),
    "faces-cut": ("half a hash", _text(FULL | {"faces": b"".join(FACES)[:-8]})),
    "void-unsorted": ("hashes not in order", _text(content(FACES, VOID[::-1]))),
    "void-same": ("a hash twice", _text(content(FACES, [VOID[0], VOID[0]]))),
    "void-without-before": ("a moment too few", _text(FULL | {"before": [VOID[0][1]]})),
    "before-without-void": ("a moment too many", _text(FULL | {"void": VOID[0][0]})),
    "before-zero": ("replaced at 0", _text(FULL | {"before": [0, 1]})),
    "before-true": ("replaced at true", _text(FULL | {"before": [True, 2]})),
    "before-text": ("replaced at a text", _text(FULL | {"before": ["1", 2]})),
    "before-never": ("replaced after the calendar's end", _text(FULL | {"before": [1, 253_402_300_800]})),
    "list": ("a list, not a map", _text(list(FULL.values()))),
    "nothing-said": ("an empty map", _text({})),
    "trailing-inside": ("a byte behind the map", text_of(signed(spell(FULL) + b"\0"))),
    "map-open": ("a map of indefinite length", text_of(signed(open_ended(FULL)))),
    "map-long": ("a map under a longer head", text_of(signed(spell(FULL, 1)))),
    "length-of-the-world": ("hashes of 2 to the 60 bytes", text_of(signed(spell(
        FULL | {"faces": Raw(head(BYTES, 1 << 60))})))),
}

_FRAME_CASES: dict[str, tuple[str, str, str]] = {
    "altered": ("one letter", ALTERED, text_of(signed(spell(FULL)).replace(b"0123456789abcdef", b"0123456789abcdee"))),
    "other-signer": ("signed by somebody else", ALTERED, text_of(signed(spell(FULL), key=OTHER_KEY))),
    "alg-outside": ("alg in the unprotected header only", MALFORMED,
                    text_of(signed(spell(FULL), protected=b"", unprotected={1: -8, 4: KID}))),
    "alg-other": ("protected header says ES256", MALFORMED, text_of(signed(spell(FULL), protected=b"\xa1\x01\x26"))),
    "alg-twice": ("alg twice", MALFORMED, text_of(signed(spell(FULL), protected=b"\xa2\x01\x26\x01\x27"))),
    "header-long": ("protected header in a longer spelling", MALFORMED,
                    text_of(signed(spell(FULL), protected=b"\xa1\x18\x01\x27"))),
    "header-open": ("protected header of indefinite length", MALFORMED,
                    text_of(signed(spell(FULL), protected=b"\xbf\x01\x27\xff"))),
    "kid-missing": ("no key id", MALFORMED, text_of(signed(spell(FULL), unprotected={}))),
    "untagged": ("no CBOR tag", MALFORMED, text_of(signed(spell(FULL), tag=None))),
    "tag-other": ("tagged as a COSE_Mac0", MALFORMED, text_of(signed(spell(FULL), tag=17))),
    "trailing": ("a byte behind the message", MALFORMED, text_of(signed(spell(FULL)) + b"\0")),
    "unsigned": ("the map alone", MALFORMED, text_of(spell(FULL))),
    "nothing": ("no text", MALFORMED, "\n"),
    "not-base64": ("a pass", MALFORMED, "CN1:NCF\n"),
    "url-base64": ("base64 of another alphabet", MALFORMED,
                   base64.urlsafe_b64encode(signed(spell(FULL)) + b"\xff\xff\xff").decode()),
    "unpadded": ("base64 without its end", MALFORMED, _text(content(FACES, VOID, number=1_000)).rstrip("=\n") + "\n"),
    "two-lines": ("base64 in two lines", MALFORMED, _text(FULL)[:40] + "\n" + _text(FULL)[40:]),
    "other-spelling": ("base64 whose last bits say nothing", MALFORMED, ""),  # filled in below
}


def _last_bits_set(text: str) -> str:
    """Return base64 of the same bytes in another spelling: bits that the padding cuts off are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stem, padding = text.strip().rstrip("="), text.strip().count("=")
    last = alphabet[alphabet.index(stem[-1]) + 1]
    other = stem[:-1] + last + "=" * padding
    assert base64.b64decode(other) == base64.b64decode(text)
    return other + "\n"


def _padded() -> str:
    """Return a list whose base64 ends in padding."""
    return next(text for number in range(3) if (text := _text(FULL | {"venue": "v" * (16 + number)})).endswith("=\n"))


_FRAME_CASES["other-spelling"] = (*_FRAME_CASES["other-spelling"][:2], _last_bits_set(_padded()))
_FRAME_CASES["unpadded"] = (*_FRAME_CASES["unpadded"][:2], _padded().rstrip("=\n") + "\n")


def shown(value: dict[str, Any]) -> dict[str, Any]:
    """Return the content as JSON can hold it."""
    return {name: part.hex() if isinstance(part, bytes) else part for name, part in value.items()}


def vectors() -> dict[str, str]:
    """Return every file by its path below the folder."""
    files: dict[str, dict[str, Any]] = {}
    public = {"public": KEY.public_key().public_bytes_raw().hex()}
    for name, (why, value) in _VALID.items():
        files[f"valid/{name}.json"] = {"why": why, **public, "text": _text(value), "expect": shown(value)}
    for name, (why, text) in {**_field_cases(), **_CONTENT_CASES}.items():
        files[f"invalid/{name}.json"] = {"why": why, **public, "text": text, "expect": MALFORMED}
    for name, (why, code, text) in _FRAME_CASES.items():
        files[f"invalid/frame-{name}.json"] = {"why": why, **public, "text": text, "expect": code}
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
