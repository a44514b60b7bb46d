"""Keeps this process's memory out of files (promise 3): no core dumps, and buffers that are not swapped out.

Only whole buffers of our own can be locked. Python's `bytes` can be neither locked nor wiped, so copies stay,
until their memory is used again, of a picture's bytes on arrival, of what a library makes inside itself, and of
keys: LIMITS.md. Where swap is on, the operator encrypts it; `memory_report` says what is so here.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from contextlib import suppress
from pathlib import Path

LOCKED = "locked"

_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4  # linux/prctl.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_SWAPS = Path("/proc/swaps")
_STATUS = Path("/proc/self/status")
_KIB = 1024


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


def steady_memory() -> None:
    """Let what is freed go back to the system, and let a long run need no more memory than a short one.

    glibc's own rule keeps freed pictures in the heap, where one small value behind each holds its place: a server grew
    by 25 MB in 40,000 decisions, and an evaluation by 3 MB a photograph. Other C libraries are left as they are.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for option, value in ((_M_MMAP_THRESHOLD, 4 << 20), (_M_TRIM_THRESHOLD, 64 << 20), (_M_ARENA_MAX, 2)):
            libc.mallopt(option, value)


def pages(size: int) -> mmap.mmap:
    """Return `size` bytes of zeros in pages that hold nothing else, to be given to `lock`.

    They are unlocked and given back, and so wiped by the system, when the last reference goes.
    """
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def lock(buffer: mmap.mmap) -> str:
    """Keep a buffer made by `pages` out of swap and out of core dumps, as far as this system allows.

    Returns LOCKED, or "not locked: ..." with the reason; the buffer is as usable then, and core dumps are off.
    """
    if hasattr(mmap, "MADV_DONTDUMP"):
        with suppress(OSError):
            buffer.madvise(mmap.MADV_DONTDUMP)
    if sys.platform == "win32":
        return "not locked: not done on this system"
    start = ctypes.c_char.from_buffer(buffer)
    if ctypes.CDLL(None).mlock(ctypes.byref(start), ctypes.c_size_t(len(buffer))) == 0:
        return LOCKED
    return f"not locked: the limit is {_lock_limit()}"


def swap() -> str:
    """Return "none", "on", or "unknown" where the system does not say. Whether it is encrypted cannot be seen."""
    try:
        lines = _SWAPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    return "on" if len(lines) > 1 else "none"


def memory_report() -> list[str]:
    """Return what keeps this process's memory out of files here, one `name: state` a line."""
    return [
        f"core dumps: {_core_dumps()}",
        f"swap: {swap()}",
        f"locked memory: {_locked()}, of at most {_lock_limit()}",
    ]


def _core_dumps() -> str:
    try:
        import resource
    except ImportError:
        return "unknown"
    off = resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
    if sys.platform == "linux":
        off = off and ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0
    return "off" if off else "on"


def _locked() -> str:
    try:
        lines = _STATUS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    amounts = [int(line.split()[1]) for line in lines if line.startswith("VmLck:")]
    return f"{amounts[0]} KiB" if amounts else "unknown"


def _lock_limit() -> str:
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    except (ImportError, AttributeError):
        return "unknown"
    return "unlimited" if limit == resource.RLIM_INFINITY else f"{limit // _KIB} KiB"
