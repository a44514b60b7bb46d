// The page itself: reads what is embedded, checks it, tells the verdict, and opens files that the reader chooses.

const MARKS = { verified: "\u2713", "self-consistent": "\u25cb", refused: "\u2717" };
const page = { facts: null, signature: null, trust: null, trustSaid: null, content: null, report: null, receipt: null };

const forced = () => window.countenance.forceFallback === true;
const trustOf = (text) => (text === null ? null : readTrust(text));

window.countenance = {
  forceFallback: false,
  verifyReceipt: async (text, trust, more) => (
    (text.startsWith("[") ? receiptsReport : receiptReport)(text, trustOf(trust), { ownOnly: forced(), ...more })),
  verifyCheckpoint: async (text, trust, more) => checkpointReport(text, trustOf(trust), { ownOnly: forced(), ...more }),
  verifyEvidence: async (text, signature, trust, more) => (
    evidenceReport(text, signature, trustOf(trust), { ownOnly: forced(), ...more })),
  inner: { sha256, sha512, isSigned, decodeCbor, encodeCbor, readJson, readKey, spelled, hexOf, fromHex },
};

/** Return evidence.json's text from what is embedded: only `<` was written otherwise there. */
const recovered = (text) => text.replace(/\\(?:u003c|.)/g, (found) => (found === "\\u003c" ? "<" : found));

const embedded = (id) => document.getElementById(id)?.textContent ?? null;

/** Let the browser draw and listen between two checks. */
const breath = () => new Promise((resolve) => setTimeout(resolve, 0));

const check = async () => {
  const button = document.getElementById("verify");
  const result = document.getElementById("result");
  button.disabled = true;
  result.setAttribute("aria-busy", "true");
  const progress = async (number, count) => {
    result.replaceChildren(tag("p", {}, say("checking", String(number), String(count))));
    await breath();
  };
  page.report = await window.countenance.verifyEvidence(page.facts, page.signature, page.trust, {
    progress, seen: (content) => { page.content = content; } });
  button.disabled = false;
  result.removeAttribute("aria-busy");
  draw();
};

const drawReport = (report, result, steps) => {
  const { verdict, step, code } = report;
  document.getElementById(result).dataset.verdict = verdict;
  const mark = tag("span", { "aria-hidden": "true" }, `${MARKS[verdict]} `);
  put(result,
    tag("p", { class: "verdict" }, mark, say(`verdict.${verdict}`)),
    tag("p", {}, say(`means.${verdict}`, String(step), nameOf(report, step))),
    step === null ? null : tag("p", {}, `${say(`code.${code}`)} `, tag("code", {}, code)));
  put(steps, ...report.steps.map((one) => tag(
    "li", { "data-outcome": one.outcome }, tag("span", { class: "mark" }, `${one.number}.`),
    tag("span", {}, nameOf(report, one.number)),
    tag("span", { class: "outcome" }, say(`outcome.${one.outcome}`)), toldOf(one))));
};

/** Name of a step; in a list of receipts with the number of the receipt before it. */
const nameOf = ({ what, steps }, number) => {
  const { of } = steps.find((one) => one.number === number) ?? {};
  if (of !== undefined) return say("step.receipts", String(of[0]), say(`step.receipt.${of[1]}`));
  return say(`step.${what === "receipts" ? "receipt" : what}.${number}`);
};

const toldOf = ({ told, code }) => {
  const words = [...told, ...(code === "" ? [] : [[`code.${code}`]])].map(([name, ...values]) => say(name, ...values));
  return words.length ? tag("span", { class: "told" }, words.join(" ")) : null;
};

/** Draw everything again, in the reader's language. */
const draw = () => {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
  const named = page.content === null ? "" : ` \u2013 ${page.content.venue_name}`;
  document.title = `${say("title")}${named}`;
  put("trust-state", say(...(page.trustSaid ?? ["trust_none"])));
  if (page.report !== null) drawReport(page.report, "result", "steps");
  if (page.receipt !== null) drawReceipt();
  if (page.content !== null) drawStory(page.content);
};

const drawReceipt = () => {
  document.getElementById("receipt-result").hidden = false;
  drawReport(page.receipt, "receipt-result", "receipt-steps");
};

/** Return the text of a file that the reader chose; null where none is chosen. Raises Fault(file-unreadable). */
const chosenText = async (input) => {
  const [file] = input.files;
  return file === undefined ? null : textOf(new Uint8Array(await file.arrayBuffer()), "file-unreadable");
};

const openTrust = async (input) => {
  page.trust = null;
  try {
    const text = await chosenText(input);
    if (text !== null) readTrust(text);
    page.trust = text;
    page.trustSaid = text === null ? null : ["trust_open", input.files[0].name];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    page.trustSaid = [`code.${error.code === "file-unreadable" ? error.code : "trust-malformed"}`];
  }
  await check();
  if (page.receipt !== null) await openReceipt(document.getElementById("receipt-file"));
};

const openReceipt = async (input) => {
  page.receipt = null;
  for (const id of ["receipt-result", "receipt-steps"]) put(id);
  document.getElementById("receipt-result").hidden = true;
  const text = await chosenText(input).catch(() => "");
  if (text === null) return;
  page.receipt = await window.countenance.verifyReceipt(text, page.trust);
  drawReceipt();
};

const speak = (code) => {
  language = code;
  draw();
};

/** Begin: called once, where the page holds evidence. */
const begin = () => {
  const chinese = (navigator.languages ?? [navigator.language]).find((code) => /^(?:zh|en)\b/i.test(code));
  language = /^zh/i.test(chinese ?? "en") ? "zh-Hans" : "en";
  page.facts = recovered(embedded("evidence"));
  page.signature = embedded("signature");
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => speak(button.dataset.language));
  }
  document.getElementById("verify").addEventListener("click", check);
  document.getElementById("trust-file").addEventListener("change", (event) => openTrust(event.target));
  document.getElementById("receipt-file").addEventListener("change", (event) => openReceipt(event.target));
  const folded = () => document.querySelectorAll("details:not([open])");
  window.addEventListener("beforeprint", () => folded().forEach((one) => { one.open = true; }));
  draw();
  check();
};

if (document.getElementById("evidence") !== null) begin();
