// Pieces that several views are made of.

import { address } from "./api.js";
import { el, fill, icon } from "./dom.js";
import { between, count } from "./format.js";

export const SWEEP_ENDED = new Set(["completed", "failed", "cancelled"]);
export const TRIAL_ENDED = new Set(["completed", "stopped", "diverged", "failed", "cancelled"]);

/** The states of trials, as a bar shows them from left to right. */
export const TRIAL_STATES = ["completed", "stopped", "diverged", "failed", "cancelled", "running", "paused", "pending"];

/** A state, by colour and by word. */
export function pill(state) {
  return el("span", { class: "pill", data: { state } }, state);
}

/** How many trials have come to an end. */
export function done(trials) {
  return Object.entries(trials).reduce((sum, [state, n]) => sum + (TRIAL_ENDED.has(state) ? n : 0), 0);
}

/** How many trials there are. */
export function total(trials) {
  return Object.values(trials).reduce((sum, n) => sum + n, 0);
}

/** The seconds in which a sweep trained. */
export function took(sweep) {
  return sweep.used?.seconds || between(sweep.started_at, SWEEP_ENDED.has(sweep.state) ? sweep.ended_at : null);
}

/** A bar with a piece for each state. */
export function bar(trials) {
  const all = total(trials);
  const label = `${done(trials)} of ${count(all, "trial")} ended`;
  const pieces = TRIAL_STATES.filter((state) => trials[state]).map((state) =>
    el("span", { data: { state }, vars: { "--share": String(trials[state]) } }));
  return el("div", { class: "bar", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": Math.max(all, 1), "aria-valuenow": done(trials) }, pieces);
}

/** Something that stands where content would be: what happened, and what to do. */
export function notice(title, text, ...more) {
  return el("div", { class: "notice" }, el("h2", {}, title), text ? el("p", {}, text) : null, ...more);
}

/** A smaller one, within a panel. */
export function hint(text, kind = "hint") {
  return el("p", { class: `hint ${kind}`, role: kind === "error" ? "alert" : null }, text);
}

/** What a panel says when its part of the service cannot answer. */
export function trouble(error) {
  if (error.missingRoute) return hint("This service does not offer this view: it is of an older version. Update it to see it here.", "missing");
  return hint(error.message, "error");
}

/** A whole page's error. */
export function showError(main, error) {
  const again = el("button", { type: "button", on: { click: () => location.reload() } }, "Try again");
  const list = el("a", { class: "button", href: address("") }, "All sweeps");
  const title = error.status === 404 ? "Not found" : error.status === 0 ? "The service is away" : "Something went wrong";
  fill(main, notice(title, error.message, el("p", { class: "row" }, list, again)));
}

/** A short word at the screen's edge. */
export function toast(text, kind = "good") {
  const shown = el("p", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), kind === "bad" ? 12_000 : 5_000);
}

/** A button that opens a list beneath it; `draw` makes what is in it, each time that it opens. */
export function menu(label, picture, draw) {
  const list = el("div", { class: "menu-list" });
  const summary = el("summary", { class: "button" }, icon(picture), el("span", {}, label));
  const made = el("details", { class: "menu" }, summary, list);
  made.addEventListener("toggle", () => { if (made.open) fill(list, draw()); });
  made.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !made.open) return;
    made.open = false;
    summary.focus();
  });
  document.addEventListener("click", (event) => {
    if (made.open && !event.composedPath().includes(made)) made.open = false;
  });
  return made;
}

/**
 * A labelled select. `options` are values with their texts, or a function that tells them: what it
 * has come to tell is added when somebody turns to the select, and what is chosen stays.
 */
export function choice(id, label, options, chosen, onChange) {
  const told = typeof options === "function" ? options : () => options;
  let now = chosen;
  const offer = () => {
    const known = new Set([...select.options].map((option) => option.value));
    select.append(...told().filter(([value]) => !known.has(value)).map(([value, text]) => el("option", { value, selected: value === now }, text)));
  };
  const select = el("select", { id, on: { change: () => { now = select.value; onChange(now); }, focusin: offer, pointerdown: offer } });
  offer();
  return el("div", { class: "control" }, el("label", { for: id }, label), select);
}

/** Tabs; `show` is called with a tab's name and its panel when it is chosen. */
export function tabs(label, names, chosen, show) {
  const list = el("div", { class: "tabs", role: "tablist", "aria-label": label });
  const panels = el("div", { class: "panels" });
  const parts = Object.entries(names).map(([name, title]) => {
    const tab = el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}` }, title);
    const panel = el("section", { role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}`, tabindex: "0", hidden: true });
    list.append(tab);
    panels.append(panel);
    return { name, tab, panel };
  });
  const choose = (wanted) => {
    const found = parts.some((part) => part.name === wanted) ? wanted : parts[0].name;
    for (const { name, tab, panel } of parts) {
      tab.setAttribute("aria-selected", String(name === found));
      tab.tabIndex = name === found ? 0 : -1;
      panel.hidden = name !== found;
      if (name === found) {
        list.scrollLeft = tab.offsetLeft - list.clientWidth / 3;
        show(name, panel);
      }
    }
  };
  for (const { name, tab } of parts) tab.addEventListener("click", () => choose(name));
  list.addEventListener("keydown", (event) => {
    const now = parts.findIndex(({ tab }) => tab === document.activeElement);
    const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: parts.length - 1 }[event.key];
    if (next === undefined || now < 0) return;
    event.preventDefault();
    const part = parts.at(next % parts.length);
    choose(part.name);
    part.tab.focus();
  });
  return { list, panels, choose: () => choose(chosen), chooseTab: choose };
}

/** A table in a box that scrolls sideways, which the keyboard can reach. */
export function scrolling(label, table) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
}
