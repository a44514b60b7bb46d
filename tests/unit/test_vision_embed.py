"""No permit, no embedding: the network is not run before the permit is spent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from countenance.clock import SetClock
from countenance.errors import BadInput, Refused
from countenance.permits import DOORS, Door, Kind, Permit, PermitBook, dataset_scope, person_scope
from countenance.quantities import Instant, PersonId, PurposeId, VenueId
from countenance.vision.embed import Embedder, pattern

CHIP = np.zeros((150, 150, 3), np.uint8)
SCOPE = person_scope(Kind.VERIFY, VenueId("zoo"), PurposeId("entry"), PersonId("ab"))
DATASET = dataset_scope("folder")


class Counted:
    """Stands for the network and counts its runs."""

    def __init__(self) -> None:
        self.runs = 0
        self.measured = np.full(128, 0.5, np.float32)

    def run(self, chips: Any) -> Any:
        self.runs += 1
        return np.stack([self.measured] * len(chips))


class Desk:
    """A book, its issuer and an embedder over a counted network."""

    def __init__(self) -> None:
        self.clock = SetClock(Instant(0))
        self.book = PermitBook(self.clock)
        self.issue = self.book.appoint()
        self.network = Counted()
        self.embedder = Embedder(self.network, "pack@1", 0.01)  # type: ignore[arg-type]  # stands for a Session


@pytest.fixture
def desk() -> Desk:
    return Desk()


def refused(desk: Desk, permit: Any, scope: Any = SCOPE) -> str:
    before = desk.network.runs
    with pytest.raises(Refused) as caught:
        desk.embedder.embed(desk.book, permit, scope, CHIP)
    assert desk.network.runs == before
    return caught.value.code


def test_a_permit_makes_one_probe(desk: Desk) -> None:
    permit = desk.issue(SCOPE)
    probe = desk.embedder.embed(desk.book, permit, SCOPE, CHIP)
    assert (probe.codes.shape, probe.codes.dtype) == ((128,), np.int8)
    assert (probe.pack, probe.permit, probe.step) == ("pack@1", permit, 0.01)
    assert probe.codes.tolist() == [50] * 128
    assert desk.network.runs == 1
    assert refused(desk, permit) == "permit-spent"


def test_no_permit_no_run(desk: Desk) -> None:
    issued = desk.issue(SCOPE)
    assert refused(desk, None) == "permit-forged"
    assert refused(desk, Permit("00", SCOPE)) == "permit-forged"
    assert refused(desk, Permit(issued.number, SCOPE)) == "permit-forged"
    assert refused(desk, Desk().issue(SCOPE)) == "permit-forged"


def test_another_kind_person_or_venue_no_run(desk: Desk) -> None:
    other = person_scope(Kind.VERIFY, VenueId("zoo"), PurposeId("entry"), PersonId("cd"))
    assert refused(desk, desk.issue(other)) == "permit-scope"
    load = person_scope(Kind.LOAD, VenueId("zoo"), PurposeId("entry"), PersonId("ab"))
    assert refused(desk, desk.issue(load), load) == "permit-door"
    assert refused(desk, desk.issue(DATASET)) == "permit-scope"


def test_a_lapsed_permit_no_run(desk: Desk) -> None:
    permit = desk.issue(SCOPE)
    desk.clock.move(31)
    assert refused(desk, permit) == "permit-expired"


def test_the_permit_is_spent_even_where_the_chip_is_unusable(desk: Desk) -> None:
    permit = desk.issue(SCOPE)
    for chip in (CHIP[:100], CHIP.astype(np.float32)):
        with pytest.raises((BadInput, Refused)):
            desk.embedder.embed(desk.book, permit, SCOPE, chip)  # type: ignore[arg-type]  # that is the test
    assert desk.network.runs == 0
    assert refused(desk, permit) == "permit-spent"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_no_probe(desk: Desk, wrong: float) -> None:
    desk.network.measured[3] = wrong
    permit = desk.issue(SCOPE)
    with pytest.raises(BadInput) as caught:
        desk.embedder.embed(desk.book, permit, SCOPE, CHIP)
    assert caught.value.code == "score-not-finite"
    assert refused(desk, permit) == "permit-spent"


def test_many_at_once_only_for_a_data_set(desk: Desk) -> None:
    many = np.stack([CHIP] * 3)
    made = desk.embedder.embed_dataset(desk.book, desk.issue(DATASET), DATASET, many)
    assert (made.shape, made.dtype) == ((3, 128), np.float32)
    with pytest.raises(Refused) as caught:
        desk.embedder.embed_dataset(desk.book, desk.issue(SCOPE), SCOPE, many)
    assert caught.value.code == "permit-door"
    for wrong in (many[:0], np.stack([CHIP] * 65), many[:, :100]):
        with pytest.raises(BadInput):
            desk.embedder.embed_dataset(desk.book, desk.issue(DATASET), DATASET, wrong)
    assert desk.network.runs == 1


def test_there_is_no_other_door(desk: Desk) -> None:
    public = {name for name in dir(desk.embedder) if not name.startswith("_")}
    assert public == {"embed", "embed_several", "embed_dataset", "embed_pattern"}
    assert desk.embedder.embed_pattern.__code__.co_argcount == 1  # itself: it takes no picture


def test_doors_of_the_table_agree() -> None:
    desk = Desk()
    for kind in Kind:
        scope = person_scope(kind, VenueId("zoo"), PurposeId("entry"), PersonId("ab"))
        permit = desk.issue(scope)
        if Door.EMBED in DOORS[kind]:
            desk.embedder.embed(desk.book, permit, scope, CHIP)
        else:
            assert refused(desk, permit, scope) == "permit-door"


def test_the_pattern_is_fixed() -> None:
    drawn = pattern(320, 240)
    assert (drawn.shape, drawn.dtype) == ((240, 320, 3), np.uint8)
    assert drawn[120, 160].tolist() == drawn[120, 159].tolist()
    assert drawn.std() > 20


ENROL = person_scope(Kind.ENROL, VenueId("zoo"), PurposeId("entry"), PersonId("ab"))


class ByLight:
    """Stands for the network: its numbers are the chip's light."""

    def run(self, chips: Any) -> Any:
        return np.repeat(chips.reshape(len(chips), -1).mean(axis=1, keepdims=True) / 255, 128, axis=1)


def test_several_captures_make_one_probe_of_their_mean() -> None:
    book = PermitBook(SetClock(Instant(0)))
    issue, embedder = book.appoint(), Embedder(ByLight(), "pack@1", 0.01)
    permit = issue(ENROL)
    chips = [np.full((150, 150, 3), level, np.uint8) for level in (0, 51, 255)]
    probe = embedder.embed_several(book, permit, ENROL, chips)
    assert probe.codes.tolist() == [40] * 128  # the mean of 0, 0.2 and 1, in steps of 0.01
    with pytest.raises(Refused) as refused:
        embedder.embed_several(book, permit, ENROL, chips)
    assert refused.value.code == "permit-spent"
    unit = Embedder(ByLight(), "pack@1", 0.005, normalised=True)
    made = unit.embed_several(book, issue(ENROL), ENROL, chips[1:])
    assert made.codes.tolist() == [18] * 128   # one long: 1 / sqrt(128) is 0.0884


@pytest.mark.promise(1)
def test_several_captures_are_for_an_enrolment_only() -> None:
    book = PermitBook(SetClock(Instant(0)))
    issue, embedder = book.appoint(), Embedder(ByLight(), "pack@1", 0.01)
    for scope in (SCOPE, DATASET):
        with pytest.raises(Refused) as refused:
            embedder.embed_several(book, issue(scope), scope, [CHIP])
        assert refused.value.code == "permit-door"
    for chips in ([], [CHIP] * 6, [CHIP, CHIP[:100]], [CHIP.astype(float)]):
        with pytest.raises(BadInput) as bad:
            embedder.embed_several(book, issue(ENROL), ENROL, chips)  # type: ignore[arg-type]  # one is of floats
        assert bad.value.code == "chip-unusable"
