"""Where a face is, in bytes: what the whole data folder holds of it, and what an attacker gets out of it.

The attacker has the root key and today's third place, unwraps every key that any copy of the key store holds, and
tries each on everything that could be sealed: without asking whether it was meant for it, and without looking at the
tag that would say so. What they must not find is known here, so nothing depends on what the attacker believes.
"""

from __future__ import annotations

import base64
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from countenance.clock import SetClock
from countenance.errors import CountenanceError
from countenance.features import quantise
from countenance.flows import admit, backup, enrol, pad, people, rotate, withdraw
from countenance.flows.venue import Venue
from countenance.formats import base45
from countenance.formats import passes as form
from countenance.quantities import HOUR, PurposeId
from countenance.storage import engine as engines
from countenance.vault import residue
from countenance.vault.keys import roots
from countenance.vault.keys.epochs import EpochFile
from countenance.vault.keys.sealing import Wrapping
from countenance.vault.residue import Needle
from countenance.vision import synthetic
from support import venue as support
from support.venue import KEYED, LONG, SEARCH, VERIFY, StubPack, vector_of

CUSTODIES = (VERIFY, KEYED, SEARCH)
PEOPLE = 1_000


def codes_of(person: int, shade: int = 0) -> bytes:
    """Return the template of somebody whom the stub pack measures."""
    return quantise(vector_of(person, shade), StubPack.step).tobytes()


# -- carried: nothing of anybody's face is here


class Wanted:
    """Very many needles, looked for at once: of each any piece of 31 bytes, in every spelling of `residue`.

    A piece that long holds a whole one of the 16-byte blocks that the needle is cut into.
    """

    def __init__(self, secrets: Iterable[tuple[str, bytes]]) -> None:
        self._texts: dict[bytes, set[tuple[str, bytes]]] = {}
        for name, secret in secrets:
            for at in range(0, len(secret) - 15, 16):
                for _, text in residue.spellings(Needle(name, secret[at : at + 16])):
                    self._texts.setdefault(text[:16], set()).add((name, text))

    def found_in(self, folder: Path) -> set[tuple[str, str]]:
        """Return (file, name) of everything found below a folder, logs of the databases included."""
        return {(path.name, name) for path in folder.rglob("*") if path.is_file()
                for name in self._in(path.read_bytes())}

    def _in(self, data: bytes) -> Iterator[str]:
        starts = self._texts
        for at in range(len(data) - 15):
            for name, text in starts.get(data[at : at + 16], ()):
                if data.startswith(text, at):
                    yield name


Who = tuple[int, int]
KINDS = ("codes", "float32", "decimal", "secret", "pass")


def secrets_of(who: Who, text: str) -> dict[str, bytes]:
    """Return what must not be found of somebody: their face in three forms, what is sealed in their pass, the pass."""
    vector, message = vector_of(*who), base45.decode(text.removeprefix(form.PREFIX))
    numbers = quantise(vector, StubPack.step).tolist()
    sealed = message[message.index(b"\xd0\x83\x43\xa1\x01\x03") + 24 : -66]  # a COSE_Encrypt0; a signature follows
    return {"codes": codes_of(*who), "float32": vector.astype("<f4").tobytes(),
            "decimal": ", ".join(map(str, numbers)).encode(), "secret": sealed, "pass": text.encode()[-160:]}


@dataclass(frozen=True)
class Crowd:
    """A venue that enrolled very many people, with what each took home."""

    folder: Path
    passes: dict[Who, str]
    secrets: list[dict[str, bytes]]
    wanted: Wanted


def small_picture(person: int, shade: int) -> Callable[[], bytes]:
    """Return a camera like `support.picture`, that takes as small a picture as the gate accepts."""
    pixels = np.zeros((300, 300, 3), np.uint8)
    pixels[:, :] = (7, shade, person)
    return lambda: bytes(cv2.imencode(".png", pixels)[1])


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    """A thousand people. What is left out costs time and writes nothing: waiting for the disk, and asking of each
    whether they are on record already.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "_PRAGMAS", tuple(
            pragma.replace("synchronous=FULL", "synchronous=OFF") for pragma in engines._PRAGMAS))
        patch.setattr(people, "find", lambda *_, **__: None)
        folder = support.make_venue(tmp_path_factory.mktemp("crowd") / "zoo",
                                    tickets={f"t{number}": LONG for number in range(PEOPLE)})
        passes: dict[Who, str] = {}
        with support.open_venue(folder) as venue:
            yes = support.says_yes(venue)
            for number in range(PEOPLE):
                who = 1 + number % 250, number // 250
                passes[who] = enrol.enrol(
                    venue, f"t{number}", VERIFY, yes, small_picture(*who), support.as_written).pass_text
            secrets = [secrets_of(who, text) for who, text in passes.items()]
            yield Crowd(folder, passes, secrets, Wanted(item for one in secrets for item in one.items()))


@pytest.mark.promise(2)
def test_a_thousand_carried_faces_leave_nothing_of_them_in_any_file(crowd: Crowd, tmp_path: Path) -> None:
    assert support.count(crowd.folder, "template") == PEOPLE
    assert {len(row[7]) for row in support.rows_of(crowd.folder / "countenance.db", "template")} == {0}
    copy = support.copy_of(crowd.folder, tmp_path / "zoo")
    assert {path.name for path in copy.iterdir()} >= {"countenance.db", "countenance.db-wal", "keys.db", "keys.db-wal"}
    assert crowd.wanted.found_in(copy) == set()


SPELLED: dict[str, Callable[[bytes], bytes]] = {
    "raw": lambda secret: secret, "hex": lambda secret: secret.hex().encode(),
    "HEX": lambda secret: secret.hex().upper().encode(), "base64": lambda secret: base64.b64encode(b"?" + secret),
    "urlsafe": lambda secret: base64.urlsafe_b64encode(b"??" + secret)}


def test_the_search_finds_64_bytes_of_one_face_among_a_thousand(crowd: Crowd, tmp_path: Path) -> None:
    planted = set()
    for how, spelled in SPELLED.items():
        for begin in (0, 7, 33, 64):
            planted.add(f"{how}-{begin}")
            (tmp_path / f"{how}-{begin}").write_bytes(b"x" * 501 + spelled(codes_of(17, 2)[begin : begin + 64]) + b"y")
    assert {file for file, name in crowd.wanted.found_in(tmp_path) if name == "codes"} == planted


def test_the_search_finds_each_kind_of_what_it_looks_for(crowd: Crowd, tmp_path: Path) -> None:
    (tmp_path / "deep" / "down").mkdir(parents=True)
    for kind in KINDS:
        assert len({one[kind] for one in crowd.secrets}) == PEOPLE
        for number in (0, PEOPLE - 1):
            (tmp_path / "deep" / "down" / f"{kind}-{number}").write_bytes(b"?" * 5 + crowd.secrets[number][kind])
    found = crowd.wanted.found_in(tmp_path)
    assert {(f"{kind}-{number}", kind) for kind in KINDS for number in (0, PEOPLE - 1)} <= found


@pytest.mark.parametrize("emptied", [False, True], ids=["in the log", "in the file"])
def test_the_search_finds_a_face_in_a_database(crowd: Crowd, tmp_path: Path, emptied: bool) -> None:
    copy = support.copy_of(crowd.folder, tmp_path / "zoo")
    with closing(sqlite3.connect(copy / "countenance.db")) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.execute("UPDATE zone SET name = ?", (codes_of(17, 2),))
        store.commit()
        if emptied:
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        file = "countenance.db" if emptied else "countenance.db-wal"
        assert crowd.wanted.found_in(copy) == {(file, "codes")}


def test_and_each_of_them_is_admitted_by_pass_and_key(crowd: Crowd, tmp_path: Path) -> None:
    copy = support.copy_of(crowd.folder, tmp_path / "zoo")
    with support.open_venue(copy) as venue:
        for person, shade in ((1, 0), (250, 3), (17, 2)):
            text = crowd.passes[person, shade]
            assert support.comes_back(venue, text, person).outcome is admit.Outcome.ADMIT
            assert support.comes_back(venue, text, person + 1 if person < 250 else 1).outcome is admit.Outcome.REFER


# -- the attacker


@dataclass
class Attacker:
    """Has the root key, the third place as it is today, and any number of copies of either store."""

    folder: Path
    copies: list[Path] = field(default_factory=list)
    passes: list[str] = field(default_factory=list)

    def keys(self) -> set[bytes]:
        """Return every key that opens: root, epochs, and what any copy of the key store holds wrapped."""
        root = roots.open_root("file:root.key", self.folder)
        epochs = EpochFile(self.folder / "epoch.key", root).read()
        wrappings = [Wrapping(epoch.number, epoch.key) for epoch in epochs]
        found = {(self.folder / "root.key").read_bytes(), *(bytes(epoch.key) for epoch in epochs)}
        found |= {path.read_bytes() for path in (self.folder / "signing").glob("*.key")}
        for row in self._rows("wrapped_key"):
            for wrapping in wrappings:  # whatever epoch the row says that it is of
                try:
                    opened = bytes(wrapping.unwrap(row[0], row[2], row[4]))
                except CountenanceError:
                    continue
                found |= {opened[at : at + 32] for at in range(0, len(opened), 32)}
        return found

    def blobs(self) -> set[bytes]:
        """Return everything that may be sealed: every value of bytes in every table of every copy."""
        names = {name for path in self._databases() for name in support.tables_of(path)}
        return {value for name in sorted(names) for row in self._rows(name) for value in row
                if isinstance(value, bytes) and len(value) > 28}

    def opened(self) -> set[bytes]:
        """Return whatever comes out of any of it under any of the keys, and out of any pass and what that opens."""
        keys, blobs = self.keys(), self.blobs()
        plains = {_opened(key, blob) for key in keys for blob in blobs}
        secrets = {_opened(key, secret) for key in keys for secret in map(_secret, self.passes) if secret}
        return plains | secrets | {_opened(key, blob) for key in secrets if len(key) == 32 for blob in blobs}

    def faces(self, persons: Iterable[int]) -> set[int]:
        """Return whose template is among what was opened, whole or any 64 bytes of it."""
        every = b"|".join(sorted(self.opened()))
        return {person for person in persons if any(
            codes_of(person)[at : at + 32] in every for at in (0, 32, 64, 96))}

    def _databases(self) -> list[Path]:
        return [self.folder / "countenance.db", self.folder / "keys.db", *self.copies]

    def _rows(self, table: str) -> Iterator[tuple[object, ...]]:
        for path in self._databases():
            if table in support.tables_of(path):
                yield from support.rows_of(path, table)


def _opened(key: bytes, sealed: bytes) -> bytes:
    """Decrypt nonce ‖ AES-256-GCM without its tag or what it is bound to: then it is counter mode from 2 on."""
    cipher = Cipher(AES(key), CTR(sealed[:12] + b"\0\0\0\2")).decryptor()
    return cipher.update(sealed[12:-16])


def _secret(text: str) -> bytes:
    """Return nonce and ciphertext of what is sealed in a pass, found by its looks."""
    message = base45.decode(text.removeprefix(form.PREFIX))
    begin = message.find(b"\xd0\x83\x43\xa1\x01\x03\xa1\x05\x4c")  # 16([h'a10103', {5: 12 bytes}, ...])
    if begin < 0:
        return b""
    at = begin + 9
    nonce, head = message[at : at + 12], message[at + 12 :]
    length = head[1] if head[0] == 0x58 else int.from_bytes(head[1:3], "big")
    return nonce + (head[2 : 2 + length] if head[0] == 0x58 else head[3 : 3 + length])


@dataclass
class Town:
    """One person in each custody; their faces are numbered 1, 2, 3."""

    venue: Venue
    who: dict[PurposeId, enrol.Enrolled]

    def attacker(self, copies: Iterable[Path] = (), passes: bool = False) -> Attacker:
        return Attacker(self.venue.folder, list(copies), [one.pass_text for one in self.who.values()] if passes else [])


def settled(venue: Venue, names: tuple[str, ...] = ("ada", "ben", "cem"), first: int = 1) -> Town:
    return Town(venue, {purpose: support.enrolled(venue, name, number, purpose)
                        for number, (name, purpose) in enumerate(zip(names, CUSTODIES, strict=True), first)})


@pytest.mark.promise(1)
def test_root_and_every_file_open_no_face_whose_half_is_in_a_pass(venue: Venue, folder: Path) -> None:
    """1 is carried, 2 holder keyed, 3 venue keyed. Without passes: only what the venue itself can open."""
    town = settled(venue)
    pad.pad(venue, SEARCH, 5)
    alone = town.attacker()
    assert len(alone.keys()) >= 1 + 1 + 3 + (3 + 2 + 1) + 10  # root, epoch, signing, theirs, padding's
    assert alone.faces((1, 2, 3)) == {3}
    assert town.attacker(passes=True).faces((1, 2, 3)) == {1, 2, 3}


@pytest.mark.promise(1)
@pytest.mark.parametrize("purpose", [VERIFY, KEYED])
def test_a_pass_without_the_venues_half_opens_nothing(venue: Venue, folder: Path, purpose: PurposeId) -> None:
    who = support.enrolled(venue, "ada", 1, purpose)
    found = Attacker(folder, passes=[who.pass_text])
    assert found.faces((1,)) == {1}
    venue.keys.destroy(list(venue.keys.ids("pass")))
    assert found.faces((1,)) == set()


def test_the_attacker_sees_what_is_planted(venue: Venue, folder: Path) -> None:
    """A venue that kept a copy of a holder's key, or of a template, would be found out."""
    town = settled(venue)
    assert town.attacker().faces((2,)) == set()
    alone, sealed = town.attacker(), _secret(town.who[KEYED].pass_text)
    known, blobs = alone.keys(), alone.blobs()
    (holder,) = {secret for key in known if any(
        codes_of(2) in _opened(secret := _opened(key, sealed), blob) for blob in blobs)}
    (folder / "signing" / "kept.key").write_bytes(holder)
    assert town.attacker().faces((1, 2, 3)) == {2, 3}


# -- copies of every age


def taken(venue: Venue, to: Path, name: str) -> list[Path]:
    """Make a backup of both stores."""
    to.mkdir(exist_ok=True)
    for which in (backup.DATA, backup.KEYS):
        backup.backup(venue, which, to / f"{name}-{which}.copy")
    return [to / f"{name}-data.copy", to / f"{name}-keys.copy"]


@pytest.mark.promise(2)
def test_after_the_rotation_root_every_backup_and_todays_disk_open_nobody_who_withdrew(
        folder: Path, tmp_path: Path, clock: SetClock) -> None:
    """The attacker also has the passes. 1, 2, 3 withdraw; 4, 5, 6 stay."""
    to, copies = tmp_path / "backups", []
    support.write_tickets(folder, dict.fromkeys(("ada", "ben", "cem", "dan", "eve", "fay"), LONG))
    with support.open_venue(folder, clock) as venue:
        gone = settled(venue)
        copies += taken(venue, to, "first epoch")
        rotate.rotate(venue)
        stay = settled(venue, ("dan", "eve", "fay"), 4)
        copies += taken(venue, to, "second epoch")
        clock.move(HOUR)
        support.comes_back(venue, gone.who[VERIFY].pass_text)
        copies += taken(venue, to, "before")
        for purpose, who in gone.who.items():
            withdraw.withdraw(venue, who.person, purpose)
            copies += taken(venue, to, f"after {purpose}")
        venue.store.empty_wal()
        before = support.copy_of(folder, tmp_path / "before the rotation")
        rotate.rotate(venue)
        copies += taken(venue, to, "after the rotation")
        after = support.copy_of(folder, tmp_path / "after the rotation")
    assert len(copies) == 14
    passes = [who.pass_text for town in (gone, stay) for who in town.who.values()]

    everybody = range(1, 7)
    assert Attacker(before, copies, passes).faces(everybody) == {1, 2, 3, 4, 5, 6}  # until then the old copies do open
    assert Attacker(before, [], passes).faces(everybody) == {4, 5, 6}               # though the disk alone does not
    assert Attacker(after, copies, passes).faces(everybody) == {4, 5, 6}
    for name in ("first epoch", "second epoch", "before"):  # an attacker who puts them back over today's
        put_back = support.copy_of(after, tmp_path / f"put back {name}")
        shutil.copyfile(to / f"{name}-data.copy", put_back / "countenance.db")
        shutil.copyfile(to / f"{name}-keys.copy", put_back / "keys.db")
        assert not Attacker(put_back, copies, passes).faces((1, 2, 3))


@pytest.mark.promise(2)
def test_a_backup_holds_nothing_of_the_third_place_and_no_face(venue: Venue, folder: Path, tmp_path: Path) -> None:
    town = settled(venue)
    withdraw.withdraw(venue, town.who[VERIFY].person, VERIFY)
    taken(venue, tmp_path / "copies", "one")
    epoch_key = bytes(EpochFile(folder / "epoch.key", roots.open_root("file:root.key", folder)).read()[0].key)
    wanted = [Needle("root", (folder / "root.key").read_bytes()), Needle("epoch", epoch_key),
              Needle("epoch file", (folder / "epoch.key").read_bytes()[-64:]),
              *(Needle("codes", codes_of(number)) for number in (1, 2, 3)),
              *(Needle("signing", path.read_bytes()) for path in (folder / "signing").glob("*.key"))]
    assert residue.search(tmp_path / "copies", wanted) == []
    assert {found.name for found in residue.search(folder, wanted)} == {"root", "epoch file", "signing"}


def test_made_up_people_are_as_hard_to_find_as_others(venue: Venue, folder: Path) -> None:
    """The padding's templates are drawn again from the same seed, and are in no file either."""
    pad.pad(venue, SEARCH, 20, seed=7)
    drawn = synthetic.load(StubPack.identity).draw(np.random.default_rng(7), 1_000)[-20:]
    wanted = Wanted(("codes", quantise(vector, StubPack.step).tobytes()) for vector in drawn)
    assert wanted.found_in(folder) == set()
    plains = b"|".join(Attacker(folder).opened())
    assert all(quantise(vector, StubPack.step).tobytes() in plains for vector in drawn)  # they are what was drawn
