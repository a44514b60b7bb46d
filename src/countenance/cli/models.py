"""countenance models: the packs at hand, whether they are what they claim, and bringing others in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from countenance.cli.common import JsonOption, YesOption, confirmed, print_out, progress

if TYPE_CHECKING:
    from countenance.flows.models import Agreed
    from countenance.vision.packs import Pack

app = typer.Typer(help="List, show, check, fetch and remove model packs.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="A pack's name.")]
AcceptOption = Annotated[bool, typer.Option("--accept-licence", help="Do not ask; the licence is accepted.")]
AcknowledgeOption = Annotated[bool, typer.Option(
    "--acknowledge-non-commercial", help="The use is not commercial, and the licence asks for that.")]
DEFAULT = "dlib-resnet"


@app.command("list")
def list_packs(as_json: JsonOption = False) -> None:
    """List the packs at hand, and those that `pull` knows."""
    from countenance.vision import packs

    found = packs.names()
    known = [name for name in packs.bundled() if name not in found]
    print_out(as_json, {"packs": found, "to_pull": known}, *found, *(f"{name} (not here; `pull`)" for name in known))


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


@app.command("add")
def add(
    folder: Annotated[Path, typer.Argument(help="Holds manifest.toml and the files that it names.", exists=True,
                                           file_okay=False)],
    accept_licence: AcceptOption = False,
    acknowledge: AcknowledgeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring in a pack from a folder, once its licence is accepted."""
    from countenance.clock import SystemClock
    from countenance.flows import models
    from countenance.vision import packs

    agreed = _agreed(packs.from_folder(folder), accept_licence, acknowledge)
    with progress("Copying and checking", as_json) as update:
        made = models.add(folder, agreed, SystemClock(), update)
    _tell(made, agreed, as_json)


@app.command("pull")
def pull(
    what: Annotated[str, typer.Argument(help="A pack's name, or the address of a manifest.")],
    sha256: Annotated[str, typer.Option(help="Of the manifest, where an address was given.")] = "",
    accept_licence: AcceptOption = False,
    acknowledge: AcknowledgeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch a pack, once its licence is accepted. Every file must have the size and SHA-256 of the manifest."""
    from countenance.clock import SystemClock
    from countenance.flows import models
    from countenance.integrations import model_download
    from countenance.vision import packs

    text = _served(what, sha256) if "://" in what else None
    pack = packs.load(what) if text is None else models.described(text)
    agreed = _agreed(pack, accept_licence, acknowledge)
    with progress("Fetching and checking", as_json) as update:
        made = models.pull(pack, text, model_download.file(what if text else ""), agreed, SystemClock(), update)
    _tell(made, agreed, as_json)


@app.command("remove")
def remove(name: NameArgument, yes: YesOption = False, as_json: JsonOption = False) -> None:
    """Take a pack out. Templates that were made with it open nothing until it is back."""
    from countenance.flows import models

    confirmed(f"Take {name} out? Whoever enrolled with it has to enrol anew, or it has to come back.",
              "The pack was left where it is.", yes)
    models.remove(name)
    print_out(as_json, {"removed": name}, f"{name} is gone, with the record of its licence.")


@app.command("move")
def move(
    name: NameArgument,
    to: Annotated[Path, typer.Argument(help="Another models folder; COUNTENANCE_MODELS names the one in use.",
                                       file_okay=False)],
    as_json: JsonOption = False,
) -> None:
    """Move a pack to another models folder; its files are checked on arrival."""
    from countenance.flows import models

    place = models.move(name, to)
    print_out(as_json, {"moved": name, "to": str(place)}, f"{name} is in {place} now.")


def _served(url: str, sha256: str) -> str:
    """Return a manifest from elsewhere, which is trusted for its SHA-256 only."""
    import hashlib

    from countenance.errors import BadInput, ModelFault
    from countenance.integrations import model_download

    if not sha256:
        raise BadInput("model-sum", "Say the manifest's SHA-256 (--sha256), from somewhere else than the address.")
    data = model_download.manifest(url)
    if hashlib.sha256(data).hexdigest() != sha256.lower():
        raise ModelFault("model-served-other", "The manifest that was served is another one; nothing was kept.")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ModelFault("model-manifest-invalid", "A model pack's manifest is not as it must be (the text).") from None


def _agreed(pack: Pack, accepted: bool, acknowledged: bool) -> Agreed:
    """Show the licence, on stderr, and ask if somebody is there and has not answered yet."""
    import getpass
    import sys

    from countenance.flows.models import Agreed

    made = pack.manifest
    for line in (f"{made.name} {made.version}: {made.summary}", f"Licence: {made.licence}", made.terms,
                 f"Trained on: {made.training_data}"):
        typer.echo(line, err=True)
    if not accepted and (acknowledged or not made.non_commercial) and sys.stdin.isatty():
        accepted = typer.confirm("Accept this licence?", err=True)
    try:
        by = getpass.getuser()
    except (KeyError, OSError):
        by = "unknown"
    return Agreed(by, accepted, acknowledged)


def _tell(made: Pack, agreed: Agreed, as_json: bool) -> None:
    print_out(as_json, {"pack": made.identity, "licence": made.manifest.licence, "accepted_by": agreed.by,
                        "folder": str(made.place)},
              f"{made.identity} is here. {agreed.by} accepted its licence ({made.manifest.licence}).",
              "No gate opens with it before `countenance calibrate cohort` measured it.")


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
