"use strict";
const part = (id) => document.getElementById(id);
const WORDS = {
  ask: ["Please show your pass.", "请出示通行证。"],
  admit: ["Please come in.", "请进。"],
  refer: ["Staff will help.", "请工作人员协助。"],
};
const SHOWN_MS = 6000;
let turn = 0;

function say(which, people) {
  const count = which === "admit" && people > 1 ? ` (${people})` : "";
  part("english").textContent = WORDS[which][0] + count;
  part("chinese").textContent = WORDS[which][1] + count;
}

async function ask(text, together) {
  const mine = ++turn;
  let answer = { decision: "refer", people: 0, reason: "" };
  try {
    const got = await fetch(together ? "/decide?together=1" : "/decide", {
      method: "POST", headers: { "content-type": "text/plain" }, body: text, signal: AbortSignal.timeout(3000),
    });
    if (got.ok) answer = await got.json();
  } catch {
    // the lane does not answer: the words are the same
  }
  if (mine !== turn) return;
  say(answer.decision === "admit" ? "admit" : "refer", answer.people);
  part("staff").hidden = !answer.reason;
  part("staff").textContent = answer.reason || "";
  setTimeout(() => {
    if (mine !== turn) return;
    say("ask", 0);
    part("staff").hidden = true;
  }, SHOWN_MS);
}

part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = part("pass").value;
  const together = part("together").checked;
  part("pass").value = "";
  part("together").checked = false;
  part("pass").focus();
  if (text) ask(text, together);
});
// A scanner types wherever the focus is; Tab, Space and Enter still work for people.
document.addEventListener("keydown", (event) => {
  if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) part("pass").focus();
});
window.addEventListener("focus", () => part("pass").focus());
part("pass").focus();
