"""D_sys: known answers first, then leaks that must be found, then what is really stored."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from countenance.cli.main import app
from countenance.clock import SetClock, SystemClock
from countenance.errors import BadInput, Refused
from countenance.evaluation import dsys, linkage, made_up, plots
from countenance.evaluation import unlinkability as evaluation
from countenance.evaluation.dataset import Photograph, listed
from countenance.evaluation.linkage import Scored
from countenance.evaluation.made_up import Traces
from countenance.evaluation.unlinkability import DISCLOSED, SECRET, Report, Row
from countenance.formats.passes import Custody
from countenance.permits import Door, Kind, Permit, PermitBook, Scope, person_scope
from countenance.quantities import PersonId, PurposeId, VenueId
from countenance.storage import schema
from countenance.vision import packs, synthetic
from countenance.vision.synthetic import Crowd
from support.venue import START, StubPack, vector_of

PEOPLE = 60
LESS_THAN_CHANCE = 1e-4


def random(seed: int = 5) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- The estimator


def closed_form(shift: float) -> float:
    """D_sys of two normal distributions of spread 1, by numerical integration of the paper's formula."""
    s = np.linspace(-12, 12 + shift, 200_001)
    density = np.exp(-((s - shift) ** 2) / 2) / np.sqrt(2 * np.pi)
    ratio = np.exp(shift * s - shift**2 / 2)
    return float(np.trapezoid(density * np.maximum(0, 2 * ratio / (1 + ratio) - 1), s))


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0, 4.0, -1.0])
def test_two_normal_distributions_have_the_answer_of_the_integral(shift: float) -> None:
    found = dsys.measure(random().normal(shift, 1, 20_000), random(6).normal(0, 1, 100_000), random())
    assert found.d_sys == pytest.approx(closed_form(abs(shift)), abs=0.012)
    assert found.p < LESS_THAN_CHANCE


def test_the_integral_itself_is_right_at_both_ends() -> None:
    assert closed_form(0.0) == 0
    assert closed_form(12.0) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("numbers", [(50, 50), (60, 1_200), (1_000, 20_000), (1_200, 50)])
@pytest.mark.parametrize("sign", [1, -1])
def test_scores_that_do_not_overlap_give_one(numbers: tuple[int, int], sign: int) -> None:
    mated, nonmated = (random(n).uniform(0, 1, n) + 2 * at for at, n in enumerate(numbers))
    found = dsys.measure(sign * mated, sign * nonmated, random())
    assert found.d_sys == 1
    assert found.p < LESS_THAN_CHANCE


def test_one_distribution_gives_what_chance_gives() -> None:
    measured = [dsys.measure(random(n).normal(size=500), random(1_000 + n).normal(size=5_000), random(n))
                for n in range(60)]
    by_hand = np.array([one.d_sys for one in measured])  # 60 samples of nothing, none of them dealt out by the module
    assert np.mean([one.chance for one in measured]) == pytest.approx(by_hand.mean(), rel=0.1)
    assert 0 <= sum(one.d_sys > one.chance_95 for one in measured) <= 9  # 3 expected
    assert 15 <= sum(one.p <= 0.5 for one in measured) <= 45
    assert min(one.p for one in measured) > LESS_THAN_CHANCE


def test_the_bias_shrinks_with_the_sample() -> None:
    chances = [dsys.measure(random(1).normal(size=n), random(2).normal(size=20 * n), random()).chance
               for n in (1_000, 4_000, 16_000)]
    assert chances[0] > 1.8 * chances[1] > 3 * chances[2]  # about as one over the root


def test_equal_samples_and_constant_scores_give_nothing() -> None:
    same = random().integers(0, 9, 500).astype(float)
    for mated, nonmated in ((same, same), (np.ones(60), np.ones(900))):
        found = dsys.measure(mated, nonmated, random())
        assert (found.d_sys, found.chance, found.p) == (0, pytest.approx(found.chance), 1)


def test_a_trait_that_one_in_two_share_is_a_third() -> None:
    found = dsys.measure(np.ones(1_000), np.tile([0.0, 1.0], 5_000), random())
    assert found.d_sys == pytest.approx(1 / 3)  # LR = 2: 2 * 2 / 3 - 1, for every mated pair
    assert found.local.tolist() == pytest.approx([0, 1 / 3])


@pytest.mark.parametrize("share", [0.02, 0.3])
def test_a_leak_of_some_people_weighs_what_they_are(share: float) -> None:
    told = np.zeros(2_000)
    told[: int(2_000 * share)] = 1
    found = dsys.measure(told, np.zeros(40_000), random())
    assert found.d_sys == pytest.approx(share)
    assert found.p < LESS_THAN_CHANCE


@pytest.mark.parametrize(("mated", "nonmated", "code"), [
    (49, 900, "scores-few"), (900, 49, "scores-few"), (0, 0, "scores-few")])
def test_too_few_scores_are_refused(mated: int, nonmated: int, code: str) -> None:
    with pytest.raises(BadInput) as refused:
        dsys.measure(np.zeros(mated), np.zeros(nonmated), random())
    assert refused.value.code == code


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(wrong: float) -> None:
    for scores in ((np.array([wrong] * 60), np.zeros(60)), (np.zeros(60), np.array([wrong] * 60))):
        with pytest.raises(BadInput) as refused:
            dsys.measure(*scores, random())
        assert refused.value.code == "scores-not-finite"


SAMPLES = st.lists(st.integers(-20, 20), min_size=50, max_size=120)


@given(mated=SAMPLES, nonmated=SAMPLES, steps=st.lists(st.integers(1, 1_000), min_size=41, max_size=41))
@settings(max_examples=40, deadline=None)
def test_it_lies_between_0_and_1_and_knows_no_scale_and_no_order(
        mated: list[int], nonmated: list[int], steps: list[int]) -> None:
    found = dsys.measure(np.array(mated, float), np.array(nonmated, float), random())
    assert 0 <= found.d_sys <= 1
    assert 0 <= found.chance <= 1
    assert 0 < found.p <= 1
    assert ((found.local >= 0) & (found.local <= 1)).all()
    assert len(found.edges) == len(found.local) + 1
    assert (np.diff(found.edges) > 0).all() or len(set(mated + nonmated)) == 1
    stretched = np.cumsum(steps)  # strictly increasing: another scale for the same order
    again = dsys.measure(stretched[np.array(mated)[::-1] + 20].astype(float),
                         stretched[np.array(nonmated)[::-1] + 20].astype(float), random())
    assert again.d_sys == pytest.approx(found.d_sys)
    assert again.local.tolist() == pytest.approx(found.local.tolist())


# --- Linkage functions: what is planted must be found


def ciphertexts(number: int = 300, length: int = 156, seed: int = 1) -> list[bytes]:
    made = random(seed)
    return [made.bytes(length) for _ in range(number)]


def in_the_clear(sealed: list[bytes], seed: int) -> list[bytes]:
    """The codes of the same made-up people, with other noise each time, where ciphertext should be."""
    people = random(99).normal(0, 20, (len(sealed), len(sealed[0])))
    noise = random(seed).normal(0, 10, people.shape)
    return [row.tobytes() for row in np.clip(people + noise, -127, 127).astype(np.int8)]


def one_key_stream(sealed: list[bytes], seed: int) -> list[bytes]:
    """The same under one key and one nonce for everybody: XOR with one stream."""
    stream = np.frombuffer(random(7).bytes(len(sealed[0])), np.uint8)
    return [(np.frombuffer(row, np.uint8) ^ stream).tobytes() for row in in_the_clear(sealed, seed)]


def a_nonce_of_ones_own(sealed: list[bytes], seed: int) -> list[bytes]:
    del seed
    return [hashlib.sha256(b"%d" % number).digest()[:12] + one[12:] for number, one in enumerate(sealed)]


def the_same_ciphertext(sealed: list[bytes], seed: int) -> list[bytes]:
    del seed
    return [hashlib.shake_128(b"%d" % number).digest(len(one)) for number, one in enumerate(sealed)]


def a_length_of_ones_own(sealed: list[bytes], seed: int) -> list[bytes]:
    del seed
    return [one + bytes(number % 7) for number, one in enumerate(sealed)]


LEAKS = {in_the_clear: {"bits", "bytes", "correlation"}, one_key_stream: {"bits", "bytes"},
         a_nonce_of_ones_own: {"bits", "bytes"}, the_same_ciphertext: {"bits", "bytes", "correlation"},
         a_length_of_ones_own: {"length"}}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_in_ciphertexts_is_found(leak: Any) -> None:
    first, second = leak(ciphertexts(seed=1), 11), leak(ciphertexts(seed=2), 12)
    for way, scored in linkage.ciphertexts(first, second, random()).items():
        found = dsys.measure(scored.mated, scored.nonmated, random())
        if way in LEAKS[leak]:
            assert found.p < LESS_THAN_CHANCE, way
            assert found.d_sys > 2 * found.chance_95, way


def test_random_ciphertexts_tell_nothing() -> None:
    for way, scored in linkage.ciphertexts(ciphertexts(seed=1), ciphertexts(seed=2), random()).items():
        assert dsys.measure(scored.mated, scored.nonmated, random()).p > LESS_THAN_CHANCE, way


def test_pairs_are_of_one_person_or_of_two() -> None:
    alike = [bytes([number]) * 20 for number in range(60)]
    scored = linkage.ciphertexts(alike, alike, random())["bytes"]
    assert scored.mated.tolist() == [20] * 60
    assert scored.nonmated.tolist() == [0] * 60 * linkage.OTHERS


def rows(seed: int, number: int = 200) -> list[dict[str, bytes]]:
    made = random(seed)
    return [{"a.id": made.bytes(16), "a.hash": made.bytes(16), "a.kind": b"face",
             "a.language": [b"en", b"zh"][int(made.integers(2))]} for _ in range(number)]


def own(number: int) -> bytes:
    return hashlib.sha256(b"person %d" % number).digest()[:16]


IDENTIFIERS: dict[str, Any] = {
    "the same id": (lambda row, n: row | {"a.id": own(n)}, lambda row, n: row | {"a.id": own(n)}, ("a.id",)),
    "an id, and its hash elsewhere": (
        lambda row, n: row | {"a.id": own(n)},
        lambda row, n: row | {"a.hash": hashlib.sha256(own(n)).digest()}, ("a.id = a.hash",)),
    "a hash cut short": (
        lambda row, n: row | {"a.id": own(n)},
        lambda row, n: row | {"a.hash": hashlib.sha256(own(n)).digest()[:16]}, ("a.id = a.hash",)),
    "a new column": (lambda row, n: row | {"a.new": own(n)}, lambda row, n: row | {"a.new": own(n)}, ("a.new",)),
}


@pytest.mark.parametrize("plant", IDENTIFIERS)
def test_a_planted_identifier_is_found_and_named(plant: str) -> None:
    ours, theirs, named = IDENTIFIERS[plant]
    first = [ours(row, n) for n, row in enumerate(rows(1))]
    second = [theirs(row, n) for n, row in enumerate(rows(2))]
    scored = linkage.identifiers(first, second, random())
    assert dsys.measure(scored.mated, scored.nonmated, random()).d_sys == 1
    assert scored.by == named


def test_values_of_ones_own_tell_nothing() -> None:
    for way in (linkage.identifiers, linkage.traits):
        scored = way(rows(1), rows(2), random())
        assert dsys.measure(scored.mated, scored.nonmated, random()).p > LESS_THAN_CHANCE
    assert not linkage.identifiers(rows(1), rows(2), random()).mated.any()


def test_a_trait_is_no_identifier_and_is_found() -> None:
    first, second = rows(1), rows(2)
    for ours, theirs in zip(first, second, strict=True):
        theirs["a.language"] = ours["a.language"]
    scored = linkage.traits(first, second, random())
    assert dsys.measure(scored.mated, scored.nonmated, random()).d_sys == pytest.approx(1 / 3, abs=0.06)
    assert scored.by == ("a.language",)
    assert not linkage.identifiers(first, second, random()).mated.any()


def test_templates_are_compared_by_block_as_at_once() -> None:
    first, second = (random(seed).normal(size=(620, 8)).astype(np.float32) for seed in (1, 2))
    scored = linkage.templates(first, second, _distances)
    assert scored.mated == pytest.approx(np.sqrt(((first - second) ** 2).sum(axis=1)), abs=1e-5)
    assert len(scored.nonmated) == 500 * 499 + 120 * 119
    between = _distances(np.concatenate([first, second]))[:620, 620:]
    assert scored.nonmated[:499] == pytest.approx(between[0, 1:500])


def _distances(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.sqrt(((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)), np.float32)


# --- What is really stored


@pytest.fixture(scope="module")
def visited() -> dict[str, tuple[Traces, Traces]]:
    """Real traces; what is random in them is the same in every run, as chance makes one in hundreds look linkable."""
    source = random(20210409)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "urandom", source.bytes)
        patch.setattr(secrets, "token_bytes", lambda number=32: source.bytes(number))
        patch.setattr(made_up, "SystemClock", lambda: SetClock(START))
        return made_up.visits(PEOPLE, 1, lambda _steps: None)


@pytest.fixture(scope="module")
def report(visited: dict[str, tuple[Traces, Traces]]) -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_up, "visits", lambda *_arguments: visited)
        return evaluation.run(PEOPLE, None, lambda _done, _all: None)


def test_these_very_traces_are_far_from_the_edge(report: Report) -> None:
    assert min(row.measured.p for row in report.rows if row.way in linkage.CIPHERTEXT_WAYS) > 0.001


def of(report: Report, **wanted: str) -> list[Row]:
    found = [row for row in report.rows if all(getattr(row, name) == value for name, value in wanted.items())]
    assert found, wanted
    return found


def test_ciphertexts_without_keys_do_not_link(report: Report) -> None:
    ciphers = [row for row in report.rows if row.way in linkage.CIPHERTEXT_WAYS]
    assert len(ciphers) == 3 * 4 * 4  # three stories; four kinds of ciphertext; four ways
    assert [row for row in ciphers if report.links(row)] == []
    assert not report.ciphertexts_link()


def test_opened_templates_link(report: Report) -> None:
    opened = of(report, keys=DISCLOSED)
    assert {(row.between, row.custody) for row in opened} == {
        (between, custody.value) for between in ("venues", "renewal", "erasure") for custody in made_up.PURPOSES}
    assert all(report.links(row) and row.measured.d_sys > 0.8 for row in opened)


@pytest.mark.parametrize("between", ["venues", "erasure"])
def test_nothing_at_two_venues_or_after_an_erasure_names_the_same_person(report: Report, between: str) -> None:
    for row in of(report, what="identifiers at the venue", between=between):
        assert not row.scored.mated.any(), row.scored.by


def test_within_one_venue_a_record_that_stays_names_the_person(report: Report) -> None:
    """Said in the page: whoever has two copies of one store sees by the record who enrolled anew."""
    for row in of(report, what="identifiers at the venue", between="renewal"):
        assert row.measured.d_sys == 1
        assert "person.person_id" in row.scored.by
        assert not [name for name in row.scored.by if name.startswith(("template.sealed", "issued_pass.face_id_hash"))]


def test_a_language_in_the_clear_is_seen(report: Report) -> None:
    for row in of(report, what="traits at the venue"):
        assert row.scored.by == ("consent.language",)


def test_every_column_about_a_person_was_looked_at(visited: dict[str, tuple[Traces, Traces]]) -> None:
    for custody, traces in visited["venues"][0].items():
        for trace in traces[:3]:
            columns = {f"{table.name}.{column.name}" for column in _texts_and_bytes()
                       for table in [column.table]}
            absent = {"person.guardian", "person.household", "template.sealed"}
            absent |= {"template.face_key"} if custody is not Custody.VENUE_KEYED else {"issued_pass.pass_key"}
            assert {name for name in trace.stored if " of " not in name} == columns - absent
            for key in ("person.record_key", *({"template.face_key", "issued_pass.pass_key"} - absent)):
                assert {f"wrapped_key.{name} of {key}" for name in ("key_id", "kind", "binding", "wrapped")} <= set(
                    trace.stored)


def _texts_and_bytes() -> list[Any]:
    tables = (schema.person, schema.consent, schema.template, schema.issued_pass)
    return [column for table in tables for column in table.columns
            if column.type.python_type in (str, bytes)]


def test_ciphertexts_are_where_the_custody_says(visited: dict[str, tuple[Traces, Traces]]) -> None:
    where = {custody: set(traces[0].sealed) for custody, traces in visited["venues"][0].items()}
    assert where == {Custody.CARRIED: {"in the pass"}, Custody.HOLDER_KEYED: {"at the venue", "in the pass"},
                     Custody.VENUE_KEYED: {"at the venue"}}
    for custody in (Custody.HOLDER_KEYED, Custody.VENUE_KEYED):
        assert {len(one.sealed["at the venue"]) for one in visited["venues"][0][custody]} == {12 + 128 + 16}


def test_everybody_is_captured_anew_each_time(visited: dict[str, tuple[Traces, Traces]]) -> None:
    for first, second in visited.values():
        for custody in made_up.PURPOSES:
            assert not any((a.codes == b.codes).all() for a, b in zip(first[custody], second[custody], strict=True))


def test_numbers_that_are_not_random_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way: one key and one nonce for everybody, as from a broken source of random numbers."""
    monkeypatch.setattr(os, "urandom", lambda number: b"\x07" * number)
    visited = made_up.visits(PEOPLE, 1, lambda _steps: None)
    for first, second in visited.values():
        ours, theirs = ([one.sealed["at the venue"] for one in traces[Custody.VENUE_KEYED]]
                        for traces in (first, second))
        scored = linkage.ciphertexts(ours, theirs, random())["bits"]
        found = dsys.measure(scored.mated, scored.nonmated, random())
        assert found.p < LESS_THAN_CHANCE
        assert found.d_sys > 2 * found.chance_95


def test_no_venue_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(made_up, "_in_memory", lambda: None)
    seen = []

    def stop(steps: int) -> None:
        seen.extend(tmp_path.glob("countenance-*/*/countenance.db"))
        raise KeyboardInterrupt(steps)

    with pytest.raises(KeyboardInterrupt):
        made_up.visits(50, 1, stop)
    assert len(seen) == 2
    assert list(tmp_path.iterdir()) == []


def test_progress_ends_at_all(visited: dict[str, tuple[Traces, Traces]], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []

    def quick(number: int, _seed: int, did: Any) -> Any:
        did(number * made_up.STEPS)
        return visited

    monkeypatch.setattr(made_up, "visits", quick)
    for name in ("SHUFFLES", "MORE_SHUFFLES"):
        monkeypatch.setattr(dsys, name, 5)
    evaluation.run(PEOPLE, None, lambda done, total: told.append((done, total)))
    assert told[-1] == (PEOPLE * 36, PEOPLE * 36)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


# --- Made-up people who come again


@pytest.mark.promise(1)
def test_a_capture_of_a_made_up_person_needs_a_permit() -> None:
    pack = packs.load()
    crowd = Crowd(synthetic.load(pack.identity), pack.manifest.step, 1, 2)
    book = PermitBook(SystemClock())
    scope = person_scope(Kind.ENROL, VenueId("v"), PurposeId("p"), PersonId("x"))
    permit = book.appoint()(scope)
    with pytest.raises(Refused, match="not made by"):
        crowd.embed(0, book, Permit(permit.number, scope), scope)
    crowd.embed(0, book, permit, scope)
    with pytest.raises(Refused, match="used here before"):
        crowd.embed(1, book, permit, scope)
    book.spend(permit, Door.SEAL, scope)


def test_two_captures_of_a_made_up_person_lie_as_far_apart_as_two_photographs() -> None:
    pack, number = packs.load(), 1_000
    crowd = Crowd(synthetic.load(pack.identity), pack.manifest.step, 1, number)
    book = PermitBook(SystemClock())
    issue = book.appoint()
    scope = person_scope(Kind.ENROL, VenueId("v"), PurposeId("p"), PersonId("x"))
    first, second = (np.stack([crowd.embed(n, book, issue(scope), scope).codes.astype(float) * pack.manifest.step
                               for n in range(number)]) for _ in range(2))
    apart = np.sqrt(((first - second) ** 2).sum(axis=1))
    # Shares of mated pairs of photographs that lie farther apart: LIMITS.md, raw distance, FNMR.
    for distance, share, slack in ((0.35, 0.86, 0.09), (0.48, 0.155, 0.06), (0.55, 0.019, 0.03), (0.60, 0.003, 0.02)):
        assert (apart > distance).mean() == pytest.approx(share, abs=slack), distance
    strangers = np.sqrt(((first - np.roll(second, 7, axis=0)) ** 2).sum(axis=1))
    assert np.median(strangers) == pytest.approx(0.813, abs=0.03)  # as test_nobody has it


# --- Photographs


class DatasetPack(StubPack):
    def embed_dataset(self, book: PermitBook, permit: Permit, scope: Scope,
                      chips: NDArray[np.uint8]) -> NDArray[np.float32]:
        book.spend(permit, Door.EMBED, scope)
        assert scope.kind is Kind.DATASET
        return np.stack([vector_of(int(chip[0, 0, 0]), int(chip[0, 0, 1])) for chip in chips])


def photograph(folder: Path, person: int, shade: int) -> None:
    pixels = np.zeros((260, 260, 3), np.uint8)
    pixels[:, :] = (7, shade, person)
    (folder / f"p{person:03d}").mkdir(exist_ok=True)
    (folder / f"p{person:03d}" / f"{shade}.png").write_bytes(bytes(cv2.imencode(".png", pixels)[1]))


def test_photographed_people_link_when_their_templates_are_opened(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for person in range(60):
        for shade in (1, 2, 3)[: 1 if person == 59 else 3]:
            photograph(tmp_path, person, shade)
    (tmp_path / "p001" / "1.png").write_bytes(b"no picture")
    monkeypatch.setattr(evaluation, "FacePack", type("Opened", (), {"open": staticmethod(DatasetPack)}))
    done: list[int] = []
    scored = evaluation.photographs(evaluation.two_each(listed(tmp_path)), done.append)
    assert len(scored.mated) == 58  # 59 have one photograph only, and 1 has one that cannot be used
    assert sum(done) == 2 * 59
    assert len(scored.nonmated) == 58 * 57
    assert dsys.measure(scored.mated, scored.nonmated, random()).d_sys == 1  # the stub's people lie far apart


def test_two_photographs_of_each_and_nobody_twice() -> None:
    many = [Photograph(f"p{n}", Path(f"{k}.jpg")) for n in range(60) for k in range(n % 4)]
    with pytest.raises(BadInput) as refused:
        evaluation.two_each(many)
    assert refused.value.code == "dataset-few"
    more = many + [Photograph(f"q{n}", Path(f"{k}.jpg")) for n in range(50) for k in range(5)]
    chosen = evaluation.two_each(more)
    assert len(chosen) == 2 * (30 + 50)
    assert len(set(chosen)) == len(chosen)


# --- The command and the figure


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["evaluate", "--unlinkability", *arguments])


@pytest.fixture
def measured(report: Report, monkeypatch: pytest.MonkeyPatch) -> Report:
    monkeypatch.setattr(evaluation, "run", lambda *_arguments: report)
    return report


def test_the_table_says_both_and_fits(measured: Report) -> None:
    result = run()
    assert result.exit_code == 0, result.exception
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert "Keys secret" in result.stdout
    assert "Keys disclosed" in result.stdout
    assert "cannot be made harmless" in " ".join(result.stdout.split())
    assert "by construction" in " ".join(result.stdout.split())
    assert "consent.language" in result.stdout


def test_the_json(measured: Report) -> None:
    value = json.loads(run("--json").stdout)
    assert set(value) == {"omega", "people", "photographed", "ciphertexts_link", "rows", "says"}
    assert (value["omega"], value["people"], value["ciphertexts_link"]) == (1, PEOPLE, False)
    assert {row["keys"] for row in value["rows"]} == {SECRET, DISCLOSED}
    assert all(set(row) == {"keys", "between", "custody", "what", "way", "d_sys", "chance", "chance_95", "p", "links",
                            "by", "mated", "nonmated"} for row in value["rows"])


def test_ciphertexts_that_link_end_the_command_with_1(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = of(report, between="venues", custody="carried", what="in the pass", way="bits")
    leaking = replace(row, measured=dsys.measure(np.ones(60), np.zeros(900), random()))
    monkeypatch.setattr(evaluation, "run", lambda *_arguments: replace(
        report, rows=tuple(leaking if one is row else one for one in report.rows)))
    result = run()
    assert result.exit_code == 1
    assert "WITHOUT keys" in result.stdout
    assert "by construction" not in result.stdout


def test_a_plot_is_a_small_svg_of_distributions(measured: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert run("--plot", str(tmp_path / "linked.svg")).exit_code == 0
    text = (tmp_path / "linked.svg").read_text(encoding="utf-8")
    assert text.startswith("<?xml") and text.rstrip().endswith("</svg>")
    for said in ("Keys secret, two venues", "Keys disclosed, renewed", "D(s)", "one person", "two people"):
        assert said in text
    assert len(text) < 150_000


def test_the_same_figures_draw_the_same_plot(report: Report) -> None:
    pytest.importorskip("matplotlib")
    assert plots.drawn(evaluation.panels(report), 2) == plots.drawn(evaluation.panels(report), 2)


def test_photographs_are_drawn_too(report: Report) -> None:
    pytest.importorskip("matplotlib")
    scored = Scored(random(1).normal(0.4, 0.1, 60), random(2).normal(0.8, 0.1, 900))
    row = Row(DISCLOSED, "venues", "", "photographs", "distance", scored,
              dsys.measure(scored.mated, scored.nonmated, random()))
    more = replace(report, photographed=60, rows=(*report.rows, row))
    assert "photographs of 60 people" in plots.drawn(evaluation.panels(more), 2)


def test_without_matplotlib_it_says_so_before_it_measures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setattr(evaluation, "run", lambda *_arguments: pytest.fail("measured first"))
    result = run("--plot", str(tmp_path / "linked.svg"))
    assert isinstance(result.exception, BadInput)
    assert result.exception.code == "plots-missing"
    assert "countenance[plots]" in result.exception.sentence
    assert list(tmp_path.iterdir()) == []


def test_a_plot_replaces_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "mine.svg").write_text("mine")
    monkeypatch.setattr(evaluation, "run", lambda *_arguments: pytest.fail("measured first"))
    result = run("--plot", str(tmp_path / "mine.svg"))
    assert isinstance(result.exception, BadInput)
    assert result.exception.code == "file-exists"
    assert (tmp_path / "mine.svg").read_text() == "mine"


def test_it_asks_what_to_evaluate() -> None:
    result = CliRunner().invoke(app, ["evaluate"])
    assert isinstance(result.exception, BadInput)
    assert result.exception.code == "evaluate-what"


@pytest.mark.parametrize("people", [0, 49])
def test_too_few_people_are_refused(people: int) -> None:
    assert run("--people", str(people)).exit_code == 2
    with pytest.raises(BadInput) as refused:
        evaluation.run(people, None, lambda _done, _all: None)
    assert refused.value.code == "scores-few"
