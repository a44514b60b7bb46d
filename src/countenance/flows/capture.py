"""From a picture to one measured face. The picture lives in memory for this story only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from countenance.clock import Clock
from countenance.consent.gate import Granted
from countenance.errors import BadInput
from countenance.features import Probe
from countenance.flows.ports import Camera

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from countenance.flows.venue import Venue
    from countenance.vision.detect import Detection


MOST_CAPTURES = 5


@dataclass
class Timings:
    """How long each part took, in milliseconds."""

    clock: Clock
    ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Add the time spent in the block to `part`."""
        start = self.clock.monotonic()
        try:
            yield
        finally:
            self.ms[part] = self.ms.get(part, 0.0) + (self.clock.monotonic() - start) * 1000


@dataclass(frozen=True, eq=False, repr=False)
class Chip:
    """One aligned face, (150, 150, 3) uint8 RGB for the default pack; nothing has been measured yet.

    `found`: where it was in the picture.
    """

    pixels: NDArray[np.uint8]
    found: Detection | None = None


@dataclass(frozen=True)
class Place:
    """Where a face is in a picture, and the points (x, y) it would be aligned by, where they were asked for."""

    found: Detection
    points: list[tuple[float, float]]


def one_face(venue: Venue, camera: Camera, timings: Timings, *, to_enrol: bool = False) -> Chip:
    """Take a picture and return the one face in it. No feature is computed.

    Faces that are too small or outside the zone are dropped here. `to_enrol`: a picture that is bad beyond doubt is
    refused, for years of visits would be measured by it. Raises BadInput (image-*, no-face, several-faces,
    face-too-small, face-cut-off; to enrol: see `face_quality.require_fit`).
    """
    from countenance.vision import face_quality, image, quality

    picture = camera()
    with timings.of("decode"):
        frame = image.decode(picture)
    smallest = venue.settings.smallest_face_px
    try:
        with timings.of("detect"):
            found = venue.pack.detect(frame, smallest)
            policy = quality.Policy(smallest_face_px=smallest, most_cut_off=venue.settings.most_cut_off_percent / 100)
            face = quality.the_one_face(found, frame, policy)
        if to_enrol:
            with timings.of("quality"):
                face_quality.require_fit(venue.pack.assess(frame, found, face))
        with timings.of("align"):
            return Chip(venue.pack.align(frame, face), face)
    finally:
        frame.wipe()


def places(venue: Venue, camera: Camera, most: int, *, points: bool = False) -> list[Place]:
    """Take a picture and return where faces are, largest first and at most `most`; nothing of them is measured.

    `points`: with the points that a face is aligned by. Raises BadInput(image-*).
    """
    from countenance.vision import image

    frame = image.decode(camera())
    try:
        found = venue.pack.detect(frame, venue.settings.smallest_face_px)
        largest = sorted(found, key=lambda face: face.box.width * face.box.height, reverse=True)[:most]
        return [Place(face, [(float(x), float(y)) for x, y in venue.pack.landmarks(frame, face)] if points else [])
                for face in largest]
    finally:
        frame.wipe()


def to_enrol(venue: Venue, cameras: Sequence[Camera], timings: Timings) -> list[Chip]:
    """Take a picture from each camera, of one person, each fit to enrol with. Raises as `one_face`, then none is kept.

    Raises BadInput(captures-many) for more than five.
    """
    if not 0 < len(cameras) <= MOST_CAPTURES:
        raise BadInput("captures-many", f"An enrolment takes one to {MOST_CAPTURES} pictures.")
    chips: list[Chip] = []
    try:
        for camera in cameras:
            chips.append(one_face(venue, camera, timings, to_enrol=True))
    except BaseException:
        for chip in chips:
            chip.pixels.fill(0)
        raise
    return chips


def measure_enrolment(venue: Venue, granted: Granted, chips: Sequence[Chip], timings: Timings) -> Probe:
    """Compute one embedding of all captures under one permit, and wipe them. Raises Refused."""
    if len(chips) == 1:
        return measure(venue, granted, chips[0], timings)
    try:
        with timings.of("embed"):
            return venue.pack.embed_several(venue.book, granted.permit, granted.scope, [one.pixels for one in chips])
    finally:
        for chip in chips:
            chip.pixels.fill(0)


def measure(venue: Venue, granted: Granted, chip: Chip, timings: Timings) -> Probe:
    """Compute the embedding of a face under a permit, and wipe the chip. Raises Refused."""
    try:
        with timings.of("embed"):
            return venue.pack.embed(venue.book, granted.permit, granted.scope, chip.pixels)
    finally:
        chip.pixels.fill(0)
