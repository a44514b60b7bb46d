"""Scenarios: each kind of place from its founding to its proof; what each regime refuses; strict presets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from countenance import settings
from countenance.clock import SetClock, end_of_day, utc_day
from countenance.consent import consents, notice_terms
from countenance.consent.acts import Act, Age
from countenance.errors import BadInput, CountenanceError, Refused
from countenance.flows import admit, enrol, found, prove, renew, scenarios, sweep, withdraw
from countenance.flows.venue import Venue
from countenance.quantities import DAY, PurposeId
from countenance.storage import schema
from countenance.verifier import evidence
from support import venue as support

ALL = settings.presets("scenarios")
SOON = date(2026, 6, 24)


def founded(folder: Path, scenario: str, regime: str = "cn", threshold: str = found.CALIBRATED) -> Path:
    found.found(folder, SetClock(support.START), name="A place", contact="its desk", scenario=scenario, regime=regime,
                threshold=threshold)
    rows = "ada,house-1,2026-06-24,en,\nben,house-1,2026-06-24,zh,\ncem,,2029-12-31,en,\n"
    (folder / "tickets.csv").write_text("person_ref,household,valid_until,language,contact\n" + rows)
    if threshold == found.CALIBRATED:
        support.duties_done(folder)
    return folder


@contextmanager
def opened(folder: Path, clock: SetClock | None = None) -> Iterator[Venue]:
    with support.open_venue(folder, clock) as venue:
        yield venue


def enrolled(venue: Venue, name: str, person: int, **answer: Any) -> enrol.Enrolled:
    yes = replace(support.says_yes(venue, support.VERIFY), age=Age.OF_AGE)
    return enrol.enrol(venue, name, support.VERIFY, replace(yes, **answer), support.picture(person), support.as_written)


def test_there_are_seven() -> None:
    assert ALL == ["airport", "annual-pass", "conference", "hotel", "mall", "office", "residential"]


@pytest.mark.parametrize("scenario", ALL)
def test_each_place_enrols_admits_refuses_withdraws_and_proves(tmp_path: Path, scenario: str) -> None:
    with opened(founded(tmp_path / "v", scenario)) as venue:
        ada = enrolled(venue, "ada", 1)
        assert support.comes_back(venue, ada.pass_text).outcome is admit.Outcome.ADMIT
        assert support.comes_back(venue, ada.pass_text, 2).outcome is admit.Outcome.REFER     # somebody else
        plain = enrol.say_no(venue, "ben", support.as_written)
        assert support.other_lane(venue, plain) == "ben"
        withdraw.withdraw(venue, ada.person, ada.purpose)
        with pytest.raises(CountenanceError):
            support.comes_back(venue, ada.pass_text)
        assert support.other_lane(venue, ada.pass_text) == "ada"
        for data in (prove.person(venue, ada.person), prove.whole(venue)):
            evidence.verify(data, None).require_ok()


@pytest.mark.parametrize("scenario", ALL)
def test_each_notice_is_whole_in_both_languages(scenario: str) -> None:
    for purpose in scenarios.load(scenario)["purpose"]:
        assert set(purpose["notice"]) == {"en", "zh"}
        for language, text in purpose["notice"].items():
            assert notice_terms.missing(language, text) == notice_terms.void(text) == []
            assert "{venue}" in text and "{contact}" in text
            assert text.count("{") == text.count("{venue}") + text.count("{contact}")


@pytest.mark.parametrize("scenario", ["hotel", "airport", "conference"])
def test_what_is_for_a_stay_ends_with_it_and_renewing_extends_nothing(tmp_path: Path, scenario: str) -> None:
    clock = SetClock(support.START)
    with opened(founded(tmp_path / "v", scenario, threshold=found.DEMO_ONLY), clock) as venue:
        ada = enrolled(venue, "ada", 1)
        end = end_of_day(SOON)

        def expires() -> int:
            with venue.store.read() as unit:
                return consents.standing(unit, ada.person, ada.purpose).expires_at

        assert expires() == min(end, support.START + scenarios.load(scenario)["purpose"][0]["valid_days"] * DAY)
        clock.move(DAY)
        yes = support.says_yes(venue)
        renew.renew(venue, ada.person, ada.purpose, yes.notice_hash, "en", "desk")
        assert expires() <= end
        clock.move(end - clock.now() + 1)
        with pytest.raises(CountenanceError):
            support.comes_back(venue, ada.pass_text)
        sweep.sweep(venue)
        assert support.count(tmp_path / "v", "template") == 0


def test_what_is_for_its_days_outlives_a_ticket(tmp_path: Path) -> None:
    with opened(founded(tmp_path / "v", "mall", threshold=found.DEMO_ONLY)) as venue:
        ada = enrolled(venue, "ada", 1)
        with venue.store.read() as unit:
            found_ = consents.standing(unit, ada.person, ada.purpose)
        assert utc_day(found_.expires_at) == utc_day(support.START) + timedelta(180)


# regimes

@pytest.mark.parametrize("scenario", ALL)
def test_eu_compares_faces_only_where_a_document_is_checked_anyway(tmp_path: Path, scenario: str) -> None:
    cites = bool(settings.preset("scenarios", scenario)["replaces"])
    with opened(founded(tmp_path / "v", scenario, "eu")) as venue, venue.store.read() as unit:
        purposes = set(unit.run(select(schema.purpose.c.purpose_id)).scalars())
        assert purposes == ({"entry.verify", "entry.key"} if cites else set())
        assert bool(venue.settings.replaces) == cites
    assert cites == (scenario in {"annual-pass", "hotel", "airport", "office"})


def test_an_office_in_eu_needs_a_lawyers_word(tmp_path: Path) -> None:
    with opened(founded(tmp_path / "v", "office", "eu")) as venue:
        ada = enrolled(venue, "ada", 1)
        with venue.store.write() as unit:
            unit.connection.exec_driver_sql("DELETE FROM statement WHERE kind = 'counsel'")
        venue._duties_met.clear()
        with pytest.raises(Refused) as refusal:
            support.comes_back(venue, ada.pass_text)
        assert refusal.value.code == "counsel-missing"
        assert support.other_lane(venue, ada.pass_text) == "ada"


@pytest.mark.parametrize("regime", ["cn+eu", "cn,eu", "cn eu"])
def test_a_venue_has_one_regime(tmp_path: Path, regime: str) -> None:
    with pytest.raises(BadInput) as fault:
        founded(tmp_path / "v", "mall", regime)
    assert fault.value.code == "regime-several"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("change", "code"), [
    ({"more": 1}, "scenario-malformed"), ({"life": "ever"}, "scenario-malformed"),
    ({"format": 2}, "scenario-malformed"),
    ({"words": {}}, "scenario-malformed"), ({"gates": []}, "scenario-malformed")])
def test_a_scenario_is_strict(change: dict[str, Any], code: str) -> None:
    plan = settings.preset("scenarios", "hotel")
    scenarios.whole(plan)
    with pytest.raises(BadInput) as fault:
        scenarios.whole({**plan, **change})
    assert fault.value.code == code


@pytest.mark.parametrize("name", ["entry-and-marketing", "entry.with.offers", "entry+mood", "entry/age", "入园及营销"])
def test_a_name_that_hides_two_purposes(name: str) -> None:
    plan = settings.preset("scenarios", "hotel")
    for one in ("entry.verify", "landing", "brand.store", "android"):
        scenarios.require_one(one)
    with pytest.raises(BadInput) as fault:
        scenarios.whole({**plan, "purpose": [{**plan["purpose"][0], "id": name}]})
    assert fault.value.code == "purpose-two"


# children

def test_age_is_asked_and_a_guardian_of_the_household_agrees_for_a_child(tmp_path: Path) -> None:
    with opened(founded(tmp_path / "v", "annual-pass")) as venue:
        def refused(**answer: Any) -> str:
            with pytest.raises(CountenanceError) as caught:
                enrolled(venue, "ben", 2, **answer)
            assert support.count(venue.folder, "person") == 0
            return caught.value.code

        assert refused(age=Age.UNASKED) == "age-unasked"
        assert refused(age=Age.MINOR) == "guardian-missing"
        assert refused(age=Age.MINOR, guardian="ben") == "guardian-missing"
        assert refused(age=Age.MINOR, guardian="cem") == "guardian-other"      # of no household
        assert refused(age=Age.MINOR, guardian="nobody") == "guardian-other"
        ben = enrolled(venue, "ben", 2, age=Age.MINOR, guardian="ada")
        assert support.comes_back(venue, ben.pass_text, 2).outcome is admit.Outcome.ADMIT
        with venue.store.read() as unit:
            found_ = consents.standing(unit, ben.person, ben.purpose)
        assert found_.act is Act.GUARDIAN
        assert found_.expires_at == support.START + consents.MINORS_DAYS * DAY
        yes = replace(support.says_yes(venue, support.SEARCH), age=Age.MINOR, guardian="ada")
        with pytest.raises(Refused) as refusal:
            enrol.enrol(venue, "ben", PurposeId("entry.search"), yes, support.picture(2), support.as_written)
        assert refusal.value.code == "minor-search"
        yes = support.says_yes(venue)
        renew.renew(venue, ben.person, ben.purpose, yes.notice_hash, "en", "desk")
        with venue.store.read() as unit:
            assert consents.standing(unit, ben.person, ben.purpose).act is Act.GUARDIAN
