// Deterministic CBOR, strict both ways (formats/canonical.py): shortest heads, map keys sorted length-first as RFC 7049
// 3.9 has it, nothing twice, no floats, no indefinite lengths, no trailing bytes. Numbers are BigInt, maps are Map.

const LARGEST_CBOR = 1 << 20;
const DEEPEST_CBOR = 16;
const LONGEST_NUMBER = 1n << 64n;

// Tags that a library may turn into dates, sets and the like: the Python side refuses what they become.
const MEANT_TAGS = new Set([
  0, 1, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 260, 261, 1004, 43000, 55799,
].map(BigInt));

class Tag {
  constructor(tag, value) {
    this.tag = tag;
    this.value = value;
  }
}

/** Return the value of bytes that `encodeCbor` wrote. Raises Fault(code) for all others. */
const decodeCbor = (bytes, code) => {
  if (bytes.length > LARGEST_CBOR) throw new Fault(code);
  const reader = new CborReader(bytes, code);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw new Fault(code);
  return value;
};

class CborReader {
  constructor(bytes, code) {
    this.bytes = bytes;
    this.code = code;
    this.at = 0;
  }

  fail() {
    throw new Fault(this.code);
  }

  take(count) {
    if (count > this.bytes.length - this.at) this.fail();
    this.at += Number(count);
    return this.bytes.subarray(this.at - Number(count), this.at);
  }

  /** Number in a head, which must stand in as few bytes as it can. */
  head(low) {
    if (low < 24) return BigInt(low);
    if (low > 27) this.fail();
    const value = numberOf(this.take(1 << (low - 24)));
    const least = low === 24 ? 24n : 1n << BigInt(4 << (low - 24));
    if (value < least) this.fail();
    return value;
  }

  value(level) {
    if (level > DEEPEST_CBOR) this.fail();
    const [first] = this.take(1);
    const kind = first >> 5;
    if (kind === 7) return this.special(first);
    const value = this.head(first & 31);
    if (kind === 0) return value;
    if (kind === 1) return -1n - value;
    if (kind === 2) return this.take(value).slice();
    if (kind === 3) return textOf(this.take(value), this.code);
    if (kind === 6) return this.tagged(value, level);
    if (value > this.bytes.length - this.at) this.fail(); // or a head of nine bytes asks for all memory
    return kind === 4 ? this.list(value, level) : this.map(value, level);
  }

  special(first) {
    if (first === 0xf4) return false;
    if (first === 0xf5) return true;
    return first === 0xf6 ? null : this.fail();
  }

  list(count, level) {
    const found = [];
    for (let i = 0n; i < count; i += 1n) found.push(this.value(level + 1));
    return found;
  }

  map(count, level) {
    const found = new Map();
    let before = null;
    for (let i = 0n; i < count; i += 1n) {
      const from = this.at;
      const key = this.value(level + 1);
      const written = this.bytes.subarray(from, this.at);
      if (before !== null && lengthFirst(before, written) >= 0) this.fail();
      before = written;
      found.set(key, this.value(level + 1));
    }
    return found;
  }

  tagged(tag, level) {
    if (MEANT_TAGS.has(tag)) this.fail();
    const inner = this.value(tag === 2n || tag === 3n ? level : level + 1);
    if (tag !== 2n && tag !== 3n) return new Tag(tag, inner);
    if (!(inner instanceof Uint8Array) || inner[0] === 0) this.fail();
    const value = numberOf(inner);
    if (value < LONGEST_NUMBER) this.fail(); // fits into a head
    return tag === 2n ? value : -1n - value;
  }
}

const lengthFirst = (a, b) => a.length - b.length || ordered(a, b);

/** Return the one encoding of a text, bytes, BigInt, boolean, null, or of lists, Maps and Tags of those. */
const encodeCbor = (value) => {
  if (typeof value === "bigint") return encodedNumber(value);
  if (typeof value === "string") return withHead(3, utf8(value));
  if (value instanceof Uint8Array) return withHead(2, value);
  if (Array.isArray(value)) return concat(headOf(4, BigInt(value.length)), ...value.map(encodeCbor));
  if (value instanceof Map) {
    const pairs = [...value].map(([key, item]) => [encodeCbor(key), encodeCbor(item)]);
    pairs.sort(([a], [b]) => lengthFirst(a, b));
    return concat(headOf(5, BigInt(pairs.length)), ...pairs.flat());
  }
  if (value instanceof Tag) return concat(headOf(6, value.tag), encodeCbor(value.value));
  return Uint8Array.of(value === null ? 0xf6 : value ? 0xf5 : 0xf4);
};

const headOf = (kind, value) => {
  if (value < 24n) return Uint8Array.of((kind << 5) | Number(value));
  const size = [1, 2, 4, 8].find((bytes) => value < 1n << BigInt(8 * bytes));
  const low = 24 + Math.log2(size);
  return concat(Uint8Array.of((kind << 5) | low), bigEndian(value, size));
};

const bigEndian = (value, size) => fromHex(value.toString(16).padStart(2 * size, "0"));

const withHead = (kind, bytes) => concat(headOf(kind, BigInt(bytes.length)), bytes);

const encodedNumber = (value) => {
  const [kind, size] = value < 0n ? [1, -1n - value] : [0, value];
  if (size < LONGEST_NUMBER) return headOf(kind, size);
  const digits = size.toString(16);
  return concat(headOf(6, BigInt(2 + kind)), withHead(2, fromHex(digits.length % 2 ? `0${digits}` : digits)));
};
