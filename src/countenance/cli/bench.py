"""countenance bench: how long it takes, beside what others take."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countenance.cli.common import JsonOption, print_out, progress

app = typer.Typer(help="Benchmarks.", no_args_is_help=True)


@app.command("gate")
def gate(
    against: Annotated[str | None, typer.Option(help="Time this library beside it: face_recognition.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is run.")] = 40,
    people: Annotated[int, typer.Option(min=1, help="Made-up people in the gallery.")] = 10_000,
    as_json: JsonOption = False,
) -> None:
    """Time a gate from the bytes of a 640x480 JPEG to a decision on disk, one thread, gallery of 10,000."""
    from countenance.bench import gate as bench

    with progress("Making people up, then timing", as_json) as update:
        result = bench.run(rounds, people, against, update)
    print_out(as_json, result, *_table(result))


@app.command("search")
def search(
    people: Annotated[int, typer.Option(min=1, help="Made-up templates.")] = 1_000_000,
    dim: Annotated[int, typer.Option(min=16, max=1024, help="Numbers in a template; models give 128 or 512.")] = 128,
    rounds: Annotated[int, typer.Option(min=1, help="How often each is run.")] = 40,
    threads: Annotated[int, typer.Option(min=1, max=8, help="Threads, at most.")] = 2,
    as_json: JsonOption = False,
) -> None:
    """Time one exact search of sealed templates beside its parts: the same unsealed, faiss alone, AES alone.

    The templates are random numbers, of nobody. In memory they are held twice, sealed and plain: a million of 512
    take 1 GB.
    """
    from countenance.bench import search as bench

    with progress("Making templates up, then timing", as_json) as update:
        result = bench.run(people, dim, rounds, threads, update)
    print_out(as_json, result, *_search_table(result))


def _search_table(result: dict[str, Any]) -> list[str]:
    threads = result["machine"]["threads"]
    return [
        f"One exact search of {result['people']:,} templates of {result['dim']}, {threads} thread(s) (medians):",
        *(f"  {title:<36}{result[f'{name}_ms']:>10.2f} ms" for name, title in (
            ("sealed", "sealed"), ("plain", "the same, unsealed"), ("faiss", "faiss alone"),
            ("aes", "opening the blocks alone"))),
        *(f"  {title:<36}{result[name]:>10.2f}" for name, title in (
            ("plain_over_faiss", "unsealed / faiss alone"), ("sealed_over_plain", "sealed / unsealed"),
            ("sealed_over_parts", "sealed / (opening + faiss alone)"))),
        _where(result["machine"]),
    ]


def _where(machine: dict[str, Any]) -> str:
    return (f"{machine['processor'][:40]}, {machine['cores']} cores, load {machine['load']}; "
            f"Python {machine['python']}.")


def _table(result: dict[str, Any]) -> list[str]:
    """Return the figures for people, at most 80 columns wide."""
    lines = [
        f"One face at the gate, among {result['people']:,} people, on one thread:",
        f"  {'median':<24}{result['median_ms']:>10.1f} ms",
        f"  {'95 of 100 are below':<24}{result['p95_ms']:>10.1f} ms",
        "Of that (medians):",
        *(f"  {name:<24}{ms:>10.2f} ms" for name, ms in result["parts_ms"].items()),
    ]
    for group, title in (("against", "as it comes"), ("same_resolution", "at our detector's resolution")):
        if group in result:
            lines.append(f"{result['peer']}, {title}:")
            lines += [f"  {model.upper():<24}{one['median_ms']:>10.1f} ms{one['ratio']:>10.1f} times as long"
                      for model, one in result[group].items()]
    lines.append(_where(result["machine"]))
    return lines


@app.command("keys")
def keys(
    number: Annotated[int, typer.Option("--keys", min=1, help="Keys to rewrap.")] = 1_000_000,
    templates: Annotated[int, typer.Option(min=1, help="Templates to open, as at a start.")] = 100_000,
    withdrawals: Annotated[int, typer.Option(min=1, help="Withdrawals to time.")] = 30,
    as_json: JsonOption = False,
) -> None:
    """Time a rotation, the opening of templates, and withdrawals, beside what the machine needs for the bare work."""
    from countenance.bench import keys as bench

    with progress("Making keys, then rewrapping", as_json) as update:
        result = bench.run(number, templates, withdrawals, update)
    print_out(
        as_json, result,
        f"{result['keys']:,} keys rewrapped in {result['rewrap_s']:.1f} s: {result['rewrapped_per_s']:,} a second, "
        f"{result['rewrap_over_parts']:.1f} times AES and disk.",
        f"{result['templates']:,} templates opened in {result['open_s']:.1f} s: {result['opened_per_s']:,} a second.",
        f"Nothing matches {result['stopped_ms']:.1f} ms after a withdrawal begins "
        f"({result['stopped_over_fdatasync']:.0f} times one fdatasync); the whole of it takes "
        f"{result['withdraw_ms']:.1f} ms ({result['withdraw_over_fdatasync']:.0f} times).")


@app.command("log")
def log(
    leaves: Annotated[int, typer.Option(min=1, help="Entries of the log that is read.")] = 100_000,
    appends: Annotated[int, typer.Option(min=1, help="Entries that each of 64 writers adds.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """Time the log: entries of 64 writers and of one, beside one fdatasync; then proofs, receipts and checking it."""
    from countenance.bench import log as bench

    with progress("Writing a log, then reading it", as_json) as update:
        result = bench.run(leaves, appends, update)
    print_out(as_json, result, *_log_table(result))


def _log_table(result: dict[str, Any]) -> list[str]:
    return [
        f"{result['writers']} writers: {result['appends_per_s']:,} entries a second, each durable in "
        f"{result['p50_ms']:.1f} ms",
        f"(99 of 100 in {result['p99_ms']:.1f} ms). One writer: {result['one_writer_ms']:.2f} ms, "
        f"{result['one_writer_fdatasyncs']:.1f} times one fdatasync.",
        f"A log of {result['leaves']:,} entries:",
        *(f"  {title:<36}{result[name]:>10.2f} {unit}" for title, name, unit in (
            ("a proof of inclusion", "proof_ms", "ms"), ("checking a receipt", "verify_receipt_ms", "ms"),
            ("checking the published folder", "log_verify_s", "s"),
            ("checking the venue's store", "log_verify_store_s", "s"))),
        f"  {'most memory':<36}{result['peak_mb']:>10} MB",
        _where(result["machine"]),
    ]


@app.command("serve")
def serve(
    decisions: Annotated[int, typer.Option(min=40, help="Decisions about faces.")] = 20_000,
    people: Annotated[int, typer.Option(min=1, help="Made-up people in the gallery.")] = 10_000,
    templates: Annotated[int, typer.Option(min=0, help="In a second venue, whose restart is timed; 0: none.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Time the server from a second process: pictures to decisions over HTTP, passes alone, memory, and restarts."""
    from countenance.bench import serve as bench

    with progress("Making people up, then asking", as_json) as update:
        result = bench.run(decisions, people, templates, update)
    print_out(as_json, result, *_serve_table(result))


@app.command("door")
def door(
    people: Annotated[int, typer.Option(min=1, help="At each lane, three seconds apart.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Time a gate's machine from a scanned pass to the signal at the door, with a face and without."""
    from countenance.bench import door as bench

    with progress("People at two gates", as_json) as update:
        result = bench.run(people, update)
    print_out(as_json, result, "From a scanned pass to the door's signal:", *(
        f"  {title:<20}{result[lane]['median_s']:>7.2f} s (median)   {result[lane]['people_a_minute']:>5.1f} people a "
        f"minute, of 20 who come" for lane, title in (("face", "a pass and a face"), ("plain", "a plain pass"))),
        _where(result["machine"]))


def _serve_table(result: dict[str, Any]) -> list[str]:
    starts = {f"with {result['people']:,} people": result["restart"]}
    if "restart_filled" in result:
        filled = result["restart_filled"]
        starts |= {f"with {filled['templates']:,}, {mode}": filled[mode] for mode in ("pass-and-face", "face")}
    return [
        f"{result['clients']} clients, {result['decisions']:,} faces among {result['people']:,} people:",
        f"  {result['decisions_per_s']:.1f} decisions a second, p50 {result['p50_ms']:.0f} ms, "
        f"p99 {result['p99_ms']:.0f} ms, errors: {result['errors']}",
        f"  memory {result['rss_mb']:.0f} MB, {result['rss_growth_mb']:+.1f} MB since the first tenth",
        "Passes alone, p99 (and beside those faces):",
        *(f"  {title:<24}{result[f'{name}_p99_ms']:>8.1f} ms{result[f'{name}_beside_faces_p99_ms']:>8.1f} ms"
          for name, title in (("plain", "at the server"), ("lane", "at the lane's process"))),
        "A start, until it listens and until it is ready:",
        *(f"  {title:<36}{one['listens_s']:>8.2f} s{one['ready_s']:>8.2f} s" for title, one in starts.items()),
        _where(result["machine"]),
    ]
