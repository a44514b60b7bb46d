"""countenance statement: what people in charge sign, and what is still missing before a face is compared."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import HERE, JsonOption, VenueOption, opened, print_out, read, read_text, write_bytes

app = typer.Typer(help="Statements that people sign: assessment, sign, counsel, filing, and orders.",
                  no_args_is_help=True)
KeyOption = Annotated[Path, typer.Option("--key", help="The signer's private key file.")]


@app.command("key")
def key(
    name: Annotated[str, typer.Option("--name", help="The signer's name, such as counsel; no spaces.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the private key; a new file.")],
    as_json: JsonOption = False,
) -> None:
    """Make a key to sign with, on the signer's own machine; its public half goes into rules.signers."""
    from countenance.errors import BadInput
    from countenance.formats import signed_note
    from countenance.vault.keys import signing

    if not signed_note.is_name(name):
        raise BadInput("signer-name", "A signer's name is one word of plain characters.")
    try:
        public = signing.make_apart(out, name)
    except FileExistsError:
        raise BadInput("file-exists", f"{out.name} exists already; it was left as it is.") from None
    print_out(as_json, {"file": str(out), "public": public}, f"The private key is in {out}; keep it away from the "
              "venue's machine.", "For rules.signers in venue.toml:", public)


@app.command("draft")
def draft(
    kind: Annotated[str, typer.Argument(help="assessment, sign, counsel, filing, order, preserve, lift or seal.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the text to sign; a new file.")],
    document: Annotated[Path, typer.Option("--document", help="The paper, photograph or file that it is about.")],
    subject: Annotated[str, typer.Option(
        "--subject", help="zone:NAME for a sign; controller, zone:NAME or person:NUMBER for an order; "
        "ruling:NUMBER to lift one.")] = "",
    days: Annotated[int, typer.Option("--days", help="For how long it counts from today.")] = 365,
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write a statement's text; of an assessment it names the settings that are in force now."""
    from datetime import timedelta

    from countenance.clock import utc_day
    from countenance.flows import duties
    from countenance.formats.statements import Statement

    found = hashlib.sha256(read(document)).hexdigest()
    with opened(venue) as here, here.store.read() as unit:
        own = {"assessment": duties.configuration(unit, here.settings), "counsel": here.settings.scenario,
               "filing": "stored-persons"}
        first = utc_day(unit.now)
        text = Statement(kind, here.venue_id, subject or own.get(kind, "none"), found, first,
                         first + timedelta(max(0, min(days, 40_000)))).text()
    write_bytes(out, text.encode())
    print_out(as_json, {"file": str(out), "document": found}, f"The text is in {out}; whoever may signs it with "
              "`countenance statement sign`.")


@app.command("sign")
def sign(
    text: Annotated[Path, typer.Argument(help="The text that `draft` wrote.")],
    key: KeyOption,
    out: Annotated[Path, typer.Option("--out", help="Where to write what is signed; a new file.")],
    as_json: JsonOption = False,
) -> None:
    """Sign a statement, on the signer's own machine; no venue is needed."""
    from countenance.formats import signed_note, statements
    from countenance.vault.keys import signing

    words = read_text(text)
    statements.parse(words)
    name, private = signing.read_apart(read_text(key))
    note = signed_note.Note(words, (signed_note.sign(words, name, private),))
    write_bytes(out, note.encode().encode())
    print_out(as_json, {"file": str(out), "signer": name}, words.rstrip("\n"), f"Signed as {name}; it is in {out}.")


@app.command("take")
def take(
    note: Annotated[Path, typer.Argument(help="What is signed.")],
    venue: VenueOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Take a signed statement in; it stands in the log."""
    from countenance.flows import duties

    with opened(venue) as here:
        taken = duties.take(here, read_text(note))
    print_out(as_json, {"kind": taken.statement.kind, "until": taken.statement.last.isoformat(),
                        "signer": taken.signer, "statement": taken.statement_id},
              f"Taken: {taken.statement.kind}, signed by {taken.signer}, until {taken.statement.last.isoformat()}.")


@app.command("status")
def status(venue: VenueOption = HERE, as_json: JsonOption = False) -> None:
    """Show what people have to do before a face is compared here, and what of it stands."""
    from countenance.flows import duties

    with opened(venue) as here:
        rows = duties.status(here)
    print_out(as_json, {"duties": rows}, *(f"{one['duty']:<12} {one['subject']:<66} {one['state']}" for one in rows))
