"""CompreFace's published SDK, unmodified, against our routes over a socket: with the promises in between."""

from __future__ import annotations

import io
import re
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from countenance.access import keys
from countenance.access.roles import Role
from countenance.flows import gates, people
from countenance.flows.venue import Venue
from countenance.formats import log_entries
from countenance.server import app as apps
from countenance.server.compat.calls import CALLS
from countenance.server.logs import Log
from support import server
from support import venue as support
from support.venue import SEARCH, VERIFY, enrolled, picture, rows_of

with warnings.catch_warnings():  # a part that the SDK loads is out of date
    warnings.simplefilter("ignore")
    from compreface import CompreFace
    from compreface.exceptions import IncorrectFieldException

COLLINS, OTHER = 1, 5


class Ports:
    def __init__(self, address: str, venue: Venue, folder: Path) -> None:
        self.address, self.venue, self.folder = address, venue, folder

    def key(self, *, pressed: bool = False, purposes: tuple[Any, ...] = (SEARCH,)) -> str:
        """A key that stands for presses is a gate's; the other is a desk's."""
        role, gate = (Role.GATE, "north") if pressed else (Role.DESK, "")
        with self.venue.store.write() as unit:
            return keys.make(unit, role, gate=gate, purposes=purposes, pressed=pressed, label="sdk", by="test",
                             days=30).text

    def one_key(self) -> str:
        """The one key that such a client has for everything: a desk's, each call of which stands for a press."""
        with self.venue.store.write() as unit:
            return keys.make(unit, Role.DESK, purposes=[SEARCH], pressed=True, label="sdk", by="test", days=30).text

    def collection(self) -> Any:
        return self.sdk().init_face_recognition(self.key())

    def looking(self) -> Any:
        return self.sdk().init_face_recognition(self.key(pressed=True))

    def sdk(self, **how: Any) -> CompreFace:
        host, port = self.address.rsplit(":", 1)
        return CompreFace(host, port)


@pytest.fixture
def at(folder: Path) -> Iterator[Ports]:
    with support.open_venue(folder) as venue:
        with venue.store.write() as unit:
            gates.add(unit, "north", gates.Mode.FACE, SEARCH)
        app = apps.app_of(server.serving(venue), Log(venue.clock, io.StringIO()), {"127.0.0.1"})
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()  # so that nobody is turned away before the server runs
            running = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
            thread = threading.Thread(target=running.run, kwargs={"sockets": [taken]}, daemon=True)
            thread.start()
            try:
                yield Ports(f"http://127.0.0.1:{taken.getsockname()[1]}", venue, folder)
            finally:
                running.should_exit = True
                thread.join(10)


def test_the_sdk_journey(at: Ports) -> None:
    face = picture(COLLINS)()
    service = at.sdk().init_face_recognition(at.one_key())
    subjects, faces = service.get_subjects(), service.get_face_collection()
    seen = faces
    assert subjects.add("ada") == {"subject": "ada"}
    assert subjects.add("ada")["code"] == 43
    added = faces.add(face, "ben")
    assert added["subject"] == "ben"
    assert faces.add(face, "ben") == added  # one person, and the id stays
    assert subjects.list() == {"subjects": ["ada", "ben"]}
    assert added in faces.list()["faces"]
    assert service.recognize(face)["result"][0]["subjects"] == []  # nobody has agreed: no picture was kept
    enrolled(at.venue, "ben", COLLINS, SEARCH)  # with a new capture, and the person's own yes
    found = service.recognize(picture(COLLINS, 9)(), {"limit": 0, "prediction_count": 1, "status": True})
    assert found["result"][0]["subjects"] == [{"similarity": 1.0, "subject": "ben"}]
    assert set(found["result"][0]["box"]) == {"probability", "x_min", "x_max", "y_min", "y_max"}
    assert service.recognize(picture(OTHER)())["result"][0]["subjects"] == []  # a stranger
    mine = next(one for one in faces.list()["faces"] if one["subject"] == "ben")
    assert seen.verify(face, mine["image_id"])["result"][0]["similarity"] == 1.0
    assert seen.verify(picture(OTHER)(), mine["image_id"])["result"][0]["similarity"] == 0.0
    assert seen.verify(face, added["image_id"])["result"][0]["similarity"] == 1.0  # the older id leads there
    with at.venue.store.read() as unit:
        ben = people.by_reference(at.venue, "ben")
        uses = [log_entries.read_record(entry.record) for entry in unit.outbox.chain(ben)]
    assert [one.body["outcome"] for one in uses if one.type == "decision"] == ["recognised"] * 3  # each in their record
    assert faces.delete(mine["image_id"]) == mine
    assert service.recognize(face)["result"][0]["subjects"] == []  # withdrawn
    assert rows_of(at.folder / "countenance.db", "template") == []
    assert subjects.update("ada", "cem") == {"updated": True}
    assert subjects.delete("cem") == {"subject": "cem"}
    assert subjects.delete("ben") == {"subject": "ben"}
    assert subjects.list() == {"subjects": []}
    assert rows_of(at.folder / "countenance.db", "person") == []


@pytest.mark.promise(9)
def test_an_empty_name_never_means_everybody(at: Ports) -> None:
    desk, service = at.collection(), at.looking()
    subjects, faces = desk.get_subjects(), desk.get_face_collection()
    subjects.add("ada")
    enrolled(at.venue, "ben", COLLINS, SEARCH)
    for refused in (subjects.delete(""), subjects.delete_all(), faces.delete_all(""), faces.delete_all("  ")):
        assert refused["code"] == "subject-missing"
    assert requests.delete(f"{at.address}/api/v1/recognition/faces", headers={"x-api-key": at.key()},
                           timeout=9).status_code == 400
    assert subjects.list() == {"subjects": ["ada", "ben"]}
    assert service.recognize(picture(COLLINS)())["result"][0]["subjects"][0]["subject"] == "ben"


@pytest.mark.promise(1)
def test_without_a_press_nobody_is_looked_for(at: Ports) -> None:
    enrolled(at.venue, "ben", COLLINS, SEARCH)
    pressed, silent = at.looking(), at.collection()
    mine = silent.get_face_collection().list()["faces"][0]["image_id"]
    assert pressed.recognize(picture(COLLINS)())["result"][0]["subjects"]
    assert silent.recognize(picture(COLLINS)())["code"] == "press-missing"
    assert silent.get_face_collection().verify(picture(COLLINS)(), mine)["code"] == "press-missing"
    with at.venue.store.write() as unit:
        gates.set_state(unit, "north", opened=False, by="rule")
    assert pressed.recognize(picture(COLLINS)())["code"] == "gate-closed"


@pytest.mark.promise(9)
@pytest.mark.parametrize("plugins", ["age", "gender", "mask", "calculator", "landmarks,age"])
def test_nothing_is_inferred_and_no_embedding_leaves(at: Ports, plugins: str) -> None:
    face = picture(COLLINS)()
    recognition, detection = at.looking(), at.sdk().init_face_detection(at.key())
    assert len(detection.detect(face, {"limit": 3})["result"]) == 1
    for refused in (recognition.recognize(face, {"face_plugins": plugins}),
                    detection.detect(face, {"face_plugins": plugins})):
        assert refused["code"] == "plugin-refused"


@pytest.mark.promise(9)
def test_two_uploads_are_not_compared(at: Ports) -> None:
    service = at.sdk().init_face_verification(at.key())
    assert service.verify(picture(COLLINS)(), picture(COLLINS)())["code"] == "comparison-refused"


def test_the_sdks_own_refusal_is_no_exception(at: Ports) -> None:
    service = at.sdk().init_face_recognition(at.key())
    with pytest.raises(IncorrectFieldException):
        service.recognize(picture(COLLINS)(), {"face_plugins": "pose"})
    assert not issubclass(IncorrectFieldException, Exception)


@pytest.mark.promise(3)
def test_an_added_picture_is_never_decoded(at: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    from countenance.vision import image

    looked: list[int] = []
    real = image.decode
    monkeypatch.setattr(image, "decode", lambda data: looked.append(len(data)) or real(data))
    desk, service = at.collection(), at.looking()
    assert desk.get_face_collection().add(b"no picture at all", "ada")["subject"] == "ada"
    assert looked == []
    service.recognize(picture(COLLINS)())
    assert len(looked) == 1  # the watch can see


def test_keys_that_may_not(at: Ports) -> None:
    for key, status in ((at.key(purposes=(VERIFY,)), 403), (at.key(pressed=True), 403), ("cnt_x_y", 401),
                        (at.key(purposes=(VERIFY, SEARCH)), 200)):
        answer = requests.get(f"{at.address}/api/v1/recognition/subjects", headers={"x-api-key": key}, timeout=9)
        assert answer.status_code == status


@pytest.mark.parametrize("query", ["limit=-1", "limit=1e9", "det_prob_threshold=nan", "det_prob_threshold=2",
                                   "prediction_count=x", "limit=99999999999999999999"])
def test_options_are_bounded(at: Ports, query: str) -> None:
    address = f"{at.address}/api/v1/detection/detect?&"
    for sent, status in ((query, 400), ("limit=2&unheard=of&status=True", 200)):
        answer = requests.post(address + sent, headers={"x-api-key": at.key()}, timeout=9,
                               files={"file": ("image.jpg", picture(COLLINS)())})
        assert answer.status_code == status, answer.text


def test_the_page_lists_every_route() -> None:
    page = (Path(__file__).parents[2] / "docs" / "compreface.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(GET|POST|PUT|DELETE) (/api/v1/[^`]+)` \|", page, re.MULTILINE))
    assert told == {(call.method, call.path) for call in CALLS}
