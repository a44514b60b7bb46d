// The enrolment desk: the exact text, a choice of equals, one picture, and a pass that counts once it was read back.

import { Key, ask, asked, signOut, signedIn } from "/pages/api.js";
import { Camera } from "/pages/camera.js";
import { begin, isSaid, once, part, say, show, tag, why } from "/pages/words.js";

const CHANNEL = "desk";
const NAMES = { en: "English", zh: "中文" };

const key = new Key();
const now = { purposes: [], notice: null, enrolment: "", card: "", camera: null };

const send = (method, path, more = {}) => asked(method, path, { ...more, key: key.text });
const purposeName = (purpose) => (isSaid(`purpose.${purpose}`) ? say(`purpose.${purpose}`) : purpose);

const draw = () => {
  const list = part("purpose");
  const chosen = list.value;
  list.replaceChildren(...now.purposes.map(
    (one) => tag("option", { value: one.purpose }, `${purposeName(one.purpose)} (${say(`custody.${one.custody}`)})`)));
  if (chosen) list.value = chosen;
  part("card").alt = say("enrol.card");
  part("notice-text").setAttribute("aria-label", say("enrol.notice"));
};

const languages = async () => {
  now.notice = await send("GET", `/v1/purposes/${encodeURIComponent(part("purpose").value)}/notice`);
  const chosen = part("language").value || document.documentElement.lang.slice(0, 2);
  part("language").replaceChildren(...Object.keys(now.notice.texts).map(
    (one) => tag("option", { value: one, lang: one }, NAMES[one] ?? one)));
  if (chosen in now.notice.texts) part("language").value = chosen;
};

const cameraOff = () => {
  now.camera?.off();
  now.camera = null;
};

/** Forget everything of the person before, and begin again. A pass that nobody read back counts for nothing. */
const next = async () => {
  cameraOff();
  if (now.enrolment) {
    await send("DELETE", `/v1/enrolments/${encodeURIComponent(now.enrolment)}`).catch(() => {}); // it ends by itself
  }
  if (now.card) URL.revokeObjectURL(now.card);
  [now.card, now.enrolment] = ["", ""];
  part("card").removeAttribute("src");
  for (const id of ["reference", "scanned", "receipt", "age", "guardian"]) part(id).value = "";
  part("guardian-part").hidden = true;
  for (const id of ["me-code", "notice-text", "notice-hash", "picture-said"]) part(id).textContent = "";
  for (const one of document.querySelectorAll(".problem")) one.textContent = "";
  show("ask");
};

/** The one whose template is in nobody else's hands comes first, and is chosen unless the person says otherwise. */
const PRIVATE_FIRST = ["carried", "holder_keyed", "venue_keyed"];

const open = async () => {
  now.purposes = (await send("GET", "/v1/purposes")).purposes.filter((one) => isFaces(one))
    .sort((a, b) => PRIVATE_FIRST.indexOf(a.custody) - PRIVATE_FIRST.indexOf(b.custody));
  draw();
  if (now.purposes.length > 0) await languages();
  part("sign-out").hidden = false;
  await next();
};

/** Some purposes are to tell others something; no face is taken for them. */
const isFaces = (purpose) => ["verify", "search"].includes(purpose.comparison);

/** Say no, or yes: see the text first, whole, as it stands in the notice that is in force. */
const showNotice = async () => {
  await languages();
  const language = part("language").value;
  part("notice-text").lang = language;
  part("notice-text").textContent = now.notice.texts[language];
  part("notice-hash").textContent = now.notice.hash;
  show("notice");
};

const showCard = async (pass, plain) => {
  const picture = await ask("POST", "/v1/passes/card", { key: key.text, body: { pass } });
  now.card = URL.createObjectURL(new Blob([await picture.arrayBuffer()], { type: "image/svg+xml" }));
  part("card").src = now.card;
  part("read-back").hidden = plain;
  part("plain-note").hidden = !plain;
  show("pass");
  if (!plain) part("scanned").focus();
};

const withoutFace = async () => {
  cameraOff();
  const { pass } = await send("POST", "/v1/passes/plain", { body: { reference: part("reference").value.trim() } });
  await showCard(pass, true);
};

const startCamera = async () => {
  show("picture");
  part("picture-problem").textContent = "";
  part("picture-said").textContent = "";
  now.camera = new Camera(part("video"));
  try {
    await now.camera.on();
  } catch {
    cameraOff();
    part("picture-problem").textContent = say("enrol.no-camera");
    return;
  }
  part("picture-said").textContent = say("enrol.camera-on");
};

const takePicture = async () => {
  if (now.camera === null) {
    await startCamera(); // once more, after a picture that was not good
    return;
  }
  if (!part("age").value || (part("age").value === "minor" && !part("guardian").value.trim())) {
    part("picture-problem").textContent = say("enrol.age-needed");
    part("age").focus();
    return;
  }
  part("picture-problem").textContent = "";
  const body = new FormData();
  try {
    body.append("image", await now.camera.picture(), "picture.jpg");
  } finally {
    cameraOff();
    part("picture-said").textContent = "";
  }
  const facts = { reference: part("reference").value.trim(), purpose: now.notice.purpose, notice: now.notice.hash,
    language: part("language").value, channel: CHANNEL, age: part("age").value };
  if (facts.age === "minor") facts.guardian = part("guardian").value.trim();
  for (const [name, value] of Object.entries(facts)) body.append(name, value);
  const begun = await send("POST", "/v1/enrolments", { body, within: 30000 });
  now.enrolment = begun.enrolment;
  await showCard(begun.pass, false);
};

const readBack = async () => {
  const pass = part("scanned").value;
  part("scanned").value = "";
  const done = await send("POST", `/v1/enrolments/${encodeURIComponent(now.enrolment)}/read-back`, {
    body: { pass }, within: 30000 }).finally(() => { now.enrolment = ""; }); // good or not, it waits no more
  part("me-code").textContent = done.me_code ?? "";
  part("code-given").hidden = !done.me_code;
  part("receipt").value = done.receipt;
  show("done");
};

const save = () => {
  const link = tag("a", { href: URL.createObjectURL(new Blob([part("receipt").value])), download: "receipt.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
};

const leave = async () => {
  await next();
  key.forget();
  if (await signedIn()) await signOut();
  part("sign-out").hidden = true;
  show("sign-in");
};

const on = (id, event, place, act) => part(id).addEventListener(event, (happened) => {
  happened.preventDefault();
  once(part(id), part(place), act);
});

on("key-form", "submit", "key-problem", async () => {
  key.keep(part("key").value);
  part("key").value = "";
  try {
    await send("GET", "/v1/session");
  } catch (problem) {
    key.forget();
    throw problem;
  }
  await open();
});
on("from-console", "click", "key-problem", async () => {
  if (await signedIn(true)) await open();
  else part("key-problem").textContent = say("enrol.nobody");
});
on("ask-form", "submit", "ask-problem", showNotice);
on("purpose", "change", "ask-problem", languages);
part("age").addEventListener("change", () => {
  const child = part("age").value === "minor";
  part("guardian-part").hidden = !child;
  part("guardian").required = child;
});
on("yes", "click", "notice-problem", startCamera);
on("no", "click", "notice-problem", withoutFace);
on("take", "click", "picture-problem", takePicture);
on("rather-not", "click", "picture-problem", withoutFace);
on("read-back", "submit", "pass-problem", readBack);
on("pass-next", "click", "pass-problem", next);
on("next", "click", "pass-problem", next);
on("sign-out", "click", "key-problem", leave);
part("save").addEventListener("click", save);
for (const id of ["print", "print-done"]) part(id).addEventListener("click", () => window.print());
window.addEventListener("hashchange", () => location.reload());
window.addEventListener("pagehide", cameraOff);

begin(draw);
show("sign-in");
try {
  if (key.text || await signedIn()) await open();
} catch (problem) {
  key.forget();
  part("key-problem").textContent = why(problem);
}
