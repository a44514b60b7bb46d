"""countenance verify: receipts, evidence, checkpoints and logs, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from countenance.cli.common import JsonOption, print_out, progress


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify)


def verify(
    file: Annotated[list[Path], typer.Argument(help="Receipts, evidence, checkpoints, or folders of a log.")],
    trust: Annotated[Path | None, typer.Option(
        "--trust", help="Whose keys to believe: a file that you have from elsewhere than the venue.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check what a venue handed out, step by step; self-consistent means that nobody but the venue vouches for it."""
    from countenance.errors import CountenanceError
    from countenance.verifier import files
    from countenance.verifier.report import visible

    believed = files.read_trust(trust) if trust else None
    told: list[dict[str, Any]] = []
    lines: list[str] = []
    wrong: CountenanceError | None = None
    for path in file:
        try:
            with progress(path.name, as_json) as update:
                report = files.verify(path, believed, update)
            told.append({"file": str(path), **report.value()})
            lines += [f"{visible(path)} ({report.what})", *report.lines()]
            report.require_ok()
        except CountenanceError as error:
            wrong = wrong or error
            if not told or told[-1]["file"] != str(path):
                told.append({"file": str(path), "verdict": "refused", "step": None, "code": error.code,
                             "meaning": error.sentence})
                lines.append(f"{visible(f'{path}: {error.sentence}')} [{error.code}]")
    if wrong is None:
        print_out(as_json, {"files": told}, *lines)
        return
    print_out(as_json, {"files": told, "error": {"code": wrong.code, "message": wrong.sentence}}, *lines)
    if as_json:
        raise typer.Exit(wrong.exit_status)
    raise wrong
