"""A venue for a benchmark: a temporary folder, people who do not exist, and one portrait in the public domain.

Nobody's face is compared here without a live consent: the made-up people and the portrait go through the
same stories as at any venue (flows.pad, flows.enrol), and the folder is deleted at the end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from countenance.clock import Clock, SystemClock, utc_day
from countenance.consent import notices
from countenance.consent.acts import act_from_channel
from countenance.consent.consents import Yes
from countenance.consent.gate import press
from countenance.errors import ModelFault
from countenance.evaluation import portraits
from countenance.flows import admit, enrol, found, pad
from countenance.flows.capture import Timings
from countenance.flows.opening import open_venue
from countenance.flows.venue import Venue
from countenance.integrations.entitlement import COLUMNS, CsvEntitlement
from countenance.quantities import PurposeId

PURPOSE = PurposeId("entry.search")
PERSON = "portrait-000001"
PORTRAIT, CAPTURE = "collins", "closer by a tenth"
TICKET_DAYS = 30

Progress = Callable[[int, int], None]


class Gate:
    """A gate with its gallery, and one visitor in front of it: a later capture of the enrolled portrait."""

    def __init__(self, venue: Venue, jpeg: bytes) -> None:
        self.venue = venue
        self.jpeg = jpeg

    def decide(self) -> tuple[float, dict[str, float]]:
        """Take one decision; return milliseconds from the JPEG's bytes until it is durable, and of its parts.

        Raises ModelFault(bench-referred): a gate that does not admit this visitor is not worth timing.
        """
        clock = self.venue.clock
        timings = Timings(clock)
        start = clock.monotonic()
        decision = admit.by_face(self.venue, PURPOSE, press(clock), lambda: self.jpeg, timings=timings)
        total = (clock.monotonic() - start) * 1000
        if decision.outcome is not admit.Outcome.ADMIT:
            raise ModelFault("bench-referred", "The gate did not admit the portrait that is enrolled there.")
        return total, timings.ms


@contextmanager
def gate(people: int, progress: Progress) -> Iterator[Gate]:
    """Set up a venue with `people` made-up people and the portrait; it is gone at the end of the block.

    `progress(done, all)` counts people. Raises as flows.found, flows.pad and flows.enrol.
    """
    picture = portraits.at_gate(PORTRAIT)
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="countenance-bench-") as temporary:
        folder = Path(temporary) / "venue"
        found.found(folder, clock, name="Benchmark", contact="nobody", scenario="annual-pass", regime="cn",
                    threshold=found.DEMO_ONLY)
        tickets = folder / found.TICKETS
        write_tickets(tickets, people, clock)
        with open_venue(folder, CsvEntitlement(tickets), clock) as venue:
            pad.pad(venue, PURPOSE, people, progress=progress)
            enrol_portrait(venue, portraits.jpeg(picture))
            yield Gate(venue, portraits.later(picture)[CAPTURE])


def write_tickets(path: Path, people: int, clock: Clock) -> None:
    """Give `people` made-up people and the portrait a ticket for a month."""
    until = (utc_day(clock.now()) + timedelta(days=TICKET_DAYS)).isoformat()
    references = [PERSON, *(pad.reference(number) for number in range(people))]
    lines = [",".join(COLUMNS), *(f"{reference},,{until},en," for reference in references)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def enrol_portrait(venue: Venue, jpeg: bytes, purpose: PurposeId = PURPOSE) -> str:
    """Enrol the portrait for a purpose; return its pass."""
    with venue.store.read() as unit:
        notice = notices.in_force(unit, purpose)
    yes = Yes(notice.hash, "en", act_from_channel("desk"))
    return enrol.enrol(venue, PERSON, purpose, yes, lambda: jpeg, lambda text: text).pass_text
