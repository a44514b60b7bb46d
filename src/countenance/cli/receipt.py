"""countenance receipt: the short code of a receipt, and finding it in a copy of the log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import JsonOption, print_out, progress, read_pass, read_text, write_bytes
from countenance.errors import BadInput

app = typer.Typer(help="Make and look up a receipt's code; `verify` checks the receipt itself.", no_args_is_help=True)


@app.command("code")
def code(
    file: Annotated[Path, typer.Argument(help="The receipt.")],
    out: Annotated[Path | None, typer.Option("--out", help="Draw it into this new file, .svg or .png.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a receipt's code: its log, the place there, the nonce and the leaf."""
    from countenance.formats import receipt_codes, receipts
    from countenance.integrations import codes

    body, _signed = receipts.split(read_text(file))
    text = receipt_codes.of(str(body.get("origin", "")), receipts.proven(body)).encode()
    if out is not None:
        if out.suffix not in {".svg", ".png"}:
            raise BadInput("code-kind", "A code is drawn as .svg or .png.")
        write_bytes(out, codes.png(text, 6) if out.suffix == ".png" else codes.svg(text).encode())
    print_out(as_json, {"code": text, "file": str(out) if out else None},
              text if out is None else f"The code is in {out}.")


@app.command("find")
def find(
    file: Annotated[Path, typer.Argument(help="The code: a picture, or its text; - for a scanner.")],
    log: Annotated[Path, typer.Option("--log", help="A copy of the published log.", file_okay=False)],
    trust: Annotated[Path | None, typer.Option("--trust", help="Whose keys to believe, from elsewhere.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Look a code up in a copy of the log, which is checked as a whole first."""
    from countenance.formats import receipt_codes
    from countenance.verifier import codes, files

    wanted = receipt_codes.parse(read_pass(file))
    believed = files.read_trust(trust) if trust else None
    with progress("Checking the log", as_json) as update:
        report = codes.find(wanted, log, believed, update)
    print_out(as_json, report.value(), *report.lines())
    report.require_ok()
