"""A gallery that calibrates itself, by simulation: crowded people, twins, duplicates; never looser; by consent only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from countenance.clock import SetClock
from countenance.consent import notices
from countenance.consent.acts import Act
from countenance.consent.consents import Yes
from countenance.errors import BadInput, Refused
from countenance.features import quantise
from countenance.flows import own_calibration as story
from countenance.flows import withdraw
from countenance.flows.venue import Venue
from countenance.matching import calibration, cohort, own_calibration
from countenance.matching.own_calibration import Tail
from countenance.permits import Kind, PermitBook, Scope, gallery_scope, load_scope
from countenance.quantities import Instant, PurposeId, VenueId
from countenance.vision import packs, synthetic
from support import venue as support

PACK = packs.load().identity
STEP = packs.load().manifest.step
FMR = 1e-4


def tail(codes: NDArray[np.int8]) -> Tail:
    book = PermitBook(SetClock(Instant(0)))
    scope = load_scope(VenueId("zoo"), PurposeId("entry.search"), 1, ["a"], calibrates=True)
    return own_calibration.tail(book, book.appoint()(scope), scope, codes, cohort.load(PACK))


def crowd(number: int, families: int = 0, twins: int = 0) -> NDArray[np.int8]:
    """Made-up people; in `families` they share two thirds of what they are; `twins` pairs are nearly one person."""
    random = np.random.default_rng(7)
    nobody = synthetic.load(PACK)
    people = nobody.draw(random, number).astype(np.float64)
    if families:
        shared = nobody.draw(random, families)[random.integers(0, families, number)]
        people = nobody.mean + 0.75 * (shared - nobody.mean) + np.sqrt(1 - 0.75**2) * (people - nobody.mean)
    for pair in range(twins):
        people[2 * pair + 1] = people[2 * pair] + 0.25 * (people[2 * pair + 1] - people[2 * pair])
    return np.stack([quantise(one.astype(np.float32), STEP) for one in people])


def measured() -> calibration.Calibration:
    return calibration.load(PACK, cohort.load(PACK).identity)


def ordinary() -> calibration.Calibration:
    """A calibration of the made-up people themselves: they are neither nearer nor further than they should be."""
    found, usual = tail(crowd(1_500)), measured()
    points = [replace(point, threshold=float(np.searchsorted(found.counts, point.fmr * found.pairs)) * 0.01 - 60)
              for point in usual.points if point.fmr * found.pairs >= 10]
    return replace(usual, points=points)


def test_every_pair_is_counted_as_the_door_would_score_it() -> None:
    codes = crowd(120)
    found = tail(codes)
    held = cohort.load(PACK)
    numbers = held.numbers(codes)
    from countenance.matching import score

    scores = [float(score.of(score.squared(codes[i], codes[j]), numbers[:, i], numbers[:, j]))
              for i in range(120) for j in range(i + 1, 120)]
    assert found.pairs == len(scores) == 120 * 119 // 2
    for edge in (-8.0, -4.0, -2.0, 0.0, 5.0):
        assert abs(found.below(edge) - sum(one <= edge for one in scores)) <= 1  # to a hundredth
    assert found.below(60.0) == found.pairs


def test_ordinary_people_move_nothing_and_crowded_ones_make_it_stricter() -> None:
    usual = ordinary()
    same = own_calibration.moved(usual, 1e-3, tail(crowd(1_200)))
    assert same.stricter_by < 0.25
    crowded = own_calibration.moved(usual, 1e-3, tail(crowd(1_200, families=12)))
    assert crowded.stricter_by > 0.5
    most = float(usual.threshold(1e-3)) - float(usual.threshold(1e-4))
    assert crowded.stricter_by <= most + 1e-6                  # a tenth of the rate, and no further
    assert float(crowded.threshold) == pytest.approx(float(usual.threshold(1e-3)) - crowded.stricter_by)


def test_twins_are_counted_and_do_not_move_it() -> None:
    usual = ordinary()
    plain = own_calibration.moved(usual, 1e-3, tail(crowd(1_200)))
    assert plain.duplicates == 0
    with_twins = own_calibration.moved(usual, 1e-3, tail(crowd(1_200, twins=20)))
    assert 15 <= with_twins.duplicates <= 20
    assert with_twins.stricter_by == pytest.approx(plain.stricter_by, abs=0.25)  # of a score


def test_people_who_lie_far_apart_make_nothing_looser() -> None:
    usual = ordinary()
    strict = replace(usual, points=[replace(point, threshold=point.threshold - 3) for point in usual.points])
    far = own_calibration.moved(strict, 1e-3, tail(crowd(600)))
    assert far.stricter_by == 0
    assert far.threshold == strict.threshold(1e-3)


def test_no_permit_of_another_kind_and_no_small_gallery() -> None:
    book = PermitBook(SetClock(Instant(0)))
    issue, codes = book.appoint(), crowd(120)
    for scope in (gallery_scope(Kind.SEARCH, VenueId("zoo"), PurposeId("entry.search"), 1),
                  Scope(Kind.DATASET, VenueId(""), PurposeId("evaluation"), "dataset:1")):
        with pytest.raises(Refused) as refusal:
            own_calibration.tail(book, issue(scope), scope, codes, cohort.load(PACK))
        assert refusal.value.code == "permit-door"
    with pytest.raises(BadInput) as fault:
        tail(codes[:99])
    assert fault.value.code == "cohort-too-few"
    scope = load_scope(VenueId("zoo"), PurposeId("entry.search"), 1, ["a"], calibrates=True)
    permit = issue(scope)
    own_calibration.tail(book, permit, scope, codes, cohort.load(PACK))
    with pytest.raises(Refused) as refusal:
        own_calibration.tail(book, permit, scope, codes, cohort.load(PACK))
    assert refusal.value.code == "permit-spent"


TEXTS = {"en": "May we compare your face with others' to set a threshold?", "zh": "可否为校准阈值比对您的人脸?"}


def says(venue: Venue) -> Yes:
    with venue.store.read() as unit:
        notice = notices.in_force(unit, story.of(support.SEARCH))
    return Yes(notice.hash, "en", Act("asserted"))


def test_only_those_who_agreed_to_it_are_compared(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_calibration, "LEAST_PEOPLE", 2)
    venue.settings = replace(venue.settings, threshold="calibrated", fpir=0.01)
    support.do_duties(venue)
    people = [support.enrolled(venue, name, number, support.SEARCH).person
              for number, name in enumerate(("ada", "synthetic-000014", "synthetic-000015"), 1)]
    support.do_duties(venue)
    with pytest.raises(Refused) as refusal:
        story.run(venue, support.SEARCH)
    assert refusal.value.code in {"purpose-unknown", "notice-missing"}   # off unless it is offered
    story.offer(venue, support.SEARCH, TEXTS)
    support.do_duties(venue)
    with pytest.raises(Refused) as refusal:
        story.run(venue, support.SEARCH)
    assert refusal.value.code == "consent-missing"
    support.do_duties(venue)
    for person in people[:2]:
        story.agree(venue, person, support.SEARCH, says(venue))
    before = venue.threshold("search", 3, support.SEARCH).score
    done = story.run(venue, support.SEARCH)
    assert done.moved.pairs == 1                                         # the third did not agree
    assert venue.threshold("search", 3, support.SEARCH).score <= before
    withdraw.withdraw(venue, people[0], story.of(support.SEARCH))
    with pytest.raises(BadInput) as fault:
        story.run(venue, support.SEARCH)
    assert fault.value.code == "cohort-too-few"                          # one is left


def test_what_was_moved_is_logged_and_holds(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_calibration, "LEAST_PEOPLE", 2)
    venue.settings = replace(venue.settings, threshold="calibrated", fpir=0.01)
    support.do_duties(venue)
    story.offer(venue, support.SEARCH, TEXTS)
    support.do_duties(venue)
    for number, name in enumerate(("ada", "synthetic-000014"), 1):
        person = support.enrolled(venue, name, number, support.SEARCH).person
        story.agree(venue, person, support.SEARCH, says(venue))
    usual = venue.threshold("search", 2, support.SEARCH).score
    support.do_duties(venue)
    monkeypatch.setattr(own_calibration, "_shift", lambda *_: 0.5)
    assert story.run(venue, support.SEARCH).stricter_by == 0.5
    assert float(venue.threshold("search", 2, support.SEARCH).score) == pytest.approx(float(usual) - 0.5)
    monkeypatch.setattr(own_calibration, "_shift", lambda *_: 0.0)
    done = story.run(venue, support.SEARCH)
    assert (done.before, done.stricter_by) == (0.5, 0.5)                 # it does not come back up
    with venue.store.write() as unit:
        unit.set_mark("stricter/entry.search", Instant(-5_000))          # whoever edits the mark
    assert venue.threshold("search", 2, support.SEARCH).score == usual   # makes nothing looser
