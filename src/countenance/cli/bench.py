"""countenance bench: how long it takes, beside what others take."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from countenance.cli.common import JsonOption, print_out, progress

app = typer.Typer(help="Benchmarks.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `gate` a command of its own while it is the only one."""


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


def _table(result: dict[str, Any]) -> list[str]:
    """Return the figures for people, at most 80 columns wide."""
    where = result["machine"]
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
    lines.append(f"{where['processor'][:40]}, {where['cores']} cores, load {where['load']}; "
                 f"Python {where['python']}.")
    return lines
