"""Group commit: what several threads want to write at the same time becomes durable with one sync.

Whoever comes first leads: it runs the jobs of all who wait, one after the other in one transaction, and commits. A job
that fails is undone alone and fails for its own thread alone; if the commit fails, it fails for all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from countenance.errors import StoreFault
from countenance.storage.faults import told_plainly

if TYPE_CHECKING:
    from countenance.storage.unit import Unit

T = TypeVar("T")
MOST = 256
"""Jobs in one transaction: the last of them must not wait long for the first to be durable."""


@dataclass
class _Ticket:
    job: Callable[[Unit], Any]
    called: threading.Event = field(default_factory=threading.Event)  # it is done, or its thread is to lead
    done: bool = False
    value: Any = None
    error: BaseException | None = None


class Together:
    """Runs jobs of several threads in shared transactions. `write` gives the transaction (Store.write)."""

    def __init__(self, write: Callable[[], AbstractContextManager[Unit]]) -> None:
        self._write = write
        self._guard = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._leader: _Ticket | None = None

    def run(self, job: Callable[[Unit], T]) -> T:
        """Run `job` in a transaction and return what it returned: durable by then.

        The job may run in another thread, and must not begin a transaction of its own. Raises what it raised, or
        StoreFault; then nothing of it took effect.
        """
        ticket = _Ticket(job)
        try:
            with self._guard:
                self._waiting.append(ticket)
                if self._leader is None:
                    self._leader = ticket
                leads = self._leader is ticket
            if not leads:
                ticket.called.wait()
            if not ticket.done:
                self._lead()
        except BaseException:  # an interrupt, while it waited or led: whoever waits behind it must not wait for ever
            self._leave(ticket)
            raise
        if ticket.error is not None:
            raise ticket.error
        value: T = ticket.value
        return value

    def _lead(self) -> None:
        group: list[_Ticket] = []
        try:
            with self._guard:
                group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            with self._write() as unit:
                _run_all(unit, group)
        except Exception as error:  # noqa: BLE001  # each thread is told for itself
            for ticket in group:
                ticket.error = ticket.error or error
        except BaseException:
            for ticket in group:
                ticket.error = ticket.error or StoreFault("store-fault", "The data folder did not take a change.")
            raise
        finally:
            with self._guard:
                for ticket in group:
                    ticket.done = True
                    ticket.called.set()
                self._hand_on()

    def _leave(self, ticket: _Ticket) -> None:
        with self._guard:
            self._waiting = [other for other in self._waiting if other is not ticket]
            if self._leader is ticket:
                self._hand_on()

    def _hand_on(self) -> None:
        self._leader = self._waiting[0] if self._waiting else None
        if self._leader is not None:
            self._leader.called.set()


def _run_all(unit: Unit, group: list[_Ticket]) -> None:
    if len(group) == 1:  # fails with its transaction, which nobody shares
        group[0].value = group[0].job(unit)
        return
    for ticket in group:
        _run(unit, ticket)


def _run(unit: Unit, ticket: _Ticket) -> None:
    before, keys, written = unit.ended, list(unit.ended_keys), unit.outbox.mark()
    cursor = unit.connection.connection.cursor()  # past SQLAlchemy, which takes as long for it as for an insert
    cursor.execute("SAVEPOINT job")
    try:
        with told_plainly():
            ticket.value = ticket.job(unit)
    except Exception as error:  # noqa: BLE001  # of this job alone
        ticket.error = error  # first: where the database has undone the whole transaction there is no way back to here
        cursor.execute("ROLLBACK TO job")
        unit.outbox.back_to(written)
        unit.memo.clear()
        unit.ended, unit.ended_keys = before, keys
    cursor.execute("RELEASE job")
    cursor.close()
