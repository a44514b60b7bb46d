"""The gallery in memory: exact like arithmetic, sealed, wiped after use. The codes are random numbers, of nobody."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap
import threading
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from countenance.errors import Refused, StoreFault
from countenance.features import Codes
from countenance.matching.cohort import Unnormalised
from countenance.matching.embedded import blocks, kernel, search
from countenance.matching.embedded.blocks import FLIP, Scratch, SealedBlocks
from countenance.matching.embedded.gallery import SealedGallery
from countenance.matching.matcher import Nearest
from countenance.process import LOCKED
from countenance.quantities import PurposeId, Score

RAW = Unnormalised("pack")
Table = NDArray[np.int8]


def codes(rows: int, dimension: int, seed: int = 1, widest: int = 127) -> Table:
    return np.random.default_rng(seed).integers(-widest, widest, (rows, dimension), np.int8, endpoint=True)


def gallery(table: Table) -> SealedGallery:
    return SealedGallery((row.copy() for row in table), table.shape[1], RAW, PurposeId("entry.search"), 7)


def by_arithmetic(table: Table, probe: Codes) -> tuple[int, int]:
    """The squared distance and the row that a search must find, in numbers that are never rounded."""
    squared = ((table.astype(np.int64) - probe.astype(np.int64)) ** 2).sum(axis=1)
    return int(squared.min()), int(squared.argmin())


def assert_found(found: Nearest | None, table: Table, probe: Codes) -> None:
    squared, row = by_arithmetic(table, probe)
    assert found is not None
    assert found.row == row
    assert found.score == pytest.approx(math.log(squared + 0.5) / 2, abs=1e-12)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 10 rows of 16, and a thread for every one of them, up to 3."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 160)
    monkeypatch.setattr(search, "BLOCKS_PER_THREAD", 1)
    monkeypatch.setattr(kernel, "threads", lambda: 3)


# exact

@pytest.mark.parametrize(("rows", "dimension"), [(1, 128), (3_000, 128), (20_000, 128), (5_000, 512), (50, 7)])
def test_finds_what_arithmetic_finds(rows: int, dimension: int) -> None:
    table = codes(rows, dimension)
    held = gallery(table)
    assert len(held) == rows
    for probe in (*codes(3, dimension, seed=2), *table[[0, -1]], *codes(1, dimension, 3, 0)):
        assert_found(held.nearest(probe), table, probe)


@pytest.mark.parametrize("probe", [127, -127, 0])
@pytest.mark.parametrize("dimension", [16, 128, 512])
def test_the_widest_codes(probe: int, dimension: int) -> None:
    table = np.repeat(np.array([[-127], [127], [126], [-126], [1]], np.int8), dimension, axis=1)
    one = np.full(dimension, probe, np.int8)
    assert_found(gallery(table[::-1]).nearest(one), table[::-1], one)
    assert_found(gallery(table[:1]).nearest(one), table[:1], one)


def test_distances_that_float32_cannot_tell_apart_are_told_apart() -> None:
    """Beyond 2**24 the sum that faiss adds up in float32 loses its last bit."""
    opposite = np.full(512, 127, np.int8)
    a, b, c, d = next(p for p in product(range(200, 255), repeat=4) if p[0]**2 + p[1]**2 == p[2]**2 + p[3]**2 + 1)
    for filling in range(-127, -119):
        for other in range(8):
            table = np.full((2, 512), filling, np.int8)
            table[:, 2:2 + other] = -100
            table[:, :2] = 127 - np.array([[a, b], [c, d]])
            assert_found(gallery(table).nearest(opposite), table, opposite)
    squared = by_arithmetic(table, opposite)[0]
    assert squared > 1 << 24


def numbers_of(rows: int, seed: int) -> NDArray[np.float32]:
    """Slopes and offsets as different from row to row as a cohort makes them, and more so."""
    chance = np.random.default_rng(seed)
    slopes = chance.uniform(5, 40, rows)
    return np.stack([slopes, slopes * chance.uniform(3, 7, rows)]).astype(np.float32)


class Told:
    """A cohort that says of each capture what was told it, by its codes."""

    pack = identity = "pack"

    def __init__(self, table: Table, numbers: NDArray[np.float32]) -> None:
        self.known = {row.tobytes(): numbers[:, at] for at, row in enumerate(table)}

    def numbers(self, codes: NDArray[np.int8]) -> NDArray[np.float32]:
        return np.stack([self.known[row.tobytes()] for row in codes.reshape(-1, codes.shape[-1])], axis=-1).reshape(
            (2,) if codes.ndim == 1 else (2, -1))


@pytest.mark.parametrize("listed", [2, 5, 64])
@pytest.mark.parametrize(("rows", "dimension"), [(1, 16), (400, 16), (3_000, 128)])
def test_the_lowest_normalised_score_is_found_and_not_the_nearest_row(
    monkeypatch: pytest.MonkeyPatch, rows: int, dimension: int, listed: int
) -> None:
    monkeypatch.setattr(kernel, "LISTED", listed)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 50 * dimension)
    table, probes = codes(rows, dimension), codes(20, dimension, seed=2)
    both = np.concatenate([table, probes])
    told = Told(both, numbers_of(len(both), 3))
    held = SealedGallery((row.copy() for row in table), dimension, told, PurposeId("p"), 7)  # type: ignore[arg-type]  # plays a cohort
    not_nearest = 0
    for probe in probes:
        squared = ((table.astype(np.int64) - probe.astype(np.int64)) ** 2).sum(axis=1)
        (slope, offset), (slopes, offsets) = told.numbers(probe).astype(float), told.numbers(table).astype(float)
        logarithm = np.log(squared + 0.5) / 2
        scores = ((logarithm * slope - offset) + (logarithm * slopes - offsets)) / 2
        best = int(scores.argmin())
        not_nearest += best != int(squared.argmin())
        for within in (np.inf, scores[best] + 1e-9, scores[best] + 5.0):
            found = held.nearest(probe, Score(float(within)))
            assert found is not None
            assert found.row == best
            assert found.score == pytest.approx(scores[best], abs=1e-9)
        assert held.nearest(probe, Score(float(scores[best] - 1e-9))) is None
    assert rows == 1 or not_nearest > 5  # otherwise the test would be of nothing


@given(st.data())
def test_any_codes(data: st.DataObject) -> None:
    one = st.lists(st.integers(-127, 127), min_size=5, max_size=5)
    table = np.array(data.draw(st.lists(one, min_size=1, max_size=30)), np.int8)
    probe = np.array(data.draw(one), np.int8)
    assert_found(gallery(table).nearest(probe), table, probe)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("rows", [1, 9, 10, 11, 20, 95, 400])
def test_several_blocks_and_threads(rows: int) -> None:
    table = codes(rows, 16)
    held = gallery(table)
    for probe in (*table, *codes(20, 16, seed=2)):
        assert_found(held.nearest(probe), table, probe)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("places", [(3, 7), (3, 33), (19, 20), (0, 399), (12, 57, 230)])
def test_of_equals_the_lowest_row_wins(places: tuple[int, ...]) -> None:
    table = codes(400, 16)
    table[list(places)] = table[places[0]]
    held = gallery(table)
    for _ in range(20):  # threads end in any order
        assert held.nearest(table[places[0]]) == Nearest(places[0], math.log(0.5) / 2)


@pytest.mark.usefixtures("small_blocks")
def test_of_equals_the_lowest_row_wins_also_when_it_is_found_last(monkeypatch: pytest.MonkeyPatch) -> None:
    table = codes(40, 16)
    table[[3, 33]] = table[3]
    others, exact = threading.Semaphore(0), kernel._best

    def look(one: kernel.Wanted, block: blocks.Opened, rows: NDArray[np.int64]) -> kernel.Found:
        if (block.rows[0] == table[0].view(np.uint8) ^ FLIP).all():
            assert all(others.acquire(timeout=10) for _ in range(3))
        others.release()
        return exact(one, block, rows)

    held = gallery(table)
    monkeypatch.setattr(kernel, "_best", look)
    monkeypatch.setattr(kernel, "EXACT_BELOW", 0)
    assert_found(held.nearest(table[33]), table, table[33])


def test_an_empty_gallery_finds_nobody() -> None:
    held = gallery(codes(0, 128))
    assert len(held) == 0
    assert held.nearest(codes(1, 128)[0]) is None


@pytest.mark.usefixtures("small_blocks")
def test_several_visitors_at_once_take_turns() -> None:
    table = codes(300, 16)
    held = gallery(table)
    wrong: list[int] = []

    def visit(row: int) -> None:
        for at in range(row, 300, 4):
            found = held.nearest(table[at])
            if found is None or found.score != math.log(0.5) / 2 or (table[found.row] != table[at]).any():
                wrong.append(at)

    visitors = [threading.Thread(target=visit, args=(row,)) for row in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert wrong == []


OTHERS: list[Any] = [codes(1, 127)[0], codes(1, 256)[0], codes(1, 128), codes(1, 128)[0].astype(np.float32),
                     codes(1, 128)[0].astype(np.int16), codes(1, 128)[0].view(np.uint8), codes(1, 0)[0]]


@pytest.mark.parametrize("other", OTHERS, ids=lambda o: f"{o.dtype}{o.shape}")
def test_codes_of_another_shape_or_kind_are_refused(other: Any) -> None:
    held = gallery(codes(10, 128))
    with pytest.raises(Refused) as refused:
        held.nearest(other)
    assert refused.value.code == "pack-other"
    first = codes(1, 128)[0]
    with pytest.raises(Refused) as refused:
        SealedGallery(iter([first, other.copy()]), 128, RAW, PurposeId("entry.search"), 7)
    assert refused.value.code == "pack-other"
    assert not first.any()


# sealed

@pytest.mark.promise(3)
def test_rows_are_wiped_as_they_are_taken() -> None:
    given = [row.copy() for row in codes(500, 128)]
    assert all(row.any() for row in given)
    SealedGallery(iter(given), 128, RAW, PurposeId("entry.search"), 7)
    assert not any(row.any() for row in given)


@pytest.mark.promise(3)
@pytest.mark.parametrize("rows", [9, 25])
@pytest.mark.usefixtures("small_blocks")
def test_what_rows_pass_through_on_their_way_is_wiped_also_when_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    made: list[Scratch] = []
    monkeypatch.setattr(blocks, "Scratch", lambda size: made.append(Scratch(size)) or made[-1])
    held = []

    def given() -> Any:
        for row in codes(rows, 16):
            yield row
            held.append(made[0].bytes.any())
        yield codes(1, 15)[0]

    with pytest.raises(Refused):
        SealedBlocks(given(), 16, "label", RAW)
    assert all(held) and len(held) == rows
    assert not made[0].bytes.any()


def in_memory(sealed: SealedBlocks) -> bytes:
    """Everything that the object holds as bytes."""
    return b"".join(sealed._sealed)


@pytest.mark.promise(3)
def test_a_sealed_block_shows_no_template_and_no_two_alike() -> None:
    table = np.repeat(codes(1, 128), 40_000, axis=0)
    forms = [table[0].tobytes(), (table[0].view(np.uint8) ^ FLIP).tobytes()]
    sealed = SealedBlocks((row.copy() for row in table), 128, "label", RAW)
    again = SealedBlocks((row.copy() for row in table), 128, "label", RAW)
    assert len(sealed) == 3
    assert forms[0] in table.tobytes()  # the search can find
    for needle in (form[at:at + 8] for form in forms for at in range(0, 128, 8)):
        assert needle not in in_memory(sealed)
    first, second, third = sealed._sealed
    assert first[:1000] != second[:1000] != third[:1000] != first[:1000]
    assert first[:1000] != again._sealed[0][:1000]


CHILD = """
    import sys
    import numpy as np
    from countenance.matching.cohort import Unnormalised
    from countenance.matching.embedded.gallery import SealedGallery
    from countenance.quantities import PurposeId

    def pause(told):
        print(told, flush=True)
        sys.stdin.readline()

    chance = np.random.default_rng(99)
    rows = [chance.integers(-127, 127, 128, np.int8) for _ in range(300)]
    probe = rows[211].copy()
    pause("made")
    gallery = SealedGallery(iter(rows), 128, Unnormalised("pack"), PurposeId("entry.search"), 7)
    found = gallery.nearest(probe)
    probe.fill(0)
    pause(f"searched {found.row}")
    probe[:] = np.random.default_rng(98).integers(-127, 127, 128, np.int8)
    gallery.nearest(probe)
    pause("again")
"""


def occurrences(pid: int, needles: dict[str, bytes]) -> dict[str, int]:
    """How often each needle stands in the memory of a process."""
    counts = dict.fromkeys(needles, 0)
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - /proc
        for line in maps:
            span, may, *rest = line.split()
            if "w" in may and "[v" not in rest[-1]:
                start, end = (int(one, 16) for one in span.split("-"))
                memory.seek(start)
                held = memory.read(end - start)
                for name, needle in needles.items():
                    counts[name] += held.count(needle)
    return counts


@pytest.mark.promise(3)
@pytest.mark.skipif(sys.platform != "linux", reason="reads another process's memory through /proc")
def test_after_a_search_the_memory_of_the_process_holds_no_template_and_no_probe() -> None:
    chance = np.random.default_rng(99)
    planted = [chance.integers(-127, 127, 128, np.int8) for _ in range(212)][211]
    forms = {"codes": planted.tobytes()[32:96], "stored": (planted.view(np.uint8) ^ FLIP).tobytes()[32:96],
             "probe": planted.astype(np.float32).tobytes()[32:96]}
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(CHILD)], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin and child.stdout
        seen = {}
        for told in ("made", "searched 211", "again"):
            assert child.stdout.readline().strip() == told
            seen[told] = occurrences(child.pid, forms)
            child.stdin.write("\n")
            child.stdin.flush()
    assert seen["made"]["codes"] == 2  # the row and the probe: the search can find
    assert seen["searched 211"] == {"codes": 0, "stored": 0, "probe": 0}
    assert seen["again"] == {"codes": 0, "stored": 0, "probe": 0}


# opened for a moment

@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Notes for each block that is looked at whether its memory held anything then."""
    seen: list[bool] = []
    exact = kernel._best

    def look(one: kernel.Wanted, block: blocks.Opened, rows: NDArray[np.int64]) -> kernel.Found:
        seen.append(bool((block.rows != 0).any()))
        return exact(one, block, rows)

    monkeypatch.setattr(kernel, "_best", look)
    monkeypatch.setattr(kernel, "EXACT_BELOW", 0)  # every block goes there
    return seen


def zeros(held: SealedGallery) -> bool:
    return not any(scratch.bytes.any() for scratch in held._scratches)


@pytest.mark.promise(3)
@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("rows", [5, 95])
def test_the_scratch_is_wiped_after_a_search(watched: list[bool], rows: int) -> None:
    table = codes(rows, 16)
    held = gallery(table)
    assert_found(held.nearest(table[3]), table, table[3])
    assert watched == [True] * len(held._blocks)  # there was something to wipe
    assert zeros(held)


@pytest.mark.promise(3)
@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("rows", [5, 95])
def test_the_scratch_is_wiped_after_an_error_and_the_gallery_is_as_good_as_before(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    table = codes(rows, 16)
    held = gallery(table)
    with monkeypatch.context() as broken:
        broken.setattr(kernel, "EXACT_BELOW", 0)
        broken.setattr(kernel, "_best", _breaks)
        with pytest.raises(MemoryError):
            held.nearest(table[3])
    assert zeros(held)
    assert_found(held.nearest(table[3]), table, table[3])


def _breaks(_wanted: kernel.Wanted, block: blocks.Opened, _rows: NDArray[np.int64]) -> kernel.Found:
    assert block.rows.any()
    raise MemoryError


def altered(held: SealedGallery, number: int, how: str) -> None:
    """What somebody may do to a sealed block who can write into this memory but does not have the key."""
    sealed = held._blocks._sealed
    block = bytearray(sealed[number])
    if how == "first":
        block[0] ^= 1
    elif how == "last":
        block[-1] ^= 0x80
    elif how == "shorter":
        del block[:16]
    elif how == "emptied":
        block[:] = bytes(len(block))
    elif how == "another":
        block = bytearray(sealed[number - 1])
    sealed[number] = bytes(block)


@pytest.mark.promise(7)
@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("how", ["first", "last", "shorter", "emptied", "another"])
@pytest.mark.parametrize(("rows", "number"), [(20, 1), (95, 0), (95, 4), (95, 9), (400, 39)])
def test_an_altered_block_ends_the_search(how: str, rows: int, number: int) -> None:
    table = codes(rows, 16)
    held = gallery(table)
    assert held.nearest(table[0])
    altered(held, number, how)
    for probe in (table[0], table[-1]):
        with pytest.raises(StoreFault) as fault:
            held.nearest(probe)
        assert fault.value.code == "gallery-altered"
        assert zeros(held)


@pytest.mark.promise(3)
def test_what_an_altered_block_opens_to_is_wiped_at_once() -> None:
    sealed = SealedBlocks((row.copy() for row in codes(10, 16)), 16, "label", RAW)
    scratch = Scratch(sealed.largest)
    assert sealed.opened(0, scratch.bytes).rows.any()
    sealed._sealed[0] = sealed._sealed[0][:-1] + bytes([sealed._sealed[0][-1] ^ 1])
    with pytest.raises(StoreFault):
        sealed.opened(0, scratch.bytes)
    assert not scratch.bytes.any()


def test_a_block_does_not_open_under_another_label() -> None:
    sealed = SealedBlocks((row.copy() for row in codes(10, 16)), 16, "pack|entry.search|7", RAW)
    scratch = Scratch(sealed.largest)
    sealed.opened(0, scratch.bytes)
    sealed._label = "pack|entry.search|8"
    with pytest.raises(StoreFault):
        sealed.opened(0, scratch.bytes)


# threads

@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads that searches start."""
    seen: list[threading.Thread] = []

    class Noted(threading.Thread):
        def start(self) -> None:
            seen.append(self)
            super().start()

    monkeypatch.setattr(search, "Thread", Noted)
    return seen


@pytest.mark.usefixtures("small_blocks")
def test_no_thread_outlives_its_search(started: list[threading.Thread]) -> None:
    table = codes(95, 16)
    held = gallery(table)
    held.nearest(table[0])
    altered(held, 4, "first")
    with pytest.raises(StoreFault):
        held.nearest(table[0])
    assert len(started) == 4
    assert not any(thread.is_alive() for thread in started)


def test_a_small_gallery_is_searched_without_threads(
    monkeypatch: pytest.MonkeyPatch, started: list[threading.Thread]
) -> None:
    monkeypatch.setattr(kernel, "threads", lambda: 8)
    assert gallery(codes(16_385, 128)).nearest(codes(1, 128)[0])
    assert started == []


@pytest.mark.parametrize(("count", "at_hand", "useful"), [
    (0, 2, 1), (1, 2, 1), (15, 2, 1), (16, 2, 2), (62, 2, 2), (62, 1, 1), (62, 64, 7), (1_000, 64, 8)])
def test_threads_are_given_to_those_who_have_work_for_them(count: int, at_hand: int, useful: int) -> None:
    assert search.useful_threads(count, at_hand) == useful


@pytest.mark.usefixtures("small_blocks")
def test_where_no_thread_can_be_had_the_answer_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoneLeft(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(search, "Thread", NoneLeft)
    table = codes(95, 16)
    assert_found(gallery(table).nearest(table[88]), table, table[88])


@pytest.mark.usefixtures("small_blocks")
def test_an_interrupted_search_waits_for_its_threads(
    monkeypatch: pytest.MonkeyPatch, started: list[threading.Thread]
) -> None:
    """Otherwise the next search would share a scratch with a thread of this one."""
    held = gallery(codes(95, 16))
    go_on, exact = threading.Event(), kernel._best

    def slow(one: kernel.Wanted, block: blocks.Opened, rows: NDArray[np.int64]) -> kernel.Found:
        if threading.current_thread() in started:
            go_on.wait(10)
        return exact(one, block, rows)

    def interrupted(self: threading.Thread, timeout: float | None = None) -> None:
        monkeypatch.undo()
        go_on.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(kernel, "_best", slow)
    monkeypatch.setattr(kernel, "EXACT_BELOW", 0)
    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        held.nearest(codes(1, 16)[0])
    assert len(started) == 2
    assert not any(thread.is_alive() for thread in started)
    assert zeros(held)


GROWTH = """
    import numpy as np
    from countenance.matching.cohort import Unnormalised
    from countenance.matching.embedded.gallery import SealedGallery
    from countenance.quantities import PurposeId

    def resident():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    rows = np.random.default_rng(1).integers(-127, 127, (8, 128), np.int8)
    gallery = SealedGallery((row.copy() for row in rows), 128, Unnormalised("pack"), PurposeId("entry.search"), 7)
    for _ in range(500):
        gallery.nearest(rows[3])
    before = resident()
    for _ in range(10_000):
        gallery.nearest(rows[3])
    print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel how much is used")
def test_searches_leave_no_memory_behind() -> None:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(GROWTH)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2_000  # KiB; a scanner that nobody frees is 0.8 of them


# locked

LOCK = """
    import sys
    import numpy as np
    from countenance.matching.cohort import Unnormalised
    from countenance.matching.embedded.gallery import SealedGallery
    from countenance.quantities import PurposeId

    def locked():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmLck"))

    before = locked()
    rows = np.random.default_rng(1).integers(-127, 127, (8192, 128), np.int8)
    gallery = SealedGallery(iter(rows), 128, Unnormalised("pack"), PurposeId("entry.search"), 7)
    grown = locked() - before
    told = gallery.memory
    del gallery
    print(grown, locked() - before, told)
"""


@pytest.mark.promise(3)
@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel how much is locked")
def test_the_scratch_is_locked_as_long_as_the_gallery_is_there() -> None:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(LOCK)], capture_output=True, text=True, check=True)
    grown, after, told = done.stdout.strip().split(" ", 2)
    if told == LOCKED:
        assert (grown, after) == ("1088", "0")
    else:
        assert told.startswith("not locked: the limit is ")
        assert (grown, after) == ("0", "0")


def test_a_gallery_that_is_not_locked_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countenance.process.lock", lambda _buffer: "not locked: the limit is 64 KiB")
    table = codes(50, 128)
    held = gallery(table)
    assert held.memory == "not locked: the limit is 64 KiB"
    assert_found(held.nearest(table[7]), table, table[7])
