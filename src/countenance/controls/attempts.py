"""What the program refuses by its shape, attempted in a live venue: nothing is written, nobody's face is touched.

Each names what it calls through its module, so that whoever breaks that (`sabotage`) is found out.
"""

from __future__ import annotations

import re
from typing import Any, cast

import numpy as np

from countenance.clock import utc_day
from countenance.consent import acts
from countenance.controls.checks import Finding, Seen, fails, holds
from countenance.errors import CountenanceError
from countenance.flows import passes
from countenance.flows.ports import Ticket
from countenance.permits import Door, Kind, Permit, person_scope
from countenance.quantities import HOUR, PersonId, PurposeId
from countenance.vision import face_quality
from countenance.vision.face_quality import Assessment, Component
from countenance.vision.image import Frame

_INFERRED = re.compile(r"(^|_)(age|sex|gender|emotion|mood|ethnic\w*|race|attention)(_|$)")
_PICTURED = re.compile(r"(^|_)(photo\w*|picture|image|frame|thumbnail)(_|$)")


def wiped(_seen: Seen) -> Finding:
    """K09: a frame that is done with is zeros."""
    frame = Frame(np.full((8, 8, 3), 7, np.uint8))
    frame.wipe()
    return fails("a frame outlived its comparison") if frame.pixels.any() else holds("a frame is overwritten after use")


def own_box(_seen: Seen) -> Finding:
    """K11: people enrol at the venue's own box; no way leads there from a phone, or by a message."""
    for channel in ("phone", "sms", "email"):
        if not _refused(lambda channel=channel: acts.act_from_channel(channel), "consent-"):
            return fails(f"somebody could enrol by {channel}")
    return holds("enrolment at a desk or kiosk only; nothing that is sent outside holds a face")


def pressed(seen: Seen) -> Finding:
    """K13: without a press nobody is looked for."""
    ok = _refused(lambda: seen.venue.gate.require_pressed(cast("Any", "no press")), "press-missing")
    return holds("a search without a press is refused") if ok else fails("a search without a press was not refused")


def nothing_inferred(seen: Seen) -> Finding:
    """K20: no place is kept for what somebody might infer from a face."""
    odd = [name for name in _columns(seen) if _INFERRED.search(name.partition(".")[2])]
    return fails(f"places for what is inferred: {', '.join(odd)}") if odd else holds("no column is for such a thing")


def no_photographs(seen: Seen) -> Finding:
    """K31: no place is kept for a photograph, of which a template could be made later."""
    odd = [name for name in _columns(seen) if _PICTURED.search(name.partition(".")[2])]
    return fails(f"places for photographs: {', '.join(odd)}") if odd else holds("no column holds a photograph")


def _columns(seen: Seen) -> list[str]:
    tables = seen.unit.connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    return [f"{table}.{row[1]}" for table in tables
            for row in seen.unit.connection.exec_driver_sql(f"PRAGMA table_info('{table}')")]


def quality(_seen: Seen) -> Finding:
    """K30: a picture that is bad beyond doubt enrols nobody."""
    turned = Assessment({name: Component(value, 0) for name, value in (
        ("HeadPoseYaw", 90.0), ("HeadPosePitch", 0.0), ("HeadPoseRoll", 0.0), ("OwnSharpness", 1.0))})
    ok = _refused(lambda: face_quality.require_fit(turned), "face-")
    return holds("a face turned away is refused at enrolment") if ok else fails("a face turned away was not refused")


def no_forged_permit(seen: Seen) -> Finding:
    """K37: nothing takes a template for its input but a comparison that the gate permitted."""
    scope = person_scope(Kind.VERIFY, seen.venue.venue_id, PurposeId("none"), PersonId("nobody"))
    forged = cast("Permit", object())
    ok = _refused(lambda: seen.venue.book.spend(forged, Door.EMBED, scope), "permit-")
    return holds("a permit that the gate did not make opens nothing") if ok else fails("a forged permit opened a door")


def asked_again(seen: Seen) -> Finding:
    """K35: the pass of whoever said no says that nobody asks them for as long as the regime says."""
    now, hours = seen.unit.now, int(seen.regime.parameters.get("ask_again_after_hours", 0))
    text = passes.issue_plain(seen.venue, Ticket("nobody", "", utc_day(now), "en"), now)
    said = passes.read_even_expired(seen.venue, text).ask_not_before
    if said is None or said - now < hours * HOUR:
        return fails(f"a plain pass does not say that nobody asks for {hours} hours")
    return holds(f"a plain pass says that nobody asks for {(said - now) // HOUR} hours")


def _refused(act: Any, code: str) -> bool:
    try:
        act()
    except CountenanceError as refusal:
        return refusal.code.startswith(code)
    return False
