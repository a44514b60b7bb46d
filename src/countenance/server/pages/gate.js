// The page at a gate. It begins when a person acts (a scan, a press), takes one picture, and says one of two sentences.

import { Key, Problem, ask, asked, lastOfAddress } from "/pages/api.js";
import { Camera, readsCodes, takePicture } from "/pages/camera.js";
import { begin, both, part, tag, why } from "/pages/words.js";

const ANSWER_MS = 4000;
const LOOK_AGAIN_MS = 30000;
const CODE_MS = 15000;
const LOWER_MS = 1500; // between a code held up and the face behind it
const DECIDE_MS = 8000;

const gate = lastOfAddress();
const address = `/v1/gates/${encodeURIComponent(gate)}`;
const key = new Key();
const now = { mode: "", open: true, busy: false, codes: false };

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Say a sentence, large, in both languages; `more` below it, smaller. */
const tell = (name, more = null, people = 0) => {
  const count = people > 1 ? [tag("span", { class: "said" }, `(${people})`)] : [];
  const below = more === null ? [] : [tag("div", { class: "more" }, ...both(more))];
  part("said").replaceChildren(...both(name), ...count, ...below);
};

const asksForPass = () => now.mode === "pass" || now.mode === "pass-and-face";
const looks = () => now.open && now.mode !== "pass";

/** Show what this gate asks for. */
const start = () => {
  const closed = now.mode === "face" && !now.open;
  tell(closed ? "gate.other-lane" : `gate.ask.${now.mode === "pass-and-face" && !now.open ? "pass" : now.mode}`);
  part("sign-in").hidden = true;
  part("note").hidden = !looks();
  part("look").hidden = now.mode !== "face" || !now.open;
  part("without").hidden = !looks();
  part("code").hidden = !(asksForPass() && now.codes);
  part("scan").hidden = !asksForPass();
  part("start").hidden = false;
  // Not the button: what a scanner types ends with Enter, and a scan is no press.
  part(asksForPass() ? "pass" : "name").focus();
};

const signIn = (problem = null) => {
  now.mode = "";
  part("said").replaceChildren();
  part("start").hidden = true;
  part("sign-in").hidden = false;
  part("problem").textContent = problem === null ? "" : why(problem);
  part("key").focus();
};

const isOfKey = (problem) => [401, 403, 404].includes(problem.status);

/** Ask the server what kind of gate this is. */
const learn = async () => {
  const told = await asked("GET", address, { key: key.text });
  [now.mode, now.open] = [told.mode, told.state === "open"];
};

const open = async () => {
  if (!key.text) {
    signIn();
    return;
  }
  try {
    await learn();
  } catch (problem) {
    if (isOfKey(problem)) key.forget();
    signIn(problem);
    return;
  }
  start();
};

/** Ask for a decision. Nothing of what is sent stays here. */
const decided = async (pass, picture, pressed, together) => {
  const body = new FormData();
  if (picture !== null) body.append("image", picture, "picture.jpg");
  if (pass) body.append("pass", pass);
  if (pressed) body.append("press", "1");
  if (together) body.append("together", "1");
  const answer = await ask("POST", `${address}/decisions`, { body, key: key.text, within: DECIDE_MS });
  return answer.json();
};

/** One visit, from the act to the answer and back to the start. `act` resolves to the server's answer. */
const visit = async (act) => {
  if (now.busy) return;
  now.busy = true;
  part("start").hidden = true;
  let refused = null;
  try {
    const { decision, people } = await act();
    if (decision === "admit") tell("gate.admit", null, people);
    else tell("gate.refer");
  } catch (problem) {
    tell("gate.refer", "gate.other-lane"); // the camera, the key, the server: for the person it is all the same
    if (problem instanceof Problem && isOfKey(problem)) refused = problem;
  }
  await pause(ANSWER_MS);
  now.busy = false;
  if (refused === null) start();
  else signIn(refused);
};

const byScan = (pass, together) => visit(async () => {
  if (!looks()) return decided(pass, null, false, together);
  tell("gate.look-here");
  return decided(pass, await takePicture(part("picture")), false, together);
});

const byPress = () => visit(async () => {
  tell("gate.look-here");
  return decided("", await takePicture(part("picture")), true, false);
});

/** The pass held up to the camera, then the face, where this gate asks for both; one time on, one time off. */
const byCode = (together) => visit(async () => {
  const camera = new Camera(part("picture"));
  let picture = null;
  let pass = null;
  try {
    tell("gate.hold-up");
    await camera.on();
    pass = await camera.code(CODE_MS);
    if (pass === null) throw new Error("no code came");
    if (looks()) {
      tell("gate.look-here");
      await pause(LOWER_MS);
      picture = await camera.picture();
    }
  } finally {
    camera.off();
  }
  return decided(pass, picture, false, together);
});

/** Somebody enters without their face: nothing is switched on, and nothing is sent. */
const byOtherLane = async () => {
  if (now.busy) return;
  now.busy = true;
  part("start").hidden = true;
  tell("gate.other-lane");
  await pause(ANSWER_MS);
  now.busy = false;
  start();
};

const together = () => {
  const chosen = part("together").checked;
  part("together").checked = false;
  return chosen;
};

part("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  key.keep(part("key").value);
  part("key").value = "";
  open();
});
part("scan").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = part("pass").value;
  part("pass").value = "";
  if (text) byScan(text, together());
});
part("look").addEventListener("click", byPress);
part("code").addEventListener("click", () => byCode(together()));
part("without").addEventListener("click", byOtherLane);

// A scanner types wherever the focus is; Tab, Space and Enter still work for people.
document.addEventListener("keydown", (event) => {
  const types = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (types && asksForPass() && !now.busy && !part("start").hidden) part("pass").focus();
});
// A gate may be opened or closed while nobody is in front of it.
setInterval(async () => {
  if (now.busy || !now.mode) return;
  const before = `${now.mode} ${now.open}`;
  try {
    await learn();
  } catch {
    return; // the server is away: the next person hears it, and the other lane goes on
  }
  if (!now.busy && before !== `${now.mode} ${now.open}`) start();
}, LOOK_AGAIN_MS);
window.addEventListener("hashchange", () => location.reload()); // a key was given to a page that is open already

part("name").textContent = gate;
begin();
now.codes = await readsCodes();
await open();
