"""`countenance bench door`: two gates as processes, a server, and a door's controller."""

from __future__ import annotations

import json
import subprocess
import sys


def test_everybody_is_let_in_at_both_lanes() -> None:
    command = [sys.executable, "-c", "from countenance.cli.main import run; run()"]
    done = subprocess.run([*command, "bench", "door", "--people", "2", "--json"], check=False, text=True,
                          capture_output=True, timeout=180)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for lane in ("face", "plain"):
        assert told[lane]["errors"] == 0
        assert 0 < told[lane]["median_s"] <= told[lane]["p95_s"]
        assert told[lane]["people_a_minute"] > 0
