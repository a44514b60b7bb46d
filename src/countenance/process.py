"""Keeps this process's memory out of files: no core dumps (promise 3). Called once, by the programs."""

from __future__ import annotations

import ctypes
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def no_core_dumps() -> None:
    """Switch core dumps off, for this process and its children; a crash then leaves no picture of its memory.

    Also where a system pipes cores to a collector, which ignores the size limit: on Linux the process says that
    it may not be dumped at all. Where neither exists (Windows) nothing is done: LIMITS.md.
    """
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
