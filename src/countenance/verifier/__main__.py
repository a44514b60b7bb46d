"""python -m countenance.verifier FILE... [--trust FILE] [--json]: the checks without the rest of the program."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from countenance.errors import CountenanceError
from countenance.verifier import files
from countenance.verifier.report import visible


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the files; return 0 where each is in order, otherwise the exit status of the first that is not."""
    parser = argparse.ArgumentParser(prog="python -m countenance.verifier", description=(
        "Checks receipts, evidence, checkpoints and log folders, offline. Self-consistent means that nobody but the "
        "venue vouches for it; verified takes a trust file from elsewhere."))
    parser.add_argument("file", nargs="+", type=Path)
    parser.add_argument("--trust", type=Path, help="a trust file, obtained elsewhere than from the venue")
    parser.add_argument("--json", action="store_true", help="print one JSON value")
    options = parser.parse_args(arguments)
    status, told = 0, []
    try:
        trust = files.read_trust(options.trust) if options.trust else None
    except CountenanceError as error:
        sys.stderr.write(f"{visible(error.sentence)} [{error.code}]\n")
        return error.exit_status
    for path in options.file:
        try:
            report = files.verify(path, trust)
            told.append({"file": str(path), **report.value()})
            if not options.json:
                sys.stdout.writelines(f"{line}\n" for line in (f"{visible(path)} ({report.what})", *report.lines()))
            report.require_ok()
        except CountenanceError as error:
            status = status or error.exit_status
            sys.stderr.write(f"{visible(f'{path}: {error.sentence}')} [{error.code}]\n")
    if options.json:
        sys.stdout.write(json.dumps(told) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
