"""Numbers for Prometheus. No label carries a person, a key, a pass or anything that a request said.

Labels come from fixed sets; every other word becomes "other". The registry is this server's own: what libraries
register for themselves is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from countenance import __version__
from countenance.server import codes

CONTENT_TYPE = CONTENT_TYPE_LATEST
STAGES = ("decode", "detect", "align", "embed", "search", "decision", "total")
LANES = frozenset({"face", "plain"})
OUTCOMES = frozenset({"admit", "refer", "turn-away"})
REASONS = frozenset({"match", "pass", "no-match"}) | codes.STATUS.keys()
"""What a decision may give: its own words, and the codes of errors, all of which are fixed."""

GAUGES = {
    "sweep_age_seconds": "Seconds since the last sweep ended.",
    "log_size": "Entries of the transparency log.",
    "log_unsigned": "Entries that no checkpoint covers yet.",
    "sessions": "Sessions that have not ended.",
    "deliveries_pending": "Events that wait for their recipient.",
    "deliveries_dead": "Events that no recipient took.",
}
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_MS = 1000.0
_MOST_PURPOSES = 64


class Metrics:
    """The numbers of one server; safe for threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._latency = Histogram("countenance_decision_seconds", "Time of a decision by stage.", ["stage"],
                                  buckets=_SECONDS, registry=self.registry)
        self._decisions = Counter("countenance_decisions", "Decisions at gates.", ["lane", "outcome", "reason"],
                                  registry=self.registry)
        self._galleries = Gauge("countenance_gallery_size", "Templates in a purpose's gallery.", ["purpose"],
                                registry=self.registry)
        self._gauges = {name: Gauge(f"countenance_{name}", told, registry=self.registry)
                        for name, told in GAUGES.items()}
        Gauge("countenance_build_info", "The version that runs.", ["version"],
              registry=self.registry).labels(__version__).set(1)

    def observe(self, timings: Mapping[str, float]) -> None:
        """Count a decision's times: milliseconds by stage. Other stages are left out."""
        for stage in STAGES:
            if stage in timings:
                self._latency.labels(stage).observe(timings[stage] / _MS)

    def decided(self, lane: str, outcome: str, reason: str) -> None:
        """Count a decision."""
        self._decisions.labels(_of(LANES, lane), _of(OUTCOMES, outcome), _of(REASONS, reason)).inc()

    def set(self, name: str, value: float) -> None:
        """Set one of GAUGES; KeyError for another name."""
        self._gauges[name].set(value)

    def galleries(self, sizes: Mapping[str, int]) -> None:
        """Set the sizes by purpose, in place of those before. Purposes are the venue's own random ids."""
        self._galleries.clear()
        for purpose in sorted(sizes)[:_MOST_PURPOSES]:
            self._galleries.labels(purpose).set(sizes[purpose])

    def render(self) -> bytes:
        """Return the text that `GET /metrics` answers, of type CONTENT_TYPE."""
        return generate_latest(self.registry)


def _of(known: frozenset[str], word: str) -> str:
    return word if word in known else "other"
