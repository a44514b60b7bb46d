// SHA-256 and SHA-512 (FIPS 180-4). The browser's own are asynchronous, and evidence is thousands of hashes over
// 65 bytes: these take a fraction of the time of the call alone. The tests compare them with the browser's.

/** First 32 (or 64) bits of the fractional part of the `power`-th root of the first primes (FIPS 180-4 4.2). */
const rootBits = (count, power, bits) => {
  const found = [];
  for (let n = 2n; found.length < count; n += 1n) {
    let prime = true;
    for (let d = 2n; d * d <= n && prime; d += 1n) prime = n % d !== 0n;
    if (prime) found.push(wholeRoot(n << BigInt(power * bits), BigInt(power)) & ((1n << BigInt(bits)) - 1n));
  }
  return found;
};

/** Largest whole number whose `power` is not above `value`. */
const wholeRoot = (value, power) => {
  let [low, high] = [0n, 1n << BigInt(Math.ceil(value.toString(2).length / Number(power)))];
  while (low < high) {
    const middle = (low + high + 1n) >> 1n;
    if (middle ** power <= value) low = middle;
    else high = middle - 1n;
  }
  return low;
};

const ROUND_256 = Int32Array.from(rootBits(64, 3, 32), (bits) => Number(bits));
const START_256 = Int32Array.from(rootBits(8, 2, 32), (bits) => Number(bits));
const ROUND_512 = rootBits(80, 3, 64);
const START_512 = rootBits(8, 2, 64);

/** Message with the one bit, the zeros and its length behind it, in whole blocks. */
const padded = (bytes, block, lengthBytes) => {
  const whole = new Uint8Array(Math.ceil((bytes.length + 1 + lengthBytes) / block) * block);
  whole.set(bytes);
  whole[bytes.length] = 0x80;
  new DataView(whole.buffer).setBigUint64(whole.length - 8, BigInt(bytes.length) * 8n);
  return whole;
};

const sha256 = (bytes) => {
  const whole = padded(bytes, 64, 8);
  const view = new DataView(whole.buffer);
  const state = Int32Array.from(START_256);
  const words = new Int32Array(64);
  for (let at = 0; at < whole.length; at += 64) {
    for (let i = 0; i < 16; i += 1) words[i] = view.getInt32(at + 4 * i);
    block256(state, words);
  }
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, i) => digest.setInt32(4 * i, word));
  return new Uint8Array(digest.buffer);
};

const block256 = (state, words) => {
  for (let i = 16; i < 64; i += 1) {
    const [x, y] = [words[i - 15], words[i - 2]];
    const near = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const far = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    words[i] = (words[i - 16] + near + words[i - 7] + far) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i += 1) {
    const high = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const one = (h + high + ((e & f) ^ (~e & g)) + ROUND_256[i] + words[i]) | 0;
    const low = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const two = (low + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
};

const wrap64 = (value) => BigInt.asUintN(64, value);
const turn64 = (value, bits) => wrap64((value >> bits) | (value << (64n - bits)));

/** Only signatures need this one, and few of them: BigInt is quick enough. */
const sha512 = (bytes) => {
  const whole = padded(bytes, 128, 16);
  const view = new DataView(whole.buffer);
  let state = START_512;
  for (let at = 0; at < whole.length; at += 128) {
    const words = Array.from({ length: 16 }, (_, i) => view.getBigUint64(at + 8 * i));
    const after = block512(state, words);
    state = state.map((word, i) => wrap64(word + after[i]));
  }
  return concat(...state.map((word) => bigEndian(word, 8)));
};

const block512 = (state, words) => {
  for (let i = 16; i < 80; i += 1) {
    const [x, y] = [words[i - 15], words[i - 2]];
    const near = turn64(x, 1n) ^ turn64(x, 8n) ^ (x >> 7n);
    const far = turn64(y, 19n) ^ turn64(y, 61n) ^ (y >> 6n);
    words.push(wrap64(words[i - 16] + near + words[i - 7] + far));
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 80; i += 1) {
    const high = turn64(e, 14n) ^ turn64(e, 18n) ^ turn64(e, 41n);
    const one = h + high + ((e & f) ^ (wrap64(~e) & g)) + ROUND_512[i] + words[i];
    const low = turn64(a, 28n) ^ turn64(a, 34n) ^ turn64(a, 39n);
    const two = low + ((a & b) ^ (a & c) ^ (b & c));
    [a, b, c, d, e, f, g, h] = [wrap64(one + two), a, b, c, wrap64(d + one), e, f, g];
  }
  return [a, b, c, d, e, f, g, h];
};
