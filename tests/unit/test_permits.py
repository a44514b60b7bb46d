"""Permits: each door takes one once, and takes no other."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from countenance.clock import SetClock
from countenance.errors import Refused
from countenance.features import Probe, Reference
from countenance.permits import (
    DOORS,
    LIFETIME_SECONDS,
    Door,
    Kind,
    Permit,
    PermitBook,
    Scope,
    dataset_scope,
    gallery_scope,
    person_scope,
)
from countenance.quantities import Instant, PersonId, PurposeId, VenueId

VENUE, PURPOSE = VenueId("0123456789abcdef"), PurposeId("entry.verify")
SCOPE = person_scope(Kind.VERIFY, VENUE, PURPOSE, PersonId("ada"))
pytestmark = pytest.mark.promise(1)


class World:
    def __init__(self) -> None:
        self.clock = SetClock(Instant(1_782_000_000))
        self.book = PermitBook(self.clock)
        self.issue = self.book.appoint()


@pytest.fixture
def world() -> World:
    return World()


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        act()
    return caught.value.code


def test_each_kind_opens_its_own_doors_once_and_no_other(world: World) -> None:
    opens = {Kind.ENROL: "embed seal", Kind.LOAD: "open", Kind.VERIFY: "embed open compare",
             Kind.SEARCH: "embed compare", Kind.DATASET: "embed compare", Kind.CALIBRATE: "open compare"}
    assert {kind: {Door(name) for name in names.split()} for kind, names in opens.items()} == DOORS
    for kind, names in opens.items():
        scope = replace(SCOPE, kind=kind)
        for door in Door:
            permit = world.issue(scope)
            if door.value in names.split():
                world.book.spend(permit, door, scope)
                assert refused(lambda p=permit, d=door, s=scope: world.book.spend(p, d, s)) == "permit-spent"
            else:
                assert refused(lambda p=permit, d=door, s=scope: world.book.spend(p, d, s)) == "permit-door"


@pytest.mark.parametrize("forge", [
    lambda real: Permit(real.number, real.scope), lambda real: replace(real),
    lambda real: Permit("0" * 32, real.scope),
    lambda real: real.number, lambda real: None, lambda real: 1, lambda real: True,
], ids=["same number", "replaced", "other number", "text", "None", "one", "True"])
def test_a_permit_that_the_gate_did_not_make_is_worth_nothing(
        world: World, forge: Callable[[Permit], object]) -> None:
    real = world.issue(SCOPE)
    forged: Any = forge(real)
    assert refused(lambda: world.book.spend(forged, Door.EMBED, SCOPE)) == "permit-forged"
    world.book.spend(real, Door.EMBED, SCOPE)  # and the real one was not used up by the attempt


def test_a_permit_of_another_book_is_worth_nothing(world: World) -> None:
    assert refused(lambda: world.book.spend(World().issue(SCOPE), Door.EMBED, SCOPE)) == "permit-forged"


@pytest.mark.parametrize("other", [
    replace(SCOPE, kind=Kind.SEARCH), replace(SCOPE, venue=VenueId("f" * 16)), replace(SCOPE, venue=VenueId("")),
    replace(SCOPE, purpose=PurposeId("entry.search")), replace(SCOPE, subject="person:ben"),
    gallery_scope(Kind.VERIFY, VENUE, PURPOSE, 1), dataset_scope("0" * 64),
], ids=["kind", "venue", "no venue", "purpose", "person", "gallery", "dataset"])
def test_a_permit_fits_its_own_scope_only(world: World, other: Scope) -> None:
    permit = world.issue(SCOPE)
    assert refused(lambda: world.book.spend(permit, Door.EMBED, other)) == "permit-scope"
    wrong = world.issue(other)
    assert refused(lambda: world.book.spend(wrong, Door.EMBED, SCOPE)) == "permit-scope"
    world.book.spend(permit, Door.EMBED, SCOPE)


def test_a_scope_cannot_be_changed_after_the_fact(world: World) -> None:
    permit = world.issue(SCOPE)
    with pytest.raises(AttributeError):
        permit.scope = replace(SCOPE, subject="person:ben")  # type: ignore[misc]
    with pytest.raises(AttributeError):
        permit.scope.subject = "person:ben"  # type: ignore[misc]


def test_a_dataset_permit_fits_no_venue(world: World) -> None:
    scope = dataset_scope("0" * 64)
    assert scope.venue == ""
    assert Door.OPEN not in DOORS[scope.kind]
    assert Door.SEAL not in DOORS[scope.kind]


@pytest.mark.parametrize(("seconds", "code"), [
    (LIFETIME_SECONDS - 0.001, None), (LIFETIME_SECONDS, "permit-expired"),
    (LIFETIME_SECONDS + 1, "permit-expired"),
    (10 * LIFETIME_SECONDS, "permit-forged")])
def test_a_permit_lapses(world: World, seconds: float, code: str | None) -> None:
    permit = world.issue(SCOPE)
    world.clock.move(seconds)
    world.issue(SCOPE)
    if code is None:
        world.book.spend(permit, Door.EMBED, SCOPE)
    else:
        assert refused(lambda: world.book.spend(permit, Door.EMBED, SCOPE)) == code


def test_setting_the_clock_back_does_not_lengthen_a_permit(world: World) -> None:
    permit = world.issue(SCOPE)
    world.clock.move(LIFETIME_SECONDS)
    world.clock.move(-LIFETIME_SECONDS)
    assert refused(lambda: world.book.spend(permit, Door.EMBED, SCOPE)) == "permit-expired"


def test_the_book_does_not_grow(world: World) -> None:
    for _ in range(500):
        world.issue(SCOPE)
        world.clock.move(1)
    assert len(world.book._entries) <= 2 * LIFETIME_SECONDS + 1


@pytest.mark.parametrize("how", [
    copy.copy, copy.deepcopy, pickle.dumps, lambda p: pickle.dumps(p, 0), lambda p: copy.deepcopy({"permit": [p]}),
], ids=["copy", "deepcopy", "pickle", "pickle 0", "inside"])
def test_a_permit_cannot_be_copied_or_stored(world: World, how: Callable[[Permit], object]) -> None:
    assert refused(lambda: how(world.issue(SCOPE))) == "permit-copied"


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_probe_cannot_be_copied_or_stored_and_shows_nothing(
        world: World, how: Callable[[object], object]) -> None:
    import numpy as np

    with Probe(np.full(4, 25, np.int8), "pack", world.issue(SCOPE), 0.005) as probe:
        assert refused(lambda: how(probe)) == "feature-copied"
        assert repr(probe) == str(probe) == "<probe>"
        codes = probe.codes
    assert not codes.any()


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_nor_can_a_reference(world: World, how: Callable[[object], object]) -> None:
    import numpy as np

    with Reference(np.full(4, 25, np.int8), "pack", world.issue(SCOPE)) as reference:
        assert refused(lambda: how(reference)) == "feature-copied"
        assert repr(reference) == "<reference>"
        codes = reference.codes
    assert not codes.any()


def test_there_is_one_issuer(world: World) -> None:
    assert refused(world.book.appoint) == "permit-issuer"
    world.book.spend(world.issue(SCOPE), Door.EMBED, SCOPE)


def test_the_checks_come_in_their_order(world: World) -> None:
    permit = world.issue(replace(SCOPE, kind=Kind.LOAD))
    world.clock.move(LIFETIME_SECONDS)
    loaded = replace(SCOPE, kind=Kind.LOAD)
    assert refused(lambda: world.book.spend(permit, Door.EMBED, SCOPE)) == "permit-scope"
    assert refused(lambda: world.book.spend(permit, Door.EMBED, loaded)) == "permit-door"
    assert refused(lambda: world.book.spend(permit, Door.OPEN, loaded)) == "permit-expired"


def test_of_threads_that_spend_one_permit_exactly_one_wins(world: World) -> None:
    for _ in range(200):
        permit, won, lost = world.issue(SCOPE), [], []
        start = threading.Barrier(4)

        def spend(permit: Permit = permit, won: list[int] = won, lost: list[str] = lost,
                  start: threading.Barrier = start) -> None:
            start.wait()
            try:
                world.book.spend(permit, Door.COMPARE, SCOPE)
                won.append(1)
            except Refused as error:
                lost.append(error.code)

        threads = [threading.Thread(target=spend) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (won, lost) == ([1], ["permit-spent"] * 3)
