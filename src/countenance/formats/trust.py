"""A trust file: whose keys to believe, obtained elsewhere than from the venue (docs/formats/trust.md).

One key on a line, after what it is for: `log`, `receipt` or `witness`; and `need N`: how many witnesses must have seen
a checkpoint. Without that line all that are named must. A witness that the venue controls counts as none.
"""

from __future__ import annotations

from dataclasses import dataclass

from countenance.errors import BadInput
from countenance.formats import signed_note
from countenance.formats.signed_note import LOG, WITNESS, NoteKey

FIRST = "countenance trust 1"
_KINDS = {"log": LOG, "receipt": LOG, "witness": WITNESS}
LARGEST = 1 << 16
_DIGITS = 4


@dataclass(frozen=True)
class Trust:
    """Keys that are believed. `need`: witnesses whose cosignature a checkpoint must have; more is stricter."""

    logs: tuple[NoteKey, ...]
    receipts: tuple[NoteKey, ...]
    witnesses: tuple[NoteKey, ...]
    need: int

    def encode(self) -> str:
        """Return the file."""
        lines = [FIRST]
        for use, keys in (("log", self.logs), ("receipt", self.receipts), ("witness", self.witnesses)):
            lines += [f"{use} {key.text}" for key in keys]
        return "\n".join([*lines, f"need {self.need}"]) + "\n"


def parse(text: str) -> Trust:
    """Read a trust file; empty lines and lines that begin with # are comments. Raises BadInput(trust-malformed)."""
    malformed = BadInput("trust-malformed", "This is not a trust file.")
    lines = [line.strip() for line in text.split("\n")]  # not splitlines: a comment must not hide a line break
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(text) > LARGEST or not lines or lines[0] != FIRST:
        raise malformed
    keys: dict[str, list[NoteKey]] = {use: [] for use in _KINDS}
    need: int | None = None
    for line in lines[1:]:
        use, _space, rest = line.partition(" ")
        if use == "need" and rest.isascii() and rest.isdecimal() and len(rest) <= _DIGITS and need is None:
            need = int(rest)
        elif use in _KINDS:
            keys[use].append(_key(rest, use))
        else:
            raise malformed
    need = len(keys["witness"]) if need is None else need
    if not keys["log"] or need > len(keys["witness"]) or any(len(set(k)) != len(k) for k in keys.values()):
        raise malformed
    others = {key.public for use in ("log", "receipt") for key in keys[use]}
    if len(others | {key.public for key in keys["witness"]}) != len(others) + len(keys["witness"]):
        raise malformed  # one key under two names is one witness, and the venue's is none
    return Trust(tuple(keys["log"]), tuple(keys["receipt"]), tuple(keys["witness"]), need)


def _key(text: str, use: str) -> NoteKey:
    try:
        key = signed_note.read_key(text)
    except BadInput:
        key = None
    if key is None or key.kind != _KINDS[use]:
        raise BadInput("trust-malformed", "This is not a trust file.")
    return key
