"""A small town in all three custodies, and an attacker who has today's disk, the root and everybody's pass.

The attacker reads bytes, not databases: rows that were deleted but not overwritten, logs, files that a restore or a
rehearsal left lying and epoch files of any name are all the same to them.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import select

from countenance import durable
from countenance.clock import SetClock
from countenance.consent import gate
from countenance.errors import CountenanceError
from countenance.flows import admit, backup, gallery, passes, renew, restore, rotate, sweep, withdraw
from countenance.flows.restore import Copies
from countenance.flows.venue import Venue
from countenance.formats import claim169, cose
from countenance.formats.passes import Pass
from countenance.integrations.entitlement import CsvEntitlement
from countenance.quantities import Instant, KeyId, PersonId, PurposeId
from countenance.storage import engine as engines
from countenance.storage import schema
from countenance.vault import templates
from countenance.vault.keys import epochs, roots, sealing, store
from countenance.vault.keys.sealing import Wrapping
from countenance.vault.keys.store import FACE, KeyRef
from countenance.vault.templates import Stored
from support import venue as support
from support.faults import Faults
from support.venue import KEYED, LONG, SEARCH, START, VERIFY

CUSTODIES = (VERIFY, KEYED, SEARCH)
MINUTE = 60


@dataclass(frozen=True)
class Somebody:
    """One person, and what an attacker may know of them: their pass, and their ciphertext out of an old copy."""

    name: str
    face: int
    purpose: PurposeId
    person: PersonId
    pass_text: str
    content: Pass
    stored: Stored
    key: KeyId


@dataclass(frozen=True)
class Town:
    """`early` withdrew before the copies were made, `later` after that; `new` enrolled after that.

    `folder` is how the venue stands today, `now` what its clock shows. Nobody may change either; see `moved_to`.
    """

    folder: Path
    data: Path
    keys: Path
    now: Instant
    living: tuple[Somebody, ...]
    early: tuple[Somebody, ...]
    later: tuple[Somebody, ...]
    new: tuple[Somebody, ...]

    @property
    def gone(self) -> tuple[Somebody, ...]:
        return self.early + self.later

    @property
    def everybody(self) -> tuple[Somebody, ...]:
        return self.living + self.gone + self.new

    def moved_to(self, folder: Path) -> tuple[Path, SetClock]:
        """Return a copy of the venue of one's own, and its clock."""
        return Path(shutil.copytree(self.folder, folder)), SetClock(self.now)


def build(folder: Path) -> Town:
    """Found a town in `folder`."""
    clock = SetClock(START)
    zoo = support.make_venue(folder / "zoo", clock, tickets=dict.fromkeys((f"p{n}" for n in range(30)), LONG))
    copies = folder / "copies"
    copies.mkdir()
    faces = iter(range(1, 30))
    with support.open_venue(zoo, clock) as venue:
        living = [resident(venue, next(faces), purpose) for purpose in CUSTODIES for _ in range(2)]
        early = [resident(venue, next(faces), purpose) for purpose in CUSTODIES]
        later = [resident(venue, next(faces), purpose) for purpose in CUSTODIES]
        for one in early:
            withdraw.withdraw(venue, one.person, one.purpose)
        backup.backup(venue, backup.DATA, copies / "data")
        backup.backup(venue, backup.KEYS, copies / "keys")
        clock.move(MINUTE)
        for one in later:
            withdraw.withdraw(venue, one.person, one.purpose)
        new = [resident(venue, next(faces), purpose) for purpose in CUSTODIES]
        clock.move(MINUTE)
    return Town(zoo, copies / "data", copies / "keys", clock.now(),
                tuple(living), tuple(early), tuple(later), tuple(new))


def resident(venue: Venue, face: int, purpose: PurposeId) -> Somebody:
    """Enrol somebody."""
    name = f"p{face}"
    who = support.enrolled(venue, name, face, purpose)
    with venue.store.read() as unit:
        content = passes.read_here(venue, who.pass_text, unit.now)
        row = unit.run(select(schema.template).where(schema.template.c.person_id == who.person)).one()
        issued = unit.run(select(schema.issued_pass.c.pass_key).where(
            schema.issued_pass.c.person_id == who.person)).scalar_one()
    return Somebody(name, face, purpose, who.person, who.pass_text, content, gallery.stored_template(row),
                    KeyId(row.face_key or issued))


def nobody() -> KeyRef:
    """Name a key that nobody needs."""
    return store.new_ref(FACE, PersonId("f" * 32), SEARCH)


# -- at the gate


def admitted(venue: Venue, one: Somebody) -> bool:
    """Say whether somebody is let in by their face now."""
    try:
        if one.purpose == SEARCH:
            found = admit.by_face(venue, SEARCH, gate.press(venue.clock), lambda: _picture(one.face))
        else:
            found = admit.by_pass(venue, one.pass_text, lambda: _picture(one.face))
    except CountenanceError:
        return False
    return found.outcome is admit.Outcome.ADMIT


@cache
def _picture(face: int) -> bytes:
    return support.picture(face, 3)()


def let_in(venue: Venue, people: Iterable[Somebody]) -> set[str]:
    """Return who of these people is let in now."""
    return {one.name for one in people if admitted(venue, one)}


def names(people: Iterable[Somebody]) -> set[str]:
    """Return the booking numbers of people."""
    return {one.name for one in people}


def says_yes_again(venue: Venue, people: Iterable[Somebody]) -> None:
    """Let people renew their consent, at the desk."""
    for one in people:
        yes = support.says_yes(venue, one.purpose)
        renew.renew(venue, one.person, one.purpose, yes.notice_hash, "en", "kiosk")


def zombies(venue: Venue) -> set[str]:
    """Return the keys that nobody needs."""
    with venue.store.read() as unit:
        return set(venue.keys.ids()) - rotate.needed(unit)


# -- the attacker

_ROW = re.compile(rb"([0-9a-f]{32})(face|pass|record)")
_BINDING = 32
_WRAPPED = (12 + 32 + 16, 12 + 64 + 16)  # a key, and one that is bound to a pass


def opened_by_attacker(folder: Path, people: Iterable[Somebody], *more: Path) -> set[str]:
    """Return whose template can be opened with the root, any epoch file, and every byte of `folder` and of `more`."""
    found = keys_on_disk(folder, *more)
    return {one.name for one in people if any(_template(one, key) for key in found.get(one.key, ()))}


def template_by_attacker(folder: Path, one: Somebody) -> bytes:
    """Return a template that an attacker opened; for proving that they can."""
    return next(plain for key in keys_on_disk(folder).get(one.key, ()) if (plain := _template(one, key)))


def keys_on_disk(folder: Path, *more: Path) -> dict[str, list[bytes]]:
    """Return every key that opens under some epoch, out of every byte, by id."""
    files = [path.read_bytes() for place in (folder, *more) for path in _files(place)]
    wrappings = _wrappings(folder, files)
    found: dict[str, list[bytes]] = {}
    for data in files:
        for at in _ROW.finditer(data):
            for key in _unwrapped(data[at.end():at.end() + 200], at[1].decode(), wrappings):
                found.setdefault(at[1].decode(), []).append(key)
    return found


def _files(place: Path) -> list[Path]:
    return sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]


def _wrappings(folder: Path, files: Sequence[bytes]) -> list[Wrapping]:
    root = roots.open_root("file:root.key", folder)
    known = {}
    for data in files:
        try:
            for number, _made_at, wrapped in epochs._rows(data):
                key = bytes(root.unwrap(wrapped, epochs._aad(number)))
                known[key] = Wrapping(number, key)
        except CountenanceError:
            continue
    return list(known.values())


def _unwrapped(rest: bytes, key_id: str, wrappings: Sequence[Wrapping]) -> Iterator[bytes]:
    binding = rest[:_BINDING]
    for epoch_bytes in (0, 1, 2):  # how SQLite writes 1, up to 127, and more
        for length in _WRAPPED:
            begin = _BINDING + epoch_bytes
            for wrapping in wrappings:
                try:
                    yield bytes(wrapping.unwrap(key_id, binding, rest[begin : begin + length]))
                except CountenanceError:
                    continue


def _template(one: Somebody, key: bytes) -> bytes:
    place = one.stored.place
    try:
        if one.purpose == SEARCH:
            ref = KeyRef(one.key, FACE, one.person, one.purpose)
            return bytes(sealing.open_sealed(key, store._aad(ref, place.label()), one.stored.sealed))
        secret = cose.decrypt0(one.content.secret, key[:32], "pass", one.content.binding())
        if one.purpose == VERIFY:
            return claim169.read(secret)
        return bytes(sealing.open_sealed(secret, templates._holder_aad(place), one.stored.sealed))
    except CountenanceError:
        return b""


# -- restoring


def restored(folder: Path, clock: SetClock, copies: Copies) -> restore.Restored:
    """Put copies back."""
    return restore.restore(folder, CsvEntitlement(folder / "tickets.csv"), clock, copies)


class Restoring:
    """One way to restore: what was lost, what is put back, and who is left afterwards."""

    def __init__(self, town: Town, which: str) -> None:
        self.town, self.which = town, which
        self.copies = {
            "data": Copies(data=town.data), "keys": Copies(keys=town.keys), "both": Copies(town.data, town.keys),
            "by hand": Copies()}[which]

    @property
    def renamed(self) -> list[str]:
        """Return which stores a copy takes the place of."""
        return [name for copy, name in ((self.copies.data, "countenance.db"), (self.copies.keys, "keys.db")) if copy]

    def prepared(self, to: Path) -> tuple[Path, SetClock]:
        """Return a venue that needs this restore, and its clock."""
        folder, clock = self.town.moved_to(to)
        if self.which in {"keys", "both"}:
            (folder / "keys.db").unlink()
        if self.which == "by hand":
            (folder / "countenance.db").write_bytes(self.town.data.read_bytes())
            (folder / "keys.db").write_bytes(self.town.keys.read_bytes())
        return folder, clock


def not_asked_again(venue: Venue) -> bool:
    """Say whether no restore has asked everybody again."""
    with venue.store.read() as unit:
        return unit.mark("asked_from") is None


def waits_for_a_restore(venue: Venue, way: Restoring) -> bool:
    """Say whether a restore is still to be done. Where the data store stayed in place nobody has to be asked again."""
    return not venue.in_order or (way.which != "keys" and not_asked_again(venue))


def standing(venue: Venue) -> set[str]:
    """Return whose consent is on record as given."""
    with venue.store.read() as unit:
        return set(unit.run(select(schema.consent.c.person_id).where(schema.consent.c.state == "given")).scalars())


def persons(people: Sequence[Somebody]) -> set[str]:
    """Return the ids of people."""
    return {one.person for one in people}


def require_restored(venue: Venue, folder: Path, way: Restoring, some: Sequence[Somebody]) -> None:
    """Whatever happened in between: the living are asked again and are all there; nobody else is.

    `some` of the living go to the desk and to the gate; of the others the templates are looked at. Only where the data
    store stayed in place may nobody have been asked; then the living go in at once.
    """
    town = way.town
    venue.require_stores()
    at_once = way.which == "keys" and not_asked_again(venue)
    at_once = at_once and not rotate.is_due(venue)  # a restore ends with a rotation, which the sweep makes up for
    found = let_in(venue, [*some, *town.gone, town.new[0]])
    assert found == (names(some) if at_once else set()), "compared before they were asked again"
    assert standing(venue) <= persons(town.living), "somebody who is gone is on record as agreeing"
    sweep.sweep(venue)
    assert zombies(venue) == set(), "a key that nobody needs"
    says_yes_again(venue, some)
    assert let_in(venue, some) == names(some), "somebody living is lost"
    opened = opened_by_attacker(folder, town.everybody, town.data, town.keys)
    assert opened == names(town.living), f"opened {opened}"


# -- whatever goes wrong


class Deaths(Faults):
    """As `Faults`, with renaming, syncing, deleting and clearing as effects of their own.

    Where the process dies its folder is copied to `left` at that very moment, so that nothing which Python still runs
    on the way out (closing a database moves its log, say) can help.
    """

    def __init__(self, at: int, when: str, *, dies: bool, folder: Path, left: Path) -> None:
        super().__init__(at, when, dies=dies)
        self._folder, self._left = folder, left

    @property
    def on_disk(self) -> Path:
        """Return the folder as the fault left it; once the venue that failed is closed."""
        return self._left if self.dies else self._folder

    def _strike(self, here: bool, fault: Exception) -> None:
        if here and self.dies and not self.struck:
            support.copy_of(self._folder, self._left)
        super()._strike(here, fault)

    @contextmanager
    def armed(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        replace, unlink, sync, clear = Path.replace, Path.unlink, durable.sync, shutil.rmtree
        no_space = OSError(errno.ENOSPC, "No space left on device")

        def unlinked(path: Path, missing_ok: bool = False) -> None:  # as pathlib has it
            if not path.exists():
                return unlink(path, missing_ok)
            return self.effect(f"unlink {path.name}", no_space, lambda: unlink(path, missing_ok))

        def cleared(path: Path, **options: bool) -> None:
            if Path(path).exists():
                self.effect(f"clear {Path(path).name}", no_space, lambda: clear(path, **options))

        with super().armed(monkeypatch), monkeypatch.context() as patch:
            patch.setattr(Path, "replace", lambda one, two: self.effect(
                f"rename {Path(two).name}", no_space, lambda: replace(one, two)))
            patch.setattr(Path, "unlink", unlinked)
            patch.setattr(durable, "sync", lambda path: self.effect(
                f"sync {path.name}", no_space, lambda: sync(path)))
            patch.setattr(shutil, "rmtree", cleared)
            yield


def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing wait for the disk, where no power is cut."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    monkeypatch.setattr(engines, "_PRAGMAS", tuple(
        pragma.replace("synchronous=FULL", "synchronous=OFF") for pragma in engines._PRAGMAS))
