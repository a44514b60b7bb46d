"""A crash of the program leaves no picture of its memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from countenance import process


def _ask(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.promise(3)
@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
@pytest.mark.parametrize(("call", "expected"), [("", "1\n"), ("no_core_dumps()", "0 (0, 0)\n")])
def test_the_kernel_may_dump_before_and_not_after(call: str, expected: str) -> None:
    assert _ask(f"""
        import ctypes, resource
        from countenance.process import no_core_dumps
        {call or "pass"}
        dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
        print(dumpable, *([resource.getrlimit(resource.RLIMIT_CORE)] if {bool(call)} else []))
    """) == expected


@pytest.mark.promise(3)
def test_the_command_line_asks_for_it_first() -> None:
    told = _ask("""
        import sys
        from countenance import process
        from countenance.cli import main
        main.no_core_dumps = lambda: print("asked")
        sys.argv = ["countenance", "--help"]
        try:
            main.run()
        except SystemExit:
            pass
    """)
    assert told.startswith("asked\n")


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
@pytest.mark.parametrize(("call", "kept"), [("", True), ("steady_memory()", False)])
def test_what_is_freed_goes_back_though_something_small_behind_it_stays(call: str, kept: bool) -> None:
    """Pictures come and go in buffers of 6 MB; once freed, one was enough to make glibc keep the next ones."""
    told = _ask(f"""
        from countenance.process import steady_memory
        import numpy as np
        {call or "pass"}

        def resident():
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

        np.ones(6 << 20, np.uint8)
        before = resident()
        pictures = [np.ones(6 << 20, np.uint8) for _ in range(30)]
        small = np.ones(60_000, np.uint8)
        pictures.clear()
        print(resident() - before > 100)
    """)
    assert told == f"{kept}\n"


LOCKING = """
    import os, resource, sys
    from countenance import process

    limit = {limit}
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
        if os.geteuid() == 0:
            os.setuid(65534)  # the limit does not bind the superuser

    def locked():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmLck"))

    buffer = process.pages(100 * 1024)
    before = locked()
    told = process.lock(buffer)
    buffer[:] = bytes([7]) * len(buffer)
    with open("/proc/self/smaps") as maps:
        marked = sum("VmFlags" in line and " dd" in line and " lo" in line for line in maps)
    print(told, locked() - before, marked, process.memory_report()[2], sep="; ")
"""


@pytest.mark.promise(3)
@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
@pytest.mark.parametrize(("limit", "expected"), [
    (1 << 20, "locked; 100; 1; locked memory: 100 KiB, of at most 1024 KiB\n"),
    (64 << 10, "not locked: the limit is 64 KiB; 0; 0; locked memory: 0 KiB, of at most 64 KiB\n"),
    (0, "not locked: the limit is 0 KiB; 0; 0; locked memory: 0 KiB, of at most 0 KiB\n"),
])
def test_a_buffer_is_locked_or_it_is_told_why_not(limit: int, expected: str) -> None:
    assert _ask(LOCKING.format(limit=limit)) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("Filename\tType\tSize\tUsed\tPriority\n", "none"),
    ("Filename\tType\tSize\tUsed\tPriority\n/dev/dm-1  partition\t1000\t0\t-2\n", "on"),
    (None, "unknown"),
])
def test_swap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, expected: str) -> None:
    swaps = tmp_path / "swaps"
    if text is not None:
        swaps.write_text(text)
    monkeypatch.setattr(process, "_SWAPS", swaps)
    assert process.swap() == expected
    assert process.memory_report()[1] == f"swap: {expected}"


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
@pytest.mark.parametrize(("call", "expected"), [("", "on"), ("process.no_core_dumps()", "off")])
def test_the_report_says_whether_there_may_be_core_dumps(call: str, expected: str) -> None:
    assert _ask(f"""
        from countenance import process
        {call or "pass"}
        print(process.memory_report()[0])
    """) == f"core dumps: {expected}\n"
