"""No log line carries what a request said, wherever it stood; no metric has a label for a person."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, Request

from countenance.clock import SetClock
from countenance.quantities import Instant
from countenance.server import codes, metrics, problems
from countenance.server.limits_middleware import Limits
from countenance.server.logs import KEYS, Log, RequestLog, take_over
from countenance.server.metrics import Metrics

PLANTED = "AnnExample1987"
OFF = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


@pytest.fixture
def kept() -> Iterator[None]:
    root, hook = logging.getLogger(), threading.excepthook
    before = root.handlers[:], root.level
    yield
    root.handlers[:], threading.excepthook = before[0], hook
    root.setLevel(before[1])


def run(path: str, **more: object) -> tuple[list[dict[str, object]], str]:
    clock, stream = SetClock(Instant(1_800_000_000)), io.StringIO()
    log = Log(clock, stream)
    take_over(log)
    app = FastAPI(telemetry=OFF)
    problems.install(app)

    @app.post("/v1/people/{person}")
    async def person(person: str, request: Request) -> str:
        request.state.role = "desk"
        logging.getLogger("sqlalchemy").error("about %s", person)
        log.say("looked", person=person, ms=1)
        log.say(f"looked at {person}!", route=f"{person} and others")
        return person

    @app.post("/v1/broken/{person}")
    async def broken(person: str) -> str:
        raise ValueError(f"no {person}")

    async def go() -> None:
        whole = RequestLog(Limits(app, {"zoo.example"}), log, clock)
        transport = httpx.ASGITransport(app=whole, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://zoo.example") as client:
            await client.post(path, **more)  # type: ignore[arg-type]  # of a table

    asyncio.run(go())
    text = stream.getvalue()
    return [json.loads(line) for line in text.splitlines()], text


@pytest.mark.parametrize("path", ["/v1/people/", "/v1/broken/", "/v1/nothing/", "/v1/people/../"])
@pytest.mark.usefixtures("kept")
def test_nothing_of_a_request_is_logged(path: str) -> None:
    lines, text = run(path + PLANTED, params={"name": PLANTED}, content=PLANTED,
                      headers={"authorization": PLANTED, "user-agent": PLANTED, "cookie": f"a={PLANTED}"})
    assert lines[-1]["event"] == "request" and lines[-1]["method"] == "POST" and lines[-1]["status"]
    assert PLANTED in text + PLANTED and PLANTED not in text
    assert all(set(line) <= KEYS for line in lines)


@pytest.mark.usefixtures("kept")
def test_a_request_is_told_by_the_template_of_its_route() -> None:
    lines, _ = run("/v1/people/" + PLANTED, headers={"x-request-id": "mine"})
    assert lines[-1] == {"at": "2027-01-15T08:00:00Z", "level": "info", "event": "request", "method": "POST",
                         "route": "/v1/people/{person}", "status": 200, "ms": 0.0, "request_id": "mine",
                         "role": "desk", "code": None}
    assert {"event": "library", "library": "sqlalchemy"}.items() <= lines[0].items()
    assert lines[1] == {"at": "2027-01-15T08:00:00Z", "level": "info", "event": "looked", "ms": 1}
    assert lines[2]["event"] == lines[2]["route"] == "?"


@pytest.mark.usefixtures("kept")
def test_an_exception_is_told_by_its_class() -> None:
    lines, text = run("/v1/broken/" + PLANTED)
    assert "ValueError" in {line.get("error") for line in lines} and PLANTED not in text
    assert "Traceback" not in text


@pytest.mark.usefixtures("kept")
def test_what_ends_a_thread_is_told_by_its_class(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    take_over(Log(SetClock(Instant(0)), stream))

    def fail() -> None:
        raise KeyError(PLANTED)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert "KeyError" in stream.getvalue() and PLANTED not in stream.getvalue()
    assert PLANTED not in capsys.readouterr().err


def test_metrics_count_what_was_seen() -> None:
    seen = Metrics()
    seen.observe({"detect": 20.0, "total": 90.0, PLANTED: 3.0})
    seen.decided("face", "admit", "match")
    seen.decided(PLANTED, PLANTED, PLANTED)
    seen.set("log_size", 7)
    seen.galleries({"a" * 32: 10_000})
    text = seen.render().decode()
    assert 'countenance_decision_seconds_bucket{le="0.025",stage="detect"} 1.0' in text
    assert 'countenance_decisions_total{lane="face",outcome="admit",reason="match"} 1.0' in text
    assert 'countenance_decisions_total{lane="other",outcome="other",reason="other"} 1.0' in text
    assert "countenance_log_size 7.0" in text and "countenance_build_info" in text
    assert PLANTED not in text
    seen.galleries({})
    assert "a" * 32 not in seen.render().decode()


def test_no_metric_has_a_label_for_a_person_a_key_or_a_pass() -> None:
    seen = Metrics()
    labels = {name for one in vars(seen).values() for name in getattr(one, "_labelnames", ())}
    assert labels == {"stage", "lane", "outcome", "reason", "purpose"}
    assert metrics.REASONS - codes.STATUS.keys() == {"match", "pass", "no-match"}  # all of them fixed words


def test_no_span_leaves_although_somebody_listens() -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="opentelemetry-sdk is not installed")
    export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    exporter, provider = export.InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

    def spans(app: FastAPI) -> int:
        @app.get("/one")
        async def one(name: str) -> str:
            return name

        async def go() -> None:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://zoo.example") as client:
                await client.get("/one", params={"name": PLANTED})

        exporter.clear()
        asyncio.run(go())
        return len(exporter.get_finished_spans())

    assert spans(FastAPI()) > 0  # it would
    assert spans(FastAPI(telemetry=OFF)) == 0
