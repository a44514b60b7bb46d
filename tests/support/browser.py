"""A headless Chromium, where one is installed: cards are drawn by what people print them with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
DPI = 300


def _run(folder: Path, *options: str) -> str:
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is installed to draw the card")
    command = [found, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}",
               *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def picture(svg: str, width_mm: float, height_mm: float, folder: Path) -> bytes:
    """Return a PNG of the card in its real size at 300 dpi."""
    (folder / "card.svg").write_text(svg, encoding="utf-8")
    width, height = (int(mm / 25.4 * 96) + 1 for mm in (width_mm, height_mm))
    _run(folder / "profile", f"--force-device-scale-factor={DPI / 96}", f"--window-size={width},{height}",
         f"--screenshot={folder / 'card.png'}", (folder / "card.svg").as_uri())
    return (folder / "card.png").read_bytes()


def page(html: str, folder: Path) -> str:
    """Return a page as it is after its own script has run."""
    (folder / "page.html").write_text(html, encoding="utf-8")
    return _run(folder / "profile", "--dump-dom", (folder / "page.html").as_uri())
