"""countenance demo: the founding story, on real portraits."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from countenance.cli.common import JsonOption, YesOption, picture, print_out, progress, read
from countenance.errors import BadInput

PROVES = (
    "What this shows: the path. Without consent nothing is compared, withdrawal",
    "destroys the key, and the folder holds no picture.",
    "What it does not show: accuracy. The later captures are made from one",
    "photograph, and the threshold is for this demo only (README, LIMITS.md).",
)
NEXT = (
    "Next:",
    "  countenance demo --me A.jpg --later B.jpg      two photographs of your own",
    "  countenance init zoo --scenario annual-pass --regime cn --demo-threshold",
    "  countenance bench gate",
)


def _here() -> str:
    """Return how this command was called, so that the next ones work as printed."""
    if shutil.which("countenance"):
        return "countenance"
    called = Path(sys.argv[0])
    return str(called.relative_to(Path.cwd()) if called.is_relative_to(Path.cwd()) else called)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="Tell it once and end, as it does anyway.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Leave the venue in this new folder.", metavar="DIR")] = None,
    me: Annotated[Path | None, typer.Option(help="A photograph of yourself.")] = None,
    later: Annotated[Path | None, typer.Option(help="Another, taken later.")] = None,
    yes: YesOption = False,
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Write ASCII only.")] = False,
    people: Annotated[int, typer.Option(help="Made-up people in the gallery.", min=0, max=20_000)] = 10_000,
    as_json: JsonOption = False,
) -> None:
    """Watch the founding story on real portraits.

    Consent, enrolment, recognition, refusal and withdrawal, ending by itself; or, with --me and --later, your own two
    photographs.
    """
    del once
    if (me is None) != (later is None):
        raise BadInput("demo-two-pictures", "Two photographs are needed: --me A --later B.")
    if me is not None and later is not None:
        _mine(me, later, yes, as_json)
        return
    told = _story(keep, people, as_json, ascii_only or not _speaks_unicode())
    if as_json:
        print_out(as_json, told)
    if not told["ok"]:
        raise typer.Exit(1)


def _story(keep: Path | None, people: int, as_json: bool, plain: bool) -> dict[str, Any]:
    from countenance.clock import SystemClock
    from countenance.demo.proof import EVIDENCE, PAGE, TRUST
    from countenance.demo.story import Story
    from countenance.demo.teller import Teller

    clock = SystemClock()
    teller = Teller(clock, silent=as_json, plain=plain)
    with _folder(keep) as folder:
        home = folder / "taken-home" if keep is not None else Path(tempfile.mkdtemp(prefix="countenance-evidence-"))
        story = Story(folder, clock, teller, people, home)
        with progress("Enrolling made-up people", as_json) as update:
            story.run(update)
    teller.say("")
    medians = teller.medians()
    teller.say("One admission, median in ms:")
    teller.say("  " + "   ".join(f"{part} {ms:.1f}" for part, ms in medians.items()))
    for line in PROVES:
        teller.say(line)
    teller.say(f"What she took home opens in any browser, without a network: {home / PAGE}")
    teller.say(f"  {_here()} verify {home / EVIDENCE} --trust {home / TRUST}")
    if keep is not None:
        teller.say(f"The venue is in {folder}, with what people took home in taken-home/. Try:")
        teller.say(f"  {_here()} about --venue {folder} --person {story.person['collins-key']}")
    for line in ("", *NEXT):
        teller.say(line.replace("countenance", _here(), 1))
    return {**teller.json(), "taken_home": str(home)}


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        scratch = Path(tempfile.mkdtemp(prefix="countenance-demo-"))
        try:
            yield scratch / "zoo"
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return
    if keep.exists() and any(keep.iterdir()):
        raise BadInput("store-exists", "This folder is not empty; give a new one.")
    keep.parent.mkdir(parents=True, exist_ok=True)
    yield keep


def _mine(me: Path, later: Path, yes: bool, as_json: bool) -> None:
    from countenance.clock import SystemClock
    from countenance.demo.mine import compare

    read(me), read(later)  # said before anybody is asked
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("answer-missing", "Nobody is here to answer; say --yes for yourself.")
        sys.stderr.write("The two photographs are compared with each other once, here; nothing is kept.\n")
        if not typer.confirm("Are they of you, or of somebody who agrees?", err=True):
            raise BadInput("not-confirmed", "Nothing was compared.")
    told = compare(picture(me), picture(later), SystemClock())
    words = {"admit": "Please come in.  (The two match.)", "refer": f"Staff will help.  ({told['told']})"}
    print_out(as_json, told, words[told["outcome"]],
              "The first was enrolled and the second compared with it, once; both are gone, and so is the key.",
              "The threshold is for this demo only (README): two photographs of you may well be referred.")


def _speaks_unicode() -> bool:
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return encoding.startswith("utf") and os.environ.get("TERM") != "dumb"
