"""Orders, duties, rights, both lanes alike: what they stop, what they keep, what they refuse, and what they tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from countenance.cli.main import app
from countenance.clock import SetClock, utc_text
from countenance.consent.gate import press
from countenance.errors import BadInput, CountenanceError, Refused
from countenance.flows import about, admit, duties, gates, orders, parity, prove, record, rights, sweep, withdraw
from countenance.flows import working_days as days
from countenance.flows.venue import Venue
from countenance.formats import statements
from countenance.quantities import DAY, HOUR, PersonId
from countenance.verifier import evidence
from support.venue import (
    SEARCH,
    START,
    clear_events,
    comes_back,
    count,
    do_duties,
    enrolled,
    open_venue,
    other_lane,
    picture,
    signed,
)


def code(act: Callable[[], object]) -> str:
    with pytest.raises(CountenanceError) as caught:
        act()
    return caught.value.code


@pytest.fixture
def settled(venue: Venue) -> Venue:
    do_duties(venue)
    return venue


def by_face(venue: Venue, person: int) -> str:
    return admit.by_face(venue, SEARCH, press(venue.clock), picture(person, 9)).outcome.value


# orders

@pytest.mark.promise(1)
def test_an_order_about_a_person_stops_them_alone_in_both_kinds_of_comparison(settled: Venue) -> None:
    ada, ben, cem = enrolled(settled), enrolled(settled, "ben", 2, SEARCH), enrolled(settled, "cem", 3, SEARCH)
    assert (comes_back(settled, ada.pass_text).outcome.value, by_face(settled, 2)) == ("admit", "admit")
    for who in (ada, ben):
        orders.take(settled, signed(settled, "order", f"person:{who.person}"))
    assert code(lambda: comes_back(settled, ada.pass_text)) == "person-stopped"
    assert by_face(settled, 2) == "refer"
    assert len(settled.galleries.exact(SEARCH).owners) == 1  # he is not even compared
    assert by_face(settled, 3) == "admit"
    assert other_lane(settled, ada.pass_text) == "ada"       # their pass is good as before
    assert "ruling-of-person" in {event["type"] for event in about.about(settled, ada.person)["events"]}
    assert ada.person not in repr(clear_events(settled.folder))
    assert cem.person


@pytest.mark.promise(1)
@pytest.mark.parametrize("subject", ["controller", "zone:entrance"])
def test_an_order_about_a_place_or_all_of_it_stops_everybody_and_is_lifted_by_another(settled: Venue,
                                                                                       subject: str) -> None:
    ada = enrolled(settled)
    enrolled(settled, "ben", 2, SEARCH)
    ruling = orders.take(settled, signed(settled, "order", subject))
    assert code(lambda: comes_back(settled, ada.pass_text)) == "order-stops"
    assert code(lambda: by_face(settled, 2)) == "order-stops"
    assert code(lambda: enrolled(settled, "cem", 3)) == "order-stops"
    assert other_lane(settled, ada.pass_text) == "ada"
    assert [event.body["target"] for event in clear_events(settled.folder) if event.type == "ruling"] == [
        subject.partition(":")[2]]
    orders.take(settled, signed(settled, "lift", f"ruling:{ruling.ruling_id}"))
    assert comes_back(settled, ada.pass_text).outcome.value == "admit"
    assert code(lambda: orders.take(settled, signed(settled, "lift", f"ruling:{ruling.ruling_id}", days=5))) == (
        "ruling-unknown")


@pytest.mark.parametrize(("kind", "subject", "refused"), [
    ("order", "everybody", "order-subject"), ("order", "zone:moon", "zone-unknown"),
    ("order", "person:" + "0" * 32, "person-unknown"), ("preserve", "controller", "order-subject"),
    ("lift", "ruling:" + "0" * 32, "ruling-unknown"), ("sign", "zone:entrance", "statement-kind")])
def test_an_order_that_reaches_nothing_changes_nothing(settled: Venue, kind: str, subject: str, refused: str) -> None:
    before = count(settled.folder, "statement")
    assert code(lambda: orders.take(settled, signed(settled, kind, subject))) == refused
    assert count(settled.folder, "statement") == before
    assert count(settled.folder, "ruling") == 0


def test_an_order_without_a_signature_of_somebody_who_may_is_nobodys(settled: Venue) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    good = signed(settled, "order", "controller")
    other = signed(settled, "order", "controller", Ed25519PrivateKey.generate())
    for note, refused in ((good.partition("\n\n")[0] + "\n", "statement-unsigned"), (other, "statement-unsigned"),
                          (good.replace("controller", "zone:entrance"), "signature-wrong"),
                          (good + "more", "note-malformed")):
        assert code(lambda note=note: orders.take(settled, note)) == refused
    assert count(settled.folder, "ruling") == 0
    orders.take(settled, good)
    assert code(lambda: orders.take(settled, good)) == "statement-known"
    assert count(settled.folder, "ruling") == 1


@pytest.mark.promise(2)
def test_a_preserved_record_loses_its_face_and_is_erased_when_the_order_is_over(folder: Path) -> None:
    clock = SetClock(START)
    with open_venue(folder, clock) as venue:
        do_duties(venue)
        ada = enrolled(venue)
        orders.take(venue, signed(venue, "preserve", f"person:{ada.person}", days=10))
        assert comes_back(venue, ada.pass_text).outcome.value == "admit"   # it stops nothing
        assert code(lambda: withdraw.erase(venue, ada.person)) == "record-preserved"
        assert count(folder, "template") == 0                              # an order keeps no face
        assert count(folder, "person") == 1
        with pytest.raises(CountenanceError):
            comes_back(venue, ada.pass_text)
        clock.move(12 * DAY)
        sweep.sweep(venue)
        withdraw.erase(venue, ada.person)
        assert count(folder, "person") == 0
        assert count(folder, "ruling") == 0


def test_a_death_ends_every_face_and_relatives_ask_as_the_person_wished(settled: Venue) -> None:
    ada, ben = enrolled(settled), enrolled(settled, "ben", 2)
    assert code(lambda: rights.ask(settled, ada.person, "access", "Mine?", by_kin=True)) == "kin-living"
    orders.wish(settled, ben.person, orders.NOBODY)
    for who in (ada, ben):
        assert orders.died(settled, who.person, "the registrar") == 1
        assert code(lambda who=who: comes_back(settled, who.pass_text)) != ""
    assert count(settled.folder, "template") == 0
    assert rights.ask(settled, ada.person, "access", "Hers?", by_kin=True).by_kin
    assert code(lambda: rights.ask(settled, ben.person, "access", "His?", by_kin=True)) == "kin-unwished"
    with settled.store.read() as unit:
        from countenance.consent import rulings

        death = rulings.all_of(unit, ada.person)[0]
    assert code(lambda: orders.take(settled, signed(settled, "lift", f"ruling:{death.ruling_id}"))) == "ruling-unknown"


def test_a_sealed_disclosure_is_shown_when_its_seal_ends_and_was_fixed_before(folder: Path) -> None:
    clock = SetClock(START)
    with open_venue(folder, clock) as venue:
        do_duties(venue)
        ada = enrolled(venue)
        seal = signed(venue, "seal", f"person:{ada.person}", days=5)
        record.disclosure(venue, ada.person, "the police", "visits in May", "warrant 17", seal)
        record.disclosure(venue, ada.person, "an insurer", "a day", "they asked")

        def seen() -> list[str]:
            return [event["to"] for event in about.about(venue, ada.person)["events"] if "to" in event]

        assert seen() == ["an insurer"]
        assert "police" not in repr(clear_events(folder))
        assert any(event.type == "withheld" for event in clear_events(folder))
        clock.move(7 * DAY)
        sweep.sweep(venue)
        assert sorted(seen()) == ["an insurer", "the police"]
        assert count(folder, "withheld") == 0
        assert code(lambda: record.disclosure(venue, PersonId(enrolled(venue, "ben", 2).person), "x", "y", "z",
                                              signed(venue, "seal", f"person:{ada.person}"))) == "order-subject"


# duties

@pytest.fixture
def strict(folder: Path) -> Venue:
    text = (folder / "venue.toml").read_text("utf-8").replace('"demo-only"', '"calibrated"')
    (folder / "venue.toml").write_text(text, "utf-8")
    with open_venue(folder) as venue:
        yield venue  # type: ignore[misc]  # a fixture


@pytest.mark.promise(7)
def test_each_duty_that_is_missing_closes_the_face_lane_and_no_other(strict: Venue) -> None:
    assert code(lambda: enrolled(strict)) == "assessment-missing"
    do_duties(strict)
    ada = enrolled(strict)
    assert comes_back(strict, ada.pass_text).outcome.value == "admit"
    for table, where, refused in (("statement", "kind = 'assessment'", "assessment-missing"),
                                  ("statement", "kind = 'sign'", "sign-missing"),
                                  ("lane_proof", "1", "lane-unproven")):
        with strict.store.write() as unit:
            unit.connection.exec_driver_sql(f"DELETE FROM {table} WHERE {where}")  # noqa: S608  # two fixed tables
        strict._duties_met.clear()
        assert code(lambda: comes_back(strict, ada.pass_text)) == refused
        assert other_lane(strict, ada.pass_text) == "ada"
        do_duties(strict)


def test_a_changed_setting_voids_the_assessment_and_time_ends_each(strict: Venue, clock: SetClock) -> None:
    do_duties(strict)
    ada = enrolled(strict)
    with strict.store.write() as unit:
        gates.add(unit, "second", gates.Mode.PASS)
    strict.clock.move(11)  # type: ignore[attr-defined]  # a clock set by hand
    assert code(lambda: comes_back(strict, ada.pass_text)) == "assessment-missing"
    do_duties(strict)
    assert comes_back(strict, ada.pass_text).outcome.value == "admit"
    strict.clock.move(25 * HOUR)  # type: ignore[attr-defined]  # as above
    assert code(lambda: comes_back(strict, ada.pass_text)) == "lane-unproven"
    duties.prove_lane(strict, "plain", ada.pass_text)
    assert comes_back(strict, ada.pass_text).outcome.value == "admit"
    assert code(lambda: duties.prove_lane(strict, "main", ada.pass_text)) == "gate-other"


@pytest.mark.parametrize(("kind", "subject", "refused"), [
    ("assessment", "0" * 64, "statement-subject"), ("sign", "zone:moon", "zone-unknown"),
    ("counsel", "hotel", "statement-subject"), ("order", "controller", "statement-kind")])
def test_a_statement_about_something_else_is_not_taken(settled: Venue, kind: str, subject: str, refused: str) -> None:
    assert code(lambda: duties.take(settled, signed(settled, kind, subject))) == refused


@pytest.mark.parametrize(("before", "after", "refused"), [
    ("until 2027-02-28", "until 2027-02-29", "statement-dates"),
    ("until 2027-02-28", "until 2026-02-28", "statement-dates"),
    ("until 2027-02-28", "until 2027-06-23", "statement-dates"),
    ("until 2027-02-28", "until 20270228", "statement-dates"),
    ("from 2026-06-21", "from 2026-06-21 ", "statement-dates"), ("kind sign", "kind wish", "statement-kind"),
    ("kind sign", "Kind sign", "statement-malformed"), ("subject zone:entrance", "subject Zone", "statement-malformed"),
    ("statement 1", "statement 2", "statement-malformed"), ("document ", "document x", "statement-malformed")])
def test_a_statement_is_strict(before: str, after: str, refused: str) -> None:
    good = statements.Statement(
        "sign", "0" * 16, "zone:entrance", "0" * 64, date(2026, 6, 21), date(2027, 2, 28)).text()
    assert statements.parse(good).text() == good
    assert before in good
    assert code(lambda: statements.parse(good.replace(before, after))) == refused
    leap = good.replace("2027-02-28", "2026-06-21").replace("from 2026-06-21", "from 2024-02-29")
    assert code(lambda: statements.parse(leap)) == "statement-dates"  # a day that there was, too long ago
    assert statements.parse(leap.replace("until 2026-06-21", "until 2024-02-29")).first == date(2024, 2, 29)


def test_a_statement_that_is_over_counts_for_nothing(settled: Venue) -> None:
    note = signed(settled, "sign", "zone:entrance", days=3)
    settled.clock.move(5 * DAY)  # type: ignore[attr-defined]  # a clock set by hand
    assert code(lambda: duties.take(settled, note)) == "statement-dates"


def test_a_clock_set_back_makes_nothing_count_again(strict: Venue) -> None:
    do_duties(strict)
    ada = enrolled(strict)
    one = rights.ask(strict, ada.person, "access", "Mine.")
    strict.clock.move(400 * DAY)  # type: ignore[attr-defined]  # a clock set by hand
    with strict.store.write() as unit:
        unit.set_mark("vacuum", unit.now)  # anything that is written down at that time
    strict.clock.move(-390 * DAY)  # type: ignore[attr-defined]  # as above
    with strict.store.read() as unit:
        assert duties.standing(unit, "sign", "zone:entrance") is None
        assert duties.proven_at(unit, "entrance") is not None
        assert code(lambda: duties.require_lane(unit, "entrance")) == "lane-unproven"
        assert [found.standing(unit.now) for found in rights.all_of(unit)] == ["late"]
    assert code(lambda: comes_back(strict, ada.pass_text)) in {"clock-set-back", "sweep-late"}
    assert other_lane(strict, ada.pass_text) == "ada"
    assert one.outcome == rights.OPEN


# rights

@pytest.mark.promise(2)
def test_a_restriction_counts_at_once_and_ends_when_the_person_says_so(settled: Venue) -> None:
    ada = enrolled(settled)
    one = rights.ask(settled, ada.person, "restrict", "Stop, please.")
    assert code(lambda: comes_back(settled, ada.pass_text)) == "person-stopped"
    rights.answer(settled, one.request_id, "refused", "We need it.")
    assert code(lambda: comes_back(settled, ada.pass_text)) == "person-stopped"  # an answer lifts nothing
    orders.resume(settled, ada.person)
    assert comes_back(settled, ada.pass_text).outcome.value == "admit"
    assert code(lambda: orders.resume(settled, ada.person)) == "ruling-unknown"


def test_each_right_is_answered_once_in_the_log_and_in_the_evidence(settled: Venue) -> None:
    ada = enrolled(settled)
    for kind in rights.KINDS:
        if kind == "delete":
            continue
        one = rights.ask(settled, ada.person, kind, f"I ask for {kind}.")
        assert one.due == days.due(START, 15, "working", "cn")
        settled.clock.move(60)  # type: ignore[attr-defined]  # a clock set by hand
        rights.answer(settled, one.request_id, "granted", "Here.", language="zh")
        assert code(lambda one=one: rights.answer(settled, one.request_id, "refused", "No.")) == "request-answered"
    told = about.about(settled, ada.person)
    assert told["language"] == "zh"
    types = [event["type"] for event in told["events"]]
    assert types.count("request") == types.count("answer") == 6
    read = evidence.verify(prove.person(settled, ada.person), None)
    read.require_ok()
    one = rights.ask(settled, ada.person, "delete", "All of it.")
    assert len(rights.answer(settled, one.request_id, "granted", "Done.")) == 2
    with settled.store.read() as unit:
        assert {found.person for found in rights.all_of(unit)} == {""}   # nobody's any more
        assert {found.standing(unit.now) for found in rights.all_of(unit)} == {"answered"}


@pytest.mark.promise(2)
def test_what_an_order_keeps_is_deleted_in_part_and_no_answer_says_more(settled: Venue) -> None:
    ada = enrolled(settled)
    orders.take(settled, signed(settled, "preserve", f"person:{ada.person}", days=10))
    one = rights.ask(settled, ada.person, "delete", "All of it.")
    assert code(lambda: rights.answer(settled, one.request_id, "granted", "Done.")) == "record-preserved"
    with settled.store.read() as unit:
        assert rights.all_of(unit)[0].outcome == rights.OPEN
    assert len(rights.answer(settled, one.request_id, "partly", "A court keeps the record.")) == 1
    assert (count(settled.folder, "template"), count(settled.folder, "person")) == (0, 1)


@pytest.mark.promise(7)
def test_a_wish_or_an_order_is_missed_by_no_older_store(settled: Venue) -> None:
    ada = enrolled(settled)

    def forward() -> int:
        with settled.store.read() as unit:
            return unit.mark("forward") or 0

    before = forward()
    rights.ask(settled, ada.person, "restrict", "Stop.")
    assert forward() == before + 1
    orders.resume(settled, ada.person)
    orders.take(settled, signed(settled, "order", "controller"))
    assert forward() == before + 3


@pytest.mark.parametrize(("act", "refused"), [
    (lambda v, p: rights.ask(v, p, "sell", "x"), "request-kind"),
    (lambda v, p: rights.ask(v, p, "access", ""), "record-text"),
    (lambda v, _: rights.ask(v, PersonId("0" * 32), "access", "x"), "person-unknown"),
    (lambda v, _: rights.answer(v, "0" * 32, "granted", "x"), "request-unknown"),
    (lambda v, _: rights.answer(v, "0" * 32, "perhaps", "x"), "request-outcome"),
    (lambda v, p: rights.answer(v, rights.ask(v, p, "correct", "x").request_id, "granted", "x", language="fr"),
     "request-fields")])
def test_requests_that_cannot_be_taken(settled: Venue, act: Callable[[Venue, PersonId], object], refused: str) -> None:
    ada = enrolled(settled)
    assert code(lambda: act(settled, ada.person)) == refused


def test_late_requests_come_first_and_say_so(settled: Venue) -> None:
    ada = enrolled(settled)
    one = rights.ask(settled, ada.person, "access", "Mine.")
    settled.clock.move(one.due - START - 2 * DAY)  # type: ignore[attr-defined]  # a clock set by hand
    with settled.store.read() as unit:
        assert rights.all_of(unit)[0].standing(unit.now) == "due soon"
    assert sweep.sweep(settled).requests == 1   # a reminder
    settled.clock.move(3 * DAY)  # type: ignore[attr-defined]  # as above
    with settled.store.read() as unit:
        assert rights.counts(unit) == {"late": 1}
    assert sweep.sweep(settled).requests == 1
    rights.answer(settled, one.request_id, "granted", "Here.")
    assert sweep.sweep(settled).requests == 0


# working days

@pytest.mark.parametrize(("start", "number", "last"), [
    (date(2026, 6, 18), 1, date(2026, 6, 22)),    # the 19th is the Dragon Boat festival, then a weekend
    (date(2026, 9, 18), 1, date(2026, 9, 20)),    # a Sunday that is worked
    (date(2026, 9, 30), 1, date(2026, 10, 8)), (date(2026, 1, 1), 1, date(2026, 1, 4))])
def test_working_days_go_by_the_calendar(start: date, number: int, last: date) -> None:
    assert days.load("cn").after(start, number) == last


def test_a_calendar_without_the_year_says_so_and_a_limit_is_sooner() -> None:
    calendar = days.load("cn")
    assert code(lambda: calendar.after(date(2026, 12, 30), 5)) == "calendar-year"
    assert calendar.after_or_sooner(date(2026, 12, 30), 5) == date(2027, 1, 4)
    assert utc_text(days.due(START, 30, "calendar", "eu")).startswith("2026-07-22T00:00:00")


@pytest.mark.parametrize("change", [{"format": 2}, {"year": []  , "more": 1}, {"year": [{"year": 2026}]},
                                    {"year": [{"year": 2026, "off": ["2025-01-01"], "worked": []}]},
                                    {"year": [{"year": 2026, "off": ["2026-02-30"], "worked": []}]},
                                    {"year": [{"year": 2026, "off": [], "worked": []}] * 2}])
def test_a_calendar_is_strict(change: dict[str, object]) -> None:
    with pytest.raises(BadInput) as fault:
        days.parse({"format": 1, "name": "x", "year": [], **change})
    assert fault.value.code == "calendar-malformed"


# both lanes alike

def test_where_people_without_a_face_wait_longer_faces_wait_too(venue: Venue) -> None:
    def times(lane: str, seconds: int, number: int = 20) -> parity.Waits:
        for _ in range(number):
            with venue.store.write() as unit:
                found = parity.waited(unit, "entrance", lane, seconds)
        return found

    def open_gates() -> set[str]:
        with venue.store.read() as unit:
            return {gate.gate_id for gate in gates.all_of(unit) if gate.open}

    assert not times("face", 10).enough
    assert not times("pass", 60, 19).enough
    assert open_gates() == {"main", "quick", "plain"}
    assert times("pass", 60, 1).breached
    assert open_gates() == {"plain"}
    found = times("pass", 5, 30)
    assert (found.pass_s, found.breached) == (5, False)
    assert open_gates() == {"main", "quick", "plain"}
    with venue.store.write() as unit:
        for lane, seconds in (("dog", 5), ("face", -1), ("face", 7_201)):
            assert code(lambda lane=lane, seconds=seconds: parity.waited(unit, "entrance", lane, seconds)) == (
                "wait-malformed")
        with pytest.raises(Refused):
            parity.waited(unit, "moon", "face", 5)


# the command line

def test_from_a_key_to_an_order_by_the_commands_of_the_page(folder: Path, tmp_path: Path) -> None:
    def say(*words: object) -> dict[str, object]:
        done = CliRunner().invoke(app, [*map(str, words), "--json"])
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.stdout))

    at = ("--venue", folder)
    paper = tmp_path / "paper"
    paper.write_text("Stop.")
    public = say("statement", "key", "--name", "counsel", "--out", tmp_path / "k")["public"]
    text = (folder / "venue.toml").read_text("utf-8").replace("signers = []", f'signers = ["{public}"]')
    (folder / "venue.toml").write_text(text, "utf-8")
    for kind, more in (("assessment", ()), ("sign", ("--subject", "zone:entrance")),
                       ("order", ("--subject", "controller"))):
        say("statement", "draft", kind, *more, "--document", paper, "--out", tmp_path / f"{kind}.txt", *at)
        say("statement", "sign", tmp_path / f"{kind}.txt", "--key", tmp_path / "k", "--out", tmp_path / f"{kind}.note")
        say("order" if kind == "order" else "statement", "take", tmp_path / f"{kind}.note", *at)
    assert {row["duty"]: row["state"] != "missing" for row in say("statement", "status", *at)["duties"]} == {  # type: ignore[attr-defined]  # JSON
        "assessment": True, "sign": True, "lane": True}
    assert len(say("order", "list", *at)["rulings"]) == 1  # type: ignore[arg-type]  # JSON
