"""The pages in a real browser, with a camera that films a portrait: what people see, and what never happens there."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import httpx
import pytest

from countenance.access import keys, me_codes, operators, sessions
from countenance.access.roles import Role
from countenance.clock import SystemClock
from countenance.consent import notices
from countenance.consent.acts import Act
from countenance.consent.consents import Yes
from countenance.consent.states import State
from countenance.flows import enrol, gates
from countenance.formats import passes as form
from countenance.integrations import codes
from countenance.quantities import PersonId, PurposeId
from countenance.server import serving
from countenance.server.app import app_of
from countenance.server.codes import STATUS
from countenance.server.logs import Log
from countenance.server.pages import routes
from countenance.server.state import Serving
from countenance.storage import schema
from countenance.transparency.witness_http import listen
from countenance.vault.keys import signing
from support import browser, server
from support.browser import Tab

VERIFY, SEARCH = PurposeId("entry.verify"), PurposeId("entry.search")
SHOTS = os.environ.get("PAGES_SHOTS")
"""A folder for pictures of every page, to look at; none are made otherwise."""

ADMIT, REFER, OTHER_LANE = "Please come in.", "Staff will help.", "Please show your pass at the other lane."
PAGES = Path(routes.__file__).parent
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
          "media-src 'self' blob:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")

SPY = """(() => {
    window.cameras = [];
    if (!navigator.mediaDevices) return;  // about:blank
    const given = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (asked) => {
        const one = { asked, tracks: [] };
        window.cameras.push(one);
        const stream = await given(asked);
        one.tracks = stream.getTracks();
        return stream;
    };
})()"""
"""Notes every start of the camera, and keeps its tracks to see whether they ended."""

REFUSES = """if (navigator.mediaDevices) navigator.mediaDevices.getUserMedia = async () => {
    throw new DOMException("no", "NotAllowedError");
}"""
READS_CODES = """window.BarcodeDetector = class {
    static async getSupportedFormats() { return ["qr_code"]; }
    async detect() { return [{ rawValue: window.held }]; }
}"""


@dataclass
class Place:
    """A served venue, what its camera films, and who is known there."""

    here: Serving
    origin: str
    film: Path
    pictures: Path
    home: Path

    def films(self, name: str) -> None:
        """Put one of the pictures before the camera."""
        shown = cv2.imread(str(self.pictures / f"{name}.jpg"))
        pixels = cv2.cvtColor(cv2.resize(shown, (640, 480)), cv2.COLOR_BGR2YUV_I420)
        with self.film.open("wb") as file:
            file.write(b"YUV4MPEG2 W640 H480 F20:1 Ip A1:1 C420jpeg\n")
            file.writelines(b"FRAME\n" + pixels.tobytes() for _ in range(5))

    def key(self, role: Role, gate: str = "") -> str:
        with self.here.venue.store.write() as unit:
            return keys.make(unit, role, gate=gate, purposes=(VERIFY, SEARCH), label="test", by="machine", days=1).text

    @property
    def person(self) -> PersonId:
        with self.here.venue.store.read() as unit:
            return PersonId(unit.run(schema.person.select()).all()[0].person_id)

    def me_code(self) -> str:
        with self.here.venue.store.write() as unit:
            return me_codes.give(unit, self.person)


@contextmanager
def served(folder: Path) -> Iterator[tuple[Serving, str]]:
    lines = Log(SystemClock(), io.StringIO())
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        address = serving.Address(f"http://localhost:{port}", frozenset({"localhost"}))
        with serving.opened(folder, address.origin, lines) as here:
            server = serving.server_of(app_of(here, lines, address.hosts), here.ending, address)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
            thread.start()
            assert here.ready.wait(60)
            try:
                yield here, address.origin
            finally:
                here.ending.set()
                server.should_exit = True
                thread.join(20)


@pytest.fixture(scope="module")
def place(enrolled: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("served")
    home = Path(shutil.copytree(enrolled, folder / "home"))
    with served(home / "zoo") as (here, origin):
        yield Place(here, origin, folder / "camera.y4m", pictures, home)


@pytest.fixture(scope="module")
def window(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    place.films("collins")
    local = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost"  # the later one of two counts
    with browser.opened(tmp_path_factory.mktemp("profile"), local, "--use-fake-ui-for-media-stream",
                        "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={place.film}") as tab:
        yield tab


@pytest.fixture
def tab(window: Tab) -> Iterator[Tab]:
    """A page as a new visitor's: nothing kept from before. Afterwards: nothing left the host, nothing is kept."""
    window.size(1000, 900)
    window.tell("Network.clearBrowserCookies")
    scripts = [window.tell("Page.addScriptToEvaluateOnNewDocument", source=SPY)["identifier"]]
    window.scripts = scripts  # type: ignore[attr-defined]  # for `before`
    yield window
    hosts = {urlsplit(address).hostname for address in window.asked() if not address.startswith("blob:")}
    assert hosts == {"localhost"}
    assert not window.run("localStorage.length")
    for script in scripts:
        window.tell("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    window.run("sessionStorage.clear()")


def before(tab: Tab, source: str) -> None:
    """Run a script in the next page before its own."""
    tab.scripts.append(  # type: ignore[attr-defined]  # made by the fixture
        tab.tell("Page.addScriptToEvaluateOnNewDocument", source=source)["identifier"])


def go(tab: Tab, address: str) -> None:
    for url in ("about:blank", address):  # in between, so that another fragment is another page
        tab.seen = []
        tab.tell("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in tab.seen):
            tab._next()


def until(tab: Tab, truth: str, seconds: float = 15) -> None:
    """Wait until an expression of the page is true."""
    got = tab.run(f"""new Promise(async (resolve) => {{
        const end = Date.now() + {seconds * 1000};
        while (!({truth}) && Date.now() < end) await new Promise((go) => setTimeout(go, 20));
        resolve(Boolean({truth}));
    }})""")
    assert got, (truth, tab.run("document.body.innerText"), tab.faults())


def said(tab: Tab) -> list[str]:
    """What the gate's page says, in English."""
    found: list[str] = tab.run("""[...document.querySelectorAll('#said [lang="en"]')].map((one) => one.textContent)""")
    return found


def says(tab: Tab, *sentences: str) -> None:
    wanted = json.dumps(sentences, ensure_ascii=False)
    until(tab, f"""JSON.stringify([...document.querySelectorAll('#said [lang="en"]')].map((one) => one.textContent))
        === JSON.stringify({wanted})""")


def types(tab: Tab, text: str, *, enter: bool = True) -> None:
    """Type as a scanner does: into whatever has the focus."""
    tab.tell("Input.dispatchKeyEvent", type="keyDown", key=text[0], text=text[0])
    tab.tell("Input.dispatchKeyEvent", type="keyUp", key=text[0])
    tab.tell("Input.insertText", text=text[1:])
    if enter:
        tab.tell("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r",
                 windowsVirtualKeyCode=13)
        tab.tell("Input.dispatchKeyEvent", type="keyUp", key="Enter", code="Enter", windowsVirtualKeyCode=13)


def press(tab: Tab, selector: str) -> None:
    tab.run(f"document.querySelector({json.dumps(selector)}).click()")


def fill(tab: Tab, selector: str, text: str) -> None:
    tab.call("(selector, text) => { document.querySelector(selector).value = text; }", selector, text)


def same_size(tab: Tab, *ids: str) -> bool:
    """Whether elements have one size, one border, and letters of one size and colour."""
    boxes = tab.call("""(...ids) => ids.map((id) => {
        const one = document.getElementById(id);
        const { width, height } = one.getBoundingClientRect();
        const { color, backgroundColor, fontSize, fontWeight, border } = getComputedStyle(one);
        return JSON.stringify([width > 0, width, height, color, backgroundColor, fontSize, fontWeight, border]);
    })""", *ids)
    return len(set(boxes)) == 1 and boxes[0].startswith("[true")


def cameras(tab: Tab) -> list[list[str]]:
    """For each start of the camera so far, the state of its tracks."""
    found: list[list[str]] = tab.run("window.cameras.map((one) => one.tracks.map((track) => track.readyState))")
    return found


def complaints(tab: Tab) -> list[str]:
    """What the browser complained about, beside answers that a test asked for."""
    return [fault for fault in tab.faults() if '"level": "verbose"' not in fault]


def open_gate(tab: Tab, place: Place, gate: str, asks: str) -> None:
    go(tab, f"{place.origin}/gate/{gate}#key={place.key(Role.GATE, gate)}")
    says(tab, asks)


ASKS = {"plain": "Please show your pass.", "main": "Please show your pass, then look at the camera.",
        "quick": "Please choose how to enter."}


def pass_of(place: Place) -> str:
    return (place.home / "verify.pass").read_text().strip()


# --- the gate

def test_a_gate_admits_the_holder_of_a_pass_and_refers_everybody_else(tab: Tab, place: Place) -> None:
    place.films("later")
    open_gate(tab, place, "main", ASKS["main"])
    assert cameras(tab) == []  # nobody has acted
    shot(tab, "gate-main")
    types(tab, pass_of(place))
    says(tab, "Please look at the camera.")
    says(tab, ADMIT)
    assert cameras(tab) == [["ended"]]
    shot(tab, "gate-admit")
    admitted = looks_of_answer(tab)
    says(tab, ASKS["main"])

    place.films("hopper")
    types(tab, pass_of(place))
    says(tab, REFER)
    assert looks_of_answer(tab) == admitted
    assert cameras(tab) == [["ended"], ["ended"]]
    shot(tab, "gate-refer")
    says(tab, ASKS["main"])
    assert complaints(tab) == []


def looks_of_answer(tab: Tab) -> Any:
    """Colours and sizes of what is said."""
    return tab.run("""["#said", "#said span", "body"].map((where) => {
        const { color, backgroundColor, fontSize, fontWeight } = getComputedStyle(document.querySelector(where));
        return [color, backgroundColor, fontSize, fontWeight];
    })""")


def test_a_key_in_the_address_leaves_it_at_once_and_stays_in_this_tab(tab: Tab, place: Place) -> None:
    open_gate(tab, place, "main", ASKS["main"])
    assert tab.run("location.href") == f"{place.origin}/gate/main"
    assert tab.run("document.documentElement.outerHTML.includes('cnt_')") is False
    assert tab.run("Object.values(sessionStorage).filter((one) => one.startsWith('cnt_')).length") == 1
    assert not tab.run("document.cookie")
    go(tab, f"{place.origin}/gate/main")
    says(tab, ASKS["main"])  # loaded again in the same tab


def test_what_a_scanner_typed_is_gone_with_enter(tab: Tab, place: Place) -> None:
    place.films("later")
    open_gate(tab, place, "main", ASKS["main"])
    types(tab, pass_of(place))
    says(tab, ADMIT)
    assert not tab.run("document.getElementById('pass').value")
    assert not tab.run("document.getElementById('pass').checkVisibility()")
    assert pass_of(place) not in tab.run("document.documentElement.outerHTML")
    says(tab, ASKS["main"])


def test_a_gate_for_passes_alone_never_starts_the_camera(tab: Tab, place: Place) -> None:
    open_gate(tab, place, "plain", ASKS["plain"])
    types(tab, pass_of(place))
    says(tab, ADMIT)
    says(tab, ASKS["plain"])
    types(tab, "CN1:NOT A PASS")
    says(tab, REFER)
    assert cameras(tab) == []
    assert complaints(tab) == []


def test_by_face_alone_only_after_a_press_and_once(tab: Tab, place: Place) -> None:
    place.films("later")
    open_gate(tab, place, "quick", ASKS["quick"])
    types(tab, "CN1:A SCAN IS NO PRESS")
    assert said(tab) == [ASKS["quick"]]
    assert cameras(tab) == []
    shot(tab, "gate-quick")
    press(tab, "#look")
    press(tab, "#look")
    says(tab, ADMIT)
    assert cameras(tab) == [["ended"]]
    says(tab, ASKS["quick"])
    place.films("hopper")
    press(tab, "#look")
    says(tab, REFER)
    assert cameras(tab) == [["ended"], ["ended"]]


def test_yes_and_no_are_the_same_size_and_no_sends_nothing(tab: Tab, place: Place) -> None:
    open_gate(tab, place, "quick", ASKS["quick"])
    assert same_size(tab, "look", "without")
    assert not same_size(tab, "look", "said")
    asked = len(tab.asked())
    press(tab, "#without")
    says(tab, OTHER_LANE)
    assert cameras(tab) == []
    assert len(tab.asked()) == asked
    says(tab, ASKS["quick"])


def test_a_pass_is_read_from_the_camera_where_the_browser_can(tab: Tab, place: Place) -> None:
    place.films("later")
    before(tab, READS_CODES + f"; window.held = {json.dumps(pass_of(place))}")
    open_gate(tab, place, "main", ASKS["main"])
    assert cameras(tab) == []
    press(tab, "#code")
    says(tab, ADMIT)
    assert cameras(tab) == [["ended"]]


def test_without_a_camera_the_person_is_led_to_the_other_lane(tab: Tab, place: Place) -> None:
    before(tab, REFUSES)
    open_gate(tab, place, "main", ASKS["main"])
    types(tab, pass_of(place))
    says(tab, REFER, OTHER_LANE)
    shot(tab, "gate-no-camera")
    assert not [address for address in tab.asked() if address.endswith("/decisions")]
    says(tab, ASKS["main"])


def test_a_server_that_is_away_refers(tab: Tab, place: Place) -> None:
    open_gate(tab, place, "plain", ASKS["plain"])
    tab.tell("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    types(tab, pass_of(place))
    says(tab, REFER, OTHER_LANE)
    tab.tell("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    says(tab, ASKS["plain"])


def test_a_gate_that_is_closed_to_faces_says_where_to_go(tab: Tab, place: Place) -> None:
    def state(*, opened: bool) -> None:
        with place.here.venue.store.write() as unit:
            gates.set_state(unit, "quick", opened=opened, by="test")

    state(opened=False)
    try:
        open_gate(tab, place, "quick", OTHER_LANE)
        assert not tab.run("document.getElementById('look').checkVisibility()")
    finally:
        state(opened=True)


@pytest.mark.parametrize("kind", ["other gate", "nonsense", "auditor"])
def test_a_key_that_is_not_this_gates_opens_no_page(tab: Tab, place: Place, kind: str) -> None:
    key = {"other gate": lambda: place.key(Role.GATE, "plain"), "nonsense": lambda: "cnt_x_y",
           "auditor": lambda: place.key(Role.WITNESS)}[kind]()
    go(tab, f"{place.origin}/gate/main#key={key}")
    until(tab, "document.getElementById('problem').textContent")
    assert tab.run("document.getElementById('sign-in').checkVisibility()")
    assert not tab.run("document.getElementById('start').checkVisibility()")
    assert not tab.run("Object.values(sessionStorage).some((one) => one.startsWith('cnt_'))")


# --- the staff

def test_staff_see_why_and_decide_by_hand_and_the_gate_never_says_why(tab: Tab, place: Place) -> None:
    go(tab, f"{place.origin}/staff/main#key={place.key(Role.GATE_STAFF, 'main')}")
    until(tab, "document.getElementById('link').textContent === 'Listening to the gate.'")
    place.films("hopper")
    answer = by_http(place, "main", "hopper")
    assert answer["decision"] == "refer"
    assert "reason" not in answer
    until(tab, "document.getElementById('latest').innerText.includes('was not recognised')")
    rows = tab.run("document.getElementById('rows').innerText")
    assert "Referred to you" in rows
    press(tab, "#turn-away button")  # without a reason
    assert tab.run("document.getElementById('turn-away-why').matches(':invalid')")
    tab.call("(id, value) => { document.getElementById(id).value = value; }", "admit-why", "child")
    press(tab, "#admit button")
    until(tab, "document.getElementById('done').textContent.includes('Child')")
    until(tab, "document.getElementById('latest').innerText.includes('Admitted by hand')")
    shot(tab, "staff")
    press(tab, "[data-language=zh]")
    until(tab, "document.getElementById('rows').innerText.includes('未能识别人脸')")
    shot(tab, "staff-zh")
    press(tab, "[data-language=en]")
    assert cameras(tab) == []
    assert complaints(tab) == []


def by_http(place: Place, gate: str, picture: str) -> dict[str, Any]:
    with httpx.Client(base_url=place.origin, headers={"x-api-key": place.key(Role.GATE, gate)}) as client:
        got = client.post(f"/v1/gates/{gate}/decisions", data={"pass": pass_of(place)},
                          files={"image": (place.pictures / f"{picture}.jpg").read_bytes()})
    found: dict[str, Any] = got.json()
    return found


# --- enrolment

def test_a_person_enrols_reads_the_pass_back_and_withdraws_on_their_own_page(tab: Tab, place: Place) -> None:
    place.films("hopper")
    go(tab, f"{place.origin}/enrol#key={place.key(Role.DESK)}")
    until(tab, "document.getElementById('ask').checkVisibility() && document.getElementById('language').value")
    fill(tab, "#reference", "wen")
    tab.run("document.getElementById('purpose').value = 'entry.verify'")
    press(tab, "#ask-form button")
    until(tab, "document.getElementById('notice').checkVisibility()")
    shown = tab.run("document.getElementById('notice-text').textContent")
    with place.here.venue.store.read() as unit:
        assert shown == notices.in_force(unit, VERIFY).texts["en"]
    assert same_size(tab, "yes", "no")
    shot(tab, "enrol-notice")
    assert cameras(tab) == []
    press(tab, "#yes")
    until(tab, "document.getElementById('picture-said').textContent")
    shot(tab, "enrol-camera")
    press(tab, "#take")
    until(tab, "document.getElementById('picture-problem').textContent")  # their age is asked first
    tab.run("document.getElementById('age').value = 'of-age'")
    press(tab, "#take")
    until(tab, "document.getElementById('pass').checkVisibility() && document.getElementById('card').naturalWidth > 0")
    assert cameras(tab) == [["ended"]]
    shot(tab, "enrol-pass")
    types(tab, code_on(tab, place))
    until(tab, "document.getElementById('done').checkVisibility()")
    code = tab.run("document.getElementById('me-code').textContent")
    assert json.loads(tab.run("document.getElementById('receipt').value"))
    shot(tab, "enrol-done")
    press(tab, "#next")
    until(tab, "document.getElementById('ask').checkVisibility()")
    assert code not in tab.run("document.documentElement.outerHTML")
    assert complaints(tab) == []
    withdraws(tab, place, code)


def code_on(tab: Tab, place: Place) -> str:
    """Read the card that the page shows, as a scanner does: from its pixels."""
    box = tab.run("""(() => { const one = document.getElementById("card"); one.scrollIntoView();
        const { x, y, width, height } = one.getBoundingClientRect();
        return { x: x + scrollX, y: y + scrollY, width, height, scale: 3 }; })()""")
    png = base64.b64decode(tab.tell("Page.captureScreenshot", format="png", clip=box,
                                    captureBeyondViewport=True)["data"])
    return codes.read(png)


def withdraws(tab: Tab, place: Place, code: str) -> None:
    go(tab, f"{place.origin}/me")
    until(tab, "document.getElementById('sign-in').checkVisibility()")
    shot(tab, "me-sign-in")
    tab.run("document.getElementById('code').focus()")
    types(tab, code.replace("-", "").lower())
    until(tab, "document.getElementById('held').checkVisibility()")
    told = tab.run("document.getElementById('held').innerText")
    assert "wen" in told
    assert "in your pass only" in told
    assert "In force." in told
    assert "on this page" in told  # this very look
    tab.size(1000, 2600)
    shot(tab, "me")
    tab.size(1000, 900)
    press(tab, ".consent button")
    until(tab, "document.getElementById('confirm').checkVisibility()")
    assert same_size(tab, "confirm-yes", "confirm-no")
    shot(tab, "me-confirm")
    press(tab, "#confirm-no")
    until(tab, "document.getElementById('held').checkVisibility()")
    press(tab, ".consent button")
    press(tab, "#confirm-yes")
    until(tab, "document.getElementById('receipt').checkVisibility()")
    assert json.loads(tab.run("document.getElementById('kept-0').value"))
    shot(tab, "me-receipt")
    press(tab, "#receipt-done")
    until(tab, "document.getElementById('consents').innerText.includes('Withdrawn.')")
    assert not tab.run("document.querySelectorAll('.consent button').length")
    press(tab, "#sign-out")
    until(tab, "document.getElementById('sign-in').checkVisibility()")
    assert "wen" not in tab.run("document.documentElement.outerHTML")
    assert complaints(tab) == []


def test_a_person_complains_takes_their_data_and_erases_everything(tab: Tab, place: Place) -> None:
    person = the_second(place)
    with place.here.venue.store.write() as unit:
        code = me_codes.give(unit, person)
    go(tab, f"{place.origin}/me")
    until(tab, "document.getElementById('sign-in').checkVisibility()")
    fill(tab, "#code", code)
    press(tab, "#code-form button")
    until(tab, "document.getElementById('held').checkVisibility()")
    fill(tab, "#complaint-text", "<b>Nobody</b> told me.")
    press(tab, "#complaint button")
    until(tab, "document.getElementById('events').textContent.includes('You complained: <b>Nobody</b> told me.')")
    until(tab, "document.getElementById('done').textContent.includes('on record')")
    for button in ("export", "evidence"):
        press(tab, f"#{button}")
        until(tab, "document.getElementById('done').textContent.includes('was handed to your browser')")
    press(tab, "#erase")
    until(tab, "document.getElementById('confirm').checkVisibility()")
    press(tab, "#confirm-yes")
    until(tab, "document.getElementById('receipt').checkVisibility()")
    assert json.loads(tab.run("document.getElementById('kept-0').value"))
    press(tab, "#receipt-done")
    until(tab, "document.getElementById('sign-in').checkVisibility()")
    with place.here.venue.store.read() as unit:
        assert person not in {row.person_id for row in unit.run(schema.person.select()).all()}
    assert complaints(tab) == []


def the_second(place: Place) -> PersonId:
    """Enrol Hopper on the second ticket, without a browser."""
    venue = place.here.venue
    with venue.store.read() as unit:
        yes = Yes(notices.in_force(unit, SEARCH).hash, "en", Act.ASSERTED)
    done = enrol.enrol(venue, "wen", SEARCH, yes, (place.pictures / "hopper.jpg").read_bytes, lambda text: text)
    return done.person


def test_a_session_that_ended_elsewhere_leads_back_to_the_sign_in(tab: Tab, place: Place) -> None:
    go(tab, f"{place.origin}/me")
    until(tab, "document.getElementById('sign-in').checkVisibility()")
    fill(tab, "#code", place.me_code())
    press(tab, "#code-form button")
    until(tab, "document.getElementById('held').checkVisibility()")
    with place.here.venue.store.write() as unit:
        sessions.end_all(unit, person=place.person)
    press(tab, "#export")
    until(tab, "document.getElementById('sign-in').checkVisibility()")
    assert "collins" not in tab.run("document.documentElement.outerHTML")


# --- for everybody: by keyboard, by ear

STOPS = {"/gate/main": ["pass", "together", "without"], "/gate/quick": ["look", "without"],
         "/staff/main": ["en", "zh", "admit-why", "Admit", "turn-away-why", "Turn away", "caption", "sign-out"],
         "/me": ["en", "zh", "code", "Sign in"]}


@pytest.mark.parametrize("page", STOPS)
def test_the_tab_key_goes_through_a_page_in_its_order(tab: Tab, place: Place, page: str) -> None:
    role = Role.GATE_STAFF if page.startswith("/staff") else Role.GATE
    key = "" if page == "/me" else f"#key={place.key(role, page.split('/')[-1])}"
    go(tab, f"{place.origin}{page}{key}")
    until(tab, "[...document.querySelectorAll('main button')].some((one) => one.checkVisibility())")
    tab.run("document.body.tabIndex = -1; document.body.focus()")
    found = []
    for _ in STOPS[page]:
        for kind in ("keyDown", "keyUp"):
            tab.tell("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        found.append(tab.run("""(() => { const one = document.activeElement;
            return one.id || one.dataset.language || one.getAttribute("aria-labelledby") || one.textContent; })()"""))
    assert found == STOPS[page]


@pytest.mark.parametrize("page", ["gate/main", "gate/quick", "staff/main", "me", "enrol", "console"])
def test_everything_that_can_be_used_has_a_name_in_words(tab: Tab, place: Place, page: str) -> None:
    go(tab, f"{place.origin}/{page}")
    until(tab, "[...document.querySelectorAll('main button')].some((one) => one.checkVisibility())")
    tab.run("for (const one of document.querySelectorAll('[hidden]')) if (!one.matches('video')) one.hidden = false")
    tree = tab.tell("Accessibility.getFullAXTree")["nodes"]
    used = {"button", "textbox", "combobox", "checkbox", "link", "region"}
    found = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree
             if not node["ignored"] and node["role"]["value"] in used]
    assert len(found) >= 5
    assert [role for role, name in found if not name.strip()] == []
    assert tab.run("document.documentElement.lang")
    assert tab.run("document.querySelectorAll('h1').length") == 1


def test_no_gives_a_plain_pass_and_no_camera(tab: Tab, place: Place) -> None:
    go(tab, f"{place.origin}/enrol#key={place.key(Role.DESK)}")
    until(tab, "document.getElementById('ask').checkVisibility() && document.getElementById('language').value")
    fill(tab, "#reference", "wen")
    press(tab, "#ask-form button")
    until(tab, "document.getElementById('notice').checkVisibility()")
    press(tab, "#no")
    until(tab, "document.getElementById('pass').checkVisibility() && document.getElementById('card').naturalWidth > 0")
    content = form.read(code_on(tab, place), signing.verifier(place.home / "zoo" / "signing", "pass"))
    assert not content.purpose
    assert cameras(tab) == []
    shot(tab, "enrol-plain")


def test_a_code_that_is_nobodys_says_so(tab: Tab, place: Place) -> None:
    go(tab, f"{place.origin}/me")
    fill(tab, "#code", "0000-0000-0000-0000-0000")
    press(tab, "#code-form button")
    until(tab, "document.getElementById('code-problem').textContent.includes('not known')")


# --- the console

def test_the_first_owner_signs_in_and_makes_a_key(tab: Tab, place: Place) -> None:
    with place.here.venue.store.write() as unit:
        code = operators.first_code(unit)
    go(tab, f"{place.origin}/console")
    until(tab, "document.getElementById('sign-in').checkVisibility()")
    shot(tab, "console-sign-in")
    for field, text in {"first-code": code, "first-name": "Ada", "first-password": "a long one, said once"}.items():
        fill(tab, f"#{field}", text)
    press(tab, "#first-form button")
    until(tab, "document.getElementById('home').checkVisibility()")
    assert tab.run("[...document.querySelectorAll('#gates tr')].length") == 3
    fill(tab, "#key-label", "north")
    tab.run("""document.getElementById("key-role").value = "gate"; document.getElementById("key-gate").value = "main";
        document.querySelector('#key-purposes input[value="entry.verify"]').checked = true""")
    press(tab, "#key-form button")
    until(tab, "document.getElementById('new-key-text').textContent.startsWith('cnt_')")
    address = tab.run("document.getElementById('new-key-address').textContent")
    tab.size(1000, 2200)
    shot(tab, "console")
    go(tab, address)
    says(tab, ASKS["main"])
    go(tab, f"{place.origin}/console")
    until(tab, "document.getElementById('home').checkVisibility()")  # loaded again: a new CSRF secret
    press(tab, "#gates button")
    until(tab, "document.getElementById('gates').innerText.includes('Closed to faces')")
    press(tab, "#gates button")
    until(tab, "!document.getElementById('gates').innerText.includes('Closed to faces')")
    press(tab, "#sign-out")
    until(tab, "document.getElementById('sign-in').checkVisibility()")
    assert complaints(tab) == []


def test_a_passkey_is_made_and_signs_in_without_a_password(tab: Tab, place: Place) -> None:
    owner = server.operator_of(place.here, Role.OWNER)
    with place.here.venue.store.write() as unit:
        code = operators.invite(unit, "Grace", Role.AUDITOR, by=owner)
    tab.tell("WebAuthn.enable")
    device = tab.tell("WebAuthn.addVirtualAuthenticator", options={
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True})["authenticatorId"]
    try:
        go(tab, f"{place.origin}/console")
        until(tab, "document.getElementById('passkey-sign-in').checkVisibility()")
        press(tab, "#passkey-sign-in")  # there is none yet
        until(tab, "document.getElementById('sign-in-problem').textContent.startsWith('That passkey')")
        fill(tab, "#first-code", code)
        fill(tab, "#first-password", "a long one, said once")
        press(tab, "#first-form button")
        until(tab, "document.getElementById('no-passkeys').textContent !== ''")
        fill(tab, "#passkey-label", "my <phone>")
        press(tab, "#passkey-form button")
        until(tab, "document.getElementById('passkeys').innerText.includes('my <phone>')")
        shot(tab, "console-passkeys")
        press(tab, "#sign-out")
        until(tab, "document.getElementById('sign-in').checkVisibility()")
        press(tab, "#passkey-sign-in")
        until(tab, "document.getElementById('home').checkVisibility()")
        assert "Grace" in tab.run("document.getElementById('who').textContent")
        press(tab, "#passkeys button")
        until(tab, "document.getElementById('no-passkeys').textContent !== ''")
        press(tab, "#sign-out")
        until(tab, "document.getElementById('sign-in').checkVisibility()")
        press(tab, "#passkey-sign-in")  # the device has it still; the venue does not
        until(tab, "document.getElementById('sign-in-problem').textContent !== ''")
        assert not tab.run("document.getElementById('home').checkVisibility()")
    finally:
        tab.tell("WebAuthn.removeVirtualAuthenticator", authenticatorId=device)


# --- the files

MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc"
                    r"|createContextualFragment|style\.|XMLHttp|WebSocket|sendBeacon|import\(|localStorage|\.cookie|Audio")
HOSTS = re.compile(r"""(?:[a-z]+:)?//[\w.-]+\.[a-z]{2,}[^"'\s]*|\burl\(|@import|\son[a-z]+=|\sstyle=""")


def written(*kinds: str) -> dict[str, str]:
    return {file.name: file.read_text("utf-8") for file in sorted(PAGES.iterdir()) if file.suffix in kinds}


def words_of(language: str) -> dict[str, str]:
    pairs = re.findall(r'^  "([^"]+)": (".*"),$', (PAGES / f"words_{language}.js").read_text("utf-8"), re.MULTILINE)
    assert len(pairs) == len(dict(pairs)) > 200
    return {name: json.loads(said) for name, said in pairs}


def test_every_page_has_its_policy_and_no_file_but_those_of_the_list_is_served(place: Place) -> None:
    with httpx.Client(base_url=place.origin) as client:
        for page, camera in {"/gate/main": "(self)", "/enrol": "(self)", "/staff/main": "()", "/me": "()",
                             "/console": "()"}.items():
            got = client.get(page)
            assert got.headers["content-security-policy"] == POLICY
            assert got.headers["content-type"] == "text/html; charset=utf-8"
            assert f"camera={camera}" in got.headers["permissions-policy"]
            assert got.headers["cache-control"] == "no-store"
            assert "set-cookie" not in got.headers
            for file in re.findall(r'(?:src|href)="(/pages/[^"]+)"', got.text):
                assert client.get(file).status_code == 200, file
        assert {f"/pages/{name}" for name in written(".js", ".css", ".svg")} == {f"/pages/{n}" for n in routes.FILES}
        for name in ("routes.py", "__init__.py", "gate.html", "..%2froutes.py", "%2e%2e/app.py", "gate.js/", "GATE.JS"):
            assert client.get(f"/pages/{name}").status_code in {400, 404}, name


def test_nothing_from_another_host_no_script_of_a_text_and_nothing_kept() -> None:
    assert len(MARKUP.findall("a.innerHTML = eval(b); localStorage.x")) == 3
    assert len(HOSTS.findall('x https://a.example/b url(c <a onclick="d" style="e">')) == 4
    for name, text in written(".js", ".html", ".css").items():
        assert not MARKUP.findall(text), name
        assert not HOSTS.findall(text), name


def test_both_languages_say_everything_and_ask_for_the_same_values() -> None:
    words = {language: words_of(language) for language in ("en", "zh")}
    values = {language: {name: sorted(re.findall(r"\{\d\}", said)) for name, said in told.items()}
              for language, told in words.items()}
    assert values["en"] == values["zh"]
    assert not [said for said in words["zh"].values() if not re.search(r"[\u4e00-\u9fff]", said)]
    assert not [said for said in words["en"].values() if re.search(r"[\u4e00-\u9fff]", said)]


def test_every_word_that_a_page_asks_for_is_there() -> None:
    text = "\n".join(written(".js", ".html").values())
    asked = set(re.findall(r'data-(?:word|both|title)="([^"]+)"', text))
    asked |= set(re.findall(r'(?:\bsay|\btell|\blinked|areYouSure|showReceipts)\(\s*"([^"]+)"', text))
    asked |= set(re.findall(r'tell\("[^"]+", "([^"]+)"', text))
    asked |= {f"by-hand.{reason}" for reasons in gates.BY_HAND.values() for reason in reasons}
    asked |= {f"mode.{mode.value}" for mode in gates.Mode} | {f"role.{role.value}" for role in Role}
    asked |= {f"state.{state.value}" for state in State}
    asked |= {f"reason.{code}" for code in _CODES.split()}
    assert len(asked) > 200
    assert asked - set(words_of("en")) == set()
    assert {code.removeprefix("reason.") for code in words_of("en") if code.startswith("reason.")} <= (
        set(STATUS) | {"match", "pass", "no-match", "other"})


def test_the_reasons_by_hand_are_the_servers(tab: Tab, place: Place) -> None:
    go(tab, f"{place.origin}/staff/main#key={place.key(Role.GATE_STAFF, 'main')}")
    until(tab, "document.getElementById('watch').checkVisibility()")
    for outcome, reasons in gates.BY_HAND.items():
        shown = tab.run(f"[...document.querySelectorAll('#{outcome}-why option')].map((one) => one.value)")
        assert shown == ["", *reasons]


_CODES = """match pass no-match no-face several-faces face-too-small face-cut-off image-missing image-unreadable
    pass-missing pass-malformed pass-altered pass-other-venue pass-expired pass-from-future pass-plain pass-unknown
    pass-void face-revoked consent-missing consent-withdrawn consent-expired notice-outdated template-missing
    purpose-other press-missing ticket-unknown ticket-expired ticket-early entitlement-missing attempts gate-closed
    gate-uncalibrated gallery-full sweep-late rotation-late clock-set-back store-restored internal"""
"""What a gate's staff meet most; any other code is shown as it is."""

def shot(tab: Tab, name: str) -> None:
    if SHOTS:
        tab.shot(Path(SHOTS) / f"{name}.png")
