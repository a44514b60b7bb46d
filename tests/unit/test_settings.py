"""Settings: every key, of its type, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from countenance import settings
from countenance.errors import BadInput, StoreFault


def code_of(folder: Path) -> str:
    with pytest.raises(StoreFault) as caught:
        settings.load(folder)
    return caught.value.code


def test_what_init_writes_is_read(folder: Path) -> None:
    read = settings.load(folder)
    assert (read.name, read.contact, read.regime, read.scenario) == ("Test Zoo", "desk", "cn", "annual-pass")
    assert (read.sweep_late_after_hours, read.epoch_days) == (36, 7)
    assert (read.lease_minutes, read.offsite) == (60, "")
    assert read.smallest_face_px == settings.preset("scenarios", "annual-pass")["gate"]["smallest_face_px"]
    assert (read.rotate_within_hours, read.root, read.threshold) == (24, "file:root.key", "demo-only")
    assert (read.log_minutes, read.witnesses) == (10, ())


def test_each_key_is_needed_and_no_other_is_allowed(folder: Path) -> None:
    path = folder / settings.FILE
    text = path.read_text("utf-8")
    lines = text.splitlines(keepends=True)
    keys = [line for line in lines if "=" in line and not line.startswith("#")]
    assert len(keys) == sum(len(section) for section in settings.SHAPE.values())
    for line in keys:
        path.write_text(text.replace(line, ""), encoding="utf-8")
        assert code_of(folder) == "settings-keys", line
        path.write_text(text.replace(line, "mis" + line), encoding="utf-8")
        assert code_of(folder) == "settings-keys", line
        path.write_text(text.replace(line, line + "more = 1\n"), encoding="utf-8")
        assert code_of(folder) == "settings-keys", line
    path.write_text(text + "\n[more]\nx = 1\n", encoding="utf-8")
    assert code_of(folder) == "settings-keys"


@pytest.mark.parametrize(("old", "new"), [
    ("epoch_days = 7", "epoch_days = 0"), ("epoch_days = 7", "epoch_days = -7"), ("epoch_days = 7", "epoch_days = 7.0"),
    ("epoch_days = 7", 'epoch_days = "7"'), ("epoch_days = 7", "epoch_days = true"),
    ('regime = "cn"', "regime = 1"), ("sweep_late_after_hours = 36", "sweep_late_after_hours = 0"),
    ("lease_minutes = 60", "lease_minutes = 0"), ('offsite = ""', "offsite = 1"),
    ("interval_minutes = 10", "interval_minutes = 0"), ("interval_minutes = 10", "interval_minutes = 1441"),
    ("interval_minutes = 10", 'interval_minutes = "10"'), ("witnesses = []", 'witnesses = ""'),
    ("fmr = 0.001", "fmr = 0.0"), ("fmr = 0.001", "fmr = 1.0"), ("fmr = 0.001", "fmr = -0.1"),
    ("fmr = 0.001", "fmr = nan"), ("fmr = 0.001", 'fmr = "0.001"'), ("fpir = 0.01", "fpir = 1"),
    ("witnesses = []", "witnesses = [1]"), ("witnesses = []", 'witnesses = ["x", ["y"]]')])
def test_a_wrong_value_is_refused(folder: Path, old: str, new: str) -> None:
    path = folder / settings.FILE
    assert old in path.read_text("utf-8")
    path.write_text(path.read_text("utf-8").replace(old, new), encoding="utf-8")
    assert code_of(folder) == "settings-value"


@pytest.mark.parametrize(("data", "code"), [
    (b"", "settings-keys"), (b"format = 2\n", "store-newer"), (b"= =", "settings-malformed"),
    (b"\xff\xfe", "settings-unreadable"), (b"venue = 1\nformat = 1\n", "settings-keys")])
def test_files_of_another_kind_are_refused(folder: Path, data: bytes, code: str) -> None:
    (folder / settings.FILE).write_bytes(data)
    assert code_of(folder) == code


@pytest.mark.parametrize("name", ["", "..", "cn.toml", "../cn", "CN", "us-xx"])
def test_only_presets_of_the_program_are_read(name: str) -> None:
    assert settings.preset("regimes", "cn")["name"] == "cn"
    with pytest.raises(BadInput) as caught:
        settings.preset("regimes", name)
    assert caught.value.code == "regime-unknown"
