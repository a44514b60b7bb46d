"""countenance doctor: is this venue in order?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out, progress
from countenance.errors import CountenanceError
from countenance.process import memory_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from countenance.flows.upgrade import Upgraded
    from countenance.flows.venue import Venue


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    upgrade: Annotated[bool, typer.Option(
        "--upgrade", help="Bring an older folder to what this program reads; needs the venue closed.")] = False,
    restore_drill: Annotated[bool, typer.Option(
        "--restore-drill", help="Rehearse a restore of both stores beside the venue; changes nothing.")] = False,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Check a venue, part by part.

    Opening it checks stores and keys and finishes what was interrupted; then clock, stores, tickets, signing keys,
    off-site copy, log and witnesses, memory, model, thresholds, retention and the gallery are looked at.
    """
    upgraded = _upgrade(venue, as_json) if upgrade else None
    if restore_drill:
        _drill(venue, as_json)
        return
    findings = []
    with opened(venue) as here:
        here.store.empty_wal()
        for name, look in _looks(here).items():
            findings.append({"check": name, "finding": _found(look)})
        held = here.galleries.memory()
    bad = [one for one in findings if one["finding"] != "in order"]
    memory = [*memory_report(), *held]
    print_out(as_json, {"ok": not bad, "findings": findings, "memory": memory, **_told(upgraded)},
              *(f"{one['check']:<10} {one['finding']}" for one in findings),
              *(f"{'memory':<10} {line}" for line in memory))
    if bad:
        raise typer.Exit(1)


def _looks(venue: Venue) -> dict[str, Callable[[], object]]:
    from countenance.flows import log
    from countenance.quantities import PurposeId
    from countenance.vault.keys import signing

    return {
        "clock": venue.store.require_forward,
        "stores": venue.require_stores,
        **({"off-site": venue.keys.place.epochs.require_offsite} if venue.settings.offsite else {}),
        "tickets": venue.entitlement.require_whole,
        "signing": lambda: [venue.signer(use) for use in signing.USES],
        "model": lambda: venue.pack.check(),
        "log": venue.log.require_continued,
        **({"witnesses": lambda: log.require_cosigned(venue)} if venue.settings.witnesses else {}),
        "gate": lambda: venue.threshold("verify"),
        "gallery": lambda: venue.galleries.exact(PurposeId("entry.search")),
    }


def _found(look: Callable[[], object]) -> str:
    try:
        look()
    except CountenanceError as error:
        return f"{error.sentence} [{error.code}]"
    return "in order"


def _drill(folder: Path, as_json: bool) -> None:
    from countenance.flows import drill as story

    with opened(folder) as here, progress("Rehearsing a restore", as_json):
        done = story.drill(here)
    print_out(as_json, {"ok": True, "keys": done.keys, "gone": done.gone, "asked_again": done.asked_again,
                        "seconds": round(done.seconds, 3)},
              f"A restore would work: {done.keys} keys open, {done.gone} destroyed ones stay away, and "
              f"{done.asked_again} consents would wait to be renewed. It took {done.seconds:.1f} s.")


def _upgrade(folder: Path, as_json: bool) -> Upgraded:
    from countenance.flows import upgrade as story

    done = story.upgrade(folder)
    if not as_json:
        print_out(as_json, {}, *(f"{'upgrade':<10} {line}" for line in _steps(done)))
    return done


def _steps(done: Upgraded) -> list[str]:
    told = [f"the {which} store, from migration {version}" for which, version in done.stores.items()]
    told += [f"new in venue.toml: {', '.join(done.settings)}"] if done.settings else []
    told += [f"new signing key: {use}" for use in done.signing]
    return told or ["nothing to do"]


def _told(done: Upgraded | None) -> dict[str, object]:
    if done is None:
        return {}
    return {"upgraded": {"stores": done.stores, "settings": list(done.settings), "signing": list(done.signing)}}
