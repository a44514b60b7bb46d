// The page's words in the reader's language, and the few ways to put texts on the page. No text becomes markup.

import { ENGLISH } from "/pages/words_en.js";
import { CHINESE } from "/pages/words_zh.js";

const KEPT = "countenance.language";
const WORDS = { en: ENGLISH, zh: CHINESE };

const wanted = () => sessionStorage.getItem(KEPT) ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

export const reader = { language: wanted() };

/** Return a text in the reader's language, or another; `{0}` is the first value. A name without words stands itself. */
export const say = (name, ...values) => sayIn(reader.language, name, ...values);

export const sayIn = (language, name, ...values) => {
  const text = Object.hasOwn(WORDS[language], name) ? WORDS[language][name] : name;
  return text.replace(/\{(\d)\}/g, (_, number) => String(values[Number(number)] ?? ""));
};

export const isSaid = (name) => Object.hasOwn(ENGLISH, name);

export const part = (id) => document.getElementById(id);

/** Return an element with attributes and children; what is null is left out. */
export const tag = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
};

/** Return a text in both languages, below each other: where people pass, nobody chooses one first. */
export const both = (name, ...values) => ["en", "zh"].map(
  (language) => tag("span", { lang: language, class: "said" }, sayIn(language, name, ...values)));

/** Return a time of the API (UTC text) as this reader writes times; "" for none. */
export const when = (text) => {
  const moment = text ? new Date(text) : null;
  return moment === null || Number.isNaN(moment.getTime()) ? String(text ?? "") : moment.toLocaleString(
    reader.language === "zh" ? "zh-CN" : "en-GB", { dateStyle: "medium", timeStyle: "short" });
};

/** Say why something failed: in our words, else in the server's one sentence. */
export const why = (problem) => {
  const name = `problem.${problem.code ?? "unknown"}`;
  if (isSaid(name)) return say(name);
  return problem.status ? say("problem.other", problem.message || problem.code) : say("problem.unknown");
};

/** Show one of the page's parts, and lead the eye and the screen reader to its heading. */
export const show = (id) => {
  for (const one of document.querySelectorAll("[data-part]")) one.hidden = one.id !== id;
  const heading = part(id).querySelector("h2");
  if (heading) {
    heading.tabIndex = -1;
    heading.focus();
  }
};

/** Write every word of the page's own markup again. */
export const draw = () => {
  document.documentElement.lang = reader.language === "zh" ? "zh-Hans" : "en";
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = say(one.dataset.word);
  for (const one of document.querySelectorAll("[data-both]")) one.replaceChildren(...both(one.dataset.both));
  for (const one of document.querySelectorAll("[data-language]")) {
    one.setAttribute("aria-pressed", String(one.dataset.language === reader.language));
  }
  const title = document.querySelector("[data-title]");
  if (title) document.title = say(title.dataset.title);
};

/** Let the reader choose the language; `again` draws what the page made itself. */
export const begin = (again = () => {}) => {
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      reader.language = button.dataset.language;
      sessionStorage.setItem(KEPT, reader.language);
      draw();
      again();
    });
  }
  draw();
};

/** Run what a form or button asks for, once at a time; what fails is told in `place`. */
export const once = async (element, place, act) => {
  if (element.getAttribute("aria-busy") === "true") return;
  element.setAttribute("aria-busy", "true");
  place.textContent = "";
  try {
    await act();
  } catch (problem) {
    place.textContent = why(problem);
  } finally {
    element.removeAttribute("aria-busy");
  }
};
