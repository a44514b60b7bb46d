// The story in plain words, from what was decoded out of the log's entries, and nothing else.

const MANY = 6;
const COUNTED = {
  consents: ["consent-given", "consent-renewed"],
  ended: ["consent-withdrawn", "consent-expired", "consent-superseded", "consent-replaced",
    "consent-lost"],
  uses: ["decision"],
  looked: ["operator-access"],
  disclosed: ["disclosure"],
  erased: ["template-erased"],
  passes: ["pass-issued", "pass-replaced", "pass-revoked"],
  complaints: ["complaint"],
};

const readOr = (read, bytes) => {
  try {
    return read(bytes);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return null; // the verdict says so; the story goes on
  }
};

/** Return what happened, decoded: {type, at, body, place} each; `type` is null where it cannot be read. */
const happened = (items, read, placeOf) => items.map((item) => {
  const found = readOr(read, item.record ?? item.entry);
  return { type: null, at: null, body: new Map(), ...found, place: placeOf(item, found) };
});

const drawStory = (content) => {
  drawAbout(content);
  const notices = new Map(content.notices.map(({ hash, canonical }) => [hash, readOr(readNotice, canonical)]));
  const events = happened(content.events, readRecord, ({ index }, found) => (
    say("number", String(found?.number ?? "?"), String(index))));
  document.getElementById("story-section").hidden = content.kind === "venue";
  const uses = events.filter(({ type }) => type === "decision");
  put("story", tag("p", { class: "from" }, say("story_from")), restoredOf(content), countsOf(events),
    plotOf(uses.map(({ at }) => at)), itemsOf(events, notices, "story_none"));
  drawRules(content, notices);
  const word = content.asserted.size ? assertedOf(content.asserted) : [tag("p", {}, say("asserted_none"))];
  put("asserted", tag("p", { class: "from" }, say("asserted_from")), ...word);
};

/** Say what a copy that was put back may have taken out of the story; null where none was. */
const restoredOf = ({ clear }) => {
  const entries = clear.map(({ entry }) => readOr(readEntry, entry));
  const moments = entries.filter((found) => found?.type === "restored").map(({ at }) => timeText(at));
  return moments.length ? tag("p", { class: "plain restored" }, say("story_restored", moments.join(", "))) : null;
};

const drawAbout = (content) => {
  const size = readOr((text) => readCheckpoint(readNote(text)).size, content.checkpoint);
  const rows = [
    ["about_kind", say(`kind.${content.kind}`)], ["venue", content.venue_name],
    content.person === "" ? null : ["who", tag("code", {}, content.person)],
    ["written", tag("time", { datetime: content.at }, content.at.replace("T", " ").replace("Z", " UTC"))],
    ["log", tag("code", {}, content.origin)], ["log_size", size === null ? "?" : String(size)],
  ].filter((row) => row !== null);
  const drawn = rows.flatMap(([name, value]) => [tag("dt", {}, say(name)), tag("dd", {}, value)]);
  put("about", tag("dl", {}, ...drawn), tag("p", { class: "from" }, say("times")));
};

const drawRules = (content, notices) => {
  const entries = happened(content.clear, readEntry, ({ index }) => say("entry", String(index)));
  const texts = [...notices.values()].filter((notice) => notice !== null).map((notice) => tag(
    "details", {}, tag("summary", {}, say("notice_of", notice.purpose, String(notice.version))),
    tag("p", { class: "place" }, `${labelOf("hash")} `, tag("code", {}, notice.hash)), ...textsOf(notice)));
  put("rules", tag("p", { class: "from" }, say("rules_from")), itemsOf(entries, notices, "rules_none"),
    texts.length ? tag("h3", {}, say("notices")) : null, ...texts);
};

const textsOf = (notice) => [...notice.texts].flatMap(([code, text]) => [
  tag("h4", {}, languageName(code)), quoteOf(text, code)]);

const countsOf = (events) => {
  const drawn = Object.entries(COUNTED).flatMap(([name, types]) => [
    tag("dt", {}, say(`count.${name}`)),
    tag("dd", {}, String(events.filter(({ type }) => types.includes(type)).length))]);
  return tag("dl", { class: "counts", "aria-label": say("counted") }, ...drawn);
};

/** Draw items in order; many of one kind in a row fold into one line with a table. */
const itemsOf = (items, notices, none) => {
  if (items.length === 0) return tag("p", {}, say(none));
  const drawn = [];
  for (let from = 0, to; from < items.length; from = to) {
    to = from;
    while (to < items.length && items[to].type === items[from].type) to += 1;
    const run = items.slice(from, to);
    const folds = run.length >= MANY && run[0].type !== null;
    drawn.push(...(folds ? [manyOf(run)] : run.map((item) => itemOf(item, notices))));
  }
  return tag("ol", { class: "story" }, ...drawn);
};

const titleOf = (type) => {
  if (type === null) return say("unreadable");
  return knows(`event.${type}`) && type !== "" ? say(`event.${type}`) : say("event.", type);
};

const itemOf = ({ type, at, body, place }, notices) => tag(
  "li", {}, at === null ? null : timeTag(at), tag("h4", {}, titleOf(type)), body.size ? fieldsOf(body, type) : null,
  ...shownOf(type, body, notices), tag("p", { class: "place" }, place));

const manyOf = (run) => {
  // Columns of their own: a body may have members of whatever names, and none stands for the time that was signed.
  const times = [say("column.at"), run.map(({ at }) => timeTag(at))];
  const places = [say("column.place"), run.map(({ place }) => place)];
  const title = say("many", titleOf(run[0].type), String(run.length), timeText(run[0].at), timeText(run.at(-1).at));
  return tag("li", {}, tag("h4", {}, title), tag("details", {}, tag("summary", {}, say("each")),
    tableOf(run.map(({ body }) => body), run[0].type, times, places)));
};

/** Draw the text that a consent was given to, as it stood on the screen, and the other languages folded. */
const shownOf = (type, body, notices) => {
  if (!COUNTED.consents.includes(type)) return [];
  const notice = notices.get(body.get("notice")) ?? null;
  const [code, text] = [body.get("language"), notice?.texts.get(body.get("language"))];
  if (!isText(text)) return [tag("p", {}, say("shown_missing"))];
  const others = [...notice.texts].filter(([other]) => other !== code).map(([other, written]) => tag(
    "details", {}, tag("summary", {}, say("other_languages", languageName(other))), quoteOf(written, other)));
  return [tag("p", {}, say("shown")), quoteOf(text, code), ...others];
};
