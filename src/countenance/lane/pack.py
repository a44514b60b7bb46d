"""Put a lane's folder together from a venue's, file by file; a running lane takes each as it changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from countenance import durable, settings
from countenance.errors import StoreFault
from countenance.formats import entitlements, revocations
from countenance.lane import folder as form
from countenance.lane import tickets

_Check = Callable[[bytes], object]


def pack(venue: Path, out: Path) -> None:
    """Write everything that the lane goes by, and no secret. A bad list leaves the packed one as it is.

    Raises StoreFault (store-*, settings-*, lane-pack), BadInput of the first bad file, after all good ones.
    """
    here = settings.load(venue)
    name = form.CACHE if here.ticketing_url else form.TICKETS
    source = venue / (form.CACHE if here.ticketing_url else here.entitlement_csv)
    try:
        (out / form.SIGNING).mkdir(parents=True, exist_ok=True)
        told = {"format": 1, "venue": here.venue, "name": here.name, "tickets": name}
        text = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in told.items())
        _put(out / form.FILE, text.encode(), durable.SHARED)
        for path in sorted((venue / form.SIGNING).iterdir()):
            if form.RETIRED.fullmatch(path.name):
                _put(out / form.SIGNING / path.name, durable.read(path, form.SMALL), durable.SHARED)
        for public in (form.PASS_KEY, form.LIST_KEY):
            form.read_key(venue / public)
            _put(out / public, durable.read(venue / public, form.SMALL), durable.SHARED)
        if (venue / form.LIST).exists():
            list_key = form.read_key(out / form.LIST_KEY)
            _copy(venue / form.LIST, out / form.LIST, form.LARGEST_LIST,
                  lambda data: revocations.read(data.decode(), list_key))
        _copy(source, out / name, form.LARGEST_TICKETS,
              entitlements.read_cache if here.ticketing_url else tickets.parse)
    except (OSError, ValueError):
        raise StoreFault("lane-pack", "A file of the lane could not be read or written; the others stand.") from None


def _copy(source: Path, to: Path, largest: int, check: _Check) -> None:
    data = durable.read(source, largest)
    check(data)
    _put(to, data, durable.SECRET)


def _put(path: Path, data: bytes, mode: int) -> None:
    try:
        if durable.read(path, len(data)) == data:
            return
    except OSError:
        pass  # not there, or longer: it is another
    durable.write(path, data, mode)
