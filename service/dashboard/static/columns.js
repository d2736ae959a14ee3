// The columns that a sweep's table may have, and which of them are shown.

import { pageOf } from "./api.js";
import { el } from "./dom.js";
import { fieldName } from "./filterbox.js";
import { at, between, duration, moment, number, value } from "./format.js";
import { constants, flatten, sortField, varying } from "./spec.js";
import { menu, pill } from "./ui.js";

const FIXED = "index";

/** Every column of a sweep's table: key, heading, field to sort by, cell, whether shown at first. */
export function columnsOf(sweep, metrics) {
  const { name } = sweep.spec.metric;
  const ordered = [name, ...metrics.filter((metric) => metric !== name)];
  return [
    { key: FIXED, of: "Trial", title: "Trial", sort: "index", number: true, shown: true, cell: (t) => el("a", { href: pageOf("trials", t.id) }, `#${t.index}`) },
    { key: "state", of: "Trial", title: "State", sort: "state", shown: true, cell: (t) => [pill(t.state), t.reason ? el("span", { class: "soft reason", title: t.reason }, t.reason) : null] },
    { key: "best", of: "Metrics", title: `Best ${name}`, sort: "best", number: true, strong: true, shown: true, cell: (t) => number(t.best?.value) },
    { key: "best_step", of: "Metrics", title: "at step", sort: "best_step", number: true, shown: true, cell: (t) => number(t.best?.step) },
    ...parametersOf(sweep.spec.parameters),
    ...ordered.map((metric) => ({ key: `metrics.${metric}`, of: "Metrics", title: `Last ${metric}`, sort: `metrics.${fieldName(metric)}`, number: true, shown: true, cell: (t) => t.nonfinite?.[metric] ?? number(t.metrics?.[metric]) })),
    ...ordered.slice(1).map((metric) => ({ key: `at_best.${metric}`, of: "Metrics", title: `${metric} at best`, number: true, cell: (t) => number(t.best?.metrics?.[metric]) })),
    ...ordered.flatMap((metric) => [
      { key: `min.${metric}`, of: "Metrics", title: `Min ${metric}`, sort: `min.${fieldName(metric)}`, number: true, cell: (t) => number(t.minimum?.[metric]) },
      { key: `max.${metric}`, of: "Metrics", title: `Max ${metric}`, sort: `max.${fieldName(metric)}`, number: true, cell: (t) => number(t.maximum?.[metric]) },
    ]),
    ...ofTraining(),
  ];
}

function parametersOf(parameters) {
  const varied = varying(parameters);
  return [
    ...varied.map((parameter) => ({ path: parameter.path, sort: sortField(parameter), number: isNumber(parameter), shown: true })),
    ...constants(parameters).map((path) => ({ path, sort: `parameters.${fieldName(path)}`, number: false, shown: false })),
  ].map(({ path, ...rest }) => ({ key: `parameters.${path}`, of: "Parameters", title: path, cell: (t) => value(at(t.parameters, path)), ...rest }));
}

function isNumber({ values, kind }) {
  return values ? values.every((one) => typeof one === "number") : kind !== "choice" && kind !== "value";
}

function ofTraining() {
  const time = (key, title) => ({ key, of: "Times", title, sort: key, cell: (t) => (t[key] ? moment(t[key]) : "–") });
  const plain = (key, title, numeric = false) => ({ key, of: "Trial", title, sort: key, number: numeric, cell: (t) => (numeric ? number(t[key]) : value(t[key])) });
  return [
    { key: "step", of: "Trial", title: "Step", sort: "step", number: true, shown: true, cell: (t) => number(t.step) },
    plain("reports", "Reports", true),
    { key: "duration", of: "Times", title: "Time", sort: "duration", number: true, shown: true, cell: (t) => duration(between(t.started_at, t.ended_at)) },
    time("started_at", "Started"), time("ended_at", "Ended"), time("created_at", "Created"),
    plain("node", "Node"),
    { key: "group", of: "Trial", title: "Group", sort: "group", cell: (t) => groupOf(t) },
    plain("assignment", "Assignment", true), plain("replicate", "Replicate", true),
    { key: "seed", of: "Trial", title: "Seed", sort: "seed", number: true, cell: (t) => String(t.seed) },
    plain("attempts", "Attempts", true), plain("pack", "Pack"), plain("origin", "Origin"),
  ];
}

function groupOf(trial) {
  return flatten(JSON.parse(trial.group)).map(([, part]) => value(part)).join(" · ") || "–";
}

/** Whether a choice of columns is what a table shows by itself. */
function isUsual(columns, keys) {
  const usual = columns.filter(({ shown }) => shown).map(({ key }) => key);
  return keys.length === usual.length && keys.every((key) => usual.includes(key));
}

/** The columns that are shown: those that were chosen, or the usual ones. */
export function shownOf(columns, chosen) {
  return columns.filter(({ key, shown }) => (chosen ? key === FIXED || chosen.includes(key) : shown));
}

/** A choice as an address holds it. */
export function writeChoice(chosen) {
  return chosen ? chosen.map(encodeURIComponent).join(",") : "";
}

/** The choice that an address holds, or the one that this browser kept for the sweep. */
export function readChoice(sweep, text) {
  let kept = text;
  try {
    kept ??= localStorage.getItem(`sweep-columns-${sweep.id}`);
    return kept ? kept.split(",").map(decodeURIComponent) : null;
  } catch {
    return null;
  }
}

function keepChoice(sweep, chosen) {
  const key = `sweep-columns-${sweep.id}`;
  try {
    if (chosen) localStorage.setItem(key, writeChoice(chosen));
    else localStorage.removeItem(key);
  } catch {
    // The address keeps it then.
  }
}

/** The button that chooses; `columns` tells what there is, `onChoose` is given the keys, or null. */
export function chooser({ sweep, columns, state, onChoose }) {
  const choose = (keys) => {
    state.columns = keys && !isUsual(columns(), keys) ? keys : null;
    keepChoice(sweep, state.columns);
    onChoose();
  };
  const draw = () => {
    const all = columns();
    const shown = new Set(shownOf(all, state.columns).map(({ key }) => key));
    const box = ({ key, title }) => el("label", { class: "check" },
      el("input", { type: "checkbox", name: key, checked: shown.has(key), disabled: key === FIXED, on: { change: (event) => {
        if (event.target.checked) shown.add(key);
        else shown.delete(key);
        choose([...shown]);
      } } }), el("span", {}, title));
    const groups = [...new Set(all.map((column) => column.of))].map((of) =>
      el("fieldset", { class: "checks" }, el("legend", {}, of), all.filter((column) => column.of === of).map(box)));
    const usual = el("button", { type: "button", on: { click: () => { choose(null); made.querySelector(".menu-list").replaceChildren(...draw()); made.querySelector(".menu-list button").focus(); } } }, "Usual columns");
    return [...groups, usual];
  };
  const made = menu("Columns", "columns", draw);
  made.classList.add("columns-menu");
  return made;
}
