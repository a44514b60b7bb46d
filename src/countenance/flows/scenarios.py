"""Scenarios: presets of a kind of place, read strictly (docs/operating/scenarios.md).

A purpose has its notice written out, or made of the notice of its custody (`controls/notices/`) and the scenario's own
words. What a regime refuses stays out: kinds of zones, faces under the venue's key, and faces at all where it wants a
check of a document that they stand in for and the place has none.
"""

from __future__ import annotations

import re
from typing import Any

from countenance import settings
from countenance.errors import BadInput, Refused
from countenance.formats.passes import Custody
from countenance.settings import Settings

_TOP = {"format", "name", "languages", "life", "replaces", "gate", "keys", "zone", "gates", "purpose"}
_PURPOSE = {"id", "zone", "comparison", "custody", "valid_days", "gallery_cap"}
_ZONE, _GATE = {"id", "kind", "name"}, {"id", "mode", "purpose", "zone"}
_TWO = re.compile(r"(^|[._-])(and|or|plus|also|with)([._-]|$)|[+&,/]|及|和|与")
LIVES = ("days", "ticket")
"""How long a consent lasts: its days, or no longer than the ticket that it was given on."""


def load(name: str) -> dict[str, Any]:
    """Return a scenario, its notices whole. Raises BadInput(scenario-unknown, scenario-malformed, purpose-two)."""
    return whole(settings.preset("scenarios", name))


def whole(plan: dict[str, Any]) -> dict[str, Any]:
    """Check a scenario and put every notice together. Raises BadInput(scenario-malformed, purpose-two)."""
    if set(plan) - {"words"} != _TOP or plan["format"] != 1 or plan["life"] not in LIVES:
        raise _malformed("top")
    if any(set(one) != _ZONE for one in plan["zone"]) or any(set(one) != _GATE for one in plan["gates"]):
        raise _malformed("zone or gates")
    zones, purposes = {one["id"] for one in plan["zone"]}, []
    for one in plan["purpose"]:
        if set(one) - {"notice"} != _PURPOSE or one["zone"] not in zones:
            raise _malformed("purpose")
        require_one(one["id"])
        purposes.append(one if "notice" in one else {**one, "notice": _notice(plan, one["custody"])})
    without = zones - {one["zone"] for one in plan["gates"] if not one["purpose"]}
    if without:
        raise _malformed(f"no gate without faces in {', '.join(sorted(without))}")
    return {**plan, "purpose": purposes}


def require_one(purpose: str) -> None:
    """Refuse a purpose whose name hides two. Raises BadInput(purpose-two)."""
    if _TWO.search(purpose.lower()):
        raise BadInput("purpose-two", "This name says two purposes; people are asked about each by itself.")


def _notice(plan: dict[str, Any], custody: str) -> dict[str, str]:
    shared = settings.preset("notices", custody)
    try:
        return {name: shared[name].format(venue="{venue}", contact="{contact}", **plan["words"][name])
                for name in plan["languages"]}
    except KeyError as missing:
        raise _malformed(f"a notice lacks {missing.args[0]}") from None


def fitting(rules: dict[str, Any], plan: dict[str, Any]) -> dict[str, Any]:
    """Return a scenario without what a regime refuses. Raises Refused(zone-banned)."""
    for zone in plan["zone"]:
        require_zone(rules, zone["kind"])
    asked = rules["parameters"]
    kept = plan["purpose"]
    if asked["venue_keyed"] == "refused":
        kept = [one for one in kept if one["custody"] != Custody.VENUE_KEYED.value]
    if asked["needs_document_check"] and not plan["replaces"]:
        kept = []  # faces stay off: no document is checked here that they would stand in for
    names = {one["id"] for one in kept} | {""}
    return plan | {"purpose": kept, "gates": [one for one in plan["gates"] if one["purpose"] in names],
                   "replaces": plan["replaces"] if asked["needs_document_check"] else ""}


def require_zone(rules: dict[str, Any], kind: str) -> None:
    """Refuse a zone of a kind in which nobody may put such a device. Raises Refused(zone-banned), with the citation."""
    if kind in rules["parameters"].get("banned_zones", []):
        cites = [rule["cite"] for rule in rules["rule"] if rule["control"] == "K14"] or ["this program's own rule"]
        raise Refused("zone-banned", f"No face recognition in a place of this kind ({kind}): {cites[0]}.")


def ends_with_ticket(here: Settings) -> bool:
    """Say whether a consent in this venue lasts no longer than the ticket that it was given on."""
    try:
        return bool(settings.preset("scenarios", here.scenario)["life"] == "ticket")
    except BadInput:
        return True  # an unknown scenario: the shorter of both


def _malformed(where: str) -> BadInput:
    return BadInput("scenario-malformed", f"This scenario is not as it must be ({where}).")
