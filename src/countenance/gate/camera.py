"""The camera: opened after somebody pressed, closed before their answer, and not there in between (K13).

No frame can be older than the press through this program or its machine, because there is no stream before it. Over a
network there may be one: recorders and relays send what they have kept since the last whole picture first, as fast as
the line takes it. A frame that lay ready is therefore thrown away; the first that counts is one that had to be waited
for as long as it took to be filmed (`_Fresh`). What a camera delays evenly nothing in its stream tells.

OpenCV cannot be interrupted, so a look runs in a thread of its own, which is left behind at its deadline; no second
one is begun while it is stuck. Whenever it comes back, it wipes what it has and closes the camera.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, Protocol
from urllib.parse import quote

from countenance.clock import Clock
from countenance.errors import BadInput, CountenanceError
from countenance.gate import zone as zones
from countenance.gate.settings import CameraAt, Zone
from countenance.gate.zone import Pixels, wipe

OPEN_S = 3.0
"""Seconds that a camera may take to open; its frames have `CameraAt.seconds` after that."""

PICKS = 3
"""Frames that are looked at; the sharpest is sent."""

APART_S = 0.12
"""Seconds between two of them: people move, and stop."""

_SETTLES_S = {"usb": 0.3}  # a sensor that has just been switched on is blind at first
_WAITED_FOR = 3  # frames in a row: one pause in a burst is a line's, three are a camera's
_PLAUSIBLE_S = 60.0


class Eye(Protocol):
    """What is used of cv2.VideoCapture."""

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        """Tell whether there is a camera."""

    def grab(self) -> bool:
        """Take the next frame; False where there is none."""

    def retrieve(self, image: Any = None) -> tuple[bool, Any]:
        """Decode the frame that was grabbed."""

    def stamp(self) -> float:
        """Return the frame's own time in seconds, by whatever clock the camera has; 0 or less: it says none."""

    def release(self) -> None:
        """Close the camera."""


Opener = Callable[[CameraAt], Eye]


@dataclass(frozen=True, eq=False)
class Picture:
    """One frame's zone as a JPEG in memory. `seen`: how many frames were decoded for it."""

    jpeg: Pixels = field(repr=False)
    seen: int

    @property
    def data(self) -> memoryview:
        """The JPEG where it lies, not a copy."""
        return self.jpeg.data

    def wipe(self) -> None:
        """Overwrite it with zeros."""
        wipe(self.jpeg)


class Camera:
    """One camera and the zone in front of it. `opener` is for tests."""

    def __init__(self, at: CameraAt, zone: Zone, clock: Clock, opener: Opener | None = None) -> None:
        self._at, self._zone, self._clock = at, zone, clock
        self._opener = opener or open_eye
        self._thread: Thread | None = None
        if opener is None:
            _silence()
            import cv2  # noqa: F401  # a tenth of a second, which nobody in front should wait

    @property
    def stuck(self) -> bool:
        """Tell whether a look that was left behind has not come back yet."""
        return self._thread is not None and self._thread.is_alive()

    def look(self, since: float) -> Picture:
        """Return the sharpest of a few frames filmed after `since` (the clock's monotonic seconds: the press).

        The camera is closed on return. Raises BadInput: camera-away (none, unplugged, ended, too slow), camera-wrong.
        """
        if self.stuck:
            raise _away()
        look = _Look(self._at, self._zone, self._clock, self._opener, since)
        self._thread = Thread(target=look.run, name="camera", daemon=True)
        self._thread.start()
        try:
            return look.ended.result(OPEN_S + self._at.seconds)
        except CountenanceError:
            raise
        except Exception:  # noqa: BLE001  # a deadline, or whatever a driver brings forth
            raise _away() from None
        finally:
            look.give_up()

    def close(self) -> None:
        """Wait a moment for a look that was left behind."""
        if self._thread is not None:
            self._thread.join(0.2)


class _Look:
    """One opening of the camera, from press to picture."""

    def __init__(self, at: CameraAt, zone: Zone, clock: Clock, opener: Opener, since: float) -> None:
        self._at, self._zone, self._clock, self._opener = at, zone, clock, opener
        self._fresh = _Fresh(at.kind, since)
        self._given_up = Event()
        self._whole: Pixels | None = None
        self._best: Pixels | None = None
        self._sharpest = -1.0
        self.ended: Future[Picture] = Future()

    def give_up(self) -> None:
        """Say that nobody waits any more: a look that still runs ends at its next frame."""
        self._given_up.set()

    def run(self) -> None:
        """Look, wipe what was seen, and only then say how it went."""
        try:
            picture = self._looked()
        except BaseException as error:  # noqa: BLE001  # it is raised where somebody waits for it
            wipe(self._whole, self._best)
            self.ended.set_exception(error)
            return
        wipe(self._whole, self._best)
        if self._given_up.is_set():
            picture.wipe()
        self.ended.set_result(picture)

    def _looked(self) -> Picture:
        eye = self._opener(self._at)
        try:
            seen = self._frames(eye)
        finally:
            eye.release()
        if self._best is None or self._given_up.is_set():
            raise _away()
        return Picture(zones.encode(self._best), seen)

    def _frames(self, eye: Eye) -> int:
        """Keep the sharpest zone of `PICKS` frames; return how many there were."""
        seen, due = 0, None
        if not eye.isOpened():
            raise _away()
        until = self._clock.monotonic() + self._at.seconds
        while seen < PICKS and not self._given_up.is_set() and eye.grab():
            arrived, stamp = self._clock.monotonic(), eye.stamp()
            moment = stamp if self._at.kind == "file" else arrived
            if due is None:
                due = moment + _SETTLES_S.get(self._at.kind, 0.0)
            if self._fresh.is_fresh(arrived, stamp) and moment >= due:
                self._take(eye)
                seen, due = seen + 1, moment + APART_S
            if arrived >= until:
                break
        return seen

    def _take(self, eye: Eye) -> None:
        done, frame = eye.retrieve(self._whole)
        if not done:
            raise _away()
        if frame is not self._whole:
            wipe(self._whole)
            self._whole = frame
        part = zones.cut(frame, self._zone)
        sharpness = zones.sharpness(part)
        if self._best is None or self._best.shape != part.shape:
            wipe(self._best)
            self._best, self._sharpest = part.copy(), sharpness
        elif sharpness > self._sharpest:
            self._best[:], self._sharpest = part, sharpness
        wipe(frame)


class _Fresh:
    """Tells frames filmed after `since` from older ones that lay ready somewhere on the way."""

    def __init__(self, kind: str, since: float) -> None:
        self._kind, self._since = kind, since
        self._last: tuple[float, float] | None = None
        self._waited = 0

    def is_fresh(self, arrived: float, stamp: float) -> bool:
        """Tell by when a frame came and what it says itself; both in seconds."""
        if self._kind == "file":  # a recording has no time of its own
            return True
        if self._kind == "usb":  # Linux stamps frames with the monotonic clock; elsewhere the opening decides
            return stamp >= self._since if abs(stamp - arrived) < _PLAUSIBLE_S else arrived >= self._since
        last, self._last = self._last, (arrived, stamp)
        if self._waited < _WAITED_FOR and last is not None:
            filmed = stamp - last[1] if 0 < stamp - last[1] < 1 else 0.02  # it says none: 50 frames a second
            self._waited = self._waited + 1 if arrived - last[0] >= filmed / 2 else 0
        return self._waited >= _WAITED_FOR


class _OpenCv:
    """cv2.VideoCapture as an `Eye`."""

    def __init__(self, capture: Any, position: int) -> None:
        self._capture, self._position = capture, position
        self.isOpened, self.grab, self.retrieve = capture.isOpened, capture.grab, capture.retrieve
        self.release = capture.release

    def stamp(self) -> float:
        return float(self._capture.get(self._position)) / 1000


def open_eye(at: CameraAt) -> Eye:
    """Open a camera with OpenCV. One that is not there answers `isOpened` with False."""
    _silence()
    import cv2

    limit = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(OPEN_S * 1000), cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(at.seconds * 1000)]
    if at.kind == "usb":
        capture = cv2.VideoCapture(int(at.where), cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
        wanted = ((cv2.CAP_PROP_FRAME_WIDTH, at.width), (cv2.CAP_PROP_FRAME_HEIGHT, at.height))
        for name, value in (*((name, value) for name, value in wanted if value), (cv2.CAP_PROP_BUFFERSIZE, 1)):
            capture.set(name, value)
    else:
        capture = cv2.VideoCapture(_address(at), cv2.CAP_FFMPEG, limit)
    return _OpenCv(capture, cv2.CAP_PROP_POS_MSEC)


def _address(at: CameraAt) -> str:
    """Return the address with the login in it: that is how OpenCV takes one. It stays in memory."""
    if not at.user:
        return at.where
    scheme, _, rest = at.where.partition("://")
    return f"{scheme}://{quote(at.user, safe='')}:{quote(at.password, safe='')}@{rest}"


def _silence() -> None:
    """Keep OpenCV and FFmpeg from printing addresses, with the login in them; and from waiting long, or buffering."""
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    os.environ["OPENCV_FFMPEG_DEBUG"] = "0"
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay"
    os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] = "3"
    os.environ["OPENCV_VIDEOIO_DEBUG"] = "0"


def _away() -> BadInput:
    return BadInput("camera-away", "The camera gives no picture.")
