"""drill: a restore, rehearsed beside the venue (docs/operating/keys.md). Changes nothing, compares nobody.

(1) both stores are backed up; (2) into a scratch folder inside this one, which has a copy of the third place and
none of the off-site one; (3) the real `restore` runs there; (4) every key that lives opens there, no destroyed one
does, and every consent waits to be asked again; (5) the scratch folder is destroyed.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from countenance import durable, settings
from countenance.errors import StoreFault
from countenance.flows import backup
from countenance.flows.found import DRILL, LOCK, SIGNING
from countenance.flows.restore import Copies, restore
from countenance.flows.venue import Venue
from countenance.storage import schema
from countenance.vault.keys.third import EPOCH, GONE, discard


@dataclass(frozen=True)
class Drilled:
    """What the rehearsal found: living keys that opened, destroyed ones that stayed away, and how long it took."""

    keys: int
    gone: int
    asked_again: int
    seconds: float


def drill(venue: Venue) -> Drilled:
    """Rehearse a restore. Raises StoreFault (drill-failed, store-full, ...)."""
    begun = venue.clock.monotonic()
    with _scratch(venue) as folder:
        copies = Copies(folder / "data.copy", folder / "keys.copy")
        backup.backup(venue, backup.DATA, folder / "data.copy")            # (1)
        backup.backup(venue, backup.KEYS, folder / "keys.copy")
        done = restore(folder, venue.entitlement, venue.clock, copies)      # (2) (3)
        keys, gone = _looked(venue, folder)                                 # (4)
    return Drilled(keys, gone, done.asked_again, venue.clock.monotonic() - begun)   # (5)


@contextmanager
def _scratch(venue: Venue) -> Iterator[Path]:
    folder = venue.folder / DRILL
    _clear(folder)
    try:
        folder.mkdir(mode=0o700)
        shutil.copytree(venue.folder / SIGNING, folder / SIGNING)
        (folder / LOCK).touch(durable.SECRET)
        for name in (EPOCH, GONE):
            durable.create(folder / name, (venue.folder / name).read_bytes(), durable.SECRET)
        text = (venue.folder / settings.FILE).read_text(encoding="utf-8")
        durable.write(folder / settings.FILE, _elsewhere(text, venue).encode())
        yield folder
    except OSError:
        raise StoreFault("drill-failed", "There is no room beside the venue to rehearse a restore.") from None
    finally:
        _clear(folder)


def _clear(folder: Path) -> None:
    discard(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _elsewhere(text: str, venue: Venue) -> str:
    """Return the settings with the root key where it is, and without the off-site copy: that one is not for trying."""
    root = venue.settings.root
    if root.startswith("file:"):
        root = f"file:{(venue.folder / root.removeprefix('file:')).resolve()}"
    text = re.sub(r"(?m)^root = .*$", lambda _: f"root = {json.dumps(root)}", text, count=1)
    return re.sub(r"(?m)^offsite = .*$", 'offsite = ""', text, count=1)


def _looked(venue: Venue, folder: Path) -> tuple[int, int]:
    gone = venue.keys.place.gone.read().keys
    there = Venue(folder, venue.clock, venue.entitlement)
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
