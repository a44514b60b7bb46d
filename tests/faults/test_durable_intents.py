"""Every durable effect of a story fails, before or after it took effect, or ends the process; then the venue is
opened again from what lay on the disk at that moment.

The numbers of effects are asserted, so that a new one cannot slip past these loops.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from countenance.clock import SetClock
from countenance.consent import gate
from countenance.errors import CountenanceError, StoreFault
from countenance.flows import about, admit, enrol, intents, pad, recover, rotate, sweep, withdraw
from countenance.flows.admit import AtGate
from countenance.flows.enrol import Enrolled
from countenance.flows.venue import Venue
from countenance.formats import canonical
from countenance.quantities import DAY, PersonId, PurposeId
from countenance.storage import schema
from countenance.vault import residue
from countenance.vault.keys.store import FACE, PASS, RECORD, KeyRef
from countenance.vault.residue import Needle
from support import venue as support
from support.faults import AFTER, BEFORE, Crash, Faults
from support.venue import (
    KEYED,
    SEARCH,
    VERIFY,
    clear_events,
    comes_back,
    copy_of,
    count,
    enrolled,
    no_camera,
    open_venue,
    picture,
    rows_of,
    says_yes,
    state_of,
)

TABLES = ("person", "consent", "template", "issued_pass", "intent", "wrapped_key")
NOBODY = dict.fromkeys(TABLES, 0)


def holdings(folder: Path) -> dict[str, int]:
    return {table: count(folder, table) for table in TABLES}


def points(number: int) -> list[tuple[int, str]]:
    return [(at, when) for at in range(1, number + 1) for when in (BEFORE, AFTER)]


def effects_of(venue: Venue, story: Callable[[Venue], object], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    faults = Faults(0, BEFORE, dies=True)
    with faults.armed(monkeypatch):
        story(venue)
    return faults.seen


def run(venue: Venue, story: Callable[[Venue], object], faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell a story into which something goes wrong: the process dies, or one sentence says why not."""
    with faults.armed(monkeypatch), pytest.raises(Crash if faults.dies else StoreFault):
        story(venue)
    assert faults.struck


# -- enrol: all or nothing

_TO_A_PASS = ["commit countenance.db", "commit keys.db", "commit countenance.db", "commit keys.db",
              "commit countenance.db", "commit keys.db", "append gone.list", "write log.signed",
              "commit countenance.db"]
"""Intent; keys; everything pending; the pass's key bound to the pass; live; counted outside the stores; the log signed
for the receipt, and, as it is for the first time, that it was."""
BEFORE_LIVE, AFTER_LIVE = 4, 4
ENROL = {VERIFY: _TO_A_PASS, KEYED: _TO_A_PASS, SEARCH: _TO_A_PASS[:3] + _TO_A_PASS[4:]}
CUSTODIES = [VERIFY, KEYED, SEARCH]
ENROLMENTS = [(purpose, at, when) for purpose in CUSTODIES for at, when in points(len(ENROL[purpose]))]


def enrolling(purpose: PurposeId) -> Callable[[Venue], Enrolled]:
    return lambda venue: enrolled(venue, purpose=purpose)


def comes(venue: Venue, who: Enrolled, person: int = 1) -> bool:
    """Say whether somebody is admitted, by their pass or by their face alone; raises as the stories."""
    if who.purpose == SEARCH:
        found = admit.by_face(venue, SEARCH, gate.press(venue.clock), picture(person, 3))
    else:
        found = comes_back(venue, who.pass_text, person)
    return found.outcome is admit.Outcome.ADMIT


@pytest.mark.parametrize("purpose", CUSTODIES)
def test_enrolling_has_these_effects(venue: Venue, monkeypatch: pytest.MonkeyPatch, purpose: PurposeId) -> None:
    assert effects_of(venue, enrolling(purpose), monkeypatch) == ENROL[purpose]


@pytest.mark.parametrize(("purpose", "at", "when"), ENROLMENTS)
def test_an_enrolment_that_died_is_undone_or_whole(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, purpose: PurposeId, at: int,
        when: str) -> None:
    with open_venue(folder) as venue:
        run(venue, enrolling(purpose), Faults(at, when, dies=True), monkeypatch)
        left = copy_of(folder, tmp_path / "left")
    with open_venue(left) as venue:
        live = len(ENROL[purpose]) - AFTER_LIVE
        if at > live or (at, when) == (live, AFTER):  # live, and the pass had been read back before
            assert holdings(left) == {**NOBODY, "person": 1, "consent": 1, "template": 1, "issued_pass": 1,
                                      "wrapped_key": 2}
        else:
            assert holdings(left) == NOBODY
        assert comes(venue, enrolled(venue, "ben", 2, purpose), 2)
        venue.require_stores()


@pytest.mark.parametrize(("purpose", "at", "when"), ENROLMENTS)
def test_an_enrolment_that_failed_leaves_nobody(
        folder: Path, monkeypatch: pytest.MonkeyPatch, purpose: PurposeId, at: int, when: str) -> None:
    with open_venue(folder) as venue:
        run(venue, enrolling(purpose), Faults(at, when, dies=False), monkeypatch)
        left_for_the_next_opening = {"intent"} if (at, when) == (1, AFTER) else set()
        assert {table for table, rows in holdings(folder).items() if rows} == left_for_the_next_opening
    with open_venue(folder):
        assert holdings(folder) == NOBODY


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_pass_whose_key_was_not_bound_is_not_handed_over(
        venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    handed: list[str] = []
    with Faults(4, when, dies=False).armed(monkeypatch), pytest.raises(StoreFault):
        enrol.enrol(venue, "ada", VERIFY, says_yes(venue), picture(1), lambda text: (handed.append(text), text)[1])
    assert handed == []
    assert holdings(folder) == NOBODY


# -- undoing one that failed is a story with faults of its own

UNDO = ["commit countenance.db", "commit keys.db", "append gone.list", "empty keys.db", "commit countenance.db",
        "empty countenance.db"]


@pytest.mark.parametrize(("at", "when"), points(len(UNDO)))
def test_an_undoing_that_died_is_finished_at_the_next_opening(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str) -> None:
    faults = Faults(BEFORE_LIVE + at, when, dies=True)  # the hand-over fails, so nothing goes live
    with open_venue(folder) as venue:
        with faults.armed(monkeypatch), pytest.raises(Crash):
            enrol.enrol(venue, "ada", VERIFY, says_yes(venue), picture(1), lambda text: "")
        assert faults.seen[4 : 4 + at] == UNDO[:at]
        left = copy_of(folder, tmp_path / "left")
    with open_venue(left) as venue:
        assert holdings(left) == NOBODY
        venue.require_stores()
        assert comes(venue, enrolled(venue, "ben", 2), 2)


@pytest.mark.parametrize("read", ["", "CN1:OTHER", "cut"])
def test_a_pass_that_cannot_be_read_back_enrols_nobody(venue: Venue, folder: Path, read: str) -> None:
    handed: list[str] = []

    def hand_over(text: str) -> str:
        handed.append(text)
        return text[:-1] if read == "cut" else read

    with pytest.raises(CountenanceError) as caught:
        enrol.enrol(venue, "ada", VERIFY, says_yes(venue), picture(1), hand_over)
    assert caught.value.code == "pass-not-read"
    assert holdings(folder) == NOBODY
    with pytest.raises(CountenanceError):
        admit.by_pass(venue, handed[0], no_camera)


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, MemoryError])
def test_whatever_stops_the_hand_over_enrols_nobody(
        venue: Venue, folder: Path, error: type[BaseException]) -> None:
    def hand_over(text: str) -> str:
        raise error

    with pytest.raises((CountenanceError, error)):
        enrol.enrol(venue, "ada", VERIFY, says_yes(venue), picture(1), hand_over)
    assert holdings(folder) == NOBODY


@pytest.mark.promise(3)
def test_a_failed_enrolment_leaves_no_key_and_no_template_in_any_file(
        venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Needle] = []
    make = venue.keys.make

    def making(refs: list[KeyRef]) -> None:
        make(refs)
        seen.extend(n for ref in refs for n in support.needles(venue, ref))

    monkeypatch.setattr(venue.keys, "make", making)
    with pytest.raises(CountenanceError):
        enrol.enrol(venue, "ada", SEARCH, says_yes(venue, SEARCH), picture(1), lambda text: "")
    assert len(seen) == 4
    assert residue.search(folder, seen) == []
    enrolled(venue, purpose=SEARCH)
    assert residue.search(folder, seen[-2:]) != []  # the same search finds a wrapped key that lives


def test_a_venue_without_its_receipt_key_enrols_nobody(venue: Venue, folder: Path) -> None:
    (folder / "signing" / "receipt.key").unlink()
    with pytest.raises(StoreFault) as caught:
        enrolled(venue)
    assert caught.value.code == "signer-missing"
    assert holdings(folder) == NOBODY


# -- withdraw: from the first commit on it is final, whatever happens

WITHDRAW = ["commit countenance.db", "commit keys.db", "append gone.list", "commit keys.db", "append gone.list",
            "empty keys.db", "commit countenance.db", "commit countenance.db", "empty countenance.db",
            "write log.signed"]
"""Matching has stopped, and it is counted; the key is gone, its name written down first; the ciphertext is gone; the
log is signed for the receipt."""
SIGNING = WITHDRAW.index("write log.signed") + 1


@dataclass(frozen=True)
class Person:
    who: Enrolled
    purpose: PurposeId
    needles: list[Needle]


def person(venue: Venue, purpose: PurposeId) -> Person:
    """Somebody enrolled, with what must not be found of them once they withdrew."""
    who = enrolled(venue, "ada", 1, purpose)
    with venue.store.read() as unit:
        row = unit.run(select(schema.template)).one()
        key = row.face_key or unit.run(select(schema.issued_pass.c.pass_key)).scalar_one()
    ref = KeyRef(key, FACE if row.face_key else PASS, who.person, purpose)
    kept = [Needle("template", row.sealed)] if row.sealed else []  # a carried one is in the pass only
    return Person(who, purpose, [*support.needles(venue, ref), *kept])


def withdrawing(person: Person) -> Callable[[Venue], object]:
    return lambda venue: withdraw.withdraw(venue, person.who.person, person.purpose)


def still_admitted(venue: Venue, person: Person) -> bool:
    try:
        return comes(venue, person.who)
    except CountenanceError:
        return False


@pytest.mark.parametrize("purpose", CUSTODIES)
def test_withdrawing_has_these_effects(venue: Venue, monkeypatch: pytest.MonkeyPatch, purpose: PurposeId) -> None:
    who = person(venue, purpose)
    assert effects_of(venue, withdrawing(who), monkeypatch) == WITHDRAW


def goes_on_without_proof(venue: Venue, person: Person, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the log cannot be signed the face is gone all the same, and the receipt says what is missing in it."""
    with faults.armed(monkeypatch):
        done = withdraw.withdraw(venue, person.who.person, person.purpose)
    assert faults.struck
    told = json.loads(done.receipt)
    assert (told["checkpoint"], told["log_fault"]) == ("", "store-io")
    assert {proven["index"] for proven in told["events"]} == {-1}


@pytest.mark.promise(2)
@pytest.mark.parametrize("purpose", CUSTODIES)
@pytest.mark.parametrize("dies", [True, False], ids=["dies", "fails"])
@pytest.mark.parametrize(("at", "when"), points(len(WITHDRAW)))
def test_a_withdrawal_is_final_wherever_it_stopped(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str, dies: bool,
        purpose: PurposeId) -> None:
    with open_venue(folder) as venue:
        ada = person(venue, purpose)
        assert still_admitted(venue, ada)
        faults = Faults(at, when, dies=dies)
        if at == SIGNING and not dies:
            goes_on_without_proof(venue, ada, faults, monkeypatch)
        else:
            run(venue, withdrawing(ada), faults, monkeypatch)
        begun = (at, when) != (1, BEFORE)
        assert still_admitted(venue, ada) == (not begun)  # also in the process in which it failed
        left = copy_of(folder, tmp_path / "left")
    with open_venue(left) as venue:
        assert still_admitted(venue, ada) == (not begun)
        assert count(left, "intent") == 0
        if not begun:
            assert [row[6] for row in rows_of(left / "countenance.db", "consent")] == ["given"]
            return
        assert [row[6] for row in rows_of(left / "countenance.db", "consent")] == ["withdrawn"]
        assert (count(left, "template"), count(left, "wrapped_key"), count(left, "person")) == (0, 1, 1)
        assert residue.search(left, ada.needles) == []
        venue.require_stores()  # no crash is taken for an older store
        with venue.store.read() as unit:
            assert venue.keys.place.gone.read().count == unit.mark("forward") == 5
            types = [canonical.decode(e.record, "event")["type"] for e in unit.outbox.chain(ada.who.person)]
        assert types.count("consent-withdrawn") == types.count("template-erased") == 1


def test_the_search_finds_what_a_dead_withdrawal_left_before_it_is_finished(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_venue(folder) as venue:
        ada = person(venue, SEARCH)
        run(venue, withdrawing(ada), Faults(1, AFTER, dies=True), monkeypatch)
        left = copy_of(folder, tmp_path / "left")
    assert {f.name for f in residue.search(left, ada.needles)} == {"wrapped key", "template"}
    with open_venue(left):
        assert residue.search(left, ada.needles) == []


RECOVER = [*WITHDRAW[3:-1], "commit keys.db", "append gone.list", "empty countenance.db", "empty keys.db"]
"""From the intent on, and no receipt; then what was ended is counted, where the crash came before that."""


@pytest.mark.promise(2)
@pytest.mark.parametrize(("at", "when"), points(len(RECOVER)))
def test_a_recovery_that_dies_is_recovered(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str) -> None:
    with open_venue(folder) as venue:
        ada = person(venue, SEARCH)
        run(venue, withdrawing(ada), Faults(1, AFTER, dies=True), monkeypatch)
        left = copy_of(folder, tmp_path / "left")
    faults = Faults(at, when, dies=True)
    with faults.armed(monkeypatch), pytest.raises(Crash), open_venue(left):
        pass
    assert faults.seen[:at] == RECOVER[:at]
    again = copy_of(left, tmp_path / "again")
    with open_venue(again) as venue:
        assert not still_admitted(venue, ada)
        assert holdings(again) == {**NOBODY, "person": 1, "consent": 1, "issued_pass": 1, "wrapped_key": 1}
        assert residue.search(again, ada.needles) == []


def test_a_withdrawal_that_failed_is_finished_by_asking_again(venue: Venue, folder: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    ada = person(venue, SEARCH)
    story = withdrawing(ada)
    at = WITHDRAW.index("empty keys.db") + 1  # a reader held the log of the key store
    run(venue, story, Faults(at, BEFORE, dies=False), monkeypatch)
    try:
        story(venue)
    except CountenanceError:
        sweep.sweep(venue)
    assert count(folder, "intent") == 0


# -- erase

ERASE = ["commit countenance.db", *WITHDRAW[:-1], "commit keys.db", "append gone.list", "empty keys.db",
         "commit countenance.db", "commit keys.db", "append gone.list", "empty countenance.db", "write log.signed"]
"""Every key and row first; the log is signed once, for all receipts."""


@pytest.mark.parametrize("purpose", CUSTODIES)
def test_erasing_has_these_effects(venue: Venue, monkeypatch: pytest.MonkeyPatch, purpose: PurposeId) -> None:
    ada = person(venue, purpose)
    assert effects_of(venue, lambda v: withdraw.erase(v, ada.who.person), monkeypatch) == ERASE


@pytest.mark.promise(2)
@pytest.mark.parametrize("purpose", CUSTODIES)
@pytest.mark.parametrize(("at", "when"), points(len(ERASE)))
def test_an_erasure_is_finished_wherever_it_died(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str,
        purpose: PurposeId) -> None:
    with open_venue(folder) as venue:
        ada = person(venue, purpose)
        with venue.store.read() as unit:
            key = unit.run(select(schema.person.c.record_key)).scalar_one()
        ada.needles.extend(support.needles(venue, KeyRef(key, RECORD, ada.who.person, "")))
        run(venue, lambda v: withdraw.erase(v, ada.who.person), Faults(at, when, dies=True), monkeypatch)
        left = copy_of(folder, tmp_path / "left")
    with open_venue(left) as venue:
        if (at, when) == (1, BEFORE):  # nothing had happened: they ask again
            assert still_admitted(venue, ada)
            return
        assert not still_admitted(venue, ada)
        assert holdings(left) == NOBODY
        assert residue.search(left, ada.needles) == []
        venue.require_stores()


@pytest.mark.promise(5)
def test_what_is_left_of_an_erased_person_ties_to_nobody(venue: Venue, folder: Path) -> None:
    ada = person(venue, VERIFY)
    comes_back(venue, ada.who.pass_text)
    names = [Needle("id", ada.who.person.encode()), Needle("id", bytes.fromhex(ada.who.person))]
    assert residue.search(folder, names) != []
    withdraw.erase(venue, ada.who.person)
    assert holdings(folder) == NOBODY
    assert residue.search(folder, names) == []
    with pytest.raises(CountenanceError) as caught:
        about.about(venue, ada.who.person)
    assert caught.value.code == "person-unknown"


# -- pad

PAD = ["commit countenance.db", "commit keys.db", "commit countenance.db"]


@pytest.mark.parametrize(("at", "when"), points(len(PAD)))
def test_padding_that_died_is_undone_or_whole(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str) -> None:
    with open_venue(folder) as venue:
        run(venue, lambda v: pad.pad(v, SEARCH, 3), Faults(at, when, dies=True), monkeypatch)
        left = copy_of(folder, tmp_path / "left")
    with open_venue(left) as venue:
        whole = (at, when) == (3, AFTER)
        assert (count(left, "person"), count(left, "wrapped_key")) == ((3, 6) if whole else (0, 0))
        assert len(venue.galleries.exact(SEARCH).owners) == (3 if whole else 0)


@pytest.mark.parametrize(("at", "when"), [
    *points(len(PAD))[:-1],
    (3, AFTER),
])
def test_padding_that_failed_leaves_a_gallery_that_can_be_read(
        folder: Path, monkeypatch: pytest.MonkeyPatch, at: int, when: str) -> None:
    with open_venue(folder) as venue:
        run(venue, lambda v: pad.pad(v, SEARCH, 3), Faults(at, when, dies=False), monkeypatch)
    with open_venue(folder) as venue:
        assert len(venue.galleries.exact(SEARCH).owners) == count(folder, "person")
        assert count(folder, "wrapped_key") == 2 * count(folder, "person")


# -- admit: nothing opens that was not committed


@pytest.mark.promise(5)
@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("dies", [True, False], ids=["dies", "fails"])
def test_no_door_opens_when_the_decision_could_not_be_committed(
        venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch, when: str, dies: bool) -> None:
    who, opened = enrolled(venue), []
    events = count(folder, "event")
    faults = Faults(1, when, dies=dies)
    with faults.armed(monkeypatch), pytest.raises(Crash if dies else StoreFault):
        admit.by_pass(venue, who.pass_text, picture(1, 9), AtGate(opened.append))
    assert opened == []
    assert count(folder, "event") == events + (when == AFTER)
    admit.by_pass(venue, who.pass_text, picture(1, 9), AtGate(opened.append))
    assert opened == [1]


@pytest.mark.promise(2)
@pytest.mark.parametrize("purpose", [VERIFY, KEYED])
def test_a_withdrawal_during_the_capture_wins(venue: Venue, purpose: PurposeId) -> None:
    who, opened = enrolled(venue, purpose=purpose), []

    def camera() -> bytes:
        withdraw.withdraw(venue, who.person, purpose)
        return picture(1, 9)()

    with pytest.raises(CountenanceError):
        admit.by_pass(venue, who.pass_text, camera, AtGate(opened.append))
    assert opened == []


@pytest.mark.promise(2)
@pytest.mark.parametrize("purpose", [VERIFY, KEYED])
def test_a_withdrawal_after_the_comparison_wins(
        venue: Venue, monkeypatch: pytest.MonkeyPatch, purpose: PurposeId) -> None:
    who, opened = enrolled(venue, purpose=purpose), []
    verify = venue.matcher.verify

    def verified(*arguments: object) -> object:
        found = verify(*arguments)  # type: ignore[arg-type]
        withdraw.withdraw(venue, who.person, purpose)
        return found

    monkeypatch.setattr(venue.matcher, "verify", verified)
    with pytest.raises(CountenanceError) as caught:
        admit.by_pass(venue, who.pass_text, picture(1, 9), AtGate(opened.append))
    assert caught.value.code == "consent-withdrawn"
    assert opened == []


# -- sweep, rotation, and two processes


ROTATE = ["commit keys.db", "replace epoch.key", "append gone.list", "commit keys.db", "commit keys.db",
          "empty keys.db", "commit keys.db", "replace epoch.key", "write gone.list", "commit countenance.db"]
"""Each of these in its turn: tests/unit/test_rotation.py."""

assert WITHDRAW[6:8] == ["commit countenance.db"] * 2  # that the keys are gone, and that the ciphertext is
SWEEP = [*WITHDRAW[:6], *WITHDRAW[7:-1], "commit countenance.db", "commit countenance.db", "write revocations.list",
         *ROTATE, "commit countenance.db", "empty countenance.db", "write log.signed", "write 18", "write 18",
         "write checkpoint", "commit countenance.db"]
"""A consent whose year is over is ended, many in one go, so that nothing is said of each between; old rows go; the
rotation that this promised is done; the mark that it ran; the log is published, its 18 entries and their
tile before the checkpoint."""


def test_a_sweep_has_these_effects(venue: Venue, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    person(venue, SEARCH)
    clock.move(366 * DAY)
    assert effects_of(venue, sweep.sweep, monkeypatch) == SWEEP


@pytest.mark.parametrize("purpose", CUSTODIES)
@pytest.mark.parametrize(("at", "when"), points(len(SWEEP)))
def test_a_sweep_that_died_is_taken_up_again(
        folder: Path, tmp_path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch, at: int,
        when: str, purpose: PurposeId) -> None:
    with open_venue(folder, clock) as venue:
        ada = person(venue, purpose)
        clock.move(366 * DAY)
        run(venue, sweep.sweep, Faults(at, when, dies=True), monkeypatch)
        left = copy_of(folder, tmp_path / "left")
    with open_venue(left, clock) as venue:
        assert not still_admitted(venue, ada)
        sweep.sweep(venue)
        assert holdings(left) == {**NOBODY, "person": 1, "consent": 1, "issued_pass": 1, "wrapped_key": 1}
        assert residue.search(left, ada.needles) == []


@pytest.mark.promise(5)
def test_a_rotation_that_was_rolled_forward_is_in_the_log(
        folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_venue(folder) as venue:
        run(venue, rotate.rotate, Faults(ROTATE.index("append gone.list") + 1, BEFORE, dies=True), monkeypatch)
        left = copy_of(folder, tmp_path / "left")
    with open_venue(left) as venue:
        assert venue.keys.epoch[0] == 2
    assert [event.body["number"] for event in clear_events(left) if event.type == "epoch"] == [2]


def test_opening_a_venue_twice_does_not_undo_what_is_under_way(
        venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = venue.keys.make

    def making(refs: list[KeyRef]) -> None:
        make(refs)
        try:
            with open_venue(folder):  # `countenance about` in another terminal
                pass
        except StoreFault:
            pass  # to be refused is fine

    monkeypatch.setattr(venue.keys, "make", making)
    who = enrolled(venue)  # succeeds, with keys that no longer exist
    assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT


def test_a_rotation_by_another_process_is_noticed(venue: Venue, folder: Path) -> None:
    who = enrolled(venue)
    with open_venue(folder) as other:
        rotate.rotate(other)
    assert comes_back(venue, who.pass_text).outcome is admit.Outcome.ADMIT


def test_recovering_a_venue_in_order_changes_nothing(venue: Venue, folder: Path) -> None:
    enrolled(venue)
    before = state_of(folder)
    recover.recover(venue)
    assert state_of(folder) == before


def test_a_person_is_not_guessed_from_an_intent(venue: Venue, folder: Path) -> None:
    with venue.store.write() as unit:
        intents.begin(unit, "enrol", PersonId("p" * 32), VERIFY, [])
    (row,) = rows_of(folder / "countenance.db", "intent")
    assert canonical.decode(row[5], "intent") == {"keys": [], "rows": {}}  # names of keys, never keys
