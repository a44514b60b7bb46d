// Small helpers that draw. What came from a file becomes text, never markup: there is no other way in here to add any.

const SVG = "http://www.w3.org/2000/svg";
let language = "en";

const WORDS = { en: ENGLISH, "zh-Hans": CHINESE };

/** Return the words of that name in the reader's language, with the values in their places. */
const say = (name, ...values) => {
  const words = WORDS[language][name];
  return words === undefined ? name : words.replace(/\{(\d)\}/g, (_, place) => values[place]);
};

const knows = (name) => Object.hasOwn(WORDS[language], name);

const filled = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
};

const tag = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
const shape = (name, attributes = {}, ...children) => filled(document.createElementNS(SVG, name), attributes, children);
const put = (id, ...children) => document.getElementById(id).replaceChildren(...children.filter((one) => one !== null));

/** Write seconds since 1970 as a person reads them, in UTC. */
const timeText = (seconds) => new Date(Number(seconds) * 1000).toISOString().slice(0, 19).replace("T", " ");
const timeTag = (seconds) => (
  tag("time", { datetime: new Date(Number(seconds) * 1000).toISOString() }, timeText(seconds)));

const MOMENTS = new Set(["expires_at", "asked_from", "at", "given_at", "since", "until", "pass-replaced.before"]);
const isMoment = (name, within, value) => (
  (MOMENTS.has(name) || MOMENTS.has(`${within}.${name}`)) && isNumber(value) && value > 0n && value < END_OF_TIME);

/** Return the words for a field; `within`: the event's type, or the list, where a name has words of its own. */
const labelOf = (name, within = "") => {
  const known = [`field.${within}.${name}`, `field.${name}`].find(knows);
  return known === undefined ? String(name).replaceAll("_", " ") : say(known);
};

const isEmpty = (value) => (isText(value) || isBytes(value)) && value.length === 0;

/** The order in which a person reads what JSON has by the alphabet; other names stand behind. */
const COLUMNS = ["day", "month", "lane", "outcome", "number", "cite", "says", "control", "sure"];
const inOrder = (map) => {
  const place = ([name]) => (COLUMNS.includes(name) ? COLUMNS.indexOf(name) : COLUMNS.length);
  return new Map([...map].sort((one, other) => place(one) - place(other)));
};

/** Draw any value of a file. */
const valueOf = (name, value, within = "") => {
  if (isMoment(name, within, value)) return timeTag(value);
  if (isText(value) && knows(`value.${name}.${value}`)) return say(`value.${name}.${value}`);
  if (isBytes(value)) return tag("code", {}, hexOf(value));
  if (isText(value) && /^[0-9a-f]{32,}$/.test(value)) return tag("code", {}, value);
  if (value instanceof Tag) return valueOf(name, value.value, within);
  if (isMap(value)) return fieldsOf(value, name);
  if (isList(value)) return listOf(name, value);
  if (value === null) return say("nothing");
  return typeof value === "boolean" ? say(value ? "yes" : "no") : String(value);
};

/** Draw a map as labels and values, without those that are empty. */
const fieldsOf = (map, within = "") => {
  const pairs = [...map].filter(([, value]) => !isEmpty(value)).map(([name, value]) => [
    tag("dt", {}, labelOf(name, within)), tag("dd", {}, valueOf(name, value, within))]);
  return pairs.length ? tag("dl", {}, ...pairs.flat()) : say("nothing");
};

const listOf = (name, values) => {
  if (values.length === 0) return say("nothing");
  if (values.every(isMap)) return tableOf(values.map(inOrder), name);
  return tag("ul", {}, ...values.map((value) => tag("li", {}, valueOf(name, value))));
};

/** Draw maps as the rows of a table; `first` and `last`: [title, cells] of columns that are not theirs. The roles and
 * `data-title` are for narrow screens, where each row is a block of its own. */
const tableOf = (maps, within, first = null, last = null) => {
  const held = new Set(maps.flatMap((map) => [...map].filter(([, value]) => !isEmpty(value)).map(([name]) => name)));
  const cellOf = (map, name) => (
    map.has(name) && !isEmpty(map.get(name)) ? valueOf(name, map.get(name), within) : null);
  const columns = [first, ...[...held].map((name) => [
    labelOf(name, within), maps.map((map) => cellOf(map, name))]), last].filter((column) => column !== null);
  const head = columns.map(([title]) => tag("th", { scope: "col", role: "columnheader" }, title));
  const rows = maps.map((_, i) => tag("tr", { role: "row" }, ...columns.map(([title, cells]) => tag(
    "td", { role: "cell", "data-title": title }, tag("div", {}, cells[i])))));
  return tag("div", { class: "scroll", tabindex: "0" }, tag(
    "table", { role: "table" }, tag("thead", { role: "rowgroup" }, tag("tr", { role: "row" }, ...head)),
    tag("tbody", { role: "rowgroup" }, ...rows)));
};

/** Draw what the venue says: a heading and, below it in full width, what it says there. */
const assertedOf = (asserted) => [...asserted].flatMap(([name, value]) => [
  tag("h3", {}, labelOf(name)), tag("div", {}, valueOf(name, value))]);

const languageName = (code) => {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(code);
  } catch { // a notice may name its languages as it likes
    return code;
  }
};

/** Text in a language of its own; a name that is no language tag is left out. */
const quoteOf = (text, code) => tag("blockquote", /^[A-Za-z0-9-]{2,35}$/.test(code) ? { lang: code } : {}, text);

/** Bars of how often in each month, the newest where there are too many; null where there is none. */
const plotOf = (moments) => {
  const counts = monthly(moments);
  const older = moments.length - counts.reduce((sum, [, count]) => sum + count, 0);
  if (counts.length === 0) return null;
  const [most, wide] = [Math.max(...counts.map(([, count]) => count)), 720 / Math.max(counts.length, 12)];
  const every = Math.ceil(counts.length / 12);
  const bars = counts.flatMap(([month, count], i) => {
    const [middle, height] = [(i + 0.5) * wide, 105 * count / most];
    return [
      shape("rect", { x: middle - wide * 0.35, y: 130 - height, width: wide * 0.7, height }),
      count && every < 3 ? shape("text", { x: middle, y: 125 - height }, String(count)) : null,
      i % every ? null : shape("text", { x: middle, y: 148 }, month),
    ];
  });
  const told = say("uses_plot", counts.map(([month, count]) => `${month}: ${count}`).join("; "));
  const axis = shape("line", { x1: 0, x2: 720, y1: 130.5, y2: 130.5 });
  return tag("figure", {}, tag("figcaption", {}, say("uses_by_month")), shape(
    "svg", { viewBox: "0 0 720 155", role: "img", "aria-label": told }, ...bars, axis),
  older ? tag("p", { class: "hint" }, say("uses_older", String(older), counts[0][0])) : null);
};

const MOST_MONTHS = 240;

/** Return [month, count] for every month from the first moment to the last, but no more than the newest MOST_MONTHS. */
const monthly = (moments) => {
  if (moments.length === 0) return [];
  const numbers = moments.map((at) => {
    const [year, month] = timeText(at).split("-").map(Number);
    return year * 12 + month - 1;
  });
  const last = numbers.reduce((a, b) => Math.max(a, b));
  const first = Math.max(numbers.reduce((a, b) => Math.min(a, b)), last - MOST_MONTHS + 1);
  const counts = Array.from({ length: last - first + 1 }, () => 0);
  for (const number of numbers) if (number >= first) counts[number - first] += 1;
  return counts.map((count, i) => [monthName(first + i), count]);
};

const monthName = (number) => (
  `${String(Math.floor(number / 12)).padStart(4, "0")}-${String(number % 12 + 1).padStart(2, "0")}`);
