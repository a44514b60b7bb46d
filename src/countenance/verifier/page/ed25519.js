// Ed25519 verification (RFC 8032 5.1.7), by the browser where it can, otherwise by the arithmetic below.
// Strict, and the same on both ways: S below the group's order, canonical encodings, no key or R of small order,
// and the equation without the cofactor, as OpenSSL has it. (OpenSSL alone would take a key of small order.)

const FIELD = (1n << 255n) - 19n;
const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;

const mod = (value) => {
  const rest = value % FIELD;
  return rest < 0n ? rest + FIELD : rest;
};

const power = (base, exponent) => {
  let result = 1n;
  for (let square = base, left = exponent; left > 0n; left >>= 1n, square = mod(square * square)) {
    if (left & 1n) result = mod(result * square);
  }
  return result;
};

const inverse = (value) => power(value, FIELD - 2n);
const CURVE = mod(-121665n * inverse(121666n));
const ROOT_OF_MINUS_ONE = power(2n, (FIELD - 1n) / 4n);

const littleEndian = (bytes) => numberOf(Uint8Array.from(bytes).reverse());

/** Point in extended coordinates [X, Y, Z, T] of its 32 bytes; null for an encoding that is not canonical. */
const pointOf = (bytes) => {
  const whole = littleEndian(bytes);
  const [sign, y] = [whole >> 255n, whole & ((1n << 255n) - 1n)];
  if (y >= FIELD) return null;
  const [u, v] = [mod(y * y - 1n), mod(CURVE * y * y + 1n)];
  let x = mod(u * power(v, 3n) * power(mod(u * power(v, 7n)), (FIELD - 5n) / 8n));
  const square = mod(v * x * x);
  if (square === mod(-u)) x = mod(x * ROOT_OF_MINUS_ONE);
  else if (square !== u) return null;
  if (x === 0n && sign === 1n) return null;
  if ((x & 1n) !== sign) x = FIELD - x;
  return [x, y, 1n, mod(x * y)];
};

const sum = ([ax, ay, az, at], [bx, by, bz, bt]) => {
  const [a, b] = [mod((ay - ax) * (by - bx)), mod((ay + ax) * (by + bx))];
  const [c, d] = [mod(2n * at * bt * CURVE), mod(2n * az * bz)];
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
};

const NOWHERE = [0n, 1n, 1n, 0n];

const times = (factor, point) => {
  let result = NOWHERE;
  for (let double = point, left = factor; left > 0n; left >>= 1n, double = sum(double, double)) {
    if (left & 1n) result = sum(result, double);
  }
  return result;
};

const samePoint = ([ax, ay, az], [bx, by, bz]) => mod(ax * bz - bx * az) === 0n && mod(ay * bz - by * az) === 0n;
const BASE = pointOf(fromHex(`58${"66".repeat(31)}`));
const isSmall = (point) => samePoint(times(8n, point), NOWHERE);

/** Say whether the signature is right, by the arithmetic here alone. */
const verifiedHere = (key, signature, message) => {
  const [r, a] = [signature.subarray(0, 32), pointOf(key)];
  const [rPoint, s] = [pointOf(r), littleEndian(signature.subarray(32))];
  const digest = littleEndian(sha512(concat(r, key, message))) % ORDER;
  return samePoint(times(s, BASE), sum(rPoint, times(digest, a)));
};

const ORDER_8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
const SMALL = [0n, 1n, FIELD - 1n, ORDER_8, FIELD - ORDER_8];

/** Say whether 32 bytes are no point of small order and in the one spelling, as formats/ed25519.py does. */
const isPoint = (bytes) => {
  const second = littleEndian(bytes) & ((1n << 255n) - 1n);
  return second < FIELD && !SMALL.includes(second);
};

/** Say whether key and signature are of a form that may count at all. */
const isStrict = (key, signature) => {
  if (key.length !== 32 || signature.length !== 64 || littleEndian(signature.subarray(32)) >= ORDER) return false;
  return [key, signature.subarray(0, 32)].every((bytes) => {
    const point = pointOf(bytes);
    return point !== null && !isSmall(point);
  });
};

/** Say whether this is the signature of `key` (32 bytes) over `message`; `ownOnly` leaves the browser out. */
const isSigned = async (key, signature, message, ownOnly) => {
  if (!isStrict(key, signature)) return false;
  const subtle = ownOnly ? undefined : globalThis.crypto?.subtle;
  if (subtle === undefined) return verifiedHere(key, signature, message);
  try {
    const imported = await subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
    return await subtle.verify({ name: "Ed25519" }, imported, signature, message);
  } catch { // this browser does not know Ed25519
    return verifiedHere(key, signature, message);
  }
};
