"""countenance log witness, and log monitor: for those who are not the venue."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from countenance.cli.common import JsonOption, print_out, read_text
from countenance.errors import BadInput, StoreFault

if TYPE_CHECKING:
    from countenance.formats.signed_note import NoteKey
    from countenance.transparency.monitor import Look
    from countenance.transparency.witness import Witness

KEY, PUBLIC = "cosignature", "witness.vkey"
LAST_PORT = 65_535
COUNTS_AS_NONE = "A witness that the venue controls counts as none."


def register(app: typer.Typer) -> None:
    """Add the commands to the group `log`."""
    app.command("witness")(witness)
    app.command("monitor")(monitor)


def witness(
    folder: Annotated[Path, typer.Option("--dir", help="The witness's folder; made at the first start.",
                                         file_okay=False)],
    log: Annotated[list[str], typer.Option("--log", help="A log's public key, from its operator; repeat for more.")],
    name: Annotated[str, typer.Option("--name", help="The witness's name, at the first start.")] = "",
    listen: Annotated[str, typer.Option("--listen", help="HOST:PORT.")] = "127.0.0.1:8064",
    as_json: JsonOption = False,
) -> None:
    """Cosign what logs publish, for people who trust neither the venue nor you alone. Not for the venue itself."""
    host, port = _address(listen)
    try:
        from countenance.transparency import witness_http
    except ImportError:
        raise BadInput("extra-missing", "The witness needs: pip install 'countenance[server]'.") from None
    here = _witness(folder, name, log)
    with witness_http.listen(host, port) as socket:
        taken = socket.getsockname()
        url = f"http://{f'[{taken[0]}]' if ':' in taken[0] else taken[0]}:{taken[1]}"
        print_out(as_json, {"key": here.key.text, "url": url, "logs": log}, here.key.text,
                  "is this witness's public key. Whoever verifies must have it from you, not from the venue.",
                  f"Witnessing {len(log)} {'log' if len(log) == 1 else 'logs'} at {url}. {COUNTS_AS_NONE}")
        sys.stdout.flush()
        witness_http.server_of(here).run(sockets=[socket])


def monitor(
    log: Annotated[str, typer.Argument(help="The published log: its folder or its address.")],
    state: Annotated[Path, typer.Option("--state", help="The file that remembers what was seen; keep it.",
                                        dir_okay=False)],
    key: Annotated[str, typer.Option("--key", help="The log's public key.")] = "",
    trust: Annotated[Path | None, typer.Option("--trust", help="A trust file, instead; its witnesses count.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Read the log from its first entry.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a log from outside: did it only grow since the last look, and what was added."""
    from countenance.transparency import mirror
    from countenance.transparency.monitor import Monitor

    with mirror.opened(log) as published:
        keys, witnesses, need = _trusted(key, trust, mirror.origin(published))
        watching = Monitor(published, state, keys, witnesses, need)
        seen = watching.look(again=again)
    print_out(as_json, _value(seen), *_told(seen))
    sys.stdout.flush()  # said before it counts as seen
    watching.believe(seen)


def _address(listen: str) -> tuple[str, int]:
    host, _colon, port = listen.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or int(port[:6]) > LAST_PORT:
        raise BadInput("listen-address", "Say HOST:PORT, as in 127.0.0.1:8064.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _witness(folder: Path, name: str, logs: list[str]) -> Witness:
    """Open the witness's folder, made at the first start with a key of its own."""
    from countenance import durable
    from countenance.clock import SystemClock
    from countenance.formats import signed_note
    from countenance.formats.signed_note import LOG, WITNESS
    from countenance.transparency.witness import Witness
    from countenance.vault.keys import signing

    keys = [signed_note.read_key(log) for log in logs]
    if any(log.kind != LOG for log in keys):
        raise BadInput("note-key", "This is not the public key of a log.")
    public = folder / PUBLIC
    known = signed_note.read_key(read_text(public).strip()) if public.exists() else None
    if (not known and not name) or (known and name and name != known.name):
        raise BadInput("witness-name", f"This witness is called {known.name}." if known else
                       "A new witness needs --name, as in witness.example/one.")
    name = known.name if known else name
    if not signed_note.is_name(name):
        raise BadInput("witness-name", "A witness's name is of visible ASCII without a +, as in witness.example/one.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not known and not (folder / f"{KEY}.key").exists():
        signing.make(folder, KEY)
    private = signing.signer(folder, KEY).key
    key = signed_note.key_of(private, name, WITNESS)
    if known and known != key:
        raise StoreFault("witness-key", f"{public.name} and the key beside it do not belong together.")
    if not known:
        durable.create(public, f"{key.text}\n".encode())
    return Witness(folder, key, lambda text, at: signed_note.cosign(text, name, private, at), keys, SystemClock())


def _trusted(key: str, trust: Path | None, origin: str) -> tuple[list[NoteKey], list[NoteKey], int]:
    """Return the log's keys, the witnesses', and how many of these must have cosigned."""
    from countenance.formats import signed_note
    from countenance.formats import trust as trusts

    if bool(key) == bool(trust):
        raise BadInput("monitor-key", "Give the log's public key with --key, or a trust file with --trust.")
    if trust is None:
        return [signed_note.read_key(key)], [], 0
    told = trusts.parse(read_text(trust))
    logs = [log for log in told.logs if log.name == origin]
    if not logs:
        raise BadInput("trust-other-log", "The trust file names another log than this one.")
    return logs, list(told.witnesses), told.need


def _value(seen: Look) -> dict[str, Any]:
    from countenance.clock import utc_text

    now = seen.believed.checkpoint
    clear = [{"index": index, "type": entry.type, "at": utc_text(entry.at), "body": _plain(entry.body)}
             for index, entry in seen.clear]
    return {"origin": now.origin, "size": now.size, "root": now.root.hex(), "before": seen.before, "clear": clear,
            "sealed": seen.sealed, "unreadable": list(seen.unreadable), "witnesses": list(seen.witnesses),
            "strangers": list(seen.strangers)}


def _told(seen: Look) -> list[str]:
    from countenance.clock import utc_text
    from countenance.verifier.report import visible

    now = seen.believed.checkpoint
    grew = ("This is the first look: there is nothing earlier to compare with." if seen.before is None else
            f"It only grew: {now.size - seen.before} more than at the last look.")
    lines = [f"{visible(now.origin)} has {now.size} entries, as its key signed. {grew}",
             f"Cosigned by {', '.join(map(visible, seen.witnesses)) or 'no witness that you named'}. {COUNTS_AS_NONE}"]
    lines += [f"Unknown cosignature {visible(name)}: counts for nothing." for name in seen.strangers]
    for index, entry in seen.clear:
        body = ", ".join(f"{visible(name)}: {visible(value)}" for name, value in _plain(entry.body).items())
        lines.append(f"{index:>8}  {utc_text(entry.at)}  {visible(entry.type)}  {body}")
    lines += [f"{index:>8}  in no form that is known" for index in seen.unreadable]
    return [*lines, f"And {seen.sealed} about people, sealed: only they and the venue can say what those are."]


def _plain(value: Any) -> Any:
    """Return what JSON can hold: bytes as hex."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.hex() if isinstance(value, bytes) else value
