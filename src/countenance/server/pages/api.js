// How the pages ask the server: by an API key that lies in this tab only, or by a session's cookie and its CSRF secret.

const SIGNED_IN = "countenance.signed-in";

/** What the server refused: its stable code, its status (0: no answer came), and its one sentence. */
export class Problem extends Error {
  constructor(code, status, sentence) {
    super(sentence);
    this.code = code;
    this.status = status;
  }
}

/** Keeps an API key for one page in this tab. One that came behind `#key=` leaves the address at once. */
export class Key {
  constructor() {
    this.place = `countenance.key ${location.pathname}`;
    const given = new URLSearchParams(location.hash.slice(1)).get("key");
    if (location.hash) history.replaceState(null, "", location.pathname);
    if (given) this.keep(given);
  }

  get text() {
    return sessionStorage.getItem(this.place) ?? "";
  }

  keep(text) {
    sessionStorage.setItem(this.place, text.trim());
  }

  forget() {
    sessionStorage.removeItem(this.place);
  }
}

/** The session that this page goes by, if any. What a browser keeps of it is the cookie, and here that there is one. */
const session = { csrf: "", told: null };

/** A session has begun: the answer that came with it. */
export const began = (told) => {
  [session.csrf, session.told] = [told.csrf, told];
  sessionStorage.setItem(SIGNED_IN, "1");
};

export const ended = () => {
  [session.csrf, session.told] = ["", null];
  sessionStorage.removeItem(SIGNED_IN);
};

/** Return who is signed in by a cookie, or null. `must`: ask also where this tab knows of no sign-in. */
export const signedIn = async (must = false) => {
  if (!must && sessionStorage.getItem(SIGNED_IN) === null) return null;
  try {
    began(await asked("GET", "/v1/session"));
  } catch (problem) {
    if (problem.status === 0) throw problem;
    ended();
    return null;
  }
  return session.told;
};

export const signOut = async () => {
  try {
    await asked("DELETE", "/v1/session");
  } finally {
    ended();
  }
};

const headersOf = (key, type) => {
  const headers = new Headers(type ? { "content-type": type } : {});
  if (key) headers.set("authorization", `Bearer ${key}`);
  else if (session.csrf) headers.set("x-csrf-token", session.csrf);
  return headers;
};

/** Send a request and return the answer as it came. Throws a Problem for whatever is no success. */
export const ask = async (method, path, { body, key = "", within = 15000, signal } = {}, again = false) => {
  const isForm = body instanceof FormData;
  const asText = body === undefined || isForm ? body : JSON.stringify(body);
  let answer;
  try {
    answer = await fetch(path, {
      method, body: asText, headers: headersOf(key, asText !== undefined && !isForm ? "application/json" : ""),
      credentials: key ? "omit" : "same-origin", cache: "no-store", redirect: "error", referrerPolicy: "no-referrer",
      signal: signal ?? AbortSignal.timeout(within),
    });
  } catch {
    throw new Problem("away", 0, "");
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({})); // what stands between us and the server has no code
  if (told.code === "csrf" && !again && await signedIn(true) !== null) { // another tab of ours was loaded since
    return ask(method, path, { body, key, within, signal }, true);
  }
  throw new Problem(told.code ?? "unknown", answer.status, told.detail ?? "");
};

/** As `ask`; returns the value in the answer, or null where there is none. */
export const asked = async (method, path, more) => {
  const answer = await ask(method, path, more);
  if (answer.status === 204) return null;
  try {
    return await answer.json();
  } catch {
    throw new Problem("away", 0, ""); // it broke off
  }
};

/** Return the last piece of this page's address: which gate it is for. */
export const lastOfAddress = () => decodeURIComponent(location.pathname.split("/").pop());
