// What files hold: signed messages, keys, events with their proofs, log entries, notices. As in formats/cose.py,
// evidence.py, receipts.py, log_entries.py and notices.py.

const EDDSA = encodeCbor(new Map([[1n, -8n]]));

/** Return the payload of a COSE_Sign1, verified. Raises Fault: `what`-malformed, `what`-altered. */
const signedPayload = async (message, key, what, ownOnly) => {
  const malformed = new Fault(`${what}-malformed`);
  const { tag, value } = decodeCbor(message, malformed.code) ?? {};
  if (tag !== 18n || !Array.isArray(value) || value.length !== 4) throw malformed;
  const [header, open, payload, signature] = value;
  const kid = open instanceof Map && open.size === 1 ? open.get(4n) : null;
  if (![header, kid, payload, signature].every((part) => part instanceof Uint8Array)) throw malformed;
  if (!same(header, EDDSA)) throw malformed;
  const text = encodeCbor(["Signature1", header, new Uint8Array(0), payload]);
  if (!same(kid, sha256(key.bytes).subarray(0, 8)) || !await isSigned(key.bytes, signature, text, ownOnly)) {
    throw new Fault(`${what}-altered`);
  }
  return payload;
};

const isMap = (value) => value instanceof Map;
const isText = (value) => typeof value === "string";

/** Say whether a map has members of exactly these names. */
const hasExactly = (map, names) => isMap(map) && map.size === names.length && names.every((name) => map.has(name));

const AT = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;

/** Check that the keys sign under the names of this venue and this log. Raises Fault(code). */
const requireNames = (keys, origin, venue, code) => {
  const ours = `countenance.invalid/${venue}/`;
  const named = keys.log.name === origin && origin.startsWith(ours) && keys.receipt.name === `${ours}receipt`;
  if (venue === "" || !named) throw new Fault(code);
};

/** Read {log, receipt, witnesses} of a file. Raises Fault(code). */
const readKeys = (value, code) => {
  if (!hasExactly(value, ["log", "receipt", "witnesses"])) throw new Fault(code);
  if (!Array.isArray(value.get("witnesses"))) throw new Fault(code);
  return {
    log: readKey(value.get("log"), [LOG_KIND], code),
    receipt: readKey(value.get("receipt"), [LOG_KIND], code),
    witnesses: value.get("witnesses").map((text) => readKey(text, [WITNESS_KIND], code)),
  };
};

/** Read a proof: hashes in base64. Raises Fault(code). */
const readProof = (value, code) => {
  const hashes = Array.isArray(value) ? value.map((text) => fromBase64(text, 32)) : [null];
  if (hashes.includes(null)) throw new Fault(code);
  return hashes;
};

/** Read an event with the nonce that opens its leaf, and its proof. Raises Fault(code). */
const readProven = (value, code) => {
  if (!hasExactly(value, ["leaf", "nonce", "record", "index", "proof"])) throw new Fault(code);
  const [leaf, nonce, record] = ["leaf", "nonce", "record"].map((name) => fromHex(value.get(name)));
  const index = value.get("index");
  if ([leaf, nonce, record].includes(null) || typeof index !== "bigint") throw new Fault(code);
  return { leaf, nonce, record, index, proof: readProof(value.get("proof"), code) };
};

const ENTRY = "entry-malformed";

const readMap = (bytes, kinds) => {
  const value = decodeCbor(bytes, ENTRY);
  if (!hasExactly(value, Object.keys(kinds))) throw new Fault(ENTRY);
  const fits = Object.entries(kinds).every(([name, isKind]) => isKind(value.get(name)));
  if (!fits || value.get("at") < 0n || value.get("at") >= END_OF_TIME) throw new Fault(ENTRY);
  return Object.fromEntries(value);
};

const isNumber = (value) => typeof value === "bigint";
const isBytes = (value) => value instanceof Uint8Array;
const CLEAR = { type: isText, at: isNumber, body: isMap };
const RECORD = { ...CLEAR, number: isNumber, before: isBytes };

/** Read a person's record: {type, at, number, before, body}. Raises Fault(entry-malformed). */
const readRecord = (bytes) => {
  const record = readMap(bytes, RECORD);
  if (record.number < 0n || ![0, 32].includes(record.before.length)) throw new Fault(ENTRY);
  return record;
};

/** Read an entry of the log: {type, at, body}, or {leaf} of a sealed one. Raises Fault(entry-malformed). */
const readEntry = (bytes) => {
  if (bytes[0] === 0 && bytes.length === 33) return { leaf: bytes.subarray(1) };
  if (bytes[0] !== 1 || bytes.length > 65535) throw new Fault(ENTRY);
  return readMap(bytes.subarray(1), CLEAR);
};

const sealedHash = (leaf) => leafHash(concat(Uint8Array.of(0), leaf));

const NOTICE = {
  format: (value) => value === "countenance/notice/1", venue: isText, purpose: isText, version: isNumberLike,
  custody: isText, valid_days: isNumberLike, texts: isMap,
};

// In Python a boolean is a whole number too, and the notice's reader there does not look closer.
function isNumberLike(value) {
  return isNumber(value) || typeof value === "boolean";
}

/** Read a notice's canonical bytes. Raises Fault(notice-malformed). */
const readNotice = (bytes) => {
  const value = decodeCbor(bytes, "notice-malformed");
  const fits = hasExactly(value, Object.keys(NOTICE))
    && Object.entries(NOTICE).every(([name, isKind]) => isKind(value.get(name)))
    && [...value.get("texts")].every(([language, text]) => isText(language) && isText(text));
  if (!fits) throw new Fault("notice-malformed");
  return { ...Object.fromEntries(value), hash: hexOf(sha256(bytes)) };
};
