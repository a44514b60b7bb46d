"""serve --demo: a venue to try out, set up in a new folder and left there, with tickets and a key for each page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance.errors import BadInput

if TYPE_CHECKING:
    from countenance.clock import Clock

FOLDER = Path("countenance-demo")
TICKETS = """person_ref,household,valid_until,language,contact
ZOO-1001,rivers,2099-12-31,en,
ZOO-1002,rivers,2099-12-31,en,
ZOO-1003,,2099-12-31,zh,
"""
KEY_DAYS, BY = 30, "demo"


@dataclass(frozen=True)
class Tried:
    """A demo's folder, and what opens its pages: shown once, as nothing keeps it."""

    folder: Path
    keys: dict[str, str]
    code: str


def prepared(folder: Path, clock: Clock) -> Tried:
    """Return a venue to try out, made where there is none; an older demo gets new keys.

    Raises BadInput(demo-not): a venue that was not made by a demo is never opened to everybody on this machine.
    """
    from countenance import durable, settings
    from countenance.access import keys, operators
    from countenance.access.roles import Role
    from countenance.flows.found import DEMO_ONLY, found
    from countenance.flows.found import TICKETS as LIST
    from countenance.flows.opening import open_venue
    from countenance.integrations.entitlement import CsvEntitlement
    from countenance.quantities import PurposeId

    if not (folder / settings.FILE).exists():
        found(folder, clock, name="The demo zoo", contact="the desk of the demo zoo", scenario="annual-pass",
              regime="cn", threshold=DEMO_ONLY)
        durable.write(folder / LIST, TICKETS.encode(), durable.SECRET)
    if settings.load(folder).name != "The demo zoo":
        raise BadInput("demo-not", "This folder holds a venue that no demo made; serve it without --demo.")
    with open_venue(folder, CsvEntitlement(folder / LIST), clock) as venue, venue.store.write() as unit:
        made = {}
        keys.revoke_made_by(unit, BY)  # of the start before
        faces = [PurposeId(name) for name in ("entry.verify", "entry.key", "entry.search")]
        for name, role, gate in (("gate", Role.GATE, "main"), ("quick", Role.GATE, "quick"),
                                 ("staff", Role.GATE_STAFF, "main"), ("desk", Role.DESK, "")):
            made[name] = keys.make(unit, role, gate=gate, purposes=faces, label=f"demo {name}", by=BY,
                                   days=KEY_DAYS).text
        return Tried(folder, made, operators.first_code(unit))


def value(tried: Tried | None) -> dict[str, Any]:
    """Return the same for a program."""
    return {"keys": tried.keys, "owner_code": tried.code} if tried else {}


def lines(tried: Tried, origin: str) -> list[str]:
    """Return what is said at the start of a demo."""
    return [
        f"A venue to try out is in {tried.folder}. Its thresholds are for trying out only.",
        "The keys below are shown once; the next start gives new ones. Tickets: ZOO-1001, ZOO-1002, ZOO-1003.",
        f"  enrol     {origin}/enrol#key={tried.keys['desk']}",
        f"  gate      {origin}/gate/main#key={tried.keys['gate']}",
        f"  by face   {origin}/gate/quick#key={tried.keys['quick']}",
        f"  staff     {origin}/staff/main#key={tried.keys['staff']}",
        f"  my page   {origin}/me",
        f"  console   {origin}/console   (the owner's code: {tried.code})",
    ]
