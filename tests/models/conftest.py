from __future__ import annotations

from types import ModuleType

import pytest

from countenance.vision import packs
from countenance.vision.pack_runtime import FacePack


@pytest.fixture(scope="session")
def pack() -> FacePack:
    return FacePack.open()


@pytest.fixture(scope="session")
def weights() -> packs.Pack:
    return packs.load()


@pytest.fixture(scope="session")
def dlib() -> ModuleType:
    return pytest.importorskip("dlib", reason="dlib-bin is not installed: nothing to compare with")
