"""countenance models: the packs at hand, and whether they are what they claim."""

from __future__ import annotations

from typing import Annotated

import typer

from countenance.cli.common import JsonOption, print_out

app = typer.Typer(help="List, show and check model packs.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="A pack's name.")]
DEFAULT = "dlib-resnet"


@app.command("list")
def list_packs(as_json: JsonOption = False) -> None:
    """List the packs at hand."""
    from countenance.vision import packs

    found = packs.names()
    print_out(as_json, {"packs": found}, *found)


@app.command("show")
def show(name: NameArgument = DEFAULT, as_json: JsonOption = False) -> None:
    """Show a pack's manifest: files, licences, training data, published error rates."""
    from countenance.vision import packs

    value = packs.load(name).describe()
    print_out(as_json, value, *_lines(value))


@app.command("check")
def check(name: NameArgument = DEFAULT, as_json: JsonOption = False) -> None:
    """Verify a pack's files by hash, and recompute its golden outputs."""
    from countenance.vision.pack_runtime import FacePack

    pack = FacePack.open(name)
    done = [{"what": c.what, "off_by": c.off_by, "tolerance": c.tolerance} for c in pack.check()]
    print_out(as_json, {"ok": True, "pack": pack.identity, "checks": done},
              f"{pack.identity} is what it claims to be.",
              *(f"  {c['what']:<20} off by {c['off_by']:.2e}, may be {c['tolerance']:.0e}" for c in done))


def _lines(value: object, depth: int = 0) -> list[str]:
    pad = "  " * depth
    if isinstance(value, dict):
        lines = []
        for name, inner in value.items():
            if isinstance(inner, list) and not any(isinstance(one, dict | list) for one in inner):
                lines.append(f"{pad}{name}: {', '.join(map(str, inner))}")
            elif isinstance(inner, dict | list):
                lines += [f"{pad}{name}:", *_lines(inner, depth + 1)]
            else:
                lines.append(f"{pad}{name}: {inner}")
        return lines
    if isinstance(value, list):
        return [line for inner in value for line in [*_lines(inner, depth), ""]]
    return [f"{pad}{value}"]
