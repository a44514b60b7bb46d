"""countenance rights: what people ask of the venue, by when it must be answered, and the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from countenance.cli.common import HERE, JsonOption, RefOption, VenueOption, opened, person_of, print_out, write_new
from countenance.cli.record import PersonOption

app = typer.Typer(help="Requests: access, copy, correct, delete, explain, restrict, complain.", no_args_is_help=True)


@app.command("ask")
def ask(
    kind: Annotated[str, typer.Argument(help="access, copy, correct, delete, explain, restrict or complain.")],
    text: Annotated[str, typer.Option("--text", help="What they ask, in their words.")],
    by_kin: Annotated[bool, typer.Option("--by-kin", help="A relative asks, of somebody who died.")] = False,
    person: PersonOption = "",
    reference: RefOption = "",
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Take a request, with the day by which it must be answered. To restrict counts from this moment."""
    from countenance.clock import utc_text
    from countenance.flows import rights

    with opened(venue) as here:
        one = rights.ask(here, person_of(here, person, reference), kind, text, by_kin=by_kin)
        words = rights.explain(here) if kind == "explain" else ""
    print_out(as_json, {"request": one.request_id, "kind": kind, "due": utc_text(one.due), "explanation": words},
              f"Request {one.request_id}; it must be answered by {utc_text(one.due)}.", *([words] if words else []))


@app.command("answer")
def answer(
    request: Annotated[str, typer.Argument(help="The request's number.")],
    outcome: Annotated[str, typer.Option("--outcome", help="granted, partly or refused.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in words for the person.")],
    language: Annotated[str, typer.Option("--language", help="What a correction is to: en or zh.")] = "",
    receipts: Annotated[Path | None, typer.Option("--receipts", help="Where to write receipts of a deletion; a new "
                                                  "folder.")] = None,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Answer a request: what is granted is done in the same step."""
    from countenance.flows import rights

    if receipts is not None:
        receipts.mkdir(mode=0o700)
    with opened(venue) as here:
        texts = rights.answer(here, request, outcome, reason, language=language)
    for number, text in enumerate(texts, 1):
        if receipts is not None:
            write_new(receipts / f"{number}.receipt", text)
    print_out(as_json, {"request": request, "outcome": outcome, "receipts": texts}, f"Answered: {outcome}.",
              *([] if receipts is not None else texts))


@app.command("resume")
def resume(person: PersonOption = "", reference: RefOption = "", venue: VenueOption = HERE,
           as_json: JsonOption = False) -> None:
    """Go on comparing somebody who had asked that nothing is done, because they asked for that."""
    from countenance.flows import orders

    with opened(venue) as here:
        orders.resume(here, person_of(here, person, reference))
    print_out(as_json, {"resumed": True}, "What they agreed to counts again.")


@app.command("list")
def list_(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Show requests: open ones first, by the day on which each must be answered."""
    from countenance.flows import rights

    with opened(venue) as here, here.store.read() as unit:
        rows = [_value(one, unit.now) for one in rights.all_of(unit)]
    print_out(as_json, {"requests": rows}, *(f"{one['request']}  {one['kind']:<9} {one['standing']:<13} "
              f"by {one['due']}" for one in rows), *([] if rows else ["Nobody asked for anything."]))


def _value(one: Any, now: Any) -> dict[str, Any]:
    from countenance.clock import utc_text

    return {"request": one.request_id, "kind": one.kind, "by_kin": one.by_kin, "outcome": one.outcome,
            "standing": one.standing(now), "opened": utc_text(one.opened), "due": utc_text(one.due)}
