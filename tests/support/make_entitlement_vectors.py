"""Writes `tests/vectors/entitlements/`: questions, answers and caches under fixed keys, more invalid than valid.

`python -m support.make_entitlement_vectors` in `tests/` writes them anew; a test compares byte for byte. Each file is
JSON: `why`, `kind`, `message` (hex), and `expect`: what is read, or the code that refuses; with answers also `asked`
(the question's message) and `now`. The layout is written out here from docs/formats/entitlement.md, from no code.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from support.make_pass_vectors import OTHER_KEY, signed
from support.spelled import mapping, open_ended, pairs, spell

FOLDER = Path(__file__).resolve().parent.parent / "vectors" / "entitlements"
NOW = 1_782_000_000
DAY = "2026-06-21"

QUESTION: dict[str, Any] = {
    "format": "countenance/ticket-question/1", "venue": "0123456789abcdef", "on": DAY, "at": NOW,
    "nonce": bytes(range(16)), "references": ["A-1001", "A-1002", "年卡-0001"]}
ASKED = signed(spell(QUESTION))
GOOD: dict[str, Any] = {"reference": "A-1001", "state": "good", "household": "H7", "party": 3, "not_before": 0,
                        "valid_until": "2026-12-31", "language": "en"}
TICKETS: list[dict[str, Any]] = [GOOD, {"reference": "A-1002", "state": "unknown"},
                                 GOOD | {"reference": "年卡-0001", "household": "", "party": 1, "language": "zh-Hans"}]
ANSWERS: dict[str, Any] = {"format": "countenance/ticket-answers/1", "question": hashlib.sha256(ASKED).digest(),
                           "on": DAY, "at": NOW, "tickets": TICKETS}
KEPT: list[dict[str, Any]] = [one | {"on": DAY, "given_at": NOW} for one in TICKETS]
CACHE: dict[str, Any] = {"format": "countenance/ticket-cache/1", "venue": "0123456789abcdef", "hours": 24,
                         "kept": KEPT}
WHAT = {"question": "ticket-question", "answers": "tickets", "cache": "ticket-cache"}
FULL = {"question": QUESTION, "answers": ANSWERS, "cache": CACHE}


def message(kind: str, payload: bytes) -> bytes:
    """Return the bytes that are sent, or kept: a cache is not signed."""
    return payload if kind == "cache" else signed(payload)


def _first(**other: Any) -> dict[str, Any]:
    return {"tickets": [GOOD | other, *TICKETS[1:]]}


_VALID: dict[str, tuple[str, str, dict[str, Any]]] = {
    "question": ("question", "three tickets", {}),
    "question-one": ("question", "one ticket", {"references": ["A-1001"]}),
    "question-longest": ("question", "a reference of 128 bytes", {"references": ["x" * 128]}),
    "question-many": ("question", "2,000 tickets", {"references": [f"{n:05}" for n in range(2_000)]}),
    "answers": ("answers", "two good ones, one unknown", {}),
    "answers-ended": ("answers", "ended, early and unknown", {"tickets": [
        {"reference": one["reference"], "state": state}
        for one, state in zip(TICKETS, ("ended", "early", "unknown"), strict=True)]}),
    "answers-last-day": ("answers", "good on its last day", _first(valid_until=DAY)),
    "answers-resting": ("answers", "nobody enters by it for 15 minutes", _first(not_before=NOW + 900)),
    "answers-group": ("answers", "fifty people", _first(party=50)),
    "answers-minute": ("answers", "a clock a minute behind", {"at": NOW - 60}),
    "answers-ahead": ("answers", "a clock a minute ahead", {"at": NOW + 60}),
    "cache": ("cache", "three tickets", {}),
    "cache-empty": ("cache", "nothing was kept", {"kept": []}),
    "cache-longest": ("cache", "72 hours", {"hours": 72}),
}

_OTHERS: dict[type, list[tuple[str, Any]]] = {
    str: [("bytes", b"x"), ("null", None)], int: [("text", "1"), ("true", True), ("negative", -1)],
    bytes: [("text", "x"), ("short", bytes(15))], list: [("map", {}), ("null", None)]}

_CONTENT: dict[str, tuple[str, dict[str, Any], str]] = {
    "question-none": ("question", {"references": []}, ""),
    "question-unsorted": ("question", {"references": ["B", "A"]}, ""),
    "question-twice": ("question", {"references": ["A", "A"]}, ""),
    "question-empty-name": ("question", {"references": ["", "A"]}, ""),
    "question-too-long": ("question", {"references": ["x" * 129]}, ""),
    "question-number": ("question", {"references": [1]}, ""),
    "question-too-many": ("question", {"references": [f"{n:05}" for n in range(2_001)]}, ""),
    "question-no-day": ("question", {"on": "2026-02-30"}, ""),
    "question-other-day-spelling": ("question", {"on": "20260621"}, ""),
    "question-at-never": ("question", {"at": 253_402_300_800}, ""),
    "answers-other-question": ("answers", {"question": bytes(32)}, "tickets-other-question"),
    "answers-other-day": ("answers", {"on": "2026-06-22"}, "tickets-other-day"),
    "answers-old": ("answers", {"at": NOW - 61}, "tickets-stale"),
    "answers-future": ("answers", {"at": NOW + 61}, "tickets-stale"),
    "answers-missing": ("answers", {"tickets": TICKETS[:2]}, "tickets-other"),
    "answers-none": ("answers", {"tickets": []}, "tickets-other"),
    "answers-extra": ("answers", {"tickets": [*TICKETS, {"reference": "龍", "state": "unknown"}]}, "tickets-other"),
    "answers-doubled": ("answers", {"tickets": [GOOD, *TICKETS]}, "tickets-other"),
    "answers-swapped": ("answers", {"tickets": TICKETS[::-1]}, "tickets-other"),
    "answers-another": ("answers", _first(reference="A-9999"), "tickets-other"),
    "answers-lapsed": ("answers", _first(valid_until="2026-06-20"), ""),
    "answers-party-none": ("answers", _first(party=0), ""),
    "answers-party-crowd": ("answers", _first(party=51), ""),
    "answers-party-true": ("answers", _first(party=True), ""),
    "answers-household-long": ("answers", _first(household="x" * 129), ""),
    "answers-language": ("answers", _first(language="<b>"), ""),
    "answers-until-never": ("answers", _first(valid_until="3000-01-01"), ""),
    "answers-until-nothing": ("answers", _first(valid_until=""), ""),
    "answers-resting-never": ("answers", _first(not_before=253_402_300_800), ""),
    "answers-resting-negative": ("answers", _first(not_before=-1), ""),
    "answers-state": ("answers", _first(state="maybe"), ""),
    "answers-more": ("answers", _first(contact="x"), ""),
    "answers-unknown-with-more": ("answers", _first(state="unknown"), ""),
    "answers-text": ("answers", {"tickets": ["A-1001"]}, ""),
    "cache-hours-none": ("cache", {"hours": 0}, ""),
    "cache-hours-long": ("cache", {"hours": 73}, ""),
    "cache-unsorted": ("cache", {"kept": KEPT[::-1]}, ""),
    "cache-twice": ("cache", {"kept": [KEPT[0], KEPT[0]]}, ""),
    "cache-undated": ("cache", {"kept": TICKETS}, ""),
    "cache-day-number": ("cache", {"kept": [KEPT[0] | {"on": 1}]}, ""),
    "cache-given-true": ("cache", {"kept": [KEPT[0] | {"given_at": True}]}, ""),
    "cache-text": ("cache", {"kept": ["A-1001"]}, ""),
}


def _field_cases() -> dict[str, tuple[str, bytes]]:
    cases: dict[str, tuple[str, bytes]] = {}
    for kind, full in FULL.items():
        items = pairs(full)
        for name, value in full.items():
            at = [key for key, _ in items].index(spell(name))
            cases[f"{kind}-{name}-missing"] = (kind, mapping(items[:at] + items[at + 1 :]))
            cases[f"{kind}-{name}-doubled"] = (kind, mapping([*items[:at], items[at], *items[at:]]))
            cases[f"{kind}-{name}-long"] = (kind, mapping([*items[:at], (items[at][0], spell(value, 1)),
                                                           *items[at + 1 :]]))
            for other, wrong in _OTHERS[type(value)]:
                cases[f"{kind}-{name}-{other}"] = (kind, spell(full | {name: wrong}))
        cases[f"{kind}-added"] = (kind, spell(full | {"more": 1}))
        cases[f"{kind}-format-2"] = (kind, spell(full | {"format": full["format"][:-1] + "2"}))
        cases[f"{kind}-open-ended"] = (kind, open_ended(full))
        cases[f"{kind}-trailing"] = (kind, spell(full) + b"\0")
        cases[f"{kind}-nothing"] = (kind, b"")
    return cases


def _frames() -> dict[str, tuple[str, bytes, str]]:
    cases: dict[str, tuple[str, bytes, str]] = {}
    for kind in ("question", "answers"):
        what, plain = WHAT[kind], spell(FULL[kind])
        cases |= {
            f"{kind}-frame-unsigned": (kind, plain, f"{what}-malformed"),
            f"{kind}-frame-other-signer": (kind, signed(plain, key=OTHER_KEY), f"{what}-altered"),
            f"{kind}-frame-altered": (kind, signed(plain).replace(b"A-1001", b"A-1009"), f"{what}-altered"),
            f"{kind}-frame-alg": (kind, signed(plain, protected=b"\xa1\x01\x26"), f"{what}-malformed"),
            f"{kind}-frame-untagged": (kind, signed(plain, tag=None), f"{what}-malformed"),
            f"{kind}-frame-trailing": (kind, signed(plain) + b"\0", f"{what}-malformed"),
            f"{kind}-frame-no-kid": (kind, signed(plain, unprotected={}), f"{what}-malformed")}
    cases["answers-frame-question"] = ("answers", ASKED, "tickets-malformed")
    cases["question-frame-answers"] = ("question", signed(spell(ANSWERS)), "ticket-question-malformed")
    return cases


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: _shown(part) for name, part in value.items()}
    return [_shown(part) for part in value] if isinstance(value, list) else value


def vectors() -> dict[str, str]:
    """Return every file by its path below the folder."""
    files: dict[str, dict[str, Any]] = {}

    def put(path: str, kind: str, why: str, data: bytes, expect: Any) -> None:
        more = {"asked": ASKED.hex(), "now": NOW} if kind == "answers" else {}
        files[path] = {"why": why, "kind": kind, **more, "message": data.hex(), "expect": expect}

    for name, (kind, why, other) in _VALID.items():
        put(f"valid/{name}.json", kind, why, message(kind, spell(FULL[kind] | other)), _shown(FULL[kind] | other))
    for name, (kind, payload) in _field_cases().items():
        put(f"invalid/{name}.json", kind, name, message(kind, payload), f"{WHAT[kind]}-malformed")
    for name, (kind, other, code) in _CONTENT.items():
        put(f"invalid/{name}.json", kind, name, message(kind, spell(FULL[kind] | other)),
            code or f"{WHAT[kind]}-malformed")
    for name, (kind, data, code) in _frames().items():
        put(f"invalid/{name}.json", kind, name, data, code)
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
