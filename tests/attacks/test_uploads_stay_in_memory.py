"""A picture of 12 MB in a form leaves no byte on a disk; the same look finds one that was written on purpose."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.promise(3)
SERVER = """
import os, sys, tempfile, uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from countenance.process import no_core_dumps
from countenance.server.bodies import read_picture
from countenance.server.limits_middleware import Limits
from countenance.server.protocol import bounded

async def picture(request: Request):
    upload = await read_picture(request)
    size = len(upload.picture or b"")
    upload.wipe()
    return PlainTextResponse(str(size))

async def planted(request: Request):
    upload = await read_picture(request)
    with tempfile.TemporaryFile() as file:
        file.write(upload.picture)
    return PlainTextResponse("written")

async def framework(request: Request):
    form = await request.form()
    return PlainTextResponse(str(form["image"].size))

print(os.getpid(), flush=True)
app = Starlette(routes=[Route("/" + f.__name__, f, methods=["POST"]) for f in (picture, planted, framework)])
uvicorn.run(Limits(app, {"127.0.0.1"}), fd=int(sys.argv[1]), http=bounded(), log_config=None, access_log=False,
            lifespan="off")
"""
CALLS = "openat,open,creat,memfd_create,write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,splice,mmap"
SIZE = 12_000_000
WRITES = re.compile(
    r"\b(?:write|pwrite64|writev|pwritev2?|sendfile|copy_file_range|splice)\(\d+<(/[^>]*)>.* = (\d+)$")


def written(trace: Path) -> int:
    """Return the bytes that were written to anything with a path of its own (strace -y names it)."""
    total = 0
    for line in trace.read_text(errors="replace").splitlines():
        found = WRITES.search(line)
        if found and not found[1].startswith(("/dev/null", "/proc/")):
            total += int(found[2])
    return total


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_large_upload_writes_nothing_to_disk(tmp_path: Path) -> None:
    program = tmp_path / "server.py"
    program.write_text(SERVER)
    sizes = {}
    for route in ("picture", "planted", "framework"):
        trace = tmp_path / f"{route}.trace"
        with socket.create_server(("127.0.0.1", 0)) as taken:
            process = subprocess.Popen(
                ["strace", "-f", "-y", "-e", f"trace={CALLS}", "-o", str(trace), sys.executable, "-B", str(program),
                 str(taken.fileno())], pass_fds=[taken.fileno()], stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True)
            assert process.stdout
            with process.stdout as told:
                number = int(told.readline())
            try:
                answer = httpx.post(f"http://127.0.0.1:{taken.getsockname()[1]}/{route}", timeout=60,
                                    files={"image": ("a.jpg", bytes(range(250)) * (SIZE // 250), "image/jpeg")})
            finally:
                os.kill(number, signal.SIGTERM)  # strace itself would leave it behind
                process.wait(30)
        assert answer.status_code == 200, answer.text
        sizes[route] = written(trace)
    assert sizes["planted"] >= SIZE  # the look can find
    assert sizes["framework"] >= SIZE  # and this is why the framework's own form is not used
    assert sizes["picture"] == 0
