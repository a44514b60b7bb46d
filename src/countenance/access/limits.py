"""How often somebody may try: in memory, for threads, and never larger than it is told to be.

Three questions, three counters. `Limits`: how many attempts a minute. `SignIn`: how long to wait after failed sign-ins.
`PassAttempts`: whether faces are compared for a pass at a gate just now.

What an attacker can make up (names, addresses) may fill a table. Then the entry that says least goes, so that whoever
fills it forgets their own harmless entries first; and in `Limits` the next newcomer starts with what that entry had
used up, so that being forgotten gains nobody an attempt. Nobody who signed in before shares a counter with strangers.
Time is the monotonic clock, which nobody can set.
"""

from __future__ import annotations

import hashlib
import heapq
import ipaddress
import math
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from countenance.clock import Clock
from countenance.errors import Refused
from countenance.quantities import HOUR, MINUTE

MOST = 50_000
"""Entries of a table; about 20 MB each when full."""

FREE_TRIES, FREE_FROM_ONE_ADDRESS = 5, 30
"""Failed sign-ins before somebody waits: for one name from an address, and for all names from it. Fewer is stricter."""

FIRST_WAIT, LONGEST_WAIT = 2, 15 * MINUTE
"""Seconds to wait after the next failure, doubled with each. More is stricter."""

FORGOTTEN_AFTER = 24 * HOUR
"""Seconds after which failed sign-ins no longer count. More is stricter."""

IN_A_ROW, FIRST_PAUSE, LONGEST_PAUSE = 5, 30, 5 * MINUTE
"""Failed comparisons of a pass at a gate before its faces pause, and for how many seconds, doubled with each."""


class TooMany(Refused):
    """Refused(attempts). `retry_after`: whole seconds, at least 1."""

    def __init__(self, seconds: float) -> None:
        super().__init__("attempts", "That was too often; wait a moment.")
        self.retry_after = max(1, math.ceil(seconds))


class Limits:
    """Attempts a minute, each kind in a table of its own."""

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._kinds: dict[str, _Buckets] = {}
        self._lock = Lock()

    def attempt(self, kind: str, *names: str, per_minute: float, burst: int) -> None:
        """Count an attempt, or raise TooMany and count none.

        Of one kind and names at most `burst` at once and `burst + minutes * per_minute` in any span of time. Where
        more than `most` names are in use, newcomers may be let through less often, never more. Lower is stricter.
        """
        with self._lock:
            buckets = self._kinds.setdefault(kind, _Buckets(self._most))
            buckets.take(_key(names), self._clock.monotonic(), MINUTE / per_minute, burst)

    def __len__(self) -> int:
        return sum(len(buckets.until) for buckets in self._kinds.values())


class _Buckets:
    """Token buckets, each told by one moment: when it is full again (GCRA). A full one need not be remembered."""

    def __init__(self, most: int) -> None:
        self.until: dict[bytes, float] = {}
        self._most = most
        self._heap: list[tuple[float, bytes]] = []
        self._floor = -math.inf  # the latest moment of an entry that was forgotten before it was full

    def take(self, key: bytes, now: float, each: float, burst: int) -> None:
        self._forget_full(now)
        known = self.until.get(key)
        filled = max(now, self._floor if known is None else known)
        early = filled - now - (burst - 1) * each
        if early > 1e-9 * max(1.0, now):  # what doubles cannot tell apart is in time
            raise TooMany(early)
        if known is None and len(self.until) >= self._most:
            self._forget_least()
            filled = max(filled, self._floor)
        self.until[key] = filled + each
        heapq.heappush(self._heap, (filled + each, key))
        if len(self._heap) > 2 * self._most + 16:
            self._heap = [(at, name) for name, at in self.until.items()]
            heapq.heapify(self._heap)

    def _forget_full(self, now: float) -> None:
        while self._heap and self._heap[0][0] <= now:
            self._pop()

    def _forget_least(self) -> None:
        before = len(self.until)
        while len(self.until) == before:
            self._floor = max(self._floor, self._heap[0][0]) if self._is_current() else self._floor
            self._pop()

    def _is_current(self) -> bool:
        at, key = self._heap[0]
        return self.until.get(key) == at

    def _pop(self) -> None:
        at, key = heapq.heappop(self._heap)
        if self.until.get(key) == at:
            del self.until[key]


@dataclass
class _Count:
    failed: int
    free_at: float
    last: float


class _Failures:
    """Failures by key, with waits that grow. When full, of two the one with fewer failures goes, then the older."""

    def __init__(self, free: int, first: float, longest: float, most: int) -> None:
        self.counts: dict[bytes, _Count] = {}
        self._free, self._first, self._longest, self._most = free, first, longest, most
        self._heap: list[tuple[int, float, bytes]] = []
        self._swept = -math.inf

    def wait(self, key: bytes, now: float) -> float:
        """Return for how many seconds nothing more may be tried; 0 for none."""
        count = self._fresh(key, now)
        return max(0.0, count.free_at - now) if count else 0.0

    def fail(self, key: bytes, now: float) -> None:
        """Count one more."""
        failed = (count.failed if (count := self._fresh(key, now)) else 0) + 1
        pause = min(self._longest, self._first * 2.0 ** min(failed - self._free, 32)) if failed >= self._free else 0.0
        if key not in self.counts and len(self.counts) >= self._most:
            self._make_room(now)
        self.counts[key] = _Count(failed, now + pause, now)
        heapq.heappush(self._heap, (failed, now, key))
        if len(self._heap) > 2 * self._most + 16:
            self._order()

    def give_back(self, key: bytes) -> None:
        """Take one failure back: it was none after all."""
        count = self.counts.get(key)
        if count is not None:
            count.failed, count.free_at = count.failed - 1, 0.0
            heapq.heappush(self._heap, (count.failed, count.last, key))

    def clear(self, key: bytes) -> None:
        """Forget every failure."""
        self.counts.pop(key, None)

    def _fresh(self, key: bytes, now: float) -> _Count | None:
        count = self.counts.get(key)
        if count is not None and now - count.last >= FORGOTTEN_AFTER:
            del self.counts[key]
            return None
        return count

    def _make_room(self, now: float) -> None:
        if now - self._swept >= MINUTE:
            self._swept = now
            self.counts = {key: count for key, count in self.counts.items() if now - count.last < FORGOTTEN_AFTER}
            self._order()
        while len(self.counts) >= self._most:
            failed, last, key = heapq.heappop(self._heap)
            count = self.counts.get(key)
            if count is not None and (count.failed, count.last) == (failed, last):
                del self.counts[key]

    def _order(self) -> None:
        self._heap = [(count.failed, count.last, key) for key, count in self.counts.items()]
        heapq.heapify(self._heap)


class SignIn:
    """Failed sign-ins, by name and address, and by address; and apart from them, of who signed in there before.

    An attempt counts as failed until `succeeded` says otherwise, so that a thousand at once are a thousand.
    """

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._by_name = _Failures(FREE_TRIES, FIRST_WAIT, LONGEST_WAIT, most)
        self._by_address = _Failures(FREE_FROM_ONE_ADDRESS, FIRST_WAIT, LONGEST_WAIT, most)
        self._by_known = _Failures(FREE_TRIES, FIRST_WAIT, LONGEST_WAIT, most)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._lock = Lock()

    def attempt(self, name: str, address: str, device: str = "") -> None:
        """Count an attempt before the password is looked at. Raises TooMany; then nothing was counted.

        `device`: what `succeeded` gave to this browser earlier, if it has anything.
        """
        with self._lock:
            counted = self._counted(name, address, device)
            now = self._clock.monotonic()
            wait = max(table.wait(key, now) for table, key in counted)
            if wait > 0:
                raise TooMany(wait)
            for table, key in counted:
                table.fail(key, now)

    def succeeded(self, name: str, address: str, device: str = "") -> str:
        """Take the attempt back, and return what the browser may keep so that it is known next time (30 letters)."""
        with self._lock:
            for table, key in self._counted(name, address, device):
                if table is self._by_address:
                    table.give_back(key)  # others behind this address go on counting
                else:
                    table.clear(key)
            if not device or _key(("device", name, device)) not in self._known:
                device = secrets.token_hex(15)
            for key in (_key(("device", name, device)), _key(("address", name, network(address)))):
                self._known[key] = None
                self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
            return device

    def __len__(self) -> int:
        return len(self._by_name.counts) + len(self._by_address.counts) + len(self._by_known.counts) + len(self._known)

    def _counted(self, name: str, address: str, device: str) -> list[tuple[_Failures, bytes]]:
        place = network(address)
        for known in (_key(("device", name, device)), _key(("address", name, place))):
            if known in self._known:
                return [(self._by_known, known)]
        return [(self._by_name, _key((name, place))), (self._by_address, _key((place,)))]


class PassAttempts:
    """Failed comparisons in a row, of one pass at one gate. Other gates, other passes and other lanes never wait."""

    def __init__(self, clock: Clock, most: int = MOST) -> None:
        self._clock = clock
        self._failures = _Failures(IN_A_ROW, FIRST_PAUSE, LONGEST_PAUSE, most)
        self._lock = Lock()

    def require(self, gate: str, pass_id: str) -> None:
        """Raise TooMany while faces are not compared for this pass at this gate."""
        with self._lock:
            wait = self._failures.wait(_key((gate, pass_id)), self._clock.monotonic())
        if wait > 0:
            raise TooMany(wait)

    def failed(self, gate: str, pass_id: str) -> None:
        """Count a comparison that was no match."""
        with self._lock:
            self._failures.fail(_key((gate, pass_id)), self._clock.monotonic())

    def matched(self, gate: str, pass_id: str) -> None:
        """Forget what failed: it was their pass."""
        with self._lock:
            self._failures.clear(_key((gate, pass_id)))

    def __len__(self) -> int:
        return len(self._failures.counts)


def network(address: str) -> str:
    """Return what counts as one address: of IPv6 the first 64 bits, which one customer has whole."""
    try:
        parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _key(names: tuple[str, ...]) -> bytes:
    return hashlib.blake2b(repr(names).encode("utf-8", "surrogatepass"), digest_size=16).digest()  # of one length
