"""A crash of the program leaves no picture of its memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


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
