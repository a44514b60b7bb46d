// Passkeys of whoever signs in at the console: made, used, listed, taken away. The browser and its device do the rest.

import { Problem, asked } from "/pages/api.js";
import { part, say, tag, when } from "/pages/words.js";

/** Whether this browser can turn the server's options into its own; where not, the password is the way. */
export const possible = () => typeof window.PublicKeyCredential?.parseCreationOptionsFromJSON === "function";

/** The device's part: whoever says no to it, or has none, is told so, and not by the browser's own words. */
const byDevice = async (act) => {
  try {
    return (await act()).toJSON();
  } catch {
    throw new Problem("passkey-failed", 0, "");
  }
};

/** Ask for a passkey, whichever fits; returns the answer that begins a session. */
export const signInByPasskey = async () => {
  const { id, options } = await asked("POST", "/v1/session/passkey/options");
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const answer = await byDevice(() => navigator.credentials.get({ publicKey }));
  return asked("POST", "/v1/session/passkey", { body: { id, answer } });
};

export const makePasskey = async (label) => {
  const { id, options } = await asked("POST", "/v1/passkeys/options");
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const answer = await byDevice(() => navigator.credentials.create({ publicKey }));
  await asked("POST", "/v1/passkeys", { body: { id, answer, label } });
};

/** Show mine. `button(name, of, act)` makes the button of a row. */
export const drawPasskeys = async (button) => {
  const { passkeys } = await asked("GET", "/v1/passkeys");
  part("passkeys").replaceChildren(...passkeys.map((one) => tag("li", {}, `${one.label}, ${when(one.made_at)} `,
    button("console.passkey-away", one.label, async () => {
      await asked("DELETE", `/v1/passkeys/${encodeURIComponent(one.passkey)}`);
      await drawPasskeys(button);
    }))));
  part("no-passkeys").textContent = passkeys.length ? "" : say("console.no-passkeys");
};
