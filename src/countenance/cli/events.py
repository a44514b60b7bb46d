"""countenance events: who is told what, what could not be delivered, and sending it again."""

from __future__ import annotations

from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out

app = typer.Typer(help="Events for others: recipients, dead letters, sending again.", no_args_is_help=True)


@app.command("recipients")
def recipients(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Show who is told what, as outside.toml says."""
    from countenance.integrations import outside
    from countenance.integrations.outside_events import TellingMqtt

    found = outside.load(venue)
    told = [one.told for one in found.recipients]
    if isinstance(found.mqtt, TellingMqtt) and found.mqtt.told.types:
        told.append(found.mqtt.told)
    print_out(as_json, {"recipients": [{"name": one.name, "title": one.title, "events": sorted(one.types),
                                        "purpose": one.purpose} for one in told]},
              *(f"{one.name}: {', '.join(sorted(one.types))}" + (f" ({one.purpose})" if one.purpose else "")
                for one in told), *([] if told else ["Nobody is told anything."]))


@app.command("dead")
def dead(recipient: Annotated[str, typer.Option("--to", help="Of this recipient only.")] = "",
         venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Show what could not be delivered."""
    from countenance.clock import utc_text
    from countenance.flows import deliveries

    with opened(venue) as here, here.store.read() as unit:
        letters = deliveries.dead(unit, recipient)
    print_out(as_json, {"dead": [{"id": one.event_id, "to": one.recipient, "type": one.kind,
                                  "at": utc_text(one.made_at), "code": one.code} for one in letters]},
              *(f"{one.event_id}  {one.recipient}  {one.kind}  {utc_text(one.made_at)}  {one.code}" for one in letters),
              *([] if letters else ["No dead letters."]))


@app.command("replay")
def replay(recipient: Annotated[str, typer.Option("--to", help="To whom.")],
           event: Annotated[str, typer.Option("--id", help="This one only; otherwise all of theirs.")] = "",
           venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Have the server send dead letters again, each with its id."""
    from countenance.flows import deliveries

    with opened(venue) as here, here.store.write() as unit:
        again = deliveries.replay(unit, recipient, event)
    print_out(as_json, {"again": again}, f"{again} to be sent again, by the server.")


@app.command("test")
def test(recipient: Annotated[str, typer.Option("--to", help="To whom.")],
         venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Send one test event now, and say whether it was taken."""
    from countenance.errors import BadInput
    from countenance.flows import events_out
    from countenance.integrations import outside, outside_events
    from countenance.integrations.webhooks import Undelivered

    found = outside.load(venue)
    with opened(venue) as here:
        ways = outside_events.senders(here, found.recipients, found.mqtt)
        message = events_out.written("test", here.clock.now(), {"note": "a test of this connection"})
        try:
            if recipient not in ways:
                raise BadInput("recipient-unknown", "In outside.toml there is no recipient of this name.")
            ways[recipient].send(message)
        except Undelivered as why:
            raise BadInput("event-undelivered", f"It was not taken ({why.code}).") from None
        finally:
            for way in ways.values():
                way.close()
    print_out(as_json, {"taken": True, "id": message.event_id}, f"{recipient} has taken {message.event_id}.")
