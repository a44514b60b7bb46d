"""Comparison, at the door COMPARE. What comes out is a candidate or nothing; never a score to the outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from countenance.errors import Refused
from countenance.features import Codes, Probe, Reference
from countenance.matching import score
from countenance.matching.cohort import AnyCohort
from countenance.permits import Door, Kind, Permit, PermitBook, Scope, gallery_scope
from countenance.quantities import PurposeId, Score, VenueId


@dataclass(frozen=True)
class Threshold:
    """At or below `score` two captures count as one person. `source` says where the number is from.

    A score means something together with the cohort that normalises it, so the two are one value.
    """

    score: Score
    source: str
    cohort: AnyCohort

    @property
    def pack(self) -> str:
        """Return the identity of the model pack it is for."""
        return self.cohort.pack


@dataclass(frozen=True)
class Nearest:
    """The row of a gallery with the lowest score. `row` means something to the gallery only."""

    row: int
    score: Score


class Index(Protocol):
    """Exact search by normalised score over one gallery. Never approximate: a miss would be a false non-match."""

    @property
    def generation(self) -> int:
        """Return which state of the gallery's consents this index holds."""

    @property
    def purpose(self) -> PurposeId:
        """Return the purpose that its people agreed to."""

    @property
    def pack(self) -> str:
        """Return the identity of the model pack of its templates."""

    @property
    def cohort(self) -> str:
        """Return the identity of the cohort that its scores are normalised with."""

    def nearest(self, codes: Codes, within: Score) -> Nearest | None:
        """Return the row with the lowest score, or None where no row's is `within` or lower."""


class Matched:
    """Base of the two outcomes of a comparison; which one is told by its class, not by a bool."""


@dataclass(frozen=True)
class Match(Matched):
    """Within the threshold. `row` is the gallery's row, 0 in a 1:1 comparison."""

    row: int = 0


@dataclass(frozen=True)
class NonMatch(Matched):
    """Not within the threshold. Says nothing about whom the probe resembled."""


class Matcher:
    """Compares under a permit. What the permit must be for is read off what is compared."""

    def __init__(self, book: PermitBook, venue: VenueId) -> None:
        self._book = book
        self._venue = venue

    def verify(self, permit: Permit, probe: Probe, reference: Reference, threshold: Threshold) -> Matched:
        """Compare one probe with one reference (1:1). Spends COMPARE. Raises Refused.

        Whose reference it is was checked against this permit when it was opened.
        """
        self._book.spend(permit, Door.COMPARE, _verifying(permit, self._venue))
        _made_under(permit, probe, reference)
        _one_pack(probe.pack, reference.pack, threshold.pack)
        numbers = threshold.cohort.numbers
        apart = score.squared(probe.codes, reference.codes)
        found = score.as_score(score.of(apart, numbers(probe.codes), numbers(reference.codes)))
        return Match() if found <= threshold.score else NonMatch()

    def search(self, permit: Permit, probe: Probe, index: Index, threshold: Threshold) -> Matched:
        """Find one probe in one gallery (1:N), exactly. Spends COMPARE. Raises Refused.

        permit-scope also says that the gallery has changed since the permit was given.
        """
        expected = gallery_scope(Kind.SEARCH, self._venue, index.purpose, index.generation)
        self._book.spend(permit, Door.COMPARE, expected)
        _made_under(permit, probe)
        _one_pack(probe.pack, index.pack, threshold.pack)
        _one_cohort(index, threshold)
        found = index.nearest(probe.codes, threshold.score)
        if found is None or found.score > threshold.score:
            return NonMatch()
        return Match(found.row)


def _made_under(permit: Permit, *features: Probe | Reference) -> None:
    if any(feature.permit is not permit for feature in features):
        raise Refused("permit-scope", "This face was captured or opened under another permit.")


def _verifying(permit: Permit, venue: VenueId) -> Scope:
    scope: Scope | None = getattr(permit, "scope", None)
    purpose, subject = (scope.purpose, scope.subject) if scope else (PurposeId(""), "")
    return Scope(Kind.VERIFY, venue, purpose, subject)


def _one_pack(*packs: str) -> None:
    if len(set(packs)) != 1:
        raise Refused("pack-other", "These were measured by different models.")


def _one_cohort(index: Index, threshold: Threshold) -> None:
    """A threshold of one cohort says nothing about scores of another: it may let everybody in."""
    if index.cohort != threshold.cohort.identity:
        raise Refused("pack-other", "This gallery and this threshold are of different cohorts.")
