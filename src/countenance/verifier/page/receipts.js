// A receipt, checked from its text alone: as verifier/receipts.py and verifier/chain.py.

const LARGEST_RECEIPT = 1 << 20;
const RECEIPT = "receipt-malformed";
const isList = Array.isArray;
const isFlag = (value) => typeof value === "boolean";

const EVERY_RECEIPT = {
  kind: isText, venue: isText, venue_name: isText, person: isText, at: isText, origin: isText, events: isList,
  checkpoint: isText, keys: isMap,
};
const OF_CONSENT = {
  purpose: isText, notice: isText, notice_canonical: isText, notice_text: isText, language: isText, act: isText,
  expires_at: isText, consent_record: isMap,
};
const MEMBERS = new Map([
  ["enrolment", { ...EVERY_RECEIPT, ...OF_CONSENT, custody: isText }],
  ["renewal", { ...EVERY_RECEIPT, ...OF_CONSENT }],
  ["erasure", {
    ...EVERY_RECEIPT, purpose: isText, ended: isText, final: isFlag, final_by: isText, copies_open_until: isText,
  }],
]);

const GIVEN = ["consent-given", "consent-renewed"];
const ERASED = ["template-erased", "person-erased"];
const ENDED = ["consent-withdrawn", "consent-expired", "consent-replaced", "consent-lost"];

const ENDS = ["withdrawn", "expired", "replaced", "lost", "erased"];
const NAMING = [...GIVEN, ...ERASED];
const MOMENTS_OF_RECEIPT = ["at", "expires_at", "final_by", "copies_open_until"];
const LATEST = 86400n;

/** Check a receipt. */
const receiptReport = (text, trust, { ownOnly = false, progress } = {}) => {
  const state = {};
  const requireLog = () => {
    if (state.body.get("checkpoint") === "") throw new Unchecked("told.no-log");
  };
  return follow("receipt", [
    ["form", () => {
      Object.assign(state, receiptForm(text));
    }],
    ["signature of the venue", async () => {
      const payload = await signedPayload(state.message, state.keys.receipt, "receipt", ownOnly);
      if (same(payload, encodeCbor(state.body))) return;
      decodeCbor(payload, RECEIPT);
      throw new Fault("receipt-altered");
    }],
    ["events", () => {
      const records = openedEvents(state.events);
      const erasure = state.body.get("kind") === "erasure";
      requireLinks(state.events, records, erasure);
      // Others of the person's own may stand between: what happened meanwhile.
      const about = records.filter(({ body }) => purposeOf(body) === state.body.get("purpose"));
      const needed = erasure ? ERASED : GIVEN;
      if (about.filter(({ type }) => needed.includes(type)).length !== 1) throw new Fault("events-other");
      for (const record of about) requireSameFacts(state.body, record);
      requirePerson(records, state.body.get("person"));
      requireInTime(state.body, records);
    }],
    ["inclusion in the log", () => {
      requireLog();
      requireIncluded(state.events, readCheckpoint(readNote(state.body.get("checkpoint"))));
    }],
    ["checkpoint", async () => {
      requireLog();
      const { head, note } = await signedCheckpoint(state.body.get("checkpoint"), state.keys.log, ownOnly);
      state.note = note;
      return [["told.size", String(head.size)]];
    }],
    ["cosignatures", () => {
      requireLog();
      return cosigned(state.note, state.keys.witnesses, state.keys.log.name, trust, ownOnly);
    }],
    ["notice", () => requireNotice(state.body)],
    ["trust", () => {
      if (trust === null) throw new Unchecked("told.no-trust");
      requireKeys(state.keys, trust);
      requireLog();
      return requireWitnesses(state.note, trust, [state.keys.log, state.keys.receipt], ownOnly);
    }],
  ], trust !== null, progress);
};

/** Check a list of receipts in one file, as an erasure of several consents gives it: every step of each. */
const receiptsReport = async (text, trust, options = {}) => {
  const held = listed(text);
  if (held === null) {
    const form = () => {
      throw new Fault(RECEIPT);
    };
    return follow("receipts", [["form", form]], trust !== null);
  }
  const steps = [];
  for (const [i, one] of held.entries()) {
    const { steps: made } = await receiptReport(spelled(one), trust, options);
    for (const { number, ...step } of made) {
      steps.push({ ...step, number: steps.length + 1, name: `receipt ${i + 1}, ${step.name}`, of: [i + 1, number] });
    }
  }
  return concluded("receipts", steps, trust !== null);
};

const listed = (text) => {
  if (lengthOf(text) > LARGEST_RECEIPT) return null;
  try {
    const held = readJson(text, RECEIPT, 1);
    return isList(held) && held.length > 0 ? held : null;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return null;
  }
};

const receiptForm = (text) => {
  const malformed = new Fault(RECEIPT);
  if (lengthOf(text) > LARGEST_RECEIPT) throw malformed;
  const body = readJson(text, RECEIPT);
  if (!isMap(body) || body.get("format") !== "countenance/receipt/2") throw malformed;
  const message = fromBase64(body.get("signed"));
  body.delete("signed");
  const members = MEMBERS.get(body.get("kind"));
  if (message === null || members === undefined) throw malformed;
  if (!Object.entries(members).every(([name, isKind]) => isKind(body.get(name)))) throw malformed;
  const keys = readKeys(body.get("keys"), RECEIPT);
  const events = body.get("events").map((event) => readProven(event, RECEIPT));
  const fault = body.has("log_fault") ? body.get("log_fault") : "";
  const unlogged = body.get("checkpoint") === "";
  if (MOMENTS_OF_RECEIPT.some((name) => Object.hasOwn(members, name) && secondsOf(body.get(name)) < 0n)) throw malformed;
  if (Object.hasOwn(members, "ended") && !ENDS.includes(body.get("ended"))) throw malformed;
  if (events.length === 0 || !isText(fault) || unlogged === (fault === "")) throw malformed;
  if (unlogged && events.some((event) => event.index !== -1n || event.proof.length > 0)) throw malformed;
  requireNames(keys, body.get("origin"), body.get("venue"), RECEIPT);
  return { body, message, keys, events };
};

/** Return what each event says. Raises Fault: leaf-other, entry-malformed. */
const openedEvents = (events) => events.map(({ leaf, nonce, record }) => {
  if (nonce.length !== 32 || !same(sha256(concat(nonce, record)), leaf)) throw new Fault("leaf-other");
  return readRecord(record);
});

/** Check that each event follows the one before it in the person's chain. `nobodys`: one in nobody's chain (number 0)
 * may stand alone. Raises Fault(chain-gap). */
const requireLinks = (events, records, nobodys) => {
  let last = null;
  records.forEach(({ number, before }, i) => {
    let broken = number < 2n === before.length > 0 || (number === 0n && !nobodys);
    if (number !== 0n) {
      broken ||= last !== null && (number !== last.number + 1n || !same(before, last.leaf));
      last = { number, leaf: events[i].leaf };
    }
    if (broken) throw new Fault("chain-gap");
  });
};

const requireIncluded = (events, head) => {
  for (const { leaf, index, proof } of events) requireInclusion(sealedHash(leaf), index, head.size, proof, head.root);
};

/** Check that each event that names its person names this one; older ones name nobody. Raises Fault(facts-other). */
const requirePerson = (records, person) => {
  const others = records.filter(({ type, body }) => NAMING.includes(type) && body.has("person"));
  if (others.some(({ body }) => body.get("person") !== person)) throw new Fault("facts-other");
};

/** Check that a receipt was written after its newest event, and within a day. Raises Fault(facts-other). */
const requireInTime = (body, records) => {
  const newest = records.reduce((latest, { at }) => (at > latest ? at : latest), 0n);
  const at = secondsOf(body.get("at"));
  if (at < newest || at > newest + LATEST) throw new Fault("facts-other");
};

const purposeOf = (said) => (said.has("purpose") ? said.get("purpose") : "");

/** Check that a receipt says what an event for its purpose says. Raises Fault(facts-other). */
const requireSameFacts = (body, { type, body: said }) => {
  const agrees = (name) => said.get(name) === body.get(name);
  const erasure = body.get("kind") === "erasure";
  let right = !said.has("custody") || !body.has("custody") || agrees("custody");
  if (GIVEN.includes(type) && !erasure) {
    const until = secondsOf(body.get("expires_at"));
    right = said.get("expires_at") === until && ["notice", "language", "act"].every(agrees) && recordAgrees(body, said);
  } else if (type === "person-erased") {
    right = erasure && body.get("ended") === "erased";
  } else if (ENDED.includes(type) && erasure) {
    right = [type.replace("consent-", ""), "erased"].includes(body.get("ended"));
  }
  if (!right) throw new Fault("facts-other");
};

/** Say whether the record of a consent is of the consent, person, purpose and notice that all else is about. */
const recordAgrees = (body, said) => {
  const record = body.get("consent_record");
  const about = record.get("processing");
  return isMap(about) && isText(record.get("record_id")) && record.get("record_id") === said.get("consent")
    && record.get("pii_principal_id") === body.get("person") && about.get("purpose") === body.get("purpose")
    && about.get("privacy_notice") === body.get("notice");
};

/** Seconds of an RFC 3339 text in its one spelling; -2 for another text, or a day that no calendar has. */
const secondsOf = (text) => {
  const at = AT.test(text) ? Date.parse(text) : NaN;
  const known = !Number.isNaN(at) && new Date(at).toISOString().replace(".000Z", "Z") === text;
  return known && !text.startsWith("0000") ? BigInt(at / 1000) : -2n;
};

const requireNotice = (body) => {
  if (body.get("kind") === "erasure") return [["told.no-notice"]];
  const written = fromHex(body.get("notice_canonical"));
  if (written === null) throw new Fault("notice-other");
  const notice = readNotice(written);
  const agreed = {
    notice: notice.hash, purpose: notice.purpose, venue: notice.venue, custody: notice.custody,
    notice_text: notice.texts.get(body.get("language")),
  };
  const other = Object.entries(agreed).some(([name, value]) => body.has(name) && body.get(name) !== value);
  if (other) throw new Fault("notice-other");
  return [];
};
