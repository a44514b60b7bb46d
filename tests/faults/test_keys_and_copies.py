"""Every durable effect of `rotate`, `withdraw`, `replace`, `backup` and `restore` fails, before or after it took
effect, or ends the process. Then the venue is opened again, and a restore is done again where one is asked for.

Nobody who withdrew comes back, neither at the gate nor for somebody who has the disk, the root and their pass; nobody
who is here, in the stores and in the copies, is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from countenance.errors import BadInput, CountenanceError, Refused, StoreFault
from countenance.flows import backup, passes, replace, revocations, rotate, sweep, withdraw
from countenance.flows.restore import Copies
from countenance.flows.venue import Venue
from countenance.vault.keys import signing
from support import custody
from support.custody import (
    Deaths,
    Restoring,
    Somebody,
    Town,
    admitted,
    let_in,
    names,
    opened_by_attacker,
    require_restored,
    restored,
    says_yes_again,
    waits_for_a_restore,
    zombies,
)
from support.faults import AFTER, BEFORE, Crash
from support.venue import KEYED, SEARCH, VERIFY, as_written, clear_events, open_venue, state_but_log

DIES, FAILS = True, False
MINUTE = 60


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    with pytest.MonkeyPatch.context() as patch:
        custody.unsynced(patch)
        return custody.build(tmp_path_factory.mktemp("town"))


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    custody.unsynced(monkeypatch)


def points(effects: Sequence[str]) -> list[tuple[int, str, bool]]:
    """Return each way in which a story with these effects can go wrong: where, when, and whether the process dies.

    To die before the next effect is to die after this one.
    """
    numbers = range(1, len(effects) + 1)
    return [*((at, BEFORE, DIES) for at in numbers), (len(effects), AFTER, DIES),
            *((at, when, FAILS) for at in numbers for when in (BEFORE, AFTER))]


def each(effects: Sequence[str]) -> pytest.MarkDecorator:
    found = points(effects)
    return pytest.mark.parametrize(
        ("at", "when", "dies"), found,
        ids=[f"{'dies' if dies else 'fails'} {when} {at} {effects[at - 1]}" for at, when, dies in found])


def in_turn(effects: Sequence[str], first: str, *others: str) -> list[tuple[str, int, str, bool]]:
    """Return every point for the first way of keeping a face; for others, which share the steps, where they die."""
    return [(purpose, *point) for purpose in (first, *others) for point in points(effects)
            if purpose == first or point[2] is DIES]


def effects_of(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: Callable[[], object]) -> list[str]:
    faults = Deaths(0, BEFORE, dies=DIES, folder=folder, left=tmp_path / "left")
    with faults.armed(monkeypatch):
        story()
    return faults.seen


def goes_wrong(faults: Deaths, monkeypatch: pytest.MonkeyPatch, story: Callable[[], object]) -> None:
    """Run a story with a fault in it. One that only failed may have been survived."""
    with faults.armed(monkeypatch):
        if faults.dies:
            with pytest.raises(Crash):
                story()
        else:
            with suppress(CountenanceError, OSError):
                story()
    assert faults.struck


# -- the attacker can do what these tests say that they cannot


@pytest.mark.promise(2)
def test_the_attacker_opens_every_template_whose_key_is_somewhere(town: Town) -> None:
    from countenance.features import quantise
    from support.venue import StubPack, vector_of

    assert opened_by_attacker(town.folder, town.everybody) == names(town.living + town.new)
    assert opened_by_attacker(town.folder, town.everybody, town.keys) == names(town.living + town.new + town.later)
    for one in town.living + town.new:
        assert custody.template_by_attacker(town.folder, one) == quantise(vector_of(one.face), StubPack.step).tobytes()


@pytest.mark.parametrize("hidden", ["stray.restored", ".drill/keys.db", "keys.db-wal", "deep/down/x"])
def test_the_attacker_finds_a_copy_of_the_key_store_under_any_name(town: Town, tmp_path: Path, hidden: str) -> None:
    folder, _ = town.moved_to(tmp_path / "zoo")
    (folder / hidden).parent.mkdir(parents=True, exist_ok=True)
    (folder / hidden).write_bytes(b"?" * 77 + town.keys.read_bytes())
    assert opened_by_attacker(folder, town.gone) == names(town.later)


def test_the_attacker_finds_an_old_epoch_under_any_name(town: Town, tmp_path: Path) -> None:
    folder, clock = town.moved_to(tmp_path / "zoo")
    with open_venue(folder, clock) as venue:
        rotate.rotate(venue)
    assert opened_by_attacker(folder, town.gone, town.keys) == set()
    (folder / "epoch.key.new").write_bytes((town.folder / "epoch.key").read_bytes())
    assert opened_by_attacker(folder, town.gone, town.keys) == names(town.later)


# -- rotate

ROTATE = ["commit keys.db", "replace epoch.key", "append gone.list", "commit keys.db", "commit keys.db",
          "empty keys.db", "commit keys.db", "replace epoch.key", "write gone.list", "commit countenance.db"]
ELSEWHERE_TOO = [*ROTATE[:2], "replace epoch.key", *ROTATE[2:8], "replace epoch.key", *ROTATE[8:]]


def with_a_copy_elsewhere(folder: Path) -> Path:
    """Name a place for the copy of the epoch key, inside the folder, so that what a death leaves has it too."""
    there, settings = folder / "elsewhere", folder / "venue.toml"
    there.mkdir(exist_ok=True)
    told = re.sub(r"(?m)^offsite = .*$", f'offsite = "{there}"', settings.read_text("utf-8"))
    settings.write_text(told, "utf-8")
    if not (there / "epoch.key").exists():
        (there / "epoch.key").write_bytes((folder / "epoch.key").read_bytes())
    return folder


@pytest.mark.parametrize("elsewhere", [False, True])
def test_rotating_has_these_effects(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool) -> None:
    folder, clock = town.moved_to(tmp_path / "zoo")
    if elsewhere:
        with_a_copy_elsewhere(folder)
    with open_venue(folder, clock) as venue:
        seen = effects_of(folder, tmp_path, monkeypatch, lambda: rotate.rotate(venue))
    assert seen == (ELSEWHERE_TOO if elsewhere else ROTATE)


@pytest.mark.promise(2)
@each(ELSEWHERE_TOO)
def test_a_rotation_that_stopped_anywhere_leaves_out_nobody_and_no_older_copy_opens_after_it(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str, dies: bool) -> None:
    folder, clock = town.moved_to(tmp_path / "zoo")
    with_a_copy_elsewhere(folder)
    here = town.living + town.new
    faults = Deaths(at, when, dies=dies, folder=folder, left=tmp_path / "left")
    with open_venue(folder, clock) as venue:
        goes_wrong(faults, monkeypatch, lambda: rotate.rotate(venue))
        if not dies:
            assert opened_by_attacker(folder, town.everybody) == names(here)
            assert let_in(venue, here[at % 3 :: 3]) == names(here[at % 3 :: 3])
    left = faults.on_disk
    with_a_copy_elsewhere(left)
    with open_venue(left, clock) as venue:
        assert not venue.keys.rotation_unfinished
        begun = venue.keys.epoch[0] == 2
        assert begun or at <= 3
        assert opened_by_attacker(left, town.everybody, town.keys) == names(here + (() if begun else town.later))
        assert let_in(venue, here[at % 3 :: 3]) == names(here[at % 3 :: 3])
        assert let_in(venue, town.gone) == set()
        rotate.rotate(venue)
        assert zombies(venue) == set()
        venue.keys.place.epochs.require_offsite()
        assert opened_by_attacker(left, town.everybody, town.keys) == names(here)


# -- withdraw and replace

WITHDRAW = ["commit countenance.db", "commit keys.db", "append gone.list", "commit keys.db", "append gone.list",
            "empty keys.db", "commit countenance.db", "commit countenance.db", "empty countenance.db",
            "write log.signed"]
REPLACE = [*WITHDRAW[:3], *WITHDRAW, "commit countenance.db", "commit countenance.db", "write revocations.list"]
KEPT = [*REPLACE[:3], *REPLACE[-3:]]
"""Replacing the pass of somebody whose face the venue keeps."""


def of_custody(town: Town, purpose: str) -> tuple[Somebody, Somebody]:
    """Return two living people whose faces are kept in the same way."""
    one, two = [person for person in town.living if person.purpose == purpose]
    return one, two


@pytest.mark.parametrize("purpose", custody.CUSTODIES)
def test_withdrawing_and_replacing_have_these_effects(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, purpose: str) -> None:
    folder, clock = town.moved_to(tmp_path / "zoo")
    one, two = of_custody(town, purpose)
    with open_venue(folder, clock) as venue:
        assert effects_of(folder, tmp_path, monkeypatch, lambda: withdraw.withdraw(
            venue, one.person, one.purpose)) == WITHDRAW
        assert effects_of(folder, tmp_path, monkeypatch, lambda: replace.replace(
            venue, two.name, as_written)) == (KEPT if purpose == SEARCH else REPLACE)


@pytest.mark.promise(2)
@pytest.mark.parametrize(("purpose", "at", "when", "dies"), in_turn(WITHDRAW, KEYED, VERIFY, SEARCH))
def test_a_withdrawal_that_stopped_anywhere_is_final_once_begun(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, purpose: str, at: int, when: str,
        dies: bool) -> None:
    folder, clock = town.moved_to(tmp_path / "zoo")
    ada, ben = of_custody(town, purpose)
    faults = Deaths(at, when, dies=dies, folder=folder, left=tmp_path / "left")
    begun = (at, when) != (1, BEFORE)
    with open_venue(folder, clock) as venue:
        goes_wrong(faults, monkeypatch, lambda: withdraw.withdraw(venue, ada.person, ada.purpose))
        if not dies:
            assert admitted(venue, ada) != begun  # also in the process in which it failed
    left = faults.on_disk
    with open_venue(left, clock) as venue:
        venue.require_stores()
        assert let_in(venue, [ada, ben]) == {ben.name} | ({ada.name} if not begun else set())
        gone = {ada.name} if begun else set()
        assert opened_by_attacker(left, town.everybody) == names(town.living + town.new) - gone
        rotate.rotate(venue)
        assert zombies(venue) == set()
        assert opened_by_attacker(left, town.everybody, town.keys, town.data) == names(town.living + town.new) - gone


@pytest.mark.promise(2)
@pytest.mark.parametrize(("purpose", "at", "when", "dies"), in_turn(REPLACE, VERIFY, KEYED))
def test_a_lost_pass_opens_nothing_wherever_its_replacement_stopped(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, purpose: str, at: int, when: str,
        dies: bool) -> None:
    folder, clock = town.moved_to(tmp_path / "zoo")
    ada, ben = of_custody(town, purpose)
    faults = Deaths(at, when, dies=dies, folder=folder, left=tmp_path / "left")
    begun = (at, when) != (1, BEFORE)
    with open_venue(folder, clock) as venue:
        goes_wrong(faults, monkeypatch, lambda: replace.replace(venue, ada.name, as_written))
        if not dies:
            assert admitted(venue, ada) != begun
    left = faults.on_disk
    clock.move(MINUTE)
    with open_venue(left, clock) as venue:
        venue.require_stores()
        assert let_in(venue, [ada, ben]) == {ben.name} | ({ada.name} if not begun else set())
        replaced = replace.replace(venue, ada.name, as_written)  # asking again does what is left
        assert let_in(venue, [ada, ben]) == {ben.name}
        assert opened_by_attacker(left, town.everybody) == names(town.living + town.new) - {ada.name}
        assert other_lane(venue, replaced.pass_text) == ada.name
        with pytest.raises(Refused) as caught:
            other_lane(venue, ada.pass_text)
        assert caught.value.code == "pass-void"
        sweep.sweep(venue)
        assert zombies(venue) == set()
        assert opened_by_attacker(left, [ada, *town.gone], town.keys, town.data) == set()


def other_lane(venue: Venue, pass_text: str) -> str:
    """Show a pass at the lane without faces, with the list that lies in the folder."""
    keys = signing.verifiers(venue.folder / "signing", "pass")
    listed = revocations.read(venue, (venue.folder / "revocations.list").read_text())
    now = venue.clock.now()
    return passes.plain_lane(pass_text, keys, venue.venue_id, venue.entitlement, now, listed).reference


@each(KEPT)
def test_replacing_the_pass_of_somebody_whose_face_the_venue_keeps_keeps_it(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str, dies: bool) -> None:
    folder, clock = town.moved_to(tmp_path / "zoo")
    ada, _ben = of_custody(town, SEARCH)
    faults = Deaths(at, when, dies=dies, folder=folder, left=tmp_path / "left")
    with open_venue(folder, clock) as venue:
        goes_wrong(faults, monkeypatch, lambda: replace.replace(venue, ada.name, as_written))
    clock.move(MINUTE)
    with open_venue(faults.on_disk, clock) as venue:
        replace.replace(venue, ada.name, as_written)
        assert admitted(venue, ada)
        assert let_in(venue, town.gone) == set()


# -- backup

BACKUP = ["commit countenance.db", "create copy.db", "sync copy.db"]
"""It is written into the log first."""


@pytest.mark.parametrize("which", ["data", "keys"])
def test_backing_up_has_these_effects(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    folder, clock = town.moved_to(tmp_path / "zoo")
    with open_venue(folder, clock) as venue:
        assert effects_of(folder, tmp_path, monkeypatch, lambda: backup.backup(
            venue, which, tmp_path / "copy.db")) == BACKUP


@pytest.mark.parametrize("which", ["data", "keys"])
@each([*BACKUP, "page"])
def test_a_backup_that_stopped_anywhere_is_absent_or_whole_or_refused(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, at: int, when: str,
        dies: bool) -> None:
    folder, clock = town.moved_to(tmp_path / "zoo")
    copies = tmp_path / "copies"
    copies.mkdir()
    faults = Deaths(at, when, dies=dies, folder=copies, left=tmp_path / "left")
    before, told = state_but_log(folder), len(clear_events(folder))

    def stops(done: int, total: int) -> None:
        if at == len(BACKUP) + 1 and not faults.struck:
            faults.seen = [""] * (at - 1)
            faults.effect("page", StoreFault("store-full", "Full."), lambda: None)

    with open_venue(folder, clock) as venue:
        goes_wrong(faults, monkeypatch, lambda: backup.backup(venue, which, copies / "copy.db", stops))
        assert state_but_log(folder) == before
        tells = [(event.type, event.body) for event in clear_events(folder)[told:]]
        assert tells == ([] if (at, when) == (1, BEFORE) else [("backup", {"store": which})])
        found = faults.on_disk / "copy.db"
        if not dies:
            assert not any(copies.iterdir())
            backup.backup(venue, which, found)
    if which == "keys":
        (folder / "keys.db").unlink()
    copy = Copies(data=found) if which == "data" else Copies(keys=found)
    try:
        if found.exists():
            restored(folder, clock, copy)
    except BadInput as fault:
        assert fault.code == "backup-damaged"
        assert dies
        return
    if found.exists():
        clock.move(MINUTE)
        with open_venue(folder, clock) as venue:
            says_yes_again(venue, town.living)
            assert let_in(venue, town.living + town.gone) == names(town.living)


# -- restore


EFFECTS = {"data": 56, "keys": 77, "both": 57, "by hand": 49}
"""How many effects each way has; the tests below go through all of them."""

SETTLED = 20
"""After so many all ways are in the same steps; of these some are taken."""


def taken(which: str, at: int, when: str, dies: bool) -> bool:
    """Say whether a restore goes wrong here: both stores' at every point, the others' at some of the shared ones."""
    if dies:
        return which == "both" or at <= 5 or at % 10 == 0
    in_turn = (when == BEFORE) == bool(at % 2)
    return in_turn and (at % 13 == 0 or (which == "both" and at <= SETTLED))


WAYS = [(which, *point) for which, number in EFFECTS.items() for point in points([""] * number)
        if taken(which, *point)]


@pytest.mark.parametrize("which", EFFECTS)
def test_restoring_has_so_many_effects(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    way = Restoring(town, which)
    folder, clock = way.prepared(tmp_path / "zoo")
    seen = effects_of(folder, tmp_path, monkeypatch, lambda: restored(folder, clock, way.copies))
    assert len(seen) == EFFECTS[which], seen


@pytest.mark.promise(2)
@pytest.mark.parametrize(("which", "at", "when", "dies"), WAYS)
def test_a_restore_that_stopped_anywhere_brings_nobody_back_and_loses_nobody(
        town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, at: int, when: str,
        dies: bool) -> None:
    way = Restoring(town, which)
    folder, clock = way.prepared(tmp_path / "zoo")
    faults = Deaths(at, when, dies=dies, folder=folder, left=tmp_path / "left")
    goes_wrong(faults, monkeypatch, lambda: restored(folder, clock, way.copies))
    left = faults.on_disk
    clock.move(MINUTE)
    try:
        with open_venue(left, clock) as venue:
            assert not list(left.glob("*.restored*"))
            assert let_in(venue, town.gone) == set()
            waits = waits_for_a_restore(venue, way)
    except StoreFault as fault:
        assert fault.code == "store-missing"
        waits = True
    if waits:
        in_place = at % 2 and all(f"rename {name}" in faults.seen[: at - 1] for name in way.renamed)
        restored(left, clock, Copies() if in_place else way.copies)
    assert not list(left.glob("*.restored*"))
    with open_venue(left, clock) as venue:
        clock.move(MINUTE)
        require_restored(venue, left, way, [town.living[at % 6], town.living[(at + 3) % 6]])
