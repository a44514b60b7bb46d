"""A gate that asks for liveness, over HTTP: an enrolled person's rendered head comes in, a photograph is referred."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from countenance.access.roles import Role
from countenance.evaluation import made_heads, pad, portraits
from countenance.flows import enrol, gates
from countenance.flows.gates import Mode
from countenance.flows.venue import Venue
from countenance.server.api import gates as api
from countenance.server.state import Serving
from countenance.vision.liveness import bundle
from countenance.vision.liveness.prompts import Colour, Direction, Prompt
from countenance.vision.pack_runtime import FacePack
from support import server
from support import venue as support
from support.server import Client, refused

MOMENTS = pad._MOMENTS


@pytest.fixture
def here(venue: Venue) -> Serving:
    venue.use_pack(FacePack.open())
    with venue.store.write() as unit:
        gates.add(unit, "lone", Mode.PASS_AND_FACE, support.VERIFY, liveness="prompt")
        gates.add(unit, "staffed", Mode.PASS_AND_FACE, support.VERIFY)
    return server.serving(venue)


@pytest.fixture
def client(here: Serving) -> Iterator[Client]:
    with Client(here, (api.ROUTES,)) as opened:
        yield opened


@pytest.fixture
def shown(here: Serving) -> str:
    picture = portraits.jpeg(portraits.at_gate("collins"))
    done = enrol.enrol(here.venue, "ada", support.VERIFY, support.says_yes(here.venue, support.VERIFY),
                       lambda: picture, support.as_written)
    return done.pass_text


def asked(client: Client, key: dict[str, str]) -> tuple[str, Prompt]:
    said = client.post("/v1/gates/lone/prompts", json={"screen": True}, headers=key)
    assert said.status_code == 200, said.text
    value = said.json()
    assert (value["expires_seconds"], value["colour_seconds"], value["turn_seconds"]) == (15.0, 0.3, 3.0)
    return value["nonce"], Prompt(Direction(value["direction"]), tuple(Colour(one) for one in value["colours"]))


def frames(prompt: Prompt, *, flat: bool = False) -> bytes:
    """A session of 85 pixels between the eyes; its face is large enough for the gate."""
    made = replace(made_heads.setting("collins", 5), eyes_px=85.0, shift=(0.0, 0.0), turn=24.0)
    random = np.random.default_rng(5)
    surface = made_heads.plane() if flat else made_heads.head(made.relief)
    turns = made_heads.angles(prompt, MOMENTS, made.turn, random)

    def jpeg(pixels: NDArray[np.uint8]) -> bytes:
        return bytes(cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1])

    return bundle.written([
        (moment, jpeg(made_heads.rendered(made, made_heads.texture("collins"), surface, yaw, pitch, light, random)))
        for moment, (yaw, pitch), light in zip(MOMENTS, turns, pad._light(prompt), strict=True)])


def decided(client: Client, key: dict[str, str], shown: str, nonce: str, body: bytes, gate: str = "lone") -> Any:
    headers = key | {"countenance-pass": shown, "countenance-nonce": nonce,
                     "content-type": "application/octet-stream"}
    answer: httpx.Response = client.post(f"/v1/gates/{gate}/decisions", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    value = answer.json()
    return value["decision"], value.get("reason")


def key_at(here: Serving, gate: str = "lone") -> dict[str, str]:
    return server.key_of(here, Role.GATE_STAFF, gate=gate)


def test_whoever_turns_as_asked_comes_in_and_once(here: Serving, client: Client, shown: str) -> None:
    key = key_at(here)
    nonce, prompt = asked(client, key)
    body = frames(prompt)
    assert decided(client, key, shown, nonce, body) == ("admit", "match")
    assert decided(client, key, shown, nonce, body) == ("refer", "liveness-unknown")


def test_a_photograph_and_a_plain_picture_are_referred(here: Serving, client: Client, shown: str) -> None:
    key = key_at(here)
    nonce, prompt = asked(client, key)
    outcome, reason = decided(client, key, shown, nonce, frames(prompt, flat=True))
    assert (outcome, reason) in {("refer", "liveness-not-assessed"), ("refer", "liveness-not-live")}
    nonce, _ = asked(client, key)
    plain = portraits.jpeg(portraits.at_gate("collins"))
    assert decided(client, key, shown, nonce, plain) == ("refer", "frames-malformed")
    assert decided(client, key, shown, "", plain) == ("refer", "frames-malformed")
    assert decided(client, key_at(here, "staffed"), shown, "", plain, "staffed") == ("admit", "match")


def test_prompts_are_for_gates_that_ask(here: Serving, client: Client) -> None:
    refused(client.post("/v1/gates/staffed/prompts", json={"screen": True}, headers=key_at(here, "staffed")),
            "liveness-none", 409)
    refused(client.post("/v1/gates/lone/prompts", json={"screen": True}, headers=key_at(here, "staffed")),
            "key-other-gate", 403)


def test_a_gate_for_passes_alone_asks_for_no_liveness(here: Serving, client: Client) -> None:
    owner = server.key_of(here, Role.OPERATOR)
    refused(client.post("/v1/gates", json={"gate": "x", "mode": "pass", "liveness": "prompt"}, headers=owner),
            "gate-liveness", 422)
    made = client.post("/v1/gates", json={"gate": "y", "mode": "pass-and-face", "purpose": support.VERIFY,
                                          "liveness": "prompt"}, headers=owner)
    assert made.json()["liveness"] == "prompt"
