"""What may not come back: a short list in the third place, so that a store put back by hand is noticed.

`gone.list` names the keys that were destroyed under the epoch in force (random ids, which say nothing), and
counts what an older store would not know (enrolments, ends of consents, notices). No backup reads it. Whoever
puts yesterday's databases back has a count that is too low, or keys that are on this list: faces then wait for
`restore`.
Every change happens inside the key store's write lock. (docs/formats/gone.md, docs/decisions/0010)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from countenance import durable
from countenance.errors import StoreFault
from countenance.quantities import KeyId

_FORMAT = "countenance/gone/1"
_KEY_ID = re.compile(r"[0-9a-f]{32}")
_MOST = 10**15 - 1
_LINE = re.compile(r"count ([0-9]{1,15})|key ([0-9a-f]{32})|epoch ([0-9]{1,15})|restoring|lost")


@dataclass
class Gone:
    """The list as it stands. `since` holds the keys destroyed after the rotation now under way had begun.

    `lost`: this list is a new one, in place of one that is lost; nobody can say what may not come back.
    """

    count: int = 0
    keys: list[KeyId] = field(default_factory=list)
    since: list[KeyId] = field(default_factory=list)
    restoring: bool = False
    lost: bool = False


class Lost(StoreFault):
    """The list is missing or damaged, which closes the face lane by itself."""


class GoneList:
    """The file. One writer at a time: the key store sees to it.

    Where it cannot be written there is StoreFault(store-io), and what it was about may not happen.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, gone: Gone | None = None) -> None:
        """Write a new list. Raises FileExistsError."""
        durable.create(self._path, _encoded(gone or Gone()), durable.SECRET)

    def read(self) -> Gone:
        """Return the list; a line cut by a crash is none. Raises StoreFault(gone-missing, gone-malformed)."""
        try:
            text = self._path.read_text("ascii")
        except FileNotFoundError:
            raise _missing() from None
        except (OSError, UnicodeDecodeError):
            raise _malformed() from None
        whole = text[: text.rfind("\n") + 1].splitlines()
        if not whole or whole[0] != _FORMAT:
            raise _malformed()
        return _parsed(whole[1:])

    def note(self, count: int, keys: Iterable[KeyId] = ()) -> None:
        """Write down how often something ended, and which keys end with it, in one write; durable on return."""
        self._append([f"count {min(max(count, 0), _MOST)}", *_named(keys)])

    def add(self, key_ids: Iterable[KeyId]) -> None:
        """Write down keys that are about to be destroyed; durable on return."""
        self._append(_named(key_ids))

    def new_epoch(self, number: int) -> None:
        """Write down that a rotation begins; keys named before it need no naming once it has ended."""
        self._append([f"epoch {number}"])

    def restoring(self) -> None:
        """Write down that a restore has begun: until `restart` no face is compared. Begins a new list if it is lost."""
        try:
            self.read()
        except StoreFault:
            self._write(Gone(restoring=True, lost=True))
        self._append(["restoring"])

    def restart(self, count: int | None = None) -> None:
        """Begin the list anew for the epoch in force: the count stays, or becomes `count`, which ends a restore."""
        gone = self.read()
        again = Gone(gone.count, gone.since, [], gone.restoring, gone.lost)
        if count is not None:
            again = Gone(count, gone.keys)
        self._write(again)

    def _append(self, lines: list[str]) -> None:
        try:
            durable.append(self._path, "".join(f"{line}\n" for line in lines).encode())
        except FileNotFoundError:
            raise _missing() from None
        except OSError:
            raise _unwritten() from None

    def _write(self, gone: Gone) -> None:
        try:
            durable.write(self._path, _encoded(gone), durable.SECRET)
        except OSError:
            raise _unwritten() from None


def _named(key_ids: Iterable[KeyId]) -> list[str]:
    """Return a line for each key; what is no id (a data store that somebody wrote to) names no key."""
    return [f"key {key_id}" for key_id in key_ids if isinstance(key_id, str) and _KEY_ID.fullmatch(key_id)]


def _parsed(lines: list[str]) -> Gone:
    gone = Gone()
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            raise _malformed()
        count, key, epoch = found.groups()
        if count:
            gone.count = max(gone.count, int(count))
        elif key:
            gone.keys.append(KeyId(key))
            gone.since.append(KeyId(key))
        elif epoch:
            gone.since = []
        elif line == "lost":
            gone.lost = True
        else:
            gone.restoring = True
    # A key is named when its end is decided, and again when it comes.
    gone.keys, gone.since = list(dict.fromkeys(gone.keys)), list(dict.fromkeys(gone.since))
    return gone


def _encoded(gone: Gone) -> bytes:
    lines = [_FORMAT, f"count {gone.count}", *(f"key {key}" for key in gone.keys),
             *(["restoring"] if gone.restoring else []), *(["lost"] if gone.lost else [])]
    return "".join(f"{line}\n" for line in lines).encode()


def _missing() -> Lost:
    return Lost("gone-missing", "The list of destroyed keys is missing; faces wait for `restore`.")


def _malformed() -> Lost:
    return Lost("gone-malformed", "The list of destroyed keys is damaged; faces wait for `restore`.")


def _unwritten() -> StoreFault:
    return StoreFault("store-io", "The list of destroyed keys could not be written.")
