// Evidence, checked from evidence.json and evidence.sig, as formats/evidence.py and verifier/evidence.py do it. The ZIP
// around them is not here to be checked: `countenance verify` does that.

const EVIDENCE = "evidence-malformed";
const LONGEST_EVIDENCE = 16 << 20;
const TEXTS = ["kind", "venue", "venue_name", "person", "at", "origin", "checkpoint"];
const FACTS = [...TEXTS, "format", "keys", "earlier", "events", "clear", "notices", "asserted"];

/** Check evidence; `seen(content)` gets what could be read of it, for the story. */
const evidenceReport = (text, signature, trust, { ownOnly = false, progress, seen = () => {} } = {}) => {
  const state = {};
  return follow("evidence", [
    ["form", () => {
      state.content = readEvidence(text);
      seen(state.content);
    }],
    ["signatures of the venue", () => requireFactsSigned(text, signature, state.content.keys.receipt, ownOnly)],
    ["checkpoint", async () => {
      Object.assign(state, await signedCheckpoint(state.content.checkpoint, state.content.keys.log, ownOnly));
      return [["told.size", String(state.head.size)]];
    }],
    ["cosignatures", () => {
      const { keys } = state.content;
      return cosigned(state.note, keys.witnesses, keys.log.name, trust, ownOnly);
    }],
    ["inclusion in the log", () => {
      state.clear = requireEntries(state.content, state.head);
      return [["told.included", String(state.content.events.length), String(state.clear.length)]];
    }],
    ["earlier checkpoints", () => requireGrown(state.content, state.head, ownOnly)],
    ["chain of events", () => {
      state.records = requireWhole(state.content);
      return state.records.length ? [] : [["told.no-person"]];
    }],
    ["notices", () => requireNotices(state.content, state.records, state.clear)],
    ["trust", () => {
      if (trust === null) throw new Unchecked("told.no-trust");
      const { keys } = state.content;
      requireKeys(keys, trust);
      return requireWitnesses(state.note, trust, [keys.log, keys.receipt], ownOnly);
    }],
  ], trust !== null, progress);
};

/** Return the content of evidence.json, unverified. Raises Fault(evidence-malformed). */
const readEvidence = (text) => {
  const malformed = new Fault(EVIDENCE);
  if (lengthOf(text) > LONGEST_EVIDENCE) throw malformed;
  const facts = readJson(text, EVIDENCE);
  if (!hasExactly(facts, FACTS) || facts.get("format") !== "countenance/evidence/1") throw malformed;
  const content = Object.fromEntries(facts);
  const lists = [content.earlier, content.events, content.clear, content.notices];
  const fits = TEXTS.every((name) => isText(content[name])) && isMap(content.asserted) && lists.every(isList);
  if (!fits) throw malformed;
  content.keys = readKeys(content.keys, EVIDENCE);
  content.earlier = content.earlier.map(readEarlier);
  content.events = content.events.map((event) => readProven(event, EVIDENCE));
  content.clear = content.clear.map(readClear);
  content.notices = content.notices.map(readKept);
  const aboutPerson = content.kind === "person";
  if (!["person", "venue"].includes(content.kind) || (content.person !== "") !== aboutPerson) throw malformed;
  const falling = content.clear.some(({ index }, i, all) => i > 0 && index <= all[i - 1].index);
  if (!AT.test(content.at) || falling) throw malformed;
  requireNames(content.keys, content.origin, content.venue, EVIDENCE);
  return content;
};

const readEarlier = (value) => {
  if (!hasExactly(value, ["checkpoint", "proof"]) || !isText(value.get("checkpoint"))) throw new Fault(EVIDENCE);
  return { checkpoint: value.get("checkpoint"), proof: readProof(value.get("proof"), EVIDENCE) };
};

const readClear = (value) => {
  const entry = hasExactly(value, ["entry", "index", "proof"]) ? fromHex(value.get("entry")) : null;
  if (entry === null || !isNumber(value.get("index"))) throw new Fault(EVIDENCE);
  return { entry, index: value.get("index"), proof: readProof(value.get("proof"), EVIDENCE) };
};

const readKept = (value) => {
  const canonical = hasExactly(value, ["hash", "canonical"]) ? fromHex(value.get("canonical")) : null;
  if (canonical === null || !isText(value.get("hash"))) throw new Fault(EVIDENCE);
  return { hash: value.get("hash"), canonical };
};

const requireFactsSigned = async (text, signature, key, ownOnly) => {
  if (signature === null) throw new Unchecked("told.no-signature");
  const message = signature.endsWith("\n") ? fromBase64(signature.slice(0, -1)) : null;
  if (message === null) throw new Fault(EVIDENCE);
  const payload = await signedPayload(message, key, "evidence", ownOnly);
  const stated = new Map([["format", "countenance/evidence/1"], ["evidence.json", sha256(utf8(text))]]);
  if (!same(payload, encodeCbor(stated))) throw new Fault("evidence-altered");
};

const requireEntries = ({ events, clear }, head) => {
  requireIncluded(events, head);
  return clear.map(({ entry, index, proof }) => {
    const found = readEntry(entry);
    if (found.leaf !== undefined) throw new Fault(ENTRY);
    requireInclusion(leafHash(entry), index, head.size, proof, head.root);
    return found;
  });
};

const requireGrown = async ({ earlier, keys }, head, ownOnly) => {
  for (const { checkpoint, proof } of earlier) {
    const { head: old } = await signedCheckpoint(checkpoint, keys.log, ownOnly);
    requireConsistency(old.size, old.root, head.size, head.root, proof);
  }
  return [["told.grown", String(earlier.length)]];
};

/** Check that a person's chain begins at 1, has no gap and is this person's.
 * Raises Fault: leaf-other, entry-malformed, chain-gap, facts-other. */
const requireWhole = ({ kind, person, events }) => {
  const records = openedEvents(events);
  requireLinks(events, records, false);
  const counted = records.every(({ number }, i) => number === BigInt(i + 1));
  if (!counted || (records.length > 0) !== (kind === "person")) throw new Fault("chain-gap");
  requirePerson(records, person);
  return records;
};

/** Check that exactly the notices that are named are there, letter for letter.
 * Raises Fault: notice-malformed, notice-missing, notice-other. */
const requireNotices = ({ notices, venue }, records, clear) => {
  const other = new Fault("notice-other");
  const held = new Map();
  for (const { hash, canonical } of notices) {
    const notice = readNotice(canonical);
    if (notice.hash !== hash || notice.venue !== venue || held.has(hash)) throw other;
    held.set(hash, notice);
  }
  const inEvents = records.filter(({ body }) => body.has("notice")).map(({ body }) => [body.get("notice"), body]);
  const inClear = clear.filter(({ type }) => type === "notice").map(({ body }) => [body.get("hash"), body]);
  const named = [...inEvents, ...inClear].map(([hash, body]) => [isText(hash) ? hash : "", body]);
  if (!named.every(([hash]) => held.has(hash))) throw new Fault("notice-missing");
  if (new Set(named.map(([hash]) => hash)).size !== held.size) throw other;
  for (const [hash, body] of named) {
    if (held.get(hash).purpose !== body.get("purpose")) throw other;
  }
  if (!inEvents.every(([hash, body]) => held.get(hash).texts.has(body.get("language")))) throw other;
  if (!inClear.every(([hash, body]) => held.get(hash).version === body.get("version"))) throw other;
};
