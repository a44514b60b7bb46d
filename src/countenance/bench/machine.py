"""Where a benchmark ran, and on how many threads."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import cv2
import faiss

from countenance.clock import SystemClock

PARTS = ("onnxruntime", "opencv-python-headless", "faiss-cpu", "cryptography", "numpy", "sqlalchemy")


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV and faiss to one thread inside the block, and with faiss the galleries that are made there;
    our networks run on one by default.
    """
    before = cv2.getNumThreads(), faiss.omp_get_max_threads()
    cv2.setNumThreads(1)
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        faiss.omp_set_num_threads(before[1])


def described(threads: int = 1) -> dict[str, object]:
    """Return what a reader needs to judge the figures: `threads` of ours, on a machine with `load` busy ones in all."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "parts": {name: version(name) for name in PARTS},
    }


def fdatasync_ms(folder: Path, number: int) -> float:
    """Return the median time of one fdatasync after 4 KiB were written, in milliseconds."""
    clock, path, times = SystemClock(), folder / "sync", []
    with path.open("wb") as file:
        for _ in range(number):
            file.write(os.urandom(4096))
            file.flush()
            start = clock.monotonic()
            os.fdatasync(file.fileno())
            times.append((clock.monotonic() - start) * 1000)
    path.unlink()
    return statistics.median(times)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
