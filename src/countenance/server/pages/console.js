// The console, bare: who signs in, gates, keys. What the server refuses to a role it refuses; here it is only not shown.

import { asked, began, ended, signOut, signedIn } from "/pages/api.js";
import { drawPasskeys, makePasskey, possible, signInByPasskey } from "/pages/passkeys.js";
import { begin, isSaid, once, part, say, show, tag, when, why } from "/pages/words.js";

const MODES = ["pass", "pass-and-face", "face"];
const COMPARES = { "pass-and-face": "verify", face: "search" };
const KEY_ROLES = ["gate", "gate_staff", "desk", "operator", "auditor", "witness"];
const OPERATOR_ROLES = ["operator", "desk", "gate_staff", "auditor", "owner"];
const PAGE_OF = { gate: "/gate/", gate_staff: "/staff/", desk: "/enrol" };

const now = { who: null, gates: [], keys: [], operators: [], purposes: [] };

const isOwner = () => now.who?.role === "owner";
const inCharge = () => isOwner() || now.who?.role === "operator";
const purposeName = (purpose) => (isSaid(`purpose.${purpose}`) ? say(`purpose.${purpose}`) : purpose);
const roleName = (role) => say(`role.${role}`);

/** Act on the console; the sign-in comes back where the session has ended. */
const doing = (element, act) => once(element, part("problem"), async () => {
  part("done").textContent = "";
  try {
    await act();
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    ended();
    leave();
    part("sign-in-problem").textContent = why(problem);
  }
});

/** Return a button for one row; `of` says to a screen reader what it is about. */
const button = (name, of, act) => {
  const made = tag("button", { type: "button", "aria-label": `${say(name)}: ${of}` }, say(name));
  made.addEventListener("click", () => doing(made, act));
  return made;
};

const row = (...cells) => tag("tr", {}, ...cells.map((cell) => tag("td", {}, ...[cell].flat())));

const setState = (gate, state) => async () => {
  await asked("PUT", `/v1/gates/${encodeURIComponent(gate)}/state`, { body: { state } });
  await load();
  part("done").textContent = say(`staff.state.${state}`);
};

const gateRow = (gate) => {
  const other = gate.state === "open" ? "closed" : "open";
  if (gate.mode === "pass") return row(gate.gate, say("mode.pass"), "–", "–", ""); // always open: no face there
  return row(gate.gate, say(`mode.${gate.mode}`), purposeName(gate.purpose),
    say(`console.state.${gate.state}`), button(`console.make.${other}`, gate.gate, setState(gate.gate, other)));
};

const revoke = (key) => async () => {
  await asked("DELETE", `/v1/keys/${encodeURIComponent(key.id)}`);
  await load();
  part("done").textContent = say("console.revoked", key.label);
};

const keyRow = (key) => row(key.label, roleName(key.role), key.gate || "–", when(key.expires_at),
  say(`console.key.${key.state}`), key.state === "good" ? button("console.revoke", key.label, revoke(key)) : "");

const showCode = (code) => {
  part("new-code-text").textContent = code;
  part("new-code").hidden = false;
};

const operatorRow = (one) => {
  const path = `/v1/operators/${encodeURIComponent(one.operator)}`;
  const off = button("console.off", one.name, async () => {
    await asked("DELETE", path);
    await load();
  });
  const code = button("console.new-code", one.name, async () => {
    const { code: made } = await asked("POST", `${path}/code`);
    await load();
    showCode(made);
  });
  return row(one.name, roleName(one.role), say(`console.operator.${one.state}`),
    one.state === "off" || one.name === now.who.name ? "" : [code, " ", off]);
};

const options = (id, pairs) => {
  const chosen = part(id).value;
  part(id).replaceChildren(...pairs.map(([value, name]) => tag("option", { value }, name)));
  if (pairs.some(([value]) => value === chosen)) part(id).value = chosen;
};

const drawPurposes = () => {
  const wanted = COMPARES[part("gate-mode").value];
  options("gate-purpose", now.purposes.filter((one) => one.comparison === wanted).map(
    (one) => [one.purpose, purposeName(one.purpose)]));
  part("gate-purpose").disabled = wanted === undefined;
};

const draw = () => {
  if (now.who === null) return;
  part("who").textContent = say("console.who", now.who.name, roleName(now.who.role));
  part("gates").replaceChildren(...now.gates.map(gateRow));
  part("keys").replaceChildren(...now.keys.map(keyRow));
  part("operators").replaceChildren(...now.operators.map(operatorRow));
  for (const id of ["gates-part", "keys-part"]) part(id).hidden = !inCharge();
  part("operators-part").hidden = !isOwner();
  options("gate-mode", MODES.map((mode) => [mode, say(`mode.${mode}`)]));
  drawPurposes();
  options("key-role", KEY_ROLES.filter((role) => role !== "operator" || isOwner()).map((role) => [role, roleName(role)]));
  options("key-gate", [["", "–"], ...now.gates.map((gate) => [gate.gate, gate.gate])]);
  options("operator-role", OPERATOR_ROLES.map((role) => [role, roleName(role)]));
  const ticked = new Set(chosenPurposes());
  part("key-purposes").replaceChildren(...now.purposes.map((one) => {
    const box = tag("input", { type: "checkbox", value: one.purpose });
    box.checked = ticked.has(one.purpose);
    return tag("label", {}, box, purposeName(one.purpose));
  }));
};

const chosenPurposes = () => [...part("key-purposes").querySelectorAll("input:checked")].map((box) => box.value);

const load = async () => {
  now.purposes = (await asked("GET", "/v1/purposes")).purposes;
  if (inCharge()) {
    now.gates = (await asked("GET", "/v1/gates")).gates;
    now.keys = (await asked("GET", "/v1/keys")).keys;
  }
  if (isOwner()) now.operators = (await asked("GET", "/v1/operators")).operators;
  await drawPasskeys(button);
  draw();
};

const open = async (who) => {
  now.who = who;
  await load();
  show("home");
};

const leave = () => {
  Object.assign(now, { who: null, gates: [], keys: [], operators: [] });
  for (const id of ["gates", "keys", "operators", "new-key-text", "new-key-address", "new-code-text", "passkeys"]) {
    part(id).replaceChildren();
  }
  for (const id of ["new-key", "new-code"]) part(id).hidden = true;
  show("sign-in");
};

const on = (id, act) => part(id).addEventListener("submit", (event) => {
  event.preventDefault();
  doing(part(id), act);
});

/** Sign in by what a form asks for; passwords do not stay in their fields. */
const signIn = (id, path, fields) => part(id).addEventListener("submit", (event) => {
  event.preventDefault();
  once(part(id), part("sign-in-problem"), async () => {
    const body = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, part(field).value]));
    try {
      began(await asked("POST", path, { body, within: 30000 }));
    } finally {
      for (const field of part(id).querySelectorAll("[type=password]")) field.value = "";
    }
    part(id).reset();
    await open(await signedIn());
  });
});

signIn("password-form", "/v1/session", { name: "name", password: "password" });
signIn("first-form", "/v1/session/first", { code: "first-code", name: "first-name", password: "first-password" });
on("passkey-form", async () => {
  await makePasskey(part("passkey-label").value);
  part("passkey-form").reset();
  await drawPasskeys(button);
  part("done").textContent = say("console.passkey-made");
});
on("gate-form", async () => {
  const body = { gate: part("gate-name").value, mode: part("gate-mode").value };
  if (COMPARES[body.mode]) body.purpose = part("gate-purpose").value;
  await asked("POST", "/v1/gates", { body });
  part("gate-form").reset();
  await load();
  part("done").textContent = say("console.gate-added", body.gate);
});
on("key-form", async () => {
  const [role, gate] = [part("key-role").value, part("key-gate").value];
  const body = { role, label: part("key-label").value, purposes: chosenPurposes() };
  const atGate = role === "gate" || role === "gate_staff";
  if (atGate) body.gate = gate;
  const made = await asked("POST", "/v1/keys", { body });
  await load();
  part("key-form").reset();
  const page = PAGE_OF[role];
  part("new-key-text").textContent = made.key;
  part("new-key-address").textContent = page ? `${location.origin}${page}${atGate ? gate : ""}#key=${made.key}` : "";
  part("new-key-page").hidden = !page;
  part("new-key").hidden = false;
});
on("operator-form", async () => {
  const body = { name: part("operator-name").value, role: part("operator-role").value };
  const { code } = await asked("POST", "/v1/operators", { body });
  part("operator-form").reset();
  await load();
  showCode(code);
});
for (const id of ["new-key", "new-code"]) {
  part(`${id}-seen`).addEventListener("click", () => {
    part(`${id}-text`).textContent = "";
    part("new-key-address").textContent = "";
    part(id).hidden = true;
  });
}
part("passkey-sign-in").addEventListener("click", () => once(part("passkey-sign-in"), part("sign-in-problem"), async () => {
  began(await signInByPasskey());
  await open(await signedIn());
}));
for (const id of ["passkey-sign-in", "passkeys-part"]) part(id).hidden = !possible();
part("gate-mode").addEventListener("change", drawPurposes);
part("sign-out").addEventListener("click", () => doing(part("sign-out"), async () => {
  await signOut();
  leave();
}));

begin(draw);
show("sign-in");
once(part("password-form"), part("sign-in-problem"), async () => {
  const who = await signedIn();
  if (who !== null && who.role !== "person") await open(who);
});
