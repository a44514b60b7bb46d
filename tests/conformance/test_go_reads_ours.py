"""Our notes, checkpoints, trees and proofs against Go's `golang.org/x/mod/sumdb`, both ways (tests/conformance/go).

Debian: apt install golang-go golang-golang-x-mod-dev. Built without a network, and without a trace outside a temporary
folder. Cosignatures are checked there by a few lines of our own in Go, as its package `note` has none.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance.errors import BadInput
from countenance.formats import checkpoints, merkle, signed_note, tiles, trust
from countenance.formats.checkpoints import Checkpoint
from countenance.formats.signed_note import LOG, WITNESS, Note, Signature
from countenance.quantities import Instant
from support import naive_tree

Go = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
SOURCE = Path(__file__).parent / "go"
VECTORS = Path(__file__).parents[1] / "vectors" / "checkpoints"
LIBRARIES = Path("/usr/share/gocode")
"""Where Debian puts sources of Go packages."""

ENTRIES = [b"entry %d" % n for n in range(34)] + [b"", b"\x00" * 65_535, "日志".encode()]
SIZE = len(ENTRIES)
ORIGIN = "countenance.invalid/zoo/log"
AT = Instant(1_782_000_000)
SEEDS = [bytes([n]) * 32 for n in range(1, 5)]
PRIVATE = [Ed25519PrivateKey.from_private_bytes(seed) for seed in SEEDS]


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Go:
    """Ask the Go program a list of questions."""
    compiler = shutil.which("go")
    if compiler is None or not (LIBRARIES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.skip("Go or its package x/mod is not installed (Debian: apt install golang-go golang-golang-x-mod-dev)")
    top = tmp_path_factory.mktemp("go")
    program = top / "program"
    subprocess.run([compiler, "build", "-o", program, "."], cwd=SOURCE, check=True, timeout=300, env={
        "PATH": os.environ["PATH"], "HOME": str(top), "GOCACHE": str(top / "cache"), "GOPATH": str(LIBRARIES),
        "GO111MODULE": "off", "GOFLAGS": "-trimpath", "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"})

    def ask(questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        done = subprocess.run([program], input=json.dumps(questions), capture_output=True, text=True, timeout=120,
                              check=True, encoding="utf-8", env={})
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        assert len(answers) == len(questions)
        return answers

    return ask


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def hashes(texts: Iterable[str]) -> list[bytes]:
    return [base64.b64decode(text) for text in texts]


def refused(act: Callable[[], object]) -> bool:
    try:
        act()
    except BadInput:
        return True
    return False


def opened(note: str, *keys: signed_note.NoteKey) -> dict[str, Any]:
    return {"Op": "open", "Note": note, "Keys": [key.text for key in keys]}


# -- keys and notes

LOG_KEY = signed_note.key_of(PRIVATE[0], ORIGIN)
WITNESSES = [signed_note.key_of(private, f"witness.example/w{n}", WITNESS) for n, private in enumerate(PRIVATE[1:])]
POINT = Checkpoint(ORIGIN, 5, naive_tree.mth(ENTRIES[:5]))


def cosigned(text: str) -> Note:
    note = Note(text, (signed_note.sign(text, ORIGIN, PRIVATE[0]),))
    for key, private in zip(WITNESSES, PRIVATE[1:], strict=True):
        note = note.with_line(signed_note.cosign(text, key.name, private, AT))
    return note


@pytest.mark.parametrize("text", [POINT.text, "one\n\ntwo 二\n", "\u2014 a\n\n\n", POINT.text + "more\n"])
def test_go_reads_our_notes(go: Go, text: str) -> None:
    note, names = cosigned(text).encode(), [key.name for key in WITNESSES]
    every, log_only, none, other = go([
        opened(note, LOG_KEY, *WITNESSES), opened(note, LOG_KEY), opened(note),
        opened(note, signed_note.key_of(PRIVATE[3], ORIGIN))])
    assert (every["Error"], every["Text"], every["Known"]) == ("", text, [ORIGIN, *names])
    assert (log_only["Error"], log_only["Known"], log_only["Unknown"]) == ("", [ORIGIN], names)
    assert none["Error"] == other["Error"] == "note has no verifiable signatures"


@pytest.mark.parametrize("text", [POINT.text, "one\n\ntwo 二\n", "\u2014 a\n\n\n"])
def test_we_read_gos_notes(go: Go, text: str) -> None:
    names = [ORIGIN, "second.example", "witness.example/~log"]
    signed = {"Op": "sign", "Text": text, "Names": names, "Seeds": [b64(seed) for seed in SEEDS[:3]],
              "Times": [0, 0, AT]}
    [answer] = go([signed])
    assert answer["Error"] == ""
    note = signed_note.parse(answer["Note"])
    assert note.text == text
    assert note.encode() == answer["Note"]
    keys = [signed_note.read_key(key) for key in answer["Keys"]]
    kinds = [LOG, LOG, WITNESS]
    assert keys == [signed_note.key_of(PRIVATE[n], name, kinds[n]) for n, name in enumerate(names)]
    assert [key.text for key in keys] == answer["Keys"]
    assert [signed_note.require_signed(note, key) for key in keys] == [0, 0, AT]
    ours = [signed_note.sign(text, names[0], PRIVATE[0]), signed_note.sign(text, names[1], PRIVATE[1]),
            signed_note.cosign(text, names[2], PRIVATE[2], AT)]
    assert Note(text, tuple(ours)).encode() == answer["Note"]
    assert refused(partial(signed_note.require_signed, note, signed_note.key_of(PRIVATE[3], ORIGIN)))


def test_both_refuse_what_is_wrong_with_a_note(go: Go) -> None:
    right, line = cosigned(POINT.text), signed_note.sign(POINT.text, ORIGIN, PRIVATE[0]).line
    note = right.encode()
    wrong = {
        "size altered, root kept": note.replace("\n5\n", "\n6\n"),
        "root altered": note.replace(POINT.text.split("\n")[2], b64(merkle.EMPTY)),
        "no empty line": note.replace("\n\n", "\n"),
        "no signature": POINT.text + "\n",
        "carriage return": note.replace("\n5\n", "\r\n5\n"),
        "tab": note.replace("\n5\n", "\n\t5\n"),
        "no line break at the end": note[:-1],
        "space in a name": note.replace(ORIGIN + " ", ORIGIN.replace("/", " ") + " "),
        "wide space in a name": note.replace(f"\u2014 {ORIGIN}", f"\u2014 {ORIGIN}\u3000"),
        "plus in a name": note.replace(f"\u2014 {ORIGIN}", f"\u2014 {ORIGIN}+"),
        "hyphen": note.replace("\u2014", "-"),
        "an id alone": note.replace(line, f"\u2014 {ORIGIN} AAAAAA==\n"),
        "another signature of the key": note.replace(
            line, Signature(ORIGIN, LOG_KEY.key_id, PRIVATE[1].sign(POINT.text.encode())).line),
        "only of others": note.replace(line, ""),
    }
    answers = go([opened(changed, LOG_KEY) for changed in [note, *wrong.values()]])
    assert answers[0]["Error"] == ""
    assert checkpoints.read(note, LOG_KEY) == (POINT, right)
    for (name, changed), answer in zip(wrong.items(), answers[1:], strict=True):
        assert answer["Error"], name
        assert refused(partial(checkpoints.read, changed, LOG_KEY)), name


def test_both_refuse_a_cosignature_with_another_moment(go: Go) -> None:
    key, right = WITNESSES[0], signed_note.cosign(POINT.text, WITNESSES[0].name, PRIVATE[1], AT)
    moved = Signature(key.name, key.key_id, (AT + 1).to_bytes(8, "big") + right.value[8:])
    answers = go([opened(Note(POINT.text, (line,)).encode(), key) for line in (right, moved)])
    assert answers[0]["Known"] == [key.name]
    assert answers[1]["Error"].startswith("invalid signature")
    assert signed_note.require_signed(Note(POINT.text, (right,)), key) == AT
    assert refused(partial(signed_note.require_signed, Note(POINT.text, (moved,)), key))


def test_what_go_lets_through_and_we_do_not(go: Go) -> None:
    """Each is a second spelling of something that both read; here everything has one."""
    note = signed_note.parse(Note(POINT.text, (signed_note.sign(POINT.text, ORIGIN, PRIVATE[0]),)).encode())
    line = note.signatures[0].line
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    assert line.endswith("=\n")
    assert not line.endswith("==\n")
    spare = line[:-3] + alphabet[alphabet.index(line[-3]) | 1] + "=\n"
    for changed in (note.encode() + line, note.encode().replace(line, spare)):
        assert go([opened(changed, LOG_KEY)])[0]["Error"] == ""
        assert changed != note.encode()
        assert refused(partial(signed_note.parse, changed))


def test_both_refuse_wrong_keys_and_we_refuse_a_second_spelling(go: Go) -> None:
    name, key_id, rest = LOG_KEY.text.split("+", 2)
    wrong = ["", name, f"{name}+{key_id}", f"{name}+00000000+{rest}", f"{name}x+{key_id}+{rest}",
             f"{name}+{key_id}+{rest[:-4]}", f"a b+{key_id}+{rest}", f"+{key_id}+{rest}",
             signed_note.NoteKey(name, 2, LOG_KEY.public).text]
    answers = go([{"Op": "open", "Keys": [key]} for key in [LOG_KEY.text, *wrong]])
    assert [answer["Error"] == "" for answer in answers] == [True] + [False] * len(wrong)
    assert all(refused(partial(signed_note.read_key, key)) for key in wrong)
    loud = f"{name}+{key_id.upper()}+{rest}"
    assert loud != LOG_KEY.text
    assert go([{"Op": "open", "Keys": [loud]}])[0]["Error"] == ""
    assert refused(partial(signed_note.read_key, loud))


def test_go_says_of_our_vectors_what_they_say_of_themselves(go: Go) -> None:
    """Go checks notes and signatures; what makes a note a checkpoint, and how many witnesses are enough, is ours."""
    cases = [case for case in json.loads((VECTORS / "index.json").read_text("utf-8"))
             if case["verdict"] == "verified" or (case["step"] in (2, 3) and case["code"].startswith("signature-"))]
    cases = [case for case in cases if case["file"] != "small-r.checkpoint"]  # we are stricter
    believed = trust.parse((VECTORS / "zoo.trust").read_text("utf-8"))
    notes = [(VECTORS / case["file"]).read_bytes().decode() for case in cases]
    answers = go([opened(note, believed.logs[0], *(believed.witnesses if case["step"] != 2 else ()))
                  for case, note in zip(cases, notes, strict=True)])
    said = {case["file"]: answer["Error"] == "" for case, answer in zip(cases, answers, strict=True)}
    assert said == {case["file"]: case["verdict"] == "verified" for case in cases}
    assert min(list(said.values()).count(verdict) for verdict in (True, False)) >= 5


# -- checkpoints of the kind that Go's database has


@pytest.mark.parametrize("size", [0, 1, 20_852_163, 2**63 - 1])
def test_each_reads_the_others_tree_head(go: Go, size: int) -> None:
    point = Checkpoint("go.sum database tree", size, naive_tree.mth(ENTRIES[:3]) if size else merkle.EMPTY)
    theirs, read = go([{"Op": "format-tree", "Size": size, "Root": b64(point.root)},
                       {"Op": "parse-tree", "Text": point.text}])
    assert theirs["Text"] == point.text
    assert (read["Error"], read["Size"], base64.b64decode(read["Root"])) == ("", size, point.root)
    assert checkpoints.parse(Note(theirs["Text"], ())) == point


@pytest.mark.parametrize("size", ["", "05", "+5", "-5", "5 ", "1_0", "\u0665", "5.0", str(2**63)])
def test_both_refuse_another_spelling_of_a_size(go: Go, size: str) -> None:
    text = f"go.sum database tree\n{size}\n{b64(POINT.root)}\n"
    assert go([{"Op": "parse-tree", "Text": text}])[0]["Error"] == "malformed tree note"
    assert refused(partial(checkpoints.parse, Note(text, ())))


# -- trees and proofs


@pytest.fixture(scope="session")
def theirs(go: Go) -> dict[str, Any]:
    """The log of ENTRIES, built by Go: every root and every proof on the way."""
    [answer] = go([{"Op": "tree", "Entries": [b64(entry) for entry in ENTRIES]}])
    assert answer["Error"] == ""
    return answer


def test_hashes_and_roots_are_the_same(theirs: dict[str, Any]) -> None:
    """From one entry on: of an empty tree older versions of Go's package say zeros, RFC 6962 the hash of nothing."""
    leaves = [merkle.leaf_hash(entry) for entry in ENTRIES]
    assert hashes(theirs["Leaves"]) == leaves
    assert hashes(theirs["Roots"])[1:] == [merkle.root(leaves[:size]) for size in range(1, SIZE + 1)]
    assert hashes(theirs["Roots"])[0] in (merkle.EMPTY, bytes(32))


def test_we_accept_every_proof_of_gos(theirs: dict[str, Any]) -> None:
    leaves, roots = hashes(theirs["Leaves"]), hashes(theirs["Roots"])
    seen = 0
    for size in range(1, SIZE + 1):
        for index in range(size):
            shown = hashes(theirs["Inclusion"][size][index])
            assert shown == naive_tree.path(index, ENTRIES[:size])
            merkle.require_inclusion(leaves[index], index, size, shown, roots[size])
            other = leaves[(index + 1) % SIZE]
            assert refused(partial(merkle.require_inclusion, other, index, size, shown, roots[size]))
            assert refused(partial(merkle.require_inclusion, leaves[index], index, size, shown, roots[size - 1]))
            grown = hashes(theirs["Consistent"][size][index])
            assert grown == naive_tree.proof(index + 1, ENTRIES[:size])
            merkle.require_consistency(index + 1, roots[index + 1], size, roots[size], grown)
            assert refused(partial(merkle.require_consistency, index + 1, roots[index], size, roots[size], grown))
            seen += 2
    assert seen == SIZE * (SIZE + 1)


def _record(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> dict[str, Any]:
    return {"Op": "record", "Leaf": b64(leaf), "Index": index, "Size": size, "Root": b64(root),
            "Proof": [b64(step) for step in proof]}


def test_go_and_we_agree_on_every_record(go: Go) -> None:
    """For each size and index: the right proof, and seven wrong ones."""
    leaves, asked, ours = [merkle.leaf_hash(entry) for entry in ENTRIES], [], []
    for size in (1, 2, 3, 4, 7, 8, 13, 32, 33, SIZE):
        root = merkle.root(leaves[:size])
        for index in range(size):
            steps = naive_tree.path(index, ENTRIES[:size])
            for given in [(leaves[index], index, size, root, steps),
                          (leaves[(index + 1) % SIZE], index, size, root, steps),
                          (leaves[index], index ^ 1, size, root, steps),
                          (leaves[index], index, size + 1, root, steps),
                          (leaves[index], index, size, merkle.EMPTY, steps),
                          (leaves[index], index, size, root, steps[:-1]),
                          (leaves[index], index, size, root, [*steps, root]),
                          (leaves[index], index, size, root, steps[::-1])]:
                asked.append(_record(*given))
                leaf, at, of, expected, proof = given
                ours.append(not refused(partial(merkle.require_inclusion, leaf, at, of, proof, expected)))
    assert [answer["Error"] == "" for answer in go(asked)] == ours
    assert len(asked) / 9 < sum(ours) < len(asked) / 3


def _grown(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> dict[str, Any]:
    return {"Op": "grown", "OldSize": old, "OldRoot": b64(old_root), "Size": size, "Root": b64(root),
            "Proof": [b64(step) for step in proof]}


def test_go_and_we_agree_on_every_growth(go: Go) -> None:
    """For each pair of sizes: the right proof, and six wrong ones. Go asks for an old size of 1 at least."""
    roots, asked, ours = [naive_tree.mth(ENTRIES[:size]) for size in range(SIZE + 1)], [], []
    for size in (1, 2, 3, 4, 7, 8, 13, 32, 33, SIZE):
        for old in range(1, size + 1):
            steps = naive_tree.proof(old, ENTRIES[:size])
            for given in [(old, roots[old], size, roots[size], steps),
                          (old, roots[old - 1], size, roots[size], steps),
                          (old, roots[old], size, merkle.EMPTY, steps),
                          (old + 1, roots[old], size, roots[size], steps),
                          (old, roots[old], size + 1, roots[size], steps),
                          (old, roots[old], size, roots[size], steps[:-1]),
                          (old, roots[old], size, roots[size], [*steps, roots[old]])]:
                asked.append(_grown(*given))
                ours.append(not refused(partial(merkle.require_consistency, *given)))
    assert [answer["Error"] == "" for answer in go(asked)] == ours
    assert len(asked) / 8 < sum(ours) < len(asked) / 3


# -- tiles


def test_tiles_lie_in_the_same_groups(go: Go) -> None:
    """Go's path also says the height, and calls the entries `data`."""
    given = [(level, number, width) for level in (0, 1, 7) for number in (0, 7, 999, 1_000, 1_234_067, 10**12)
             for width in (1, 255, 256)]
    asked = [{"Op": "path", "Tile": {"H": 8, "L": level, "N": number, "W": width}} for level, number, width in given]
    entries = {"Op": "path", "Tile": {"H": 8, "L": -1, "N": 1_234_067, "W": 3}}
    *answers, data = go([*asked, entries])
    assert [answer["Path"].replace("tile/8/", "tile/", 1) for answer in answers] == [tiles.path(*one) for one in given]
    assert data["Path"].replace("tile/8/data/", "tile/entries/") == tiles.path(tiles.ENTRIES, 1_234_067, 3)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000, 2**24, 2**40 + 1])
def test_a_log_ends_with_the_same_tiles(go: Go, size: int) -> None:
    [answer] = go([{"Op": "tiles", "OldSize": size - 1, "Size": size}])
    newest = {path.split("/")[2]: path.replace("tile/8/", "tile/", 1) for path in answer["Paths"]}
    ours = {str(level): tiles.path(level, number, width) for level, number, width in tiles.widths(size)}
    assert newest.items() <= ours.items()
    assert "0" in newest
    [whole] = go([{"Op": "tiles", "OldSize": 0, "Size": size}]) if size <= 70_000 else [answer]
    assert size > 70_000 or {path.split("/")[2] for path in whole["Paths"]} == set(ours)
