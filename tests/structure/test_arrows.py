"""Imports point one way (DESIGN 8), and some things only one place may do."""

from __future__ import annotations

import ast

import pytest
from source import Module, functions, imports, modules

WORDS = {"errors", "clock", "quantities", "settings", "durable", "permits", "features", "process"}
BELOW: dict[str, set[str]] = {
    "formats": WORDS,
    "storage": WORDS | {"formats"},
    "consent": WORDS | {"formats", "storage"},
    "access": WORDS | {"formats", "storage"},
    "lane": WORDS | {"formats", "storage"},
    "vision": WORDS,
    "vault": WORDS | {"formats", "storage"},
    "matching": WORDS,
    "transparency": WORDS | {"formats", "storage"},
    "verifier": {"formats", "errors", "quantities"},
    "flows": WORDS | {"formats", "storage", "consent", "access", "lane", "vision", "vault", "matching", "transparency",
                      "verifier"},
}
LOWER = set(BELOW) | WORDS
BELOW["evaluation"] = LOWER
BELOW["controls"] = LOWER
BELOW["integrations"] = LOWER
BELOW["demo"] = BELOW["bench"] = LOWER | {"evaluation", "integrations", "demo"}
BELOW["gate"] = WORDS | {"formats"}
BELOW["server"] = LOWER | {"integrations", "controls"}
BELOW["cli"] = LOWER | {"evaluation", "integrations", "demo", "bench", "controls", "server", "gate"}
BELOW["countenance"] = set()


@pytest.mark.parametrize("module", modules(), ids=lambda m: m.name)
def test_imports_point_one_way(module: Module) -> None:
    allowed = WORDS if module.room in WORDS else BELOW[module.room] | {module.room}
    ours = {name.split(".")[1] for name in imports(module) if name.startswith("countenance.")} - {"__version__"}
    assert ours - allowed == set()


ONLY = {
    "onnxruntime": {"vision.session"},
    "onnx": {"vision.graphs"},
    "faiss": {"matching.embedded.kernel", "bench.machine", "bench.search"},
    "time": {"clock"},
    "alembic": {"storage.migrate"},
    "sqlite3": {"storage.engine", "storage.faults"},
    "cbor2": {"formats.canonical", "formats.cose"},
    "pkcs11": {"vault.keys.token"},
    "segno": {"integrations.codes"},
    "zxingcpp": {"integrations.codes"},
    "hmac": {"vault.keys.store", "integrations.doors.webhook"},
    "httpx": {"transparency.mirror", "transparency.cosigning", "integrations.ticketing_call",
              "integrations.doors.webhook", "integrations.webhooks", "integrations.importers.compreface",
              "integrations.model_download"},
    "paho": {"integrations.mqtt", "gate.triggers"},
    "pymodbus": {"integrations.doors.modbus"},
    "argon2": {"access.operators"},
    "webauthn": {"access.passkeys"},
    "structlog": {"server.logs"},
    "prometheus_client": {"server.metrics"},
    "python_multipart": {"server.bodies"},
}


@pytest.mark.parametrize("part", ONLY)
def test_only_its_own_module_imports(part: str) -> None:
    users = {module.name for module in modules() if part in {name.split(".")[0] for name in imports(module)}}
    assert users, f"nothing imports {part}: the rule guards nothing"
    assert users <= ONLY[part]


@pytest.mark.parametrize("framework", ["fastapi", "starlette", "uvicorn", "pydantic"])
def test_only_what_listens_knows_the_web_framework(framework: str) -> None:
    users = {module.name for module in modules() if framework in {name.split(".")[0] for name in imports(module)}}
    assert users, f"nothing imports {framework}: the rule guards nothing"
    assert {name for name in users if not name.startswith("server.")} <= {
        "transparency.witness_http", "lane.http", "lane.connections"}


def _calls(name: str) -> set[str]:
    return {module.name for module in modules() for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
            and (node.func.id if isinstance(node.func, ast.Name) else node.func.attr) == name}


@pytest.mark.promise(1)
def test_only_the_book_builds_permits_and_only_the_gate_is_appointed() -> None:
    assert _calls("Permit") == {"permits"}
    assert _calls("appoint") == {"consent.gate"}


@pytest.mark.promise(1)
def test_only_vision_makes_probes_and_only_the_vault_references() -> None:
    assert _calls("Probe") == {"vision.embed", "vision.synthetic"}
    assert _calls("Reference") == {"vault.templates"}


IN_A_VENUE = {"consent", "flows", "formats", "integrations", "matching", "storage", "vault", "cli", "demo"}
"""Rooms whose code runs where people's templates are; an evaluation has photographs, or people it made up."""


@pytest.mark.promise(1)
def test_only_the_doors_measure_a_distance() -> None:
    assert _calls("squared") == {"matching.matcher", "bench.search"}  # there of random numbers
    measuring = {module.name for module in modules()
                 if module.room in IN_A_VENUE and "sqrt" in ast.unparse(module.tree)}
    assert measuring == {"matching.trials", "matching.cohort"}  # photographs under their permit; and nobody
    lengths = {module.name for module in modules() if "linalg.norm" in ast.unparse(module.tree)}
    assert lengths == {"vision.pack_runtime", "vision.embed"}  # of a drawn pattern's, and to make one one long


@pytest.mark.promise(1)
def test_only_the_vault_and_the_doors_look_at_codes() -> None:
    looking = {module.name for module in modules() for node in ast.walk(module.tree)
               if isinstance(node, ast.Attribute) and node.attr == "codes" and module.room in IN_A_VENUE}
    assert looking == {"vault.templates", "matching.matcher", "matching.embedded.kernel"}


@pytest.mark.promise(1)
def test_only_the_vault_uses_the_keys_of_faces_and_passes() -> None:
    attacker = {"demo.attacker"}  # who has a key store of their own, made with the root key
    assert _calls("take_faces") - attacker == {"vault.templates"}
    assert _calls("carry") | _calls("carried") | _calls("open_for_holder") | _calls("seal_for_holder") <= {
        "vault.templates", *attacker}
    assert _calls("with_pass") | _calls("with_new_pass") == {"vault.templates", "vault.keys.in_pass"}


def test_only_the_key_store_writes_down_what_is_gone() -> None:
    """And whoever sets up a venue, or ends a restore."""
    writing = {module.name for module in modules() for node in ast.walk(module.tree)
               if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
               and isinstance(node.func.value, ast.Attribute) and node.func.value.attr == "gone"
               and node.func.attr != "read"}
    assert writing == {"vault.keys.store", "vault.keys.rotation", "vault.keys.third", "flows.restore"}


def test_only_the_clock_reads_the_time() -> None:
    readers = {module.name for module in modules() for node in ast.walk(module.tree)
               if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today", "time", "perf_counter"}
               and isinstance(node.value, ast.Name) and node.value.id in {"datetime", "date", "time"}}
    assert readers == {"clock"}


def test_key_bytes_are_touched_in_one_package() -> None:
    users = {module.name for module in modules() if any("AESGCM" in name for name in imports(module))}
    assert users == {"formats.cose", "matching.embedded.blocks", "vault.keys.roots", "vault.keys.sealing"}
    private = {module.name for module in modules() if any("Ed25519PrivateKey" in name for name in imports(module))}
    assert {name for name in private if not name.startswith("formats.")} == {"vault.keys.signing"}


@pytest.mark.promise(1)
def test_nothing_that_guards_answers_with_a_bool_or_none_instead_of_raising() -> None:
    guarding = ("consent.gate", "permits", "vault.templates", "matching.matcher")
    for module, function in functions():
        if module.name in guarding and not function.name.startswith("__"):
            returns = ast.unparse(function.returns) if function.returns else ""
            assert "bool" not in returns, f"{module.name}.{function.name}"
            if "None" in returns and returns != "None":
                lookups = {("matching.matcher", "nearest"), ("vault.templates", "open_gallery")}  # nobody there
                assert (module.name, function.name) in lookups


def test_pieces_are_small() -> None:
    long_files = {m.name: n for m in modules() if (n := len(m.path.read_text().splitlines())) > 400}
    assert long_files == {}
    lengths = sorted(((f.end_lineno or 0) - f.lineno + 1, f"{m.name}.{f.name}") for m, f in functions())
    assert len([1 for length, _ in lengths if length > 40]) <= len(lengths) // 50
    assert lengths[-1][0] <= 60, lengths[-3:]
