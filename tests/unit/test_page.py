"""evidence.html: one file, always the same, that runs nothing but its own script and shows texts as texts."""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from countenance.flows import prove
from countenance.formats import evidence
from countenance.formats.notices import Notice
from countenance.quantities import PurposeId, VenueId
from countenance.verifier import page_builder
from support import browser
from support.browser import Tab
from support.sample_evidence import NAME, PURPOSE, START, VENUE, Sample, told_of_nobody, told_of_person

SVG = "http://www.w3.org/2000/svg"
"""A name, not an address: nobody asks for it."""

FORMATS = Path(__file__).parents[2] / "docs" / "formats"

ODD = [
    "</script><script>window.broken = 1</script>", "<!-- <script>", "\u2028 \u2029 \ufeff", '"quotes" \\ \\u003c \\\\<',
    "@SCRIPT@ @BLOCKS@ @POLICY@ @STYLE@", "<img src=x onerror='window.broken = 1'>", "{0} {1} $& $1",
    "\u202e right to left",
    "javascript:window.broken = 1", "__proto__", "<svg onload=window.broken=1>", "&lt;b&gt;", "\x00\x1f\x7f",
]
DONE = """new Promise(async (resolve) => {
    const result = document.getElementById("result");
    while (result.hasAttribute("aria-busy") || !result.dataset.verdict) await new Promise((go) => setTimeout(go, 5));
    resolve(result.dataset.verdict);
})"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser.opened(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def sample() -> Sample:
    return Sample()


def odd_sample() -> Sample:
    """Return a log in which every text that a venue can choose tries to be something else than a text."""
    texts = {f"x-{number}": text for number, text in enumerate(ODD)}
    notice = Notice(VenueId(VENUE), PurposeId(PURPOSE), 1, "carried", 365, {**texts, "<b>": "<b>bold</b>"})
    consent = {"consent": "c1", "purpose": PURPOSE, "notice": notice.hash, "language": "x-0", "act": ODD[5],
               "expires_at": START}
    person: list[Any] = [(START, "consent-given", consent)]
    person += [(START, "complaint", {"text": text, text: text}) for text in ODD]
    person += [(START, text, {"gate": text}) for text in ODD]
    person += [(START, "decision", {"gate": text, "outcome": text}) for text in ODD]
    nobody: list[Any] = [(START, "gate-opened", {"gate": text, "zone": [text, {text: text}]}) for text in ODD[:3]]
    return Sample(person, nobody, (notice,), name=" ".join(ODD))


def opened(tab: Tab, folder: Path, page: str) -> str:
    """Open a page, and return the verdict that it tells."""
    (folder / "evidence.html").write_text(page, encoding="utf-8", newline="")
    tab.go(folder / "evidence.html")
    verdict: str = tab.run(DONE)
    return verdict


def page_of(sample: Sample, kind: str = "person", **asserted: Any) -> str:
    return evidence.open_zip(sample.zip(sample.content(kind, **asserted))).page


# --- the text of the page

def test_the_same_facts_give_the_same_page(sample: Sample) -> None:
    assert page_of(sample) == page_of(Sample())
    assert page_of(sample) != page_of(sample, other=1)


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_facts_and_signature_come_out_of_the_page_exactly(text: str) -> None:
    facts = evidence.spelled({"a": text, text: [text]})
    page = page_builder.render(facts, "c2ln\n")
    evidence.embeds(page, facts, "c2ln\n")
    [embedded] = re.findall(r'<script type="application/json" id="evidence">(.*?)</script>', page, re.DOTALL)
    assert "<" not in embedded
    assert evidence.recovered_json(embedded) == facts
    assert page.count("<script") == 3


def test_the_policy_names_the_script_and_the_style_that_are_there_and_nothing_else(sample: Sample) -> None:
    page = page_of(sample)
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert policy == (f"default-src 'none'; script-src 'sha256-{digests[0]}'; style-src 'sha256-{digests[1]}'; "
                      "base-uri 'none'; form-action 'none'")
    assert page.index(policy) < page.index("<style>")
    assert page.encode().index(b'charset="utf-8"') < 1024


def test_no_address_of_another_host_is_in_the_page() -> None:
    page = page_builder.render("{}\n", "\n")
    addresses = re.compile(
        r"""(?:[a-z]+:)?//[\w.-]+\.[a-z]{2,}[^"'\s]*|\burl\(|@import|<(?:link|img|iframe|object)\b""")
    assert addresses.findall("x https://a.example/b url( <img src=x>") == ["https://a.example/b", "url(", "<img"]
    assert addresses.findall(page) == [SVG]


def test_no_script_makes_markup_of_a_text() -> None:
    makers = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc"
                        r"|createContextualFragment|\.href|\.src\b|style\.|fetch\(|XMLHttp|WebSocket|sendBeacon|import\(")
    assert len(makers.findall("a.innerHTML = eval(b); fetch(c)")) == 3
    assert makers.findall(page_builder.script()) == []


def test_both_languages_say_everything_and_ask_for_the_same_values() -> None:
    words = {}
    for language in ("en", "zh"):
        text = page_builder._part(f"words_{language}.js")
        pairs = re.findall(r'^  "?([\w.-]+)"?: (".*"),$', text, re.MULTILINE)
        assert len(pairs) == len(dict(pairs)) > 150
        words[language] = {name: sorted(re.findall(r"\{\d\}", json.loads(said))) for name, said in pairs}
    assert words["en"] == words["zh"]
    asked = set(re.findall(r'data-(?:word|label)="(\w+)"', page_builder._part("page.html")))
    asked |= set(re.findall(r'(?:"|\()(told\.[\w-]+)"', page_builder.script()))
    asked |= set(re.findall(r'say\("([\w.-]+)"', page_builder.script()))
    asked |= {f"code.{code}" for code in re.findall(r'(?:new )?Fault\("([\w-]+)"\)', page_builder.script())}
    assert len(asked) > 70
    assert asked <= set(words["en"])


def words_of(language: str) -> dict[str, str]:
    text = page_builder._part(f"words_{language}.js")
    return {name: json.loads(said) for name, said in re.findall(r'^  "?([\w.-]+)"?: (".*"),$', text, re.MULTILINE)}


def documented_types(text: str) -> set[str]:
    """Return the types in the tables `type | body | when` of a page of docs/formats."""
    tables = re.findall(r"^\| type \| body \| when \|\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return {kind for table in tables for row in table.splitlines()
            for kind in re.findall(r"`([\w-]+)`", row.split("|")[1])}


def test_every_type_that_the_formats_name_has_words_in_both_languages() -> None:
    head = "| type | body | when |\n|---|---|---|\n"
    assert documented_types(f"{head}| `a`, `b-c` | `d` | `e` |\n\n| `f` | g | h |\n") == {"a", "b-c"}
    named = [documented_types((FORMATS / page).read_text(encoding="utf-8")) for page in ("event.md", "log_entry.md")]
    assert {"decision", "consent-lost"} <= named[0]
    assert {"evidence", "log-began-anew", "gate-closed"} <= named[1]
    for language in ("en", "zh"):
        assert {f"event.{kind}" for kind in named[0] | named[1]} - set(words_of(language)) == set()


def test_every_name_that_the_venue_says_something_under_has_words() -> None:
    said = set(re.findall(r'"([a-z_]+)": ', inspect.getsource(prove)))
    said |= {"month", "cite", "says", "control", "sure"}
    assert {"lanes", "rules", "zones", "lease_minutes", "day", "cite", "sure", "valid_days"} <= said
    for language in ("en", "zh"):
        assert {f"field.{name}" for name in said} - set(words_of(language)) == set()


def test_colours_can_be_told_apart_from_what_is_behind_them() -> None:
    css = page_builder._part("page.css")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    themes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in blocks]
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert len([theme for theme in themes if "ground" in theme]) == 2
    for theme in (theme for theme in themes if "ground" in theme):
        for ink in ("ink", "soft", "link", "good", "fair", "bad"):
            for behind in ("ground", "sheet", "tint"):
                assert contrast(theme[ink], theme[behind]) >= 4.5, (ink, behind)


def contrast(one: str, other: str) -> float:
    """Return the ratio of WCAG 2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at:at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


# --- the page in a browser

@pytest.mark.parametrize("kind", evidence.KINDS)
def test_it_checks_itself_when_opened_and_asks_no_network(
        tab: Tab, tmp_path: Path, sample: Sample, kind: str) -> None:
    assert opened(tab, tmp_path, page_of(sample, kind)) == "self-consistent"
    assert tab.faults() == []
    assert tab.asked() == []
    assert tab.run("document.getElementById('story-section').hidden") == (kind == "venue")
    assert tab.run("document.querySelectorAll('#rules ol.story > li').length") > 5
    assert "41208" in tab.run("document.getElementById('asserted').textContent")
    tab.run("fetch('https://a.example/').catch(() => {})")
    assert tab.faults() != []


def test_a_trust_file_verifies_it_and_another_one_refuses_it(tab: Tab, tmp_path: Path, sample: Sample) -> None:
    opened(tab, tmp_path, page_of(sample))
    (tmp_path / "right.trust").write_text(sample.trust(), encoding="utf-8")
    (tmp_path / "wrong.trust").write_text(trust_of_others(), encoding="utf-8")
    (tmp_path / "none.trust").write_text("countenance trust 2\n", encoding="utf-8")
    (tmp_path / "bytes.trust").write_bytes(b"countenance trust 1\n\xff\n")
    said = []
    for name in ("right", "wrong", "none", "right", "bytes"):
        tab.choose("#trust-file", tmp_path / f"{name}.trust")
        said.append(settled(tab, "result", "trust-state", name))
    assert said == ["verified", "refused", "self-consistent", "verified", "self-consistent"]
    assert "This file cannot be read" in tab.run("document.getElementById('trust-state').textContent")


def trust_of_others() -> str:
    """Return the trust file of another venue."""
    return Sample().trust().replace(f"log {Sample().keys.log.text}", f"log {Sample().keys.receipt.text}")


def settled(tab: Tab, result: str, state: str, name: str) -> str:
    """Return the verdict once the file of that name was looked at."""
    verdict: str = tab.call("""async (result, name) => {
        const input = document.getElementById(result === "result" ? "trust-file" : "receipt-file");
        const shown = document.getElementById(result);
        await new Promise((go) => setTimeout(go, 150));
        while (shown.hasAttribute("aria-busy")) await new Promise((go) => setTimeout(go, 10));
        return input.files[0].name.startsWith(name) ? shown.dataset.verdict : "another file";
    }""", result, name)
    return verdict


def test_a_receipt_can_be_checked_on_the_same_page(tab: Tab, tmp_path: Path, sample: Sample) -> None:
    opened(tab, tmp_path, page_of(sample))
    (tmp_path / "right.receipt").write_text(sample.receipt(), encoding="utf-8")
    (tmp_path / "wrong.receipt").write_text(sample.receipt().replace("asserted", "passkey"), encoding="utf-8")
    for name, verdict in (("right", "self-consistent"), ("wrong", "refused")):
        tab.choose("#receipt-file", tmp_path / f"{name}.receipt")
        assert settled(tab, "receipt-result", "receipt-hint", name) == verdict
    told = tab.run("document.getElementById('receipt-result').textContent")
    assert "Refused" in told
    assert "receipt-altered" in told


def test_an_altered_page_is_refused_in_words_and_with_the_failing_step(
        tab: Tab, tmp_path: Path, sample: Sample) -> None:
    page = page_of(sample).replace(f'"venue_name": "{NAME}"', '"venue_name": "Another Zoo"')
    assert opened(tab, tmp_path, page) == "refused"
    told = tab.run("document.getElementById('result').textContent")
    assert all(text in told for text in ("Refused", "step 2", "Signatures of the venue", "evidence-altered"))
    outcomes = tab.run("[...document.querySelectorAll('#steps .outcome')].map((one) => one.textContent)")
    assert outcomes == ["passed", "failed", *["not checked"] * 7]


@pytest.mark.parametrize("text", ["", "{}", "null", "[" * 5_000, "\u2028"])
def test_what_is_not_evidence_is_refused_and_breaks_nothing(tab: Tab, tmp_path: Path, text: str) -> None:
    assert opened(tab, tmp_path, page_builder.render(text, "")) == "refused"
    assert "evidence-malformed" in tab.run("document.getElementById('result').textContent")
    assert tab.faults() == []


def test_texts_stay_texts_whatever_a_venue_writes(tab: Tab, tmp_path: Path) -> None:
    odd = odd_sample()
    asserted = {text: [text, {text: text}] for text in ODD}
    assert opened(tab, tmp_path, page_of(odd, **asserted)) == "self-consistent"
    for language in ("zh-Hans", "en"):
        tab.run(f"document.querySelector('[data-language={language}]').click()")
    tab.run("for (const one of document.querySelectorAll('details')) one.open = true")
    assert tab.run("window.broken") is None
    assert tab.faults() == []
    foreign = ("document.querySelectorAll('main script, main img, main b, main iframe, main a, main [onerror], "
               "main [onload], main style').length + document.scripts.length")
    assert tab.run(foreign) == 3
    shown = tab.run("document.getElementById('story').textContent")
    assert all(text in shown for text in ODD)
    planted = "<img src=x onerror='window.broken = 2'>"
    tab.run(f'document.querySelector("main").insertAdjacentHTML("beforeend", "{planted}")')
    assert tab.run(foreign) == 4
    assert tab.run("new Promise((go) => setTimeout(() => go(window.broken), 200))") is None


def test_the_facts_that_a_browser_recovers_are_exactly_those(tab: Tab, tmp_path: Path) -> None:
    odd = odd_sample()
    files = evidence.open_zip(odd.zip(odd.content(**{text: text for text in ODD})))
    opened(tab, tmp_path, files.page)
    recovered = tab.run(r"document.getElementById('evidence').textContent.replace(/\\(?:u003c|.)/g, "
                        r"(found) => (found === '\\u003c' ? '<' : found))")
    assert recovered == files.facts
    assert tab.run("document.getElementById('signature').textContent") == files.signature


def test_the_story_shows_the_text_that_was_shown_and_whose_act_it_was(
        tab: Tab, tmp_path: Path, sample: Sample) -> None:
    opened(tab, tmp_path, page_of(sample))
    shown = tab.run("[...document.querySelectorAll('#story > ol > li > blockquote')]"
                    ".map((one) => [one.lang, one.textContent])")
    assert shown == [["zh-Hans", sample.notices[0].texts["zh-Hans"]], ["en", sample.notices[1].texts["en"]]]
    told = tab.run("document.getElementById('story').innerText")
    assert told.count("asserted by the venue") == 2
    for text in ("desk 2", "District court, case 2026-114", "The gate was slow", "Face erased", "aquarium"):
        assert text in told
    times = tab.run("[...document.querySelectorAll('#story > ol > li > time')].map((one) => one.dateTime)")
    assert len(times) > 8
    assert all(one <= other for one, other in pairwise(times))
    uses = [event for event in told_of_person() if event[1] == "decision"]
    counts = tab.run("Object.fromEntries([...document.querySelectorAll('#story .counts dt')]"
                     ".map((one) => [one.textContent, one.nextSibling.textContent]))")
    assert counts["Uses of the face"] == str(len(uses))
    assert counts["Disclosures to others"] == counts["Complaints"] == "1"
    assert tab.run("document.querySelectorAll('#story svg rect').length") == 6  # January to June
    assert tab.run("document.querySelectorAll('#rules tbody tr').length") == sum(
        kind == "epoch" for _, kind, _ in told_of_nobody())


def test_no_word_of_a_body_stands_for_the_time_that_was_signed(tab: Tab, tmp_path: Path) -> None:
    said = {"purpose": PURPOSE, "at": START - 20 * 365 * 86_400, "place": "Number 1 of somebody else"}
    person: list[Any] = [(START + 60 * number, "decision", said) for number in range(6)]
    assert opened(tab, tmp_path, page_of(Sample(person, [], ()))) == "self-consistent"
    head = tab.run("[...document.querySelectorAll('#story th')].map((one) => one.textContent)")
    assert (head[0], head[-1]) == ("When", "Where it stands")
    assert set(head[1:-1]) == {"Purpose", "at", "place"}
    rows = tab.run("[...document.querySelectorAll('#story tbody tr')].map((row) => "
                   "[row.firstChild.textContent, row.lastChild.textContent])")
    assert [when for when, _ in rows] == [f"2026-01-05 08:{number:02}:00" for number in range(6)]
    assert all("in the person's chain" in place for _, place in rows)


def test_months_that_are_too_many_are_left_out_at_the_old_end_and_that_is_said(tab: Tab, tmp_path: Path) -> None:
    person: list[Any] = [(at, "decision", {"gate": str(at)}) for at in (0, 1, START, START + 1, START + 2)]
    assert opened(tab, tmp_path, page_of(Sample(person, [], ()))) == "self-consistent"
    told = tab.run("document.querySelector('#story svg').getAttribute('aria-label')")
    assert "2006-02: 0" in told
    assert "2006-01" not in told
    assert "2026-01: 3" in told
    assert tab.run("document.querySelectorAll('#story svg rect').length") == 240
    assert "2 older uses, before 2006-02, are not drawn" in tab.run("document.getElementById('story').innerText")


@pytest.mark.parametrize(("asked", "english", "chinese"), [(True, "yes", "是"), (False, "no", "否")])
def test_a_restored_log_says_whether_anybody_is_asked_again(
        tab: Tab, tmp_path: Path, asked: bool, english: str, chinese: str) -> None:
    page = page_of(Sample(None, [(START, "restored", {"asked_again": asked})], ()))
    opened(tab, tmp_path, page)
    for language, title, label, answer in (
            ("en", "Records put back from a copy", "Everybody asked again for consent", english),
            ("zh-Hans", "从副本恢复记录", "是否重新征得所有人同意", chinese)):
        tab.run(f"document.querySelector('[data-language={language}]').click()")
        assert tab.run("document.querySelector('#rules ol.story h4').textContent") == title
        assert tab.run("document.querySelector('#rules ol.story dl').innerText").split("\n") == [label, answer]


def test_a_restore_in_the_time_of_a_person_is_said_beside_the_story(
        tab: Tab, tmp_path: Path, sample: Sample) -> None:
    shown = "document.querySelector('#story .restored')?.innerText ?? ''"
    opened(tab, tmp_path, page_of(sample))
    assert tab.run(shown) == ""
    opened(tab, tmp_path, page_of(Sample(None, [(START + 60, "restored", {"asked_again": True})], ())))
    assert tab.run(shown).startswith("Records were put back at this time: 2026-01-05 08:01:00.")
    tab.run("document.querySelector('[data-language=zh-Hans]').click()")
    assert "2026-01-05 08:01:00" in tab.run(shown)
    assert "回执可以证明" in tab.run(shown)


def test_the_word_of_the_venue_has_words_of_the_reader(tab: Tab, tmp_path: Path, sample: Sample) -> None:
    opened(tab, tmp_path, page_of(sample, "venue"))
    heads = "[...document.querySelectorAll('#asserted h3, #asserted th, #asserted dt')].map((one) => one.innerText)"
    english = tab.run(heads)
    assert english[:5] == ["How both lanes fared", "Month", "Lane", "Outcome", "How many"]
    told = tab.run("document.getElementById('asserted').innerText")
    for text in ("with faces", "China", "face on your pass", "face kept by the venue", "for demonstrations only"):
        assert text in told
    tab.run("document.querySelector('[data-language=zh-Hans]').click()")
    chinese = tab.run(heads)
    assert len(chinese) == len(english) > 20
    assert all(re.search("[\u4e00-\u9fff]", head) for head in chinese)
    assert "中国" in tab.run("document.getElementById('asserted').innerText")


def test_a_field_with_nothing_in_it_is_left_out(tab: Tab, tmp_path: Path) -> None:
    used = {"purpose": PURPOSE, "outcome": "admit", "people": 1}
    for gate, labels in (("", ["Purpose", "Outcome", "People admitted"]),
                         ("north", ["Purpose", "Outcome", "People admitted", "Gate"])):
        opened(tab, tmp_path, page_of(Sample([(START, "decision", {**used, "gate": gate})], [], ())))
        found = tab.run("[...document.querySelectorAll('#story ol.story dt')].map((one) => one.innerText)")
        assert sorted(found) == sorted(labels)
        opened(tab, tmp_path, page_of(Sample([(START, "decision", {**used, "gate": gate})] * 6, [], ())))
        found = tab.run("[...document.querySelectorAll('#story th')].map((one) => one.textContent)")
        assert sorted(found[1:-1]) == sorted(labels)


@pytest.mark.parametrize("kind", evidence.KINDS)
@pytest.mark.parametrize("width", [360, 400, 599, 1280])
def test_nothing_has_to_be_scrolled_sideways(tab: Tab, tmp_path: Path, sample: Sample, kind: str, width: int) -> None:
    tab.size(width, 900)
    try:
        opened(tab, tmp_path, page_of(sample, kind))
        tab.run("for (const one of document.querySelectorAll('details')) one.open = true")
        wide = ("[document.documentElement, ...document.querySelectorAll('.scroll')]"
                ".filter((one) => one.scrollWidth > one.clientWidth + 1).length")
        assert tab.run(wide) == 0
        block = tab.run("getComputedStyle(document.querySelector('#asserted tr:last-child')).display")
        assert block == ("block" if width < 600 else "table-row")
        tab.run("const wide = document.createElement('p'); wide.textContent = 'x'.repeat(400); "
                "wide.setAttribute('class', 'scroll'); document.querySelector('main').append(wide); "
                "wide.attributeStyleMap.set('overflow-wrap', 'normal'); wide.attributeStyleMap.set('overflow', 'auto')")
        assert tab.run(wide) == 1
    finally:
        tab.tell("Emulation.clearDeviceMetricsOverride")


def test_it_says_what_it_cannot_check(tab: Tab, tmp_path: Path, sample: Sample) -> None:
    opened(tab, tmp_path, page_of(sample))
    for language in ("zh-Hans", "en"):
        tab.run(f"document.querySelector('[data-language={language}]').click()")
        told = tab.run("document.querySelector('[data-word=not_here]').innerText")
        assert all(word in told for word in ("ZIP", "manifest.sig", "countenance verify"))


def test_it_can_be_used_without_eyes_or_a_mouse(tab: Tab, tmp_path: Path, sample: Sample) -> None:
    opened(tab, tmp_path, page_of(sample))
    named = tab.tell("Accessibility.getFullAXTree")["nodes"]
    roles = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in named if not node["ignored"]]
    for role in ("main", "banner", "contentinfo", "status", "heading", "list"):
        assert any(found == role for found, _ in roles), role
    assert not [role for role, name in roles if role in ("button", "region", "image", "Iframe") and not name]
    inputs = tab.run("[...document.querySelectorAll('input')].map((one) => one.labels[0].textContent)")
    assert len(inputs) == 2
    assert all(inputs)
    assert tab.run("document.getElementById('result').getAttribute('aria-live')") == "polite"
    levels = tab.run("[...document.querySelectorAll('h1, h2, h3, h4')].map((one) => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1


def test_the_language_can_be_switched_and_is_declared(tab: Tab, tmp_path: Path, sample: Sample) -> None:
    opened(tab, tmp_path, page_of(sample))
    seen = {}
    for language in ("zh-Hans", "en"):
        tab.run(f"document.querySelector('[data-language={language}]').click()")
        assert tab.run("document.documentElement.lang") == language
        seen[language] = tab.run("document.querySelector('#result .verdict').textContent")
    assert "未经核验" in seen["zh-Hans"]
    assert "not verified" in seen["en"]
