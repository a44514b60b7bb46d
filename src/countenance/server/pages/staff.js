// The page of a gate's staff: what happens there, why, and deciding by hand. It names nobody, because it knows nobody.

import { Key, ask, asked, lastOfAddress } from "/pages/api.js";
import { begin, isSaid, once, part, reader, say, show, tag, why } from "/pages/words.js";

const MOST_ROWS = 50;
const AGAIN_MS = 2000;
const BY_HAND = {
  admit: ["pass-damaged", "pass-forgotten", "no-match", "child", "assistance", "guest", "system-away"],
  "turn-away": ["ticket-not-good", "pass-of-another", "left-by-themselves", "house-rules"],
};

const gate = lastOfAddress();
const address = `/v1/gates/${encodeURIComponent(gate)}`;
const key = new Key();
const seen = []; // newest first: {at, kind, body}
const now = { link: "", state: null, watching: 0 };

const reasonOf = (code) => (isSaid(`reason.${code}`) ? say(`reason.${code}`) : say("reason.other", code));

/** Return an event as [what happened, why], in words. */
const toldOf = ({ kind, body }) => {
  if (kind === "gate.answered") {
    const name = body.people > 1 ? "staff.admitted-many" : `staff.did.${body.decision}`;
    return [say(name, body.people), reasonOf(body.reason)];
  }
  if (kind === "gate.by-hand") return [say(`staff.hand.${body.outcome}`), say(`by-hand.${body.reason}`)];
  if (kind === "gate.state") return [say(`staff.state.${body.state}`), ""];
  return [kind, ""];
};

const timeOf = (at) => at.toLocaleTimeString(reader.language === "zh" ? "zh-CN" : "en-GB");

const rowOf = (event) => {
  const [what, because] = toldOf(event);
  return tag("tr", {}, tag("td", {}, timeOf(event.at)), tag("td", {}, what), tag("td", {}, because));
};

const drawLatest = () => {
  const [event] = seen;
  if (event === undefined) {
    part("latest").replaceChildren();
    return;
  }
  const [what, because] = toldOf(event);
  part("latest").replaceChildren(
    tag("p", { class: "outcome" }, what), tag("p", {}, because), tag("p", { class: "soft" }, timeOf(event.at)));
};

const draw = () => {
  drawLatest();
  part("rows").replaceChildren(...seen.map(rowOf));
  part("none").hidden = seen.length > 0;
  part("link").textContent = now.link ? say(now.link) : "";
  part("gate-state").textContent = now.state === null ? "" : say(`staff.state.${now.state}`);
  for (const [outcome, reasons] of Object.entries(BY_HAND)) {
    const list = part(`${outcome}-why`);
    const chosen = list.value;
    list.replaceChildren(
      tag("option", { value: "" }, say("staff.choose")),
      ...reasons.map((code) => tag("option", { value: code }, say(`by-hand.${code}`))));
    list.value = chosen;
  }
};

const linked = (name) => {
  if (now.link === name) return;
  now.link = name;
  part("link").textContent = say(name);
};

const noted = (kind, body) => {
  if (kind === "gate.state") now.state = body.state;
  if (body.missed > 0) linked("staff.missed");
  seen.unshift({ at: new Date(), kind, body });
  seen.length = Math.min(seen.length, MOST_ROWS);
  drawLatest();
  part("rows").prepend(rowOf(seen[0]));
  while (part("rows").children.length > MOST_ROWS) part("rows").lastChild.remove();
  part("none").hidden = true;
  part("gate-state").textContent = now.state === null ? "" : say(`staff.state.${now.state}`);
};

/** Take one event of the stream: lines `event:` and `data:`; a line that begins with a colon is a sign of life. */
const takeEvent = (text) => {
  let [kind, data] = ["", ""];
  for (const line of text.split("\n")) {
    if (line.startsWith("event: ")) kind = line.slice(7);
    if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (kind && data) noted(kind, JSON.parse(data));
};

const listen = async (signal) => {
  const answer = await ask("GET", `${address}/feed`, { key: key.text, signal });
  linked("staff.listening");
  const lines = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await lines.read();
    if (done) return;
    waiting += value;
    const events = waiting.split("\n\n");
    waiting = events.pop();
    events.forEach(takeEvent);
  }
};

/** Listen, and again whenever the connection breaks, until somebody signs out. */
const watch = async () => {
  const mine = ++now.watching;
  while (mine === now.watching) {
    now.stop = new AbortController();
    try {
      now.state = (await asked("GET", address, { key: key.text })).state;
      draw();
      await listen(now.stop.signal);
    } catch (problem) {
      if (mine === now.watching && [401, 403, 404].includes(problem.status)) {
        signOut(problem);
        return;
      }
    }
    if (mine !== now.watching) return;
    linked("staff.away");
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
};

const signOut = (problem = null) => {
  now.watching++;
  now.stop?.abort();
  now.link = "";
  key.forget();
  seen.length = 0;
  show("sign-in");
  part("key-problem").textContent = problem === null ? "" : why(problem);
};

const open = () => {
  if (!key.text) {
    show("sign-in");
    return;
  }
  show("watch");
  draw();
  watch();
};

for (const outcome of Object.keys(BY_HAND)) {
  part(outcome).addEventListener("submit", (event) => {
    event.preventDefault();
    once(part(outcome), part("problem"), async () => {
      part("done").textContent = "";
      const list = part(`${outcome}-why`);
      await asked("POST", `${address}/by-hand`, { key: key.text, body: { outcome, reason: list.value } });
      part("done").textContent = `${say(`staff.hand.${outcome}`)}: ${say(`by-hand.${list.value}`)}`;
      list.value = "";
    });
  });
}
part("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key.keep(part("key").value);
  part("key").value = "";
  part("key-problem").textContent = "";
  open();
});
part("sign-out").addEventListener("click", () => signOut());
window.addEventListener("hashchange", () => location.reload());

part("name").textContent = gate;
begin(() => {
  part("done").textContent = "";
  draw();
});
open();
