"""drill: a restore, rehearsed beside the venue (docs/operating/keys.md). Changes nothing, compares nobody.

(1) both stores are backed up; (2) into a scratch folder inside this one, which has a copy of the third place and
none of the off-site one; (3) the real `restore` runs there; (4) every key that lives opens there, no destroyed one
does, and every consent waits to be asked again; (5) the scratch folder is destroyed.

The scratch folder's epoch key lies under a root that only this process has, and its signing keys are its own: what a
rehearsal that died leaves there outlives no rotation.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from countenance import durable, settings
from countenance.errors import Refused, StoreFault
from countenance.flows import backup
from countenance.flows.found import DRILL, LOCK, SIGNING
from countenance.flows.restore import Copies, restore
from countenance.flows.venue import Venue
from countenance.storage import schema
from countenance.storage.folder import held_alone
from countenance.vault.keys import roots, signing
from countenance.vault.keys.roots import Root
from countenance.vault.keys.third import GONE, ThirdPlace, discard

_NO_ROOT = "file:in-memory"
"""What the scratch settings name; there is no such file."""


@dataclass(frozen=True)
class Drilled:
    """What the rehearsal found: living keys that opened, destroyed ones that stayed away, and how long it took."""

    keys: int
    gone: int
    asked_again: int
    seconds: float


def drill(venue: Venue) -> Drilled:
    """Rehearse a restore. Raises Refused(drill-running), StoreFault (drill-failed, store-full, ...)."""
    begun = venue.clock.monotonic()
    with _scratch(venue) as folder:
        root = _third_place(venue, folder)
        copies = Copies(folder / "data.copy", folder / "keys.copy")
        backup.copy(venue, backup.DATA, folder / "data.copy", _quietly)    # (1)
        backup.copy(venue, backup.KEYS, folder / "keys.copy", _quietly)
        done = restore(folder, venue.entitlement, venue.clock, copies, _quietly, root)   # (2) (3)
        keys, gone = _looked(venue, folder, root)                           # (4)
    return Drilled(keys, gone, done.asked_again, venue.clock.monotonic() - begun)   # (5)


def discard_stale(folder: Path) -> None:
    """Destroy what a rehearsal that died left in a venue's folder; one that is under way is left alone."""
    with suppress(OSError), held_alone(folder / DRILL):
        _clear(folder / DRILL)


def _quietly(_done: int, _all: int) -> None:
    return


@contextmanager
def _scratch(venue: Venue) -> Iterator[Path]:
    folder = venue.folder / DRILL
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with held_alone(folder):
            try:
                _empty(folder)
                (folder / SIGNING).mkdir(mode=0o700)
                for use in signing.USES:
                    signing.make(folder / SIGNING, use)
                (folder / LOCK).touch(durable.SECRET)
                _settle(venue, folder)
                yield folder
            finally:
                _clear(folder)
    except BlockingIOError:
        raise Refused("drill-running", "Another rehearsal of a restore is under way in this venue.") from None
    except OSError:
        raise StoreFault("drill-failed", "There is no room beside the venue to rehearse a restore.") from None


def _empty(folder: Path) -> None:
    discard(folder)
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


def _clear(folder: Path) -> None:
    discard(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _third_place(venue: Venue, folder: Path) -> Root:
    """Copy the third place, and return the root under which its epoch key lies there."""
    root = roots.in_memory()
    ThirdPlace.of(folder, root).epochs.begin_like(venue.keys.place.epochs)
    durable.create(folder / GONE, (venue.folder / GONE).read_bytes(), durable.SECRET)
    return root


def _settle(venue: Venue, folder: Path) -> None:
    """Write the settings, without root, off-site copy and witnesses: those are not for trying."""
    here = settings.load(venue.folder)
    value = tomllib.loads((venue.folder / settings.FILE).read_text(encoding="utf-8"))
    value["keys"] |= {"root": _NO_ROOT, "offsite": ""}
    value["log"] |= {"witnesses": []}
    lines = []
    for section, keys in settings.SHAPE.items():
        part = value[section] if section else value
        lines += [f"[{section}]"] if section else []
        lines += [f"{key} = {_toml(part[key])}" for key in keys]
    durable.write(folder / settings.FILE, "\n".join([*lines, ""]).encode())
    if settings.load(folder) != replace(here, root=_NO_ROOT, offsite="", witnesses=()):
        raise StoreFault("drill-failed", "The settings (venue.toml) cannot be rehearsed with.")


def _toml(value: str | int | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # else a JSON string is a TOML one


def _looked(venue: Venue, folder: Path, root: Root) -> tuple[int, int]:
    gone = list(dict.fromkeys(venue.keys.place.gone.read().keys))  # one may be named twice
    there = Venue(folder, venue.clock, venue.entitlement, root)
    try:
        there.look_for_older_stores()
        there.require_stores()
        living = there.keys.check()
        there.keys.require_none_back(gone)
        with there.store.read() as unit:
            waiting = unit.mark("asked_from")
            people = unit.run(schema.person.select()).all()
    finally:
        there.close()
    if waiting is None or living < len(people):
        raise StoreFault("drill-failed", "The rehearsed restore is not complete; look at the backups.")
    return living, len(gone)
