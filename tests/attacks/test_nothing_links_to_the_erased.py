"""Attacks on somebody who was erased, by whoever has everything on the disk, but not their receipts (THREATS.md, 5).

Root, both stores, the published log, what was signed last, and backups of both stores from several moments: all that
there is after the next rotation. Each attack also succeeds somewhere: on the living, before the rotation, with the
receipts in hand, or on something planted. What does succeed on the erased is named as such, and stands in LIMITS.md.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from countenance.clock import SetClock
from countenance.flows import log
from countenance.formats import log_entries, merkle, receipts, tiles
from countenance.quantities import PersonId
from countenance.storage.outbox import CHAFF_BYTES
from countenance.transparency import log as logs
from countenance.vault import residue
from countenance.vault.keys import sealing
from countenance.vault.residue import Needle
from countenance.verifier import receipts as verifier
from countenance.verifier.report import VERIFIED
from support import linking
from support import venue as support
from support.linking import ABOUT_PEOPLE, DATA, ERASED, KEYS, LIVING, Story

pytestmark = pytest.mark.promise(5)
NO_LATER_COPIES = ("between", "erased", "rotated")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("linking")


@pytest.fixture(scope="module")
def story(founded: Path, home: Path) -> Story:
    """Ada came three times and Ben once; Ada was erased first."""
    return linking.lived(founded, home / "story")


@pytest.fixture(scope="module")
def other_visitor(founded: Path, home: Path) -> Story:
    """The same, but it was Ben who came three times."""
    return linking.lived(founded, home / "visitor", visitor="ben")


@pytest.fixture(scope="module")
def other_order(founded: Path, home: Path) -> Story:
    """The same, but Ben was erased first."""
    return linking.lived(founded, home / "order", first="ben")


def view(story: Story, *without: str, third: Path | None = None, told: tuple[str, ...] = ()) -> list[str]:
    return linking.view(story.folder, story.without(*without), third, told)


def opened(story: Story, third: Path | None = None) -> dict[int, linking.Opened]:
    return linking.opened(story.folder / DATA, linking.keys(story.folder, story.copies.values(), third))


def before(story: Story, name: str) -> dict[int, linking.Opened]:
    """The events of one person up to their erasure, as who had the disk then, third place and all, could tell."""
    (key,) = [row[1] for row in support.rows_of(story.before / DATA, "person") if row[0] == story.people[name].person]
    known = linking.keys(story.before, ())
    return {place: event for place, event in linking.opened(story.before / DATA, known).items() if event.key == key}


def theirs(story: Story) -> set[int]:
    """Where the events of the erased are: what was theirs before, and what their receipts open."""
    told = linking.leaves_told([text for name in ERASED for text in story.told[name]])
    known = {place for name in ERASED for place in before(story, name)}
    return known | {place for place, leaf in linking.sealed_places(story.folder / DATA).items() if leaf in told}


# -- what opens


def test_no_key_in_any_copy_opens_an_event_of_the_erased(story: Story) -> None:
    """Every key of every backup, tried on every sealed row without its tag or what it is bound to."""
    assert set(opened(story)) == set(linking.sealed_places(story.folder / DATA)) - theirs(story)
    assert Counter(event.key for event in opened(story).values()).total() == 3 * len(LIVING) + 5
    with_old_epoch = set(opened(story, third=story.before))  # which no backup has, and the rotation destroyed
    assert {place for name in ERASED for place in before(story, name)} <= with_old_epoch


def test_no_tag_of_the_erased_is_computed_again(story: Story) -> None:
    """A tag needs the record key; names and numbers stand in old copies."""
    persons = [row[0] for row in support.rows_of(story.copies["visited data"], "person")]
    assert {story.people[name].person for name in ERASED} < set(persons)
    tags = {row[2] for row in support.rows_of(story.folder / DATA, "event") if row[2] is not None}

    def found(third: Path | None) -> set[str]:
        known = linking.keys(story.folder, story.copies.values(), third)
        return {person for key in known.values() for person in persons for number in range(1, 12)
                if sealing.tag(key, person, number) in tags}

    assert found(None) == {story.people[name].person for name in LIVING}
    assert found(story.before) >= {story.people[name].person for name in ERASED}


def test_a_record_guessed_to_the_letter_fits_no_leaf_without_its_nonce(story: Story) -> None:
    """A visit's record can be guessed, all but its nonce. Control: with the nonces each fits."""
    leaves = set(linking.sealed_places(story.folder / DATA).values())
    guessed = [event for name in ERASED for event in before(story, name).values()]
    nonces = {b"", bytes(32), *leaves, *(event.nonce for event in opened(story).values())}
    assert len(guessed) == 3 * 2 + 3 + 1
    assert not leaves & {log_entries.leaf_of(nonce, e.record.encode()) for e in guessed for nonce in nonces}
    assert leaves >= {log_entries.leaf_of(event.nonce, event.record.encode()) for event in guessed}


def test_nothing_of_the_erased_is_left_in_any_byte_of_the_folder(story: Story, tmp_path: Path) -> None:
    """Free pages, write-ahead logs, intents, marks, what was signed last: nonces, records, numbers, names of keys."""
    needles = [Needle("person", story.people[name].person.encode()) for name in ERASED]
    for name in ERASED:
        events = [e for text in story.told[name] for e in receipts.proven(receipts.split(text)[0])]
        needles += [Needle("nonce", event.nonce) for event in events] + [
            Needle("record", event.record[-40:]) for event in events]
        rows = support.rows_of(story.before / DATA, "issued_pass")
        needles += [Needle("pass", row[0].encode()) for row in rows if row[1] == story.people[name].person]
        needles += [Needle("key", event.key.encode()) for event in before(story, name).values()]
    assert residue.search(story.folder, needles) == []
    assert {found.name for found in residue.search(story.before, needles)} == {"person", "pass", "key"}
    shutil.copytree(story.folder, tmp_path / "planted")
    for number, needle in enumerate(needles):
        (tmp_path / "planted" / str(number)).write_bytes(b"x" * number + needle.secret)
    assert {found.name for found in residue.search(tmp_path / "planted", needles)} == {n.name for n in needles}


# -- rows


def hidden(database: Path, table: str) -> list[int]:
    """Return the hidden numbers of a table's rows, in order; none where the table has no such numbers."""
    return sorted(row[0] for row in linking.tables(database)[table] if row[0] is not None)


def gaps(numbers: list[int]) -> list[int]:
    return [n for n in range(numbers[0], numbers[-1]) if n not in numbers] if numbers else []


def test_rows_about_people_have_no_numbers_whose_gaps_would_tell(story: Story, tmp_path: Path) -> None:
    """Who stood between whom. Control: the same rows in a table as SQLite makes one if it is not told otherwise."""
    for database in (story.folder / DATA, *(path for name, path in story.copies.items() if name.endswith("data"))):
        assert [table for table in ABOUT_PEOPLE if hidden(database, table)] == []
    with closing(sqlite3.connect(tmp_path / "planted.db")) as store, store:
        store.execute("CREATE TABLE person (person_id TEXT PRIMARY KEY)")
        store.executemany("INSERT INTO person VALUES (?)", [(name,) for name in linking.ORDER])
        store.execute("DELETE FROM person WHERE person_id IN ('ada', 'ben')")
        store.commit()
        store.execute("VACUUM")  # keeps the numbers
    assert gaps(hidden(tmp_path / "planted.db", "person")) == [2, 4]


def test_events_have_no_gap_and_none_is_missing_from_the_log(story: Story, tmp_path: Path) -> None:
    places = sorted(row[0] for row in support.rows_of(story.folder / DATA, "event"))
    assert gaps(places) == []
    assert max(places) == len(places)
    copy = support.copy_of(story.folder, tmp_path / "zoo")
    with closing(sqlite3.connect(copy / DATA)) as store, store:
        store.execute("DELETE FROM event WHERE event_id = ?", (min(theirs(story)),))  # a venue that erased events too
    assert gaps(sorted(row[0] for row in support.rows_of(copy / DATA, "event"))) == [min(theirs(story))]


def lengths(data: Path, places: set[int]) -> set[tuple[int, int, int]]:
    return {(len(row[1]), len(row[2]), len(row[3])) for row in support.rows_of(data, "event") if row[0] in places}


def test_no_size_tells_one_event_from_another(story: Story) -> None:
    """Control: without the filling the records' own lengths tell types apart."""
    assert lengths(story.folder / DATA, theirs(story)) == {(33, 16, CHAFF_BYTES)}
    assert lengths(story.folder / DATA, set(opened(story))) == {(33, 16, CHAFF_BYTES)}
    unfilled: dict[int, set[str]] = {}
    for event in opened(story).values():
        unfilled.setdefault(len(event.record.encode()), set()).add(event.record.type)
    assert len(unfilled) > 2
    assert all(len(types) == 1 for types in unfilled.values())


def alike(rows: dict[int, bytes]) -> list[tuple[int, int]]:
    """Return pairs of places whose bytes have more in common than chance gives: 32 equal bits at either end."""
    ends = {place: (data[:4], data[12:16], data[-4:]) for place, data in rows.items()}
    return [(one, two) for one, two in combinations(sorted(ends), 2)
            if any(a == b for a, b in zip(ends[one], ends[two], strict=True))]


def test_no_two_sealed_rows_are_alike(story: Story) -> None:
    """Whose events are one person's, by equal nonces, keystreams or ends. Control: one key and nonce used twice."""
    rows = {row[0]: row[3] for row in support.rows_of(story.folder / DATA, "event") if row[3] is not None}
    assert alike(rows) == []
    assert alike({place: row[2] for place, row in enumerate(support.rows_of(story.folder / DATA, "event"))
                  if row[2] is not None}) == []
    one, two = sorted(theirs(story))[:2]
    assert alike({**rows, two: rows[one][:20] + rows[two][20:]}) == [(one, two)]


# -- who did what: two stories that differ in that alone look alike


def test_who_of_the_erased_came_three_times_cannot_be_told(story: Story, other_visitor: Story) -> None:
    """Rows of every table and copy, row numbers, times, sizes, order and neighbours, the log's files: all of it."""
    assert view(story) == view(other_visitor)


def test_who_was_erased_first_cannot_be_told_from_today(story: Story, other_order: Story) -> None:
    """Nor from copies of before and after; one of between does tell (below)."""
    assert view(story, "between") == view(other_order, "between")


@pytest.mark.parametrize("change", ["one day", "another table", "a number"])
def test_the_comparison_sees_one_bit_planted(
        story: Story, other_visitor: Story, home: Path, change: str, tmp_path: Path) -> None:
    """Control: a venue that put off a visitor's date, kept a table of who came, or numbered its people."""
    def spoilt(one: Story, visitor: str) -> Story:
        path = Path(shutil.copyfile(one.copies["visited data"], tmp_path / f"{visitor}.copy"))
        with closing(sqlite3.connect(path)) as store, store:
            who = (one.people[visitor].person,)
            if change == "one day":
                store.execute("UPDATE person SET delete_at = delete_at + 86400 WHERE person_id = ?", who)
            else:
                store.execute("CREATE TABLE came (person_id TEXT PRIMARY KEY, consent_id TEXT)")
                numbered = (who[0], one.people[linking._other(visitor)].person)
                store.executemany("INSERT INTO came SELECT person_id, consent_id FROM consent WHERE person_id = ?",
                                  [(each,) for each in (numbered if change == "a number" else who)])
        return replace(one, copies={**one.copies, "visited data": path})

    assert view(spoilt(story, "ada")) != view(spoilt(other_visitor, "ben"))


def test_with_their_receipts_or_before_the_rotation_it_can_be_told(story: Story, other_visitor: Story) -> None:
    """Control: the same view of the disk as it was, with an epoch key that is gone now, or with Ada's receipts."""
    then = [linking.view(s.before, s.without(*NO_LATER_COPIES)) for s in (story, other_visitor)]
    assert then[0] != then[1]
    assert view(story, third=story.before) != view(other_visitor, third=other_visitor.before)
    assert view(story, told=tuple(story.told["ada"])) != view(other_visitor, told=tuple(other_visitor.told["ada"]))


def test_a_copy_from_between_does_narrow_it_down(story: Story, other_order: Story) -> None:
    """LIMITS.md: two copies shortly apart say whose row went, and which entries are new."""
    assert view(story) != view(other_order)
    visited, between = (support.rows_of(story.copies[f"{name} data"], "person") for name in ("visited", "between"))
    assert {row[0] for row in visited} - {row[0] for row in between} == {story.people["ada"].person}


def runs(places: set[int]) -> list[list[int]]:
    """Return the places that follow one another without a gap, run by run."""
    found: list[list[int]] = []
    for place in sorted(places):
        if found and found[-1][-1] == place - 1:
            found[-1].append(place)
        else:
            found.append([place])
    return found


def bracket(data: Path, place: int) -> tuple[int, int]:
    """Return the times of the nearest entries in the clear before and after a place: those say when they were made."""
    times = {}
    for row in support.rows_of(data, "event"):
        entry = log_entries.parse(row[1])
        if isinstance(entry, log_entries.Clear):
            times[row[0]] = entry.at
    return times[max(at for at in times if at < place)], times[min(at for at in times if at > place)]


def test_entries_of_one_moment_do_stand_side_by_side_and_between_two_times(story: Story) -> None:
    """LIMITS.md: three that nobody opens between two of the living are an enrolment; which visit goes with it, or which
    erasure, their neighbours and the times around them do not say: visits of both lie in one bracket.
    """
    mine = {name: sorted(before(story, name)) for name in ERASED}
    left = runs(set(linking.sealed_places(story.folder / DATA)) - set(opened(story)))
    assert all(mine[name][:3] in left for name in ERASED)
    assert len([run for run in left if len(run) == 4]) == 2  # the erasures, each with the end of a consent
    visits = {name: {bracket(story.folder / DATA, place) for place in mine[name][3:]} for name in ERASED}
    assert visits["ada"] == visits["ben"]
    assert len(visits["ada"]) == 1
    events = before(story, "ada")
    assert all(low <= events[place].record.at <= high for low, high in visits["ada"] for place in mine["ada"][3:])


# -- the published log


def test_published_files_hold_what_the_entries_give_and_nothing_else(story: Story) -> None:
    """So that files tell no more than rows do. Control: one byte more, or another hash, is seen."""
    folder = story.folder / "log"
    entries = [row[1] for row in support.rows_of(story.folder / DATA, "event")]
    size = linking.log_size(folder)
    wanted = {tiles.path(tiles.ENTRIES, 0, size): tiles.bundle(entries[:size]),
              tiles.path(0, 0, size): b"".join(merkle.leaf_hash(entry) for entry in entries[:size])}
    there = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    del there["checkpoint"]
    assert there == wanted
    there[tiles.path(0, 0, size)] += b"\0"
    assert there != wanted


def test_what_was_signed_last_holds_entries_and_nothing_else(story: Story) -> None:
    data = (story.folder / logs.SIGNED).read_bytes()
    signed = logs._read(data)
    rows = {row[0] - 1: row[1] for row in support.rows_of(story.folder / DATA, "event")}
    assert list(signed.tail) == [rows[at] for at in range(signed.start, signed.checkpoint.size)]
    assert signed.encode() == data
    assert len(signed.tail) > 0  # there is something to look at


# -- and the person


def test_the_erased_persons_own_receipts_still_verify(story: Story) -> None:
    """With a trust file; and their entries are where the receipts say, by index, nonce and hash."""
    with support.open_venue(story.folder, SetClock(story.now)) as venue:
        trust = log.trust(venue)
    (path,) = [p for p in (story.folder / "log" / "tile" / "entries").rglob("*") if p.is_file()]
    published = tiles.unbundle(path.read_bytes(), linking.log_size(story.folder / "log"))
    for name in ERASED:
        assert len(story.told[name]) == 3
        for text in story.told[name]:
            assert verifier.verify(text, trust).verdict == VERIFIED
            for event in receipts.proven(receipts.split(text)[0]):
                leaf = hashlib.sha256(event.nonce + event.record).digest()
                assert published[event.index] == b"\0" + leaf
                assert published[event.index] not in {published[n] for n in range(event.index)}
        altered = story.told[name][0].replace(story.people[name].person, PersonId("0" * 32))
        assert verifier.verify(altered, trust).verdict != VERIFIED


def test_their_keys_are_in_no_store_and_in_no_copy_that_opens(story: Story) -> None:
    gone = {event.key for name in ERASED for event in before(story, name).values()}
    assert gone & {row[0] for row in support.rows_of(story.copies["visited keys"], "wrapped_key")} == gone
    assert not gone & {row[0] for row in support.rows_of(story.folder / KEYS, "wrapped_key")}
    assert not gone & set(linking.keys(story.folder, story.copies.values()))
    assert gone <= set(linking.keys(story.folder, story.copies.values(), story.before))
