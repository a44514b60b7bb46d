// Signed notes, their keys, checkpoints and trust files, as formats/signed_note.py, checkpoints.py and trust.py read.

const LOG_KIND = 1;
const WITNESS_KIND = 4;
const MOST_SIGNATURES = 64;
const LARGEST_NOTE = 1 << 20;
const LARGEST_TRUST = 1 << 16;
const END_OF_TIME = 253402300800n;
const DASH = "\u2014 ";

// Visible ASCII without a plus: what is a letter to one Unicode is none to another.
const isName = (name) => /^[!-*,-~]+$/.test(name);

/** A public key of a log or a witness, with the name that it signs under. */
class NoteKey {
  constructor(name, kind, bytes) {
    this.name = name;
    this.kind = kind;
    this.bytes = bytes;
    this.id = sha256(concat(utf8(name), Uint8Array.of(10, kind), bytes)).subarray(0, 4);
    this.text = `${name}+${hexOf(this.id)}+${base64Of(concat(Uint8Array.of(kind), bytes))}`;
  }

  is(signature) {
    return this.name === signature.name && same(this.id, signature.id);
  }
}

/** Read NAME+ID+KEY of one of the `kinds`. Raises Fault(code). */
const readKey = (text, kinds, code) => {
  const [name, , ...rest] = typeof text === "string" ? text.split("+") : [];
  const bytes = rest.length ? fromBase64(rest.join("+"), 33) : null;
  if (bytes === null || !isName(name) || !kinds.includes(bytes[0]) || !isPoint(bytes.subarray(1))) throw new Fault(code);
  const key = new NoteKey(name, bytes[0], bytes.slice(1));
  if (key.text !== text) throw new Fault(code);
  return key;
};

/** Return {text, signatures: [{name, id, value}]}. Raises Fault(note-malformed). */
const readNote = (note) => {
  const malformed = new Fault("note-malformed");
  const cut = typeof note === "string" ? note.lastIndexOf("\n\n") : -1;
  if (cut < 1 || !note.endsWith("\n") || lengthOf(note) > LARGEST_NOTE) throw malformed;
  if (/[\u0000-\u0009\u000b-\u001f]/.test(note)) throw malformed;
  const lines = note.slice(cut + 2).split("\n").slice(0, -1);
  const signatures = lines.map(readSignature);
  const named = new Set(signatures.map((one) => one && `${one.name}+${hexOf(one.id)}`));
  const count = lines.length;
  if (count < 1 || count > MOST_SIGNATURES || signatures.includes(null) || named.size !== count) throw malformed;
  return { text: note.slice(0, cut + 1), signatures };
};

const readSignature = (line) => {
  if (!line.startsWith(DASH)) return null;
  const [name, ...rest] = line.slice(DASH.length).split(" ");
  const data = fromBase64(rest.join(" "));
  if (!isName(name) || data === null || data.length <= 4) return null;
  return { name, id: data.slice(0, 4), value: data.slice(4) };
};

/** Check the signature of one key; return when a witness saw it (0 for a log's), in seconds.
 * Raises Fault: signature-missing, signature-wrong. */
const requireSigned = async (note, key, ownOnly) => {
  const mine = note.signatures.find((one) => key.is(one));
  if (mine === undefined) throw new Fault("signature-missing");
  const witness = key.kind === WITNESS_KIND;
  const at = witness ? numberOf(mine.value.subarray(0, 8)) : 0n;
  const message = utf8(witness ? `cosignature/v1\ntime ${at}\n${note.text}` : note.text);
  const signature = witness ? mine.value.subarray(8) : mine.value;
  if (at >= END_OF_TIME || !await isSigned(key.bytes, signature, message, ownOnly)) throw new Fault("signature-wrong");
  return at;
};

/** Return {origin, size, root} of a note's text. Raises Fault(checkpoint-malformed). */
const readCheckpoint = (note) => {
  const malformed = new Fault("checkpoint-malformed");
  const [origin, number, encoded, ...extra] = note.text.slice(0, -1).split("\n");
  const root = fromBase64(encoded, 32);
  if (root === null || !/^(?:0|[1-9][0-9]{0,18})$/.test(number) || extra.includes("")) throw malformed;
  const size = BigInt(number);
  if (origin === "" || lengthOf(origin) > 255 || size >= 1n << 63n) throw malformed;
  if (size === 0n && !same(root, EMPTY_ROOT)) throw malformed;
  return { origin, size, root };
};

const TRUST_KINDS = { log: LOG_KIND, receipt: LOG_KIND, witness: WITNESS_KIND };

/** Return {log, receipt, witness: [NoteKey], need}. Raises Fault(trust-malformed). */
const readTrust = (text) => {
  const malformed = new Fault("trust-malformed");
  const all = text.split("\n").map(stripped);
  const [first, ...lines] = all.filter((line) => line !== "" && !line.startsWith("#"));
  if (lengthOf(text) > LARGEST_TRUST || first !== "countenance trust 1") throw malformed;
  const trust = { log: [], receipt: [], witness: [], need: null };
  for (const line of lines) {
    const [use, rest] = [line.split(" ", 1)[0], line.slice(line.indexOf(" ") + 1)];
    if (use === "need" && trust.need === null && /^[0-9]{1,4}$/.test(rest)) trust.need = BigInt(rest);
    else if (Object.hasOwn(TRUST_KINDS, use)) trust[use].push(readKey(rest, [TRUST_KINDS[use]], malformed.code));
    else throw malformed;
  }
  trust.need ??= BigInt(trust.witness.length);
  const twice = Object.keys(TRUST_KINDS).some((use) => new Set(trust[use].map((k) => k.text)).size < trust[use].length);
  if (trust.log.length === 0 || trust.need > trust.witness.length || twice) throw malformed;
  const others = new Set([...trust.log, ...trust.receipt].map((key) => hexOf(key.bytes)));
  const seen = new Set(trust.witness.map((key) => hexOf(key.bytes)));
  const mixed = [...seen].some((key) => others.has(key)); // one key under two names is one, and the venue's is none
  if (mixed || seen.size < trust.witness.length) throw malformed;
  return trust;
};

/** As Python's str.strip: JavaScript's trim takes a byte order mark away, and leaves five that Python does not. */
const stripped = (line) => {
  const blank = (letter) => letter !== "\ufeff" && /[\s\x1c-\x1f\x85]/.test(letter);
  let [from, to] = [0, line.length];
  while (from < to && blank(line[from])) from += 1;
  while (to > from && blank(line[to - 1])) to -= 1;
  return line.slice(from, to);
};
