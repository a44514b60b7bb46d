"""People awaiting consent: on record by name only, for a month, and found again by their enrolment."""

from __future__ import annotations

from pathlib import Path

import pytest

from countenance.clock import SetClock
from countenance.errors import BadInput, CountenanceError, Refused, StoreFault
from countenance.flows import about, awaiting, intents, people, sweep
from countenance.flows.awaiting import Newcomer
from countenance.flows.venue import Venue
from countenance.quantities import DAY
from support.venue import SEARCH, count, enrolled, open_venue, rows_of, state_of


def test_somebody_is_put_on_record_once(venue: Venue, folder: Path) -> None:
    ada = awaiting.add(venue, " ada ", "zh")
    assert awaiting.add(venue, "ada", "en") == ada
    assert [(one.person, one.reference, one.purposes) for one in awaiting.everybody(venue)] == [(ada, "ada", {})]
    assert (count(folder, "person"), count(folder, "wrapped_key"), count(folder, "intent")) == (1, 1, 0)
    assert (count(folder, "consent"), count(folder, "template"), count(folder, "issued_pass")) == (0, 0, 0)
    told = about.about(venue, ada)
    assert (told["reference"], told["language"]) == ("ada", "zh")
    assert told["events"][0] | {"at": ""} == {"number": 1, "at": "", "type": "person-awaiting", "from": "client"}


def test_who_never_says_yes_is_gone_after_a_month(venue: Venue, folder: Path, clock: SetClock) -> None:
    awaiting.add(venue, "ada", "en")
    ben = awaiting.add(venue, "ben", "en")
    assert enrolled(venue, "ben", 1, SEARCH).person == ben
    clock.move(29 * DAY)
    sweep.sweep(venue)
    assert [one.reference for one in awaiting.everybody(venue)] == ["ada", "ben"]
    clock.move(DAY)
    sweep.sweep(venue)
    assert [(one.reference, set(one.purposes)) for one in awaiting.everybody(venue)] == [("ben", {SEARCH})]
    assert count(folder, "person") == 1


@pytest.mark.parametrize(("name", "code"), [
    ("", "reference-missing"), ("  ", "reference-missing"), ("a\nb", "reference-text"), ("a\x00b", "reference-text"),
    ("a\u202eb", "reference-text"), ("a\u200bb", "reference-text"), ("\udcff", "reference-text"),
    ("x" * 65, "reference-text"), ("x" * 10_000_000, "reference-text"), (" " * 10_000_000 + "x", "reference-missing")])
def test_names_that_are_none(venue: Venue, folder: Path, name: str, code: str) -> None:
    before = state_of(folder)
    with pytest.raises(BadInput) as refused:
        awaiting.add(venue, name, "en")
    assert refused.value.code == code
    assert state_of(folder) == before


@pytest.mark.parametrize("language", ["", "e", "en\n", "\u0435n", "en_GB", "toolonglanguagetag", "1n", "english-"])
def test_languages_that_are_none(venue: Venue, language: str) -> None:
    with pytest.raises(BadInput, match="tag"):
        awaiting.add(venue, "ada", language)
    assert awaiting.add(venue, "ada", "zh-Hans")


def test_a_failure_leaves_neither_key_nor_row(venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise StoreFault("store-full", "There is no room left on the disk.")

    monkeypatch.setattr(people, "add", fails)
    with pytest.raises(StoreFault):
        awaiting.add(venue, "ada", "en")
    assert (count(folder, "person"), count(folder, "wrapped_key"), count(folder, "intent")) == (0, 0, 0)


def test_a_crash_between_is_undone_at_the_next_opening(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object, **__: object) -> None:
        raise SystemExit

    with open_venue(folder) as venue:
        monkeypatch.setattr(people, "add", dies)
        monkeypatch.setattr(intents, "undo", dies)
        with pytest.raises(SystemExit):
            awaiting.add(venue, "ada", "en")
    assert (count(folder, "wrapped_key"), count(folder, "intent")) == (1, 1)
    monkeypatch.undo()
    with open_venue(folder) as venue:
        assert (count(folder, "person"), count(folder, "wrapped_key"), count(folder, "intent")) == (0, 0, 0)
        assert awaiting.add(venue, "ada", "en")


def test_two_at_once_make_one_person(venue: Venue, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, crossed = venue.keys.make, []

    def make(refs: list[object]) -> None:
        if not crossed:
            crossed.append(awaiting_by_another(venue))
        real(refs)  # type: ignore[arg-type]

    def awaiting_by_another(venue: Venue) -> str:
        crossed.append("now")
        person = awaiting.add(venue, "ada", "en")
        crossed.clear()
        return person

    monkeypatch.setattr(venue.keys, "make", make)
    found = awaiting.add_all(venue, [Newcomer("ada", "en"), Newcomer("ben", "en")], "csv")
    assert [one.reference for one in awaiting.everybody(venue)] == ["ada", "ben"]
    assert (found[0].known, found[0].person, found[1].known) == (True, crossed[0], False)
    assert (count(folder, "wrapped_key"), count(folder, "intent")) == (2, 0)


def test_renaming(venue: Venue) -> None:
    ada, ben = awaiting.add(venue, "ada", "zh"), awaiting.add(venue, "ben", "en")
    awaiting.rename(venue, ada, "cem")
    assert people.by_reference(venue, "cem") == ada
    with venue.store.read() as unit:
        assert people.profile(unit, venue.keys, ada).language == "zh"
    for person, name, code in ((ben, "cem", "reference-taken"), (ben, "\x07", "reference-text")):
        with pytest.raises(CountenanceError) as refused:
            awaiting.rename(venue, person, name)
        assert refused.value.code == code
    enrolled(venue, "ben")
    with pytest.raises(Refused, match="pass"):
        awaiting.rename(venue, ben, "dan")
    assert people.by_reference(venue, "ben") == ben


def test_removing_leaves_nothing(venue: Venue, folder: Path) -> None:
    ada = awaiting.add(venue, "ada", "en")
    assert awaiting.remove(venue, ada).receipt
    assert rows_of(folder / "countenance.db", "person") == rows_of(folder / "keys.db", "wrapped_key") == []
