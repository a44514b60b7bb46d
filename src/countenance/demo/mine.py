"""Your own two photographs: enrol with one, stand at the gate with the other, and leave nothing."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance.clock import Clock, utc_day
from countenance.consent import notices
from countenance.consent.acts import Act
from countenance.consent.consents import Yes
from countenance.errors import BadInput
from countenance.flows import admit, enrol, withdraw
from countenance.flows.capture import Timings
from countenance.flows.found import DEMO_ONLY, found
from countenance.flows.opening import open_venue
from countenance.flows.ports import Camera
from countenance.integrations.entitlement import CsvEntitlement
from countenance.quantities import PurposeId
from countenance.vision import image

if TYPE_CHECKING:
    from countenance.flows.venue import Venue

_PURPOSE = PurposeId("entry.verify")
_SIZES = (160, 80, 40)
"""A photograph from home is not a gate's camera: look for a large face first, then for smaller ones."""
_MOST_CUT_OFF = 50
"""Percent of the detector's box outside the picture; people crop photographs tightly."""


def compare(me: Camera, later: Camera, clock: Clock) -> dict[str, Any]:
    """Run enrol, admit and withdraw on two photographs in a folder that is deleted at the end.

    The one who runs it has been asked before. Raises BadInput where the first shows no usable face.
    """
    with tempfile.TemporaryDirectory(prefix="countenance-") as scratch:
        folder = Path(scratch) / "venue"
        found(folder, clock, name="Your own two photographs", contact="yourself", scenario="annual-pass",
              regime="cn", threshold=DEMO_ONLY)
        until = utc_day(clock.now()) + timedelta(days=1)
        (folder / "tickets.csv").write_text(
            f"person_ref,household,valid_until,language,contact\nme,,{until},en,\n")
        with open_venue(folder, CsvEntitlement(folder / "tickets.csv"), clock) as venue:
            return _compared(venue, me, later)


def _compared(venue: Venue, me: Camera, later: Camera) -> dict[str, Any]:
    with venue.store.read() as unit:
        notice = notices.in_force(unit, _PURPOSE)
    _fit(venue, me)
    yes = Yes(notice.hash, "en", Act.ASSERTED)
    try:
        enrolled = enrol.enrol(venue, "me", _PURPOSE, yes, me, lambda text: text, Timings(venue.clock))
    except BadInput as error:
        raise BadInput(error.code, f"In the first photograph: {error.sentence}") from None
    _fit(venue, later)
    decision = admit.at_gate(venue, lambda: admit.by_pass(venue, enrolled.pass_text, later))
    withdraw.withdraw(venue, enrolled.person, _PURPOSE)
    told = {"match": "the two match", "no-match": "the two do not match"}.get(
        decision.reason, f"the later photograph cannot be used: {decision.reason}")
    return {"outcome": decision.outcome.value, "reason": decision.reason, "told": told, "threshold": DEMO_ONLY,
            "timings_ms": {part: round(ms, 2) for part, ms in decision.timings.ms.items()}}


def _fit(venue: Venue, camera: Camera) -> None:
    """Settle on the size of face to look for in one photograph; nothing of a face is measured here."""
    try:
        frame = image.decode(camera())
    except BadInput:
        return  # the story itself says what is wrong
    for size in _SIZES:
        venue.settings = replace(venue.settings, smallest_face_px=size, most_cut_off_percent=_MOST_CUT_OFF)
        if any(face.box.width >= size for face in venue.pack.detect(frame, size)):
            break
    frame.wipe()
