// Bytes, texts and the strict spellings of both: as formats/strict64.py and formats/receipts.py read them.
// Every reader here takes one spelling of a value and no other, and raises a Fault with a stable code.

class Fault extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

const concat = (...parts) => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};

const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

/** Order as of Python's bytes: by value, a beginning before what goes on. */
const ordered = (a, b) => {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i += 1) {
    if (a[i] !== b[i]) return a[i] - b[i];
  }
  return a.length - b.length;
};

const utf8 = (text) => new TextEncoder().encode(text);

/** Text of UTF-8 bytes; a byte order mark is a letter like any other, not something to drop. */
const textOf = (bytes, code) => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Fault(code);
  }
};

/** Characters as Python counts them: a surrogate pair is one. */
const lengthOf = (text) => {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
};

const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Bytes of lower-case hex, and of no other spelling; null for anything else. */
const fromHex = (text) => {
  if (typeof text !== "string" || !/^(?:[0-9a-f]{2})*$/.test(text)) return null;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
};

const base64Of = (bytes) => {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
};

/** Bytes of the one spelling in padded base64, of `length` bytes where that is given; null for anything else. */
const fromBase64 = (text, length) => {
  if (typeof text !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  let binary;
  try {
    binary = atob(text);
  } catch {
    return null;
  }
  const bytes = Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
  return base64Of(bytes) === text && (length === undefined || bytes.length === length) ? bytes : null;
};

const numberOf = (bytes) => bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
