// JSON with one spelling: names sorted, one space a level, no letter escaped that need not be, only whole numbers.
// Read by hand, because JSON.parse rounds long numbers and takes a name that stands twice.
// Maps become Map, whole numbers BigInt: nothing here can be mistaken for a member of Object.prototype. At most 16
// levels, and no number beyond 2^53 - 1 either way: what two readers may take for two things is not read.

const DEEPEST_JSON = 16;
const LARGEST_INTEGER = BigInt(Number.MAX_SAFE_INTEGER);

/** Return the value of a text that `spelled` wrote. Raises Fault(code) for every other text.
 * `around`: levels at the outside that do not count. */
const readJson = (text, code, around = 0) => {
  const reader = new JsonReader(text, code);
  const value = reader.value(-around);
  reader.space();
  if (reader.at !== text.length || spelled(value) !== text) throw new Fault(code);
  return value;
};

class JsonReader {
  constructor(text, code) {
    this.text = text;
    this.code = code;
    this.at = 0;
  }

  fail() {
    throw new Fault(this.code);
  }

  space() {
    while (" \n".includes(this.text[this.at] ?? "x")) this.at += 1;
  }

  take(word) {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
  }

  value(level) {
    if (level > DEEPEST_JSON) this.fail();
    this.space();
    const first = this.text[this.at];
    if (first === "{") return this.map(level);
    if (first === "[") return this.list(level);
    if (first === '"') return this.string();
    if (this.take("true")) return true;
    if (this.take("false")) return false;
    if (this.take("null")) return null;
    return this.number();
  }

  map(level) {
    const found = new Map();
    this.at += 1;
    this.space();
    if (this.take("}")) return found;
    for (;;) {
      this.space();
      const name = this.string();
      if (found.has(name)) this.fail();
      this.space();
      if (!this.take(":")) this.fail();
      found.set(name, this.value(level + 1));
      this.space();
      if (this.take("}")) return found;
      if (!this.take(",")) this.fail();
    }
  }

  list(level) {
    const found = [];
    this.at += 1;
    this.space();
    if (this.take("]")) return found;
    for (;;) {
      found.push(this.value(level + 1));
      this.space();
      if (this.take("]")) return found;
      if (!this.take(",")) this.fail();
    }
  }

  string() {
    const from = this.at;
    if (!this.take('"')) this.fail();
    for (;;) {
      const letter = this.text[this.at];
      if (letter === undefined) this.fail();
      this.at += letter === "\\" ? 2 : 1;
      if (letter === '"') break;
    }
    let text;
    try {
      text = JSON.parse(this.text.slice(from, this.at));
    } catch {
      this.fail();
    }
    return /\p{Cs}/u.test(text) ? this.fail() : text; // half a letter has no bytes that could be signed
  }

  number() {
    const found = /-?(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y;
    found.lastIndex = this.at;
    const match = found.exec(this.text);
    if (match === null) this.fail();
    this.at += match[0].length;
    const value = BigInt(match[0]);
    return value > LARGEST_INTEGER || -value > LARGEST_INTEGER ? this.fail() : value;
  }
}

/** Order of names as Python sorts them: by code points, where JavaScript's own goes by 16-bit units. */
const byCodePoint = (a, b) => {
  const one = Array.from(a, (letter) => letter.codePointAt(0));
  const other = Array.from(b, (letter) => letter.codePointAt(0));
  return ordered(one, other);
};

/** Return the one spelling of a value, with the line break at the end. */
const spelled = (value) => `${spelledAt(value, 0)}\n`;

const spelledAt = (value, level) => {
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Map) {
    const names = [...value.keys()].sort(byCodePoint);
    const items = names.map((name) => `${JSON.stringify(name)}: ${spelledAt(value.get(name), level + 1)}`);
    return inBrackets("{}", items, level);
  }
  if (Array.isArray(value)) return inBrackets("[]", value.map((item) => spelledAt(item, level + 1)), level);
  return String(value);
};

const inBrackets = ([open, close], items, level) => {
  if (items.length === 0) return open + close;
  const inner = `\n${" ".repeat(level + 1)}`;
  return `${open}${inner}${items.join(`,${inner}`)}\n${" ".repeat(level)}${close}`;
};
