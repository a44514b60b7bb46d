"""The end of the story: she takes the proof home, and anybody can check it there.

The trust file is written when the zoo opens and kept apart from it, as a consumer association would: what is checked
with keys that come along with it proves only that it agrees with itself.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from countenance.flows import log, prove
from countenance.formats import evidence, trust
from countenance.verifier import files

if TYPE_CHECKING:
    from countenance.demo.story import Story
    from countenance.flows.venue import Venue

EVIDENCE, TRUST, PAGE = "collins-evidence.zip", "zoo.trust", "evidence.html"


def keys_noted(venue: Venue) -> str:
    """Return the trust file, as somebody else notes it down on the first day."""
    return log.trust(venue).encode()


def taken_home(story: Story, venue: Venue, keys: str) -> None:
    """Tell the chapter: log published, evidence written, verified, changed by one byte, refused."""
    story.tell.chapter("She takes the proof home")
    home = story.home
    home.mkdir(parents=True, exist_ok=True)
    (home / TRUST).write_text(keys, encoding="utf-8")
    known = trust.parse(keys)
    story.tell.step("The zoo publishes its log: anybody may copy it", "published", lambda: _publish(venue))
    story.tell.step("Everything held and done about her, one file", "written", lambda: _written(story, venue, home))
    data = (home / EVIDENCE).read_bytes()
    story.tell.step("Checked with keys from elsewhere", "verified",
                    lambda: files.verify_bytes(data, known).verdict)
    story.tell.step("Checked without: it agrees with itself", "self-consistent",
                    lambda: files.verify_bytes(data).verdict)
    receipt = story.receipts["collins-erasure"]
    story.tell.step("Her receipt of the erasure", "verified",
                    lambda: files.verify_bytes(receipt.encode(), known).verdict)
    story.tell.step("The zoo changes one letter of what it did", "refused", lambda: _changed(receipt, known))
    story.tell.step("One byte of the evidence is changed", "refused",
                    lambda: files.verify_bytes(_flipped(data), known).verdict)
    story.keep_artefacts(home)


def _publish(venue: Venue) -> str:
    return "published" if log.publish(venue).anew else "nothing was due"


def _written(story: Story, venue: Venue, home: Path) -> str:
    data = prove.person(venue, story.person["collins"])
    (home / EVIDENCE).write_bytes(data)
    with zipfile.ZipFile(home / EVIDENCE) as bundle:
        (home / PAGE).write_bytes(bundle.read(evidence.PAGE))
    return "written"


def _changed(receipt: str, known: trust.Trust) -> str:
    place = receipt.index('"ended"')
    other = receipt[:place] + receipt[place:].replace("withdrawn", "withdrawm", 1)
    return files.verify_bytes(other.encode(), known).verdict


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]
