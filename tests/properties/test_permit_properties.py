"""Whatever is asked in whatever order: no permit passes a door twice, a door of another kind, or out of time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.clock import SetClock
from countenance.errors import Refused
from countenance.permits import DOORS, LIFETIME_SECONDS, Door, Kind, Permit, PermitBook, Scope, person_scope
from countenance.quantities import Instant, PersonId, PurposeId, VenueId

SCOPES = [person_scope(kind, VenueId("v"), PurposeId("p"), PersonId(who))
          for kind in Kind for who in ("ada", "ben")]
STEPS = st.one_of(
    st.tuples(st.just("issue"), st.sampled_from(SCOPES)),
    st.tuples(st.just("move"), st.integers(-40, 40)),
    st.tuples(st.just("spend"), st.integers(0, 20), st.sampled_from(Door), st.sampled_from(SCOPES) | st.none()),
)


@pytest.mark.promise(1)
@given(st.lists(STEPS, max_size=60))
def test_no_order_of_spending_passes_a_door_twice(steps: list[tuple]) -> None:  # type: ignore[type-arg]
    clock = SetClock(Instant(1_782_000_000))
    book = PermitBook(clock)
    issue = book.appoint()
    issued: list[tuple[Permit, Scope, float]] = []
    passed: set[tuple[str, Door]] = set()
    for step in steps:
        if step[0] == "issue":
            issued.append((issue(step[1]), step[1], clock.monotonic()))
        elif step[0] == "move":
            clock.move(step[1])
        elif issued:
            permit, scope, since = issued[step[1] % len(issued)]
            door, asked = step[2], step[3] or scope
            allowed = (asked == scope and door in DOORS[scope.kind] and (permit.number, door) not in passed
                       and clock.monotonic() < since + LIFETIME_SECONDS)
            try:
                book.spend(permit, door, asked)
            except Refused:
                assert not allowed
            else:
                assert allowed
                passed.add((permit.number, door))
