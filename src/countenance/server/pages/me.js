// A person's own page: what is held, every use, who looked; and to take it along, to complain, to end it.

import { ask, asked, began, ended, signOut, signedIn } from "/pages/api.js";
import { begin, isSaid, once, part, say, show, tag, when, why } from "/pages/words.js";

const now = { about: null, sure: null };

const wordOr = (name, plain) => (isSaid(name) ? say(name) : plain);
const purposeName = (purpose) => wordOr(`purpose.${purpose}`, purpose);

/** Write a code in groups of four as it is typed; the server takes it with or without. */
const grouped = (text) => text.toUpperCase().replace(/[^0-9A-Z]/g, "").slice(0, 32).match(/.{1,4}/g)?.join("-") ?? "";

const drawFacts = (about) => {
  const facts = [["me.reference", about.reference], ["me.language", about.language], ["me.person", about.person]];
  part("facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(
    ([name, value]) => [tag("dt", {}, say(name)), tag("dd", {}, String(value))]));
  const faces = about.faces ?? [];
  part("faces").replaceChildren(...(faces.length === 0 ? [tag("p", {}, say("me.faces-none"))] : faces.map(
    (face) => tag("p", {}, say("me.face", purposeName(face.purpose), wordOr(`where.${face.measurement}`, face.measurement),
      wordOr(`where.${face.key}`, face.key), when(face.delete_at))))));
};

const consentOf = (consent) => {
  const standing = consent.state === "given";
  const button = tag("button", { type: "button" }, say("me.withdraw", purposeName(consent.purpose)));
  button.addEventListener("click", () => areYouSure(
    "me.withdraw-sure", [purposeName(consent.purpose)], "me.withdraw-note", "me.withdraw-yes", () => withdraw(consent.purpose)));
  return tag("div", { class: "consent" },
    tag("h3", {}, purposeName(consent.purpose)),
    tag("p", {}, say(`state.${consent.state}`), " ", say("me.given", when(consent.given_at)), " ",
      standing ? say("me.until", when(consent.expires_at)) : ""),
    tag("p", {}, wordOr(`act.${consent.act}`, consent.act)),
    tag("details", {}, tag("summary", {}, say("me.text")),
      tag("div", { class: "text", lang: consent.language }, consent.text)),
    standing ? tag("div", { class: "row" }, button) : null);
};

const LOOKS = new Set(["operator-access", "disclosure"]);

const lineOf = (event) => {
  const name = `event.${event.type}`;
  const values = { decision: [event.gate || say("me.some-gate"), event.people], "operator-access": [wordOr(`by.${event.by}`, event.by), wordOr(`why.${event.why}`, event.why)],
    disclosure: [event.to, event.what, event.why], complaint: [event.text],
    "disclosure-unsealed": [event.to, event.what, event.why], request: [event.text], answer: [event.reason],
    "ruling-of-person": [event.ground], wish: [event.who] }[event.type]
    ?? [event.purpose ? purposeName(event.purpose) : ""];
  return tag("li", {}, `${when(event.at)}: `, isSaid(name) ? say(name, ...values) : event.type);
};

const draw = () => {
  const { about } = now;
  if (about === null) return;
  drawFacts(about);
  const consents = about.consents ?? [];
  part("consents").replaceChildren(...(consents.length === 0 ? [tag("p", {}, say("me.consents-none"))]
    : consents.map(consentOf)));
  const events = about.events ?? [];
  const [uses, looked] = [events.filter((one) => one.type === "decision"), events.filter((one) => LOOKS.has(one.type))];
  part("uses").replaceChildren(...uses.map(lineOf));
  part("looked").replaceChildren(...looked.map(lineOf));
  [part("uses-none").hidden, part("looked-none").hidden] = [uses.length > 0, looked.length > 0];
  part("events").replaceChildren(...events.map(lineOf));
};

const again = () => {
  draw();
  if (now.sure !== null) drawSure();
};

const load = async () => {
  now.about = await asked("GET", "/v1/me");
  draw();
  show("held");
};

const drawSure = () => {
  const { what, values, note, yes } = now.sure;
  part("confirm-what").textContent = say(what, ...values);
  part("confirm-note").textContent = say(note);
  part("confirm-yes").textContent = say(yes);
};

const areYouSure = (what, values, note, yes, act) => {
  now.sure = { what, values, note, yes, act };
  part("confirm-problem").textContent = "";
  drawSure();
  show("confirm");
};

const download = (blob, name) => {
  const link = tag("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
};

/** Show what the person is to keep: each receipt, to be saved as a file or copied. */
const showReceipts = (what, done, receipts) => {
  part("receipt-what").textContent = say(what);
  part("receipt-final").textContent = done.final_by
    ? say("me.final-by", when(done.final_by)) : say("me.final");
  part("receipt-copies").textContent = done.copies_open_until ? say("me.copies", when(done.copies_open_until)) : "";
  part("receipts").replaceChildren(...receipts.map((text, number) => {
    const name = `receipt-${number + 1}.json`;
    const save = tag("button", { type: "button" }, say("me.save", name));
    save.addEventListener("click", () => download(new Blob([text], { type: "application/json" }), name));
    return tag("div", {}, tag("label", { for: `kept-${number}` }, name),
      Object.assign(tag("textarea", { id: `kept-${number}`, class: "kept", readonly: "" }), { value: text }),
      tag("div", { class: "row" }, save));
  }));
  show("receipt");
};

const withdraw = async (purpose) => {
  const done = await asked("POST", "/v1/me/withdrawals", { body: { purpose }, within: 60000 });
  showReceipts("me.withdrawn", done, [done.receipt]);
};

const erase = async () => {
  const done = await asked("DELETE", "/v1/me", { within: 60000 });
  ended(); // there is nobody any more who could be signed in
  now.about = null;
  const each = done.withdrawn ?? [];
  showReceipts("me.erased", each.find((one) => one.final_by) ?? each[0] ?? done, [
    ...each.map((one) => one.receipt), done.receipt].filter((text) => text));
};

const leave = () => {
  [now.about, now.sure] = [null, null];
  for (const id of ["facts", "faces", "consents", "uses", "looked", "events", "receipts"]) part(id).replaceChildren();
  show("sign-in");
};

/** Act on the page that shows what is held; a session that has ended leads back to its beginning. */
const doing = (element, act) => once(element, part("problem"), async () => {
  part("done").textContent = "";
  try {
    await act();
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    ended();
    leave();
    part("code-problem").textContent = why(problem);
  }
});

part("code").addEventListener("input", () => {
  const field = part("code");
  if (field.selectionStart === field.value.length) field.value = grouped(field.value);
});
part("code-form").addEventListener("submit", (event) => {
  event.preventDefault();
  once(part("code-form"), part("code-problem"), async () => {
    const code = part("code").value;
    part("code").value = "";
    began(await asked("POST", "/v1/me/session", { body: { code } }));
    await load();
  });
});
part("export").addEventListener("click", () => doing(part("export"), async () => {
  download(await (await ask("GET", "/v1/me/export")).blob(), "about-me.json");
  part("done").textContent = say("me.taken", "about-me.json");
}));
part("evidence").addEventListener("click", () => doing(part("evidence"), async () => {
  const answer = await ask("GET", "/v1/me/evidence", { within: 60000 });
  download(await answer.blob(), "evidence.zip");
  part("done").textContent = say("me.taken", "evidence.zip");
}));
part("complaint").addEventListener("submit", (event) => {
  event.preventDefault();
  doing(part("complaint"), async () => {
    await asked("POST", "/v1/me/complaints", { body: { text: part("complaint-text").value } });
    part("complaint-text").value = "";
    await load();
    part("done").textContent = say("me.complained");
  });
});
part("erase").addEventListener("click", () => areYouSure("me.erase-sure", [], "me.erase-note", "me.erase-yes", erase));
part("confirm-yes").addEventListener("click", () => once(part("confirm"), part("confirm-problem"), async () => {
  await now.sure.act();
  now.sure = null;
}));
part("confirm-no").addEventListener("click", () => {
  now.sure = null;
  show("held");
});
part("receipt-done").addEventListener("click", () => doing(part("receipt"), async () => {
  part("receipts").replaceChildren();
  if (now.about === null) leave();
  else await load();
}));
part("sign-out").addEventListener("click", () => doing(part("sign-out"), async () => {
  await signOut();
  leave();
}));

begin(again);
show("sign-in");
once(part("code-form"), part("code-problem"), async () => {
  const who = await signedIn();
  if (who?.role === "person") await load();
});
