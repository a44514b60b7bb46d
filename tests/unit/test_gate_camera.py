"""The camera is read between a press and its answer only; what it saw outside the zone, and after, is gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from countenance.clock import SetClock, SystemClock
from countenance.errors import BadInput
from countenance.gate import camera as cameras
from countenance.gate import zone as zones
from countenance.gate.camera import Camera
from countenance.gate.settings import CameraAt, Zone
from countenance.quantities import Instant

WHOLE = Zone(0, 0, 1, 1)
USB = CameraAt("usb", "0", 3.0, 0, 0)
RTSP = CameraAt("rtsp", "rtsp://cam.example/one", 3.0, 0, 0)


def drawn(number: int, *, blur: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A drawn frame that says its number by the grey of its left edge."""
    frame = np.full((240, 320, 3), 90, np.uint8)
    for at in range(20, 300, 40):
        cv2.circle(frame, (at, 120), 15, (0, 200, 255), 2)
    if blur:
        frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), blur), np.uint8)
    frame[:, :40] = number * 4
    return frame


def number_in(jpeg: Any) -> int:
    return round(float(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[:, :30].mean()) / 4)


class FakeEye:
    """A camera whose frames come when they come: (seconds until this frame, its stamp, the frame)."""

    def __init__(self, clock: SetClock, frames: Iterator[tuple[float, float, Any]], opens: bool = True) -> None:
        self._clock, self._frames, self._opens = clock, frames, opens
        self.grabbed = self.released = 0
        self.given: list[Any] = []
        self._now: tuple[float, float, Any] | None = None

    def isOpened(self) -> bool:  # noqa: N802  # OpenCV's name
        return self._opens

    def grab(self) -> bool:
        self._now = next(self._frames, None)
        if self._now is None:
            return False
        self._clock.move(self._now[0])
        self.grabbed += 1
        return True

    def retrieve(self, image: Any = None) -> tuple[bool, Any]:
        assert self._now is not None
        if image is None:
            image = np.zeros_like(self._now[2])
        image[:] = self._now[2]
        self.given.append(image)
        return True, image

    def stamp(self) -> float:
        assert self._now is not None
        return self._now[1]

    def release(self) -> None:
        self.released += 1


@pytest.fixture
def clock() -> SetClock:
    there = SetClock(Instant(1_800_000_000))
    there.move(1_000)
    return there


def camera_of(clock: SetClock, eye: FakeEye, at: CameraAt = USB, zone: Zone = WHOLE) -> tuple[Camera, list[CameraAt]]:
    opened: list[CameraAt] = []

    def opener(wanted: CameraAt) -> FakeEye:
        opened.append(wanted)
        return eye

    return Camera(at, zone, clock, opener), opened


def live(count: int = 60, each: float = 0.04, start: float = 1_000.0) -> Iterator[tuple[float, float, Any]]:
    for number in range(count):
        yield each, start + (number + 1) * each, drawn(number)


@pytest.mark.promise(3)
def test_nothing_is_opened_before_a_look_and_nothing_read_after_it(clock: SetClock) -> None:
    eye = FakeEye(clock, live())
    camera, opened = camera_of(clock, eye)
    assert (opened, eye.grabbed) == ([], 0)
    picture = camera.look(clock.monotonic())
    assert (len(opened), eye.released, picture.seen) == (1, 1, 3)
    grabbed = eye.grabbed
    assert 3 <= grabbed < 30
    threading.Event().wait(0.1)
    assert eye.grabbed == grabbed


@pytest.mark.promise(3)
def test_every_buffer_is_zero_after_a_look_and_the_picture_when_wiped(clock: SetClock) -> None:
    eye = FakeEye(clock, live())
    camera, _opened = camera_of(clock, eye)
    picture = camera.look(clock.monotonic())
    assert len(eye.given) == 3
    assert not any(frame.any() for frame in eye.given)
    assert picture.jpeg.any()
    picture.wipe()
    assert not picture.jpeg.any()


@pytest.mark.promise(3)
def test_buffers_are_zero_also_where_the_look_fails(clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []

    def failing(part: Any) -> Any:
        assert part.any()
        kept.append(part)
        raise BadInput("camera-wrong", "The camera's picture cannot be written as a JPEG.")

    monkeypatch.setattr(zones, "encode", failing)
    eye = FakeEye(clock, live())
    camera, _opened = camera_of(clock, eye)
    with pytest.raises(BadInput, match="JPEG"):
        camera.look(clock.monotonic())
    assert kept
    assert not any(buffer.any() for buffer in [*kept, *eye.given])
    assert eye.released == 1


def test_the_sharpest_of_three_is_sent(clock: SetClock) -> None:
    at = CameraAt("file", "drawn.avi", 3.0, 0, 0)
    for sharp in range(3):
        frames = iter([(0.01, number * 0.2, drawn(number, blur=0 if number == sharp else 6)) for number in range(3)])
        camera, _opened = camera_of(clock, FakeEye(clock, frames), at)
        assert number_in(camera.look(clock.monotonic()).jpeg) == sharp


def test_frames_that_the_driver_stamped_before_the_press_are_thrown_away(clock: SetClock) -> None:
    since = clock.monotonic()
    old = [(0.001, since - 1 + number / 100, drawn(60)) for number in range(90)]
    new = [(0.04, since + 0.2 + number * 0.04, drawn(1)) for number in range(40)]
    eye = FakeEye(clock, iter([*old, *new]))
    camera, _opened = camera_of(clock, eye)
    assert number_in(camera.look(since).jpeg) == 1
    assert eye.grabbed > 90


@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize("stamped", [True, False])
def test_frames_that_lay_ready_on_the_way_are_thrown_away(clock: SetClock, pauses: bool, stamped: bool) -> None:
    """A recorder sends two seconds of the past in one go, in flights with pauses between them, then goes on live."""
    old = [(0.03 if pauses and number % 3 == 0 else 0.001, number * 0.04 if stamped else 0.0, drawn(60))
           for number in range(50)]
    new = [(0.04, (50 + number) * 0.04 if stamped else 0.0, drawn(1)) for number in range(40)]
    eye = FakeEye(clock, iter([*old, *new]))
    camera, _opened = camera_of(clock, eye, RTSP)
    assert number_in(camera.look(clock.monotonic()).jpeg) == 1
    assert eye.grabbed >= 53


def test_a_stream_that_never_becomes_live_gives_no_picture(clock: SetClock) -> None:
    camera, _opened = camera_of(clock, FakeEye(clock, ((0.001, n * 0.04, drawn(1)) for n in range(500))), RTSP)
    with pytest.raises(BadInput) as caught:
        camera.look(clock.monotonic())
    assert caught.value.code == "camera-away"


def test_a_look_is_bounded_however_slowly_frames_come(clock: SetClock) -> None:
    eye = FakeEye(clock, ((1.4, clock.monotonic(), drawn(1)) for _ in range(100)))
    camera, _opened = camera_of(clock, eye)
    start = clock.monotonic()
    camera.look(start)
    assert clock.monotonic() - start < 3.0 + 1.5
    assert eye.grabbed <= 3


@pytest.mark.parametrize("frames", [[], [(0.04, 0.0, np.zeros((240, 320), np.uint8))],
                                    [(0.04, 0.0, np.zeros((240, 320, 4), np.uint8))],
                                    [(0.04, 0.0, np.zeros((20, 20, 3), np.uint8))]])
def test_a_camera_without_frames_or_with_odd_ones_is_away_and_closed(clock: SetClock, frames: list[Any]) -> None:
    at = CameraAt("file", "drawn.avi", 3.0, 0, 0)
    eye = FakeEye(clock, iter(frames))
    camera, _opened = camera_of(clock, eye, at)
    with pytest.raises(BadInput) as caught:
        camera.look(clock.monotonic())
    assert caught.value.code == ("camera-wrong" if frames else "camera-away")
    assert eye.released == 1


def test_a_camera_that_does_not_open_or_breaks_is_away(clock: SetClock) -> None:
    def broken(_at: CameraAt) -> FakeEye:
        raise cv2.error("no such device /dev/video9 of somebody")

    shut = camera_of(clock, FakeEye(clock, live(), opens=False))[0]
    for camera in (shut, Camera(USB, WHOLE, clock, broken)):
        with pytest.raises(BadInput) as caught:
            camera.look(clock.monotonic())
        assert (caught.value.code, str(caught.value)) == ("camera-away", "The camera gives no picture.")


def test_a_look_that_hangs_is_left_behind_and_no_second_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cameras, "OPEN_S", 0.1)
    go_on, opened = threading.Event(), []
    clock = SetClock(Instant(1_800_000_000))
    eye = FakeEye(clock, live())

    def hanging(at: CameraAt) -> FakeEye:
        opened.append(at)
        go_on.wait(20)
        return eye

    camera = Camera(CameraAt("usb", "0", 0.5, 0, 0), WHOLE, clock, hanging)
    for _ in range(3):
        with pytest.raises(BadInput):
            camera.look(clock.monotonic())
    assert len(opened) == 1
    assert camera.stuck
    go_on.set()
    camera.close()
    assert not camera.stuck
    assert eye.released == 1
    assert eye.grabbed == 0  # nobody waits any more: nothing is read


@pytest.mark.promise(8)
def test_only_the_zone_leaves() -> None:
    frame = np.zeros((200, 400, 3), np.uint8)
    frame[:] = (0, 0, 255)  # red: people beside
    frame[50:150, 100:300] = (0, 255, 0)
    zone = Zone(0.25, 0.25, 0.75, 0.75)
    part = zones.cut(frame, zone)
    assert part.shape == (100, 200, 3)
    sent = cv2.imdecode(zones.encode(part), cv2.IMREAD_COLOR)
    assert sent.shape == (100, 200, 3)
    assert (sent[:, :, 2] < 20).all()
    assert (cv2.imdecode(zones.encode(frame), cv2.IMREAD_COLOR)[:, :, 2] > 200).any()  # the search can find red


@pytest.mark.parametrize("zone", [Zone(0.301, 0.2, 0.699, 0.8), Zone(0, 0, 0.333, 1), Zone(1 / 3, 1 / 7, 1, 1)])
@pytest.mark.parametrize("size", [(480, 640), (123, 457), (1080, 1920)])
def test_a_zone_is_never_larger_than_it_was_settled(zone: Zone, size: tuple[int, int]) -> None:
    inside = np.zeros((*size, 3), np.uint8)
    ys, xs = np.arange(size[0]), np.arange(size[1])
    row = (ys / size[0] >= zone.top - 1e-6) & ((ys + 1) / size[0] <= zone.bottom + 1e-6)
    column = (xs / size[1] >= zone.left - 1e-6) & ((xs + 1) / size[1] <= zone.right + 1e-6)
    inside[np.ix_(row, column)] = 1
    assert zones.cut(inside, zone).all()


def test_blur_lowers_sharpness_and_leaves_the_frame_as_it_was() -> None:
    frame = drawn(0)
    before = frame.copy()
    worth = [zones.sharpness(drawn(0, blur=blur)[:, 60:]) for blur in (0, 2, 6)]  # without the edge of its number
    assert worth[0] > 2 * worth[1] > 4 * worth[2]
    zones.sharpness(frame)
    assert (frame == before).all()


def test_an_address_holds_the_login_quoted() -> None:
    at = CameraAt("rtsp", "rtsp://cam.example/one", 3.0, 0, 0, "ga te", "p@ss:w/rd")
    assert cameras._address(at) == "rtsp://ga%20te:p%40ss%3Aw%2Frd@cam.example/one"


def test_opencv_opens_a_missing_file_and_a_missing_camera_as_away(clock: SetClock, capfd: Any) -> None:
    secret = "hunter2hunter2"  # noqa: S105  # of nobody
    for at in (CameraAt("file", "nowhere.avi", 1.0, 0, 0), CameraAt("usb", "97", 1.0, 0, 0),
               CameraAt("rtsp", "rtsp://127.0.0.1:9/one", 1.0, 0, 0, "gate", secret)):
        with pytest.raises(BadInput) as caught:
            Camera(at, WHOLE, SystemClock()).look(0.0)
        assert caught.value.code == "camera-away"
    assert secret not in "".join(capfd.readouterr())
