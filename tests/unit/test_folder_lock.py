"""A lock that another process keeps is waited for, and not for ever."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from countenance.errors import StoreFault
from countenance.storage.folder import waited_for


@pytest.mark.promise(2)
def test_who_does_not_let_go_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with waited_for(tmp_path / "lock"), pytest.raises(StoreFault) as caught, waited_for(tmp_path / "lock", 0.05):
        pass
    assert caught.value.code == "store-busy"
    with waited_for(tmp_path / "lock", 0):  # free again
        pass


def test_who_lets_go_in_time_is_waited_for(tmp_path: Path) -> None:
    held, goes_on, order = threading.Event(), threading.Event(), list[str]()

    def holding() -> None:
        with waited_for(tmp_path / "lock"):
            held.set()
            goes_on.wait(10)
            order.append("first")

    other = threading.Thread(target=holding)
    other.start()
    held.wait(10)
    threading.Timer(0.1, goes_on.set).start()
    with waited_for(tmp_path / "lock"):
        order.append("second")
    other.join()
    assert order == ["first", "second"]
