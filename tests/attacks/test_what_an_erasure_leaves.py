"""What an erasure leaves in the stores and beside them, row by row, and whom it could be tied to (THREATS.md, 5).

As in `test_nothing_links_to_the_erased`: each attack also succeeds somewhere, and what does succeed on the erased is
named as such and stands in LIMITS.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from countenance.clock import SetClock
from countenance.flows import backup, log, record, renew, sweep, withdraw
from countenance.flows import replace as replacing
from countenance.flows.venue import Venue
from countenance.formats import log_entries, merkle, receipts
from countenance.formats.revocations import reference_hash
from countenance.quantities import DAY, MINUTE
from countenance.storage.outbox import CHAFF_BYTES, SEALED_STEP
from support import linking
from support import venue as support
from support.linking import ABOUT_PEOPLE, DATA
from support.venue import LONG, VERIFY

pytestmark = pytest.mark.promise(5)
DELETE_AT = 3  # column of `revocation`


def changed(one: Path, two: Path) -> dict[str, set[object]]:
    """Return the rows that are not the same in two copies, by table."""
    old, new = ({table: set(rows) for table, rows in linking.tables(path).items()} for path in (one, two))
    return {table: old[table] ^ new[table] for table in old if old[table] != new[table]}


def copied(venue: Venue, to: Path) -> Path:
    backup.backup(venue, backup.DATA, to)
    return to


def test_a_visit_changes_no_row_that_names_anybody(venue: Venue, clock: SetClock, tmp_path: Path) -> None:
    """Control: a renewed consent, an enrolment and a withdrawal do, which LIMITS.md says."""
    ada, _ben = support.enrolled(venue), support.enrolled(venue, "ben", 2)
    moments = [copied(venue, tmp_path / "0")]

    def then(act: Callable[[], object]) -> set[str]:
        clock.move(MINUTE)
        act()
        moments.append(copied(venue, tmp_path / str(len(moments))))
        rows = changed(moments[-2], moments[-1])
        return {table for table, found in rows.items() if ada.person in repr(found)} & set(ABOUT_PEOPLE)

    assert then(lambda: support.comes_back(venue, ada.pass_text)) == set()
    assert set(changed(moments[-2], moments[-1])) <= {"event", "log", "mark", "hourly_count"}
    assert then(lambda: record.complaint(venue, ada.person, "x")) == set()
    renewed = then(lambda: renew.renew(venue, ada.person, VERIFY, support.says_yes(venue).notice_hash, "en", "kiosk"))
    assert renewed >= {"person", "consent"}
    assert then(lambda: withdraw.withdraw(venue, ada.person, VERIFY)) >= {"consent", "template", "issued_pass"}


def test_a_long_text_does_show_by_its_length_and_nothing_more(venue: Venue, folder: Path) -> None:
    """LIMITS.md: that somebody complained at length. Not in the log: its entry is as long as any."""
    who = support.enrolled(venue)
    for text in ("short", "x" * 600, "y" * 700):
        record.complaint(venue, who.person, text)
    rows = support.rows_of(folder / DATA, "event")[-3:]
    assert [len(row[3]) for row in rows] == [CHAFF_BYTES, CHAFF_BYTES + SEALED_STEP, CHAFF_BYTES + SEALED_STEP]
    assert {len(row[1]) for row in rows} == {33}


def test_of_one_erased_person_alone_all_that_nobody_opens_is_theirs(venue: Venue, folder: Path) -> None:
    """LIMITS.md: whoever opens the living's events knows how many are left over. Two make it a sum (above)."""
    ada, ben = support.enrolled(venue), support.enrolled(venue, "ben", 2)
    support.comes_back(venue, ada.pass_text)
    support.comes_back(venue, ben.pass_text, 2)
    withdraw.erase(venue, ada.person)
    left = set(linking.sealed_places(folder / DATA)) - set(linking.opened(folder / DATA, linking.keys(folder, ())))
    assert len(left) == 3 + 1 + 3 + 1  # enrolment, visit, withdrawal, the erasure itself


def test_somebody_elses_proof_names_only_hashes_that_are_public(venue: Venue, folder: Path) -> None:
    """Siblings in Ben's receipt are hashes of Ada's entries; everybody can compute those from the log."""
    if support.count(folder, "event") % 2:
        record.order(venue, "court", "1", "a date")
    ada, ben = support.enrolled(venue), support.enrolled(venue, "ben", 2)  # his first is the sibling of her last
    withdraw.erase(venue, ada.person)
    entries = [row[1] for row in support.rows_of(folder / DATA, "event")]
    siblings = {one for event in receipts.proven(receipts.split(ben.receipt)[0]) for one in event.proof}
    last = merkle.leaf_hash(entries[receipts.proven(receipts.split(ben.receipt)[0])[0].index - 1])
    assert last in siblings
    public = {merkle.root([merkle.leaf_hash(entry) for entry in entries[low:high]])
              for low in range(len(entries)) for high in range(low + 1, len(entries) + 1)}
    assert siblings <= public
    hers = {merkle.leaf_hash(log_entries.sealed(leaf)) for leaf in linking.leaves_told([ada.receipt])}
    assert siblings & hers == {last}  # control: with her own receipt it can be told


def test_nothing_is_published_between_the_set_times(venue: Venue, folder: Path, clock: SetClock) -> None:
    """When a tile appears says nothing of when somebody came. Control: at the next set time it does change."""
    log.publish(venue)
    stamp = {p: p.stat().st_mtime_ns for p in (folder / "log").rglob("*")}
    for number, name in enumerate(("ada", "ben"), 1):
        withdraw.erase(venue, support.enrolled(venue, name, number).person)
        sweep.sweep(venue)
        assert {p: p.stat().st_mtime_ns for p in (folder / "log").rglob("*")} == stamp
    size = linking.log_size(folder / "log")
    clock.move(venue.settings.log_minutes * MINUTE)
    sweep.sweep(venue)
    assert linking.log_size(folder / "log") >= size + 2 * 8


@pytest.mark.parametrize("ends", ["2027-03-09", "2028-11-30"])
def test_the_day_on_which_a_pass_ended_does_not_stay(venue: Venue, folder: Path, ends: str) -> None:
    """It may be one ticket's alone. Control: while they are only withdrawn their record stands, and so does the day."""
    support.write_tickets(folder, {"ada": date.fromisoformat(ends), "ben": LONG})
    who = support.enrolled(venue)
    (day,) = {row[6] for row in support.rows_of(folder / DATA, "issued_pass")}
    withdraw.withdraw(venue, who.person, VERIFY)
    assert [row[DELETE_AT] for row in support.rows_of(folder / DATA, "revocation")] == [day]
    withdraw.erase(venue, who.person)
    (kept,) = [row[DELETE_AT] for row in support.rows_of(folder / DATA, "revocation")]
    assert kept % (366 * DAY) == 0
    assert 0 < kept - day <= 366 * DAY  # stricter: never shorter


def test_who_enrols_anew_after_erasure_is_not_the_one_before(venue: Venue, folder: Path, clock: SetClock) -> None:
    """Same booking number, same face. Control: after a withdrawal alone the new key opens the old events."""
    def told() -> tuple[set[int], set[int]]:
        places = linking.opened(folder / DATA, linking.keys(folder, ()))
        return set(places), {e.record.number for e in places.values()}

    first = support.enrolled(venue)
    withdraw.withdraw(venue, first.person, VERIFY)
    again = support.enrolled(venue)
    assert (again.person, len(told()[0])) == (first.person, 9)
    withdraw.erase(venue, first.person)
    clock.move(MINUTE)
    sweep.sweep(venue)
    anew = support.enrolled(venue)
    assert anew.person != first.person
    assert told() == ({max(told()[0]) - n for n in range(3)}, {1, 2, 3})


def test_a_replaced_pass_does_say_its_booking_number_and_when(venue: Venue, folder: Path) -> None:
    """LIMITS.md: booking numbers can be guessed. But it says as much of who never had a face."""
    withdraw.erase(venue, support.enrolled(venue).person)
    assert support.rows_of(folder / DATA, "revocation")[0][0] == "face"
    for name in ("ada", "ben"):  # Ben never enrolled
        replacing.replace(venue, name, support.as_written)
    rows = {row[1]: row[2:] for row in support.rows_of(folder / DATA, "revocation") if row[0] == "void"}
    guessed = {name for name in support.everybody() if reference_hash(venue.venue_id, name) in rows}
    assert guessed == {"ada", "ben"}
    assert len(set(rows.values())) == 1
