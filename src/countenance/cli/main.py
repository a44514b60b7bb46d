"""The command line: one thin file per command; what is heavy is imported when a command runs."""

from __future__ import annotations

import io
import json
import signal
import sys
from types import FrameType
from typing import NoReturn

import typer

from countenance import __version__
from countenance.cli import (
    about,
    admit,
    api_keys,
    backup,
    bench,
    calibrate,
    consent,
    controls,
    demo,
    doctor,
    enrol,
    evaluate,
    events,
    gate,
    gates,
    imports,
    init,
    keys,
    lane,
    log,
    models,
    notice,
    operators,
    orders,
    passes,
    pilot,
    prove,
    quality,
    receipt,
    record,
    revocations,
    rights,
    serve,
    statements,
    sunset,
    sweep,
    verify,
    withdraw,
)
from countenance.errors import CountenanceError
from countenance.process import no_core_dumps, steady_memory

app = typer.Typer(
    help="Face recognition that asks first: consent is the key that makes comparison possible.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
)

for _module in (demo, init, serve, enrol, admit, withdraw, about, prove, verify, sweep, backup, doctor, evaluate,
                quality, controls):
    _module.register(app)
gates.register(gate.app)
for _name, _group in (("keys", keys), ("pass", passes), ("consent", consent), ("notice", notice),
                      ("receipt", receipt), ("record", record), ("revocations", revocations), ("log", log),
                      ("models", models), ("calibrate", calibrate), ("pilot", pilot),
                      ("bench", bench), ("gate", gate), ("lane", lane), ("events", events), ("operators", operators),
                      ("apikey", api_keys), ("import", imports), ("statement", statements), ("order", orders),
                      ("rights", rights), ("method", sunset)):
    app.add_typer(_group.app, name=_name)


@app.callback(invoke_without_command=True)
def _top(version: bool = typer.Option(False, "--version", help="Show the version and exit.")) -> None:  # noqa: FBT003  # how Typer says it
    if version:
        typer.echo(f"countenance {__version__}")
        raise typer.Exit


def run() -> NoReturn:
    """Run the command line; ends the process. Errors are one sentence with a code, and never a trace."""
    as_json = "--json" in sys.argv
    no_core_dumps()
    steady_memory()
    signal.signal(signal.SIGTERM, _stop)  # so that what is temporary is cleared away
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without these letters still gets the rest
    try:
        ended = app(standalone_mode=False)
    except CountenanceError as error:
        _say(as_json, error.code, error.sentence)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        _say(as_json, "interrupted", "Stopped; what was begun is finished at the next opening.")
        sys.exit(130)
    except OSError as error:
        full = error.errno == 28
        _say(as_json, *(("store-full", "There is no room left on the disk.") if full
                        else ("file-trouble", "A file could not be read or written.")))
        sys.exit(5)
    except typer.Abort:
        _say(as_json, "not-confirmed", "Nothing was done.")
        sys.exit(4)
    except Exception as error:  # noqa: BLE001  # the last net: a trace would show its locals
        if hasattr(error, "format_message"):  # the command line itself was wrong
            _say(as_json, "usage", f"{error.format_message().rstrip('.')}; see --help.")
            sys.exit(2)
        _say(as_json, "internal", f"Something went wrong inside ({type(error).__name__}); nothing was opened.")
        sys.exit(1)
    sys.exit(ended if isinstance(ended, int) else 0)


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _say(as_json: bool, code: str, sentence: str) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"error": {"code": code, "message": sentence}}) + "\n")
    sys.stderr.write(f"{sentence} [{code}]\n")
