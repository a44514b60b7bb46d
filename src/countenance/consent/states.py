"""The life of one consent. Every change goes through `moved`; nothing comes back to life.

    given ──► withdrawn      the person's act
      │  └──► superseded     the person renewed it, under the notice in force
      ├─────► expired        the sweep, after `expires_at`
      └─────► replaced       the pass that the face was in is lost

A consent is live while it is `given`, unexpired, and to the notice in force; the last two are facts about
the moment and are read, not stored.
"""

from __future__ import annotations

from enum import Enum

from countenance.errors import Refused


class State(Enum):
    """What became of a consent."""

    GIVEN = "given"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    REPLACED = "replaced"
    LOST = "lost"
    """Its key was destroyed, and the record of why was lost with a store that was put back."""


_NEXT = {
    State.GIVEN: frozenset({State.SUPERSEDED, State.WITHDRAWN, State.EXPIRED, State.REPLACED,
                            State.LOST}),
    State.SUPERSEDED: frozenset[State](),
    State.WITHDRAWN: frozenset[State](),
    State.EXPIRED: frozenset[State](),
    State.REPLACED: frozenset[State](),
    State.LOST: frozenset[State](),
}


def moved(now: State, to: State) -> State:
    """Return `to`, or raise Refused(consent-state) where the table above has no such arrow."""
    if to not in _NEXT[now]:
        raise Refused("consent-state", f"A consent that is {now.value} cannot become {to.value}.")
    return to
