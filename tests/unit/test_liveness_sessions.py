"""Capture sessions on rendered heads and attacks, their challenges, and a gate that asks for them."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper
from test_packs_brought import saved
from typer.testing import CliRunner

from countenance.cli.main import app
from countenance.clock import SetClock
from countenance.errors import BadInput, CountenanceError, ModelFault, Refused
from countenance.evaluation import made_heads, pad
from countenance.flows import liveness
from countenance.flows.liveness import Sessions
from countenance.quantities import Instant
from countenance.vision.detect import Box
from countenance.vision.image import Frame
from countenance.vision.liveness import bundle, session
from countenance.vision.liveness.model import Minifasnet, Network
from countenance.vision.liveness.session import Taken
from countenance.vision.liveness.verdict import Live, NotAssessed, NotLive, Verdict
from countenance.vision.pack_runtime import FacePack


@pytest.fixture(scope="module")
def pack() -> FacePack:
    return FacePack.open()


def judged(pack: FacePack, made: pad.Made) -> Verdict:
    return session.judge(made.taken, made.prompt, pack, pack.alignment)


@pytest.mark.parametrize("kind", pad.SPECIES)
def test_made_attacks_are_not_live_and_made_heads_are(pack: FacePack, kind: str) -> None:
    for number in range(200, 206):
        assert not isinstance(judged(pack, pad.session_of(kind, pad.TESTED_ON, number)), Live)
    assert judged(pack, pad.session_of(pad.BONA_FIDE, pad.TESTED_ON, 200)) == Live()


def test_a_heads_answer_to_another_prompt_is_not_live(pack: FacePack) -> None:
    made = pad.session_of(pad.BONA_FIDE, pad.TESTED_ON, 201)
    other = next(one for one in made_heads.Direction if one is not made.prompt.direction)
    assert not isinstance(judged(pack, replace(made, prompt=replace(made.prompt, direction=other))), Live)
    turned = made.prompt.colours[1:] + made.prompt.colours[:1]
    assert judged(pack, replace(made, prompt=replace(made.prompt, colours=turned))) == NotLive("colours-other")


def test_what_cannot_be_seen_is_not_assessed(pack: FacePack) -> None:
    made = pad.session_of(pad.BONA_FIDE, pad.TESTED_ON, 202)
    grey = [Taken(one.moment, Frame(np.full_like(one.frame.pixels, 128))) for one in made.taken]
    for taken, reason in ((made.taken[:3], "frames-few"), (grey, "no-face"), ([], "frames-few"),
                          ([replace(one, moment=one.moment + 60) for one in made.taken], "frames-few"),
                          (made.taken[:5] + [replace(made.taken[4], moment=1.4 + 0.1 * k) for k in range(6)],
                           "no-turn")):
        assert judged(pack, replace(made, taken=taken)) == NotAssessed(reason)


def test_times_that_do_not_rise_are_refused(pack: FacePack) -> None:
    made = pad.session_of(pad.BONA_FIDE, pad.TESTED_ON, 202)
    for moments in ((0.1, 0.1), (0.2, 0.1), (0.1, math.nan)):
        with pytest.raises(BadInput) as fault:
            judged(pack, replace(made, taken=[Taken(m, made.taken[0].frame) for m in moments]))
        assert fault.value.code == "frames-order"
    with pytest.raises(BadInput) as fault:
        judged(pack, replace(made, taken=[Taken(k / 10, made.taken[0].frame) for k in range(41)]))
    assert fault.value.code == "frames-many"


def test_a_rendered_head_turns_as_it_was_told() -> None:
    """The middle of the eyes stays, a point before them moves to the side that the head turns to."""
    made = made_heads.setting("collins", 1)
    random, skin = np.random.default_rng(0), np.zeros((320, 320, 3), np.float32)
    skin[:, :] = 0.2
    skin[154:166 + 25, 157:163] = 1.0     # a line down the nose
    ahead, right = (made_heads.rendered(made, skin, made_heads.head(1.0), yaw, 0, None, random) for yaw in (0, 20))
    flat = made_heads.rendered(made, skin, made_heads.plane(), 20, 0, None, random)

    def line(frame: NDArray[np.uint8]) -> float:
        return float(np.nonzero(frame[..., 0] > 200)[1].mean())

    assert line(right) - line(ahead) > 0.3 * made.eyes_px     # a depth of about 1.4, by the sine of 20 degrees
    assert abs(line(flat) - line(ahead)) < 0.05 * made.eyes_px


class Desk:
    def __init__(self) -> None:
        self.clock = SetClock(Instant(0))
        self.sessions = Sessions(self.clock)

    def refused(self, gate: str, nonce: str) -> str:
        frame = Frame(np.ones((40, 40, 3), np.uint8))
        with pytest.raises(Refused) as fault:
            self.sessions.judged(gate, nonce, [Taken(0.1, frame)], None, "dlib-5")  # type: ignore[arg-type]  # unused
        assert not frame.pixels.any()  # wiped, whatever happens
        return fault.value.code


def test_a_challenge_is_answered_once_in_time_and_at_its_own_gate() -> None:
    desk = Desk()
    assert desk.refused("main", "0" * 32) == "liveness-unknown"
    given = desk.sessions.begin("main", screen=True)
    assert desk.refused("other", given.nonce) == "liveness-unknown"
    assert desk.refused("main", given.nonce) == "liveness-unknown"    # it is gone
    given = desk.sessions.begin("main", screen=True)
    desk.clock.move(15.1)
    assert desk.refused("main", given.nonce) == "liveness-late"
    given = desk.sessions.begin("main", screen=False)
    verdict, ahead = desk.sessions.judged("main", given.nonce, [], None, "dlib-5")  # type: ignore[arg-type]  # as above
    assert (verdict, ahead) == (NotAssessed("frames-few"), 0.0)
    assert desk.refused("main", given.nonce) == "liveness-unknown"


def test_challenges_do_not_fill_the_memory() -> None:
    desk = Desk()
    first = desk.sessions.begin("main", screen=False)
    for _ in range(liveness.MOST_OPEN):
        desk.sessions.begin("main", screen=False)
    assert desk.refused("main", first.nonce) == "liveness-unknown"


def test_only_live_passes() -> None:
    assert liveness.require_live(Live()) == Live()
    for verdict, code in ((NotLive("flat"), "liveness-not-live"), (NotAssessed("no-turn"), "liveness-not-assessed")):
        with pytest.raises(Refused) as fault:
            liveness.require_live(verdict)
        assert fault.value.code == code


def test_a_session_travels_in_one_body() -> None:
    frames = [(0.15, b"one"), (0.45, b"two")]
    data = bundle.written(frames)
    assert data[:8] == (150).to_bytes(4, "big") + (3).to_bytes(4, "big")
    assert [(one.moment, one.picture) for one in bundle.parse(data)] == frames
    for bad, code in ((b"", "frames-malformed"), (data[:-1], "frames-malformed"), (data + b"x", "frames-malformed"),
                      (data[:7], "frames-malformed"), (bytes(8), "frames-malformed"),
                      (bytes(4) + b"\xff\xff\xff\xff", "frames-malformed"),
                      (bundle.written([(0.1, b"x")]) * 41, "frames-many")):
        with pytest.raises(BadInput) as fault:
            bundle.parse(bad)
        assert fault.value.code == code


def network(path: Path, weights: list[float], classes: int = 3, side: int = 80) -> Network:
    """Answers by the mean of the picture: class k gets weights[k] times it."""
    from onnx import TensorProto, numpy_helper

    table = np.array([weights[:classes]], np.float32)
    nodes = [helper.make_node("ReduceMean", ["data"], ["m"], keepdims=0),
             helper.make_node("Reshape", ["m", "s"], ["r"]), helper.make_node("MatMul", ["r", "w"], ["o"])]
    made = [helper.make_tensor_value_info("o", TensorProto.FLOAT, [1, classes])]
    data = saved(nodes, [("data", [1, 3, side, side])], made,
                 [numpy_helper.from_array(np.array([1, 1]), "s"), numpy_helper.from_array(table, "w")])
    path.write_bytes(data)
    return Network(path, 2.7, hashlib.sha256(data).hexdigest())


def test_a_network_of_that_layout_is_one_more_signal(tmp_path: Path) -> None:
    frame, box = Frame(np.full((240, 320, 3), 100, np.uint8)), Box(100, 60, 199, 159)
    model = Minifasnet([network(tmp_path / "a", [0.0, 0.02, 0.0]), network(tmp_path / "b", [0.0, 0.0, 0.0])])
    first = math.exp(2) / (math.exp(2) + 2)
    assert model.live(frame, box) == pytest.approx((first + 1 / 3) / 2, abs=1e-6)  # averaged, by hand
    for bad, code in ((network(tmp_path / "c", [0, 0, 0, 0], classes=4), "model-shape"),
                      (network(tmp_path / "d", [0, 0, 0], side=96), "model-shape"),
                      (replace(network(tmp_path / "e", [0, 0, 0]), sha256="0" * 64), "model-file-changed"),
                      (Network(tmp_path / "none", 4.0, "0" * 64), "model-file-missing")):
        with pytest.raises(ModelFault) as fault:
            Minifasnet([bad])
        assert fault.value.code == code


def test_the_model_of_a_session_counts_against_it_only(pack: FacePack) -> None:
    class Says:
        def __init__(self, probability: float) -> None:
            self.probability = probability

        def live(self, frame: Frame, box: Box) -> float:
            return self.probability

    head, photograph = (pad.session_of(kind, pad.TESTED_ON, 203) for kind in (pad.BONA_FIDE, pad.SPECIES[1]))
    answers = [session.judge(made.taken, made.prompt, pack, pack.alignment, model=Says(probability))
               for made, probability in ((head, 0.9), (head, 0.1), (photograph, 1.0))]
    assert answers[:2] == [Live(), NotLive("model")]
    assert not isinstance(answers[2], Live)


def test_pad_is_reported_per_species(pack: FacePack) -> None:
    said = CliRunner().invoke(app, ["evaluate", "--pad", "--sessions", "3", "--json"])
    value = json.loads(said.stdout)
    assert value["synthetic"]
    assert set(value["species"]) == set(pad.SPECIES)
    for one in value["species"].values():
        assert (one["attacks"], one["apcer"]) == (3, 0.0)
        assert one["interval"][1] == 1.0  # by the rule of three, three say nothing
    assert value["bona_fide"] == 3


def test_the_portraits_that_are_tuned_on_are_not_those_tested() -> None:
    assert pad.TUNED_ON != pad.TESTED_ON
    tuned, tested = (pad.session_of(pad.BONA_FIDE, name, 0) for name in (pad.TUNED_ON, pad.TESTED_ON))
    assert not np.array_equal(tuned.taken[0].frame.pixels, tested.taken[0].frame.pixels)
    same = pad.session_of(pad.BONA_FIDE, pad.TESTED_ON, 0)
    assert np.array_equal(same.taken[3].frame.pixels, tested.taken[3].frame.pixels)


def test_an_error_is_one_sentence() -> None:
    said = CliRunner().invoke(app, ["evaluate"])
    assert isinstance(said.exception, CountenanceError)
    assert said.exception.code == "evaluate-what"


@pytest.mark.promise(3)
def test_frames_before_one_that_cannot_be_decoded_are_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Frame] = []

    def decode(picture: bytes) -> Frame:
        if picture == b"bad":
            raise BadInput("image-unreadable", "The picture cannot be decoded.")
        seen.append(Frame(np.ones((40, 40, 3), np.uint8)))
        return seen[-1]

    monkeypatch.setattr("countenance.flows.liveness.image.decode", decode)
    sent = bundle.written([(0.1, b"one"), (0.2, b"two"), (0.3, b"bad")])
    camera = liveness.camera(Desk().sessions, "main", "0" * 32, lambda: sent, None)  # type: ignore[arg-type]  # unused
    with pytest.raises(BadInput):
        camera()
    assert len(seen) == 2
    assert not any(frame.pixels.any() for frame in seen)
