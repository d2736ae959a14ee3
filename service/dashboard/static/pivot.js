// A table of two fields against each other, as a heatmap.

import { get, latest } from "./api.js";
import { el, fill } from "./dom.js";
import { figure } from "./figures.js";
import { all, constant, fieldName } from "./filterbox.js";
import { number, value } from "./format.js";
import { flatten, varying } from "./spec.js";
import { choice, scrolling } from "./ui.js";

const AGGREGATES = [["max", "largest"], ["min", "smallest"], ["mean", "mean"], ["median", "median"], ["count", "how many"], ["share", "share that reach"]];
const INNER = new Set(["group", "state", "node", "reason", "replicate", "assignment", "origin", "pack"]);

function fieldsFor(view) {
  const whole = varying(view.sweep().spec.parameters).map(({ path }) => `parameters.${fieldName(path)}`);
  const told = view.box.fields.map((field) => field.name);
  const named = [...whole, ...told.filter((name) => name.startsWith("parameters.") || INNER.has(name))];
  return [...new Set(named)].map((name) => [name, name.replace(/^parameters\./, "")]);
}

function startOf(view, names) {
  const grouped = (view.sweep().spec.early_stopping?.group_by ?? []).map((name) => `parameters.${fieldName(name)}`);
  const known = names.map(([name]) => name);
  const wanted = grouped.filter((name) => known.includes(name));
  const parameters = known.filter((name) => name.startsWith("parameters."));
  const [rows, columns] = [...new Set([...wanted, ...parameters, "state", "replicate"])];
  return { rows, columns };
}

/** The pivot of a sweep. */
export function pivot(view) {
  const names = fieldsFor(view);
  const { spec: { metric }, id } = view.sweep();
  const chosen = { ...startOf(view, names), metric: "best", aggregate: metric.mode, threshold: metric.target ?? 0.9 };
  const metrics = () => [["best", `best ${metric.name}`], ...view.metrics.map((name) => [`metrics.${fieldName(name)}`, `last ${name}`])];
  const asked = () => ({ ...chosen, threshold: chosen.aggregate === "share" ? chosen.threshold : null, filter: view.state.filter });
  const drawing = figure({
    path: `v1/sweeps/${id}/figures/pivot`, title: "Heatmap of the pivot", params: asked,
    empty: "No trial of this filter has a value to show.",
    onPoint: ({ pointIndex }) => narrow(pointIndex),
  });
  const narrow = async ([row, column]) => {
    const { rows, columns } = await get(`v1/sweeps/${id}/pivot`, asked());
    view.narrow(all([...conditions(chosen.rows, rows[row]), ...conditions(chosen.columns, columns[column])]));
  };
  const table = el("div");
  const fold = el("details", { class: "fold" }, el("summary", {}, "The same as a table"), table);
  const load = () => { drawing.load(); if (fold.open) tabulate(); };
  const guarded = latest(table, (error) => fill(table, el("p", { class: "soft" }, error.message)));
  const tabulate = () => guarded(async (signal) => fill(table, tableOf(await get(`v1/sweeps/${id}/pivot`, asked(), signal), chosen)));
  fold.addEventListener("toggle", () => { if (fold.open) tabulate(); });
  const threshold = el("input", { id: "pivot-threshold", type: "number", step: "any", value: chosen.threshold, on: { change: () => { chosen.threshold = threshold.value; load(); } } });
  const limit = el("div", { class: "control", hidden: true }, el("label", { for: "pivot-threshold" }, "Threshold"), threshold);
  const pick = (name) => (picked) => { chosen[name] = picked; limit.hidden = chosen.aggregate !== "share"; load(); };
  const controls = el("div", { class: "row controls" },
    choice("pivot-rows", "Rows", names, chosen.rows, pick("rows")), choice("pivot-columns", "Columns", names, chosen.columns, pick("columns")),
    choice("pivot-metric", "Metric", metrics, chosen.metric, pick("metric")), choice("pivot-aggregate", "Aggregate", AGGREGATES, chosen.aggregate, pick("aggregate")), limit);
  return { element: el("div", { class: "stack" }, controls, drawing.element, fold), load, refresh: drawing.refresh };
}

/** What a trial must meet to have a label: a mapping's parts each. */
function conditions(name, label) {
  if (Array.isArray(label)) return [];
  if (label === null || typeof label !== "object") return [`${name} == ${constant(label)}`];
  return flatten(label).map(([path, part]) => `${name}.${fieldName(path)} == ${constant(part)}`);
}

function tableOf(told, chosen) {
  const cell = (one) => (one ? [number(one.value), one.low !== null && one.low !== undefined ? el("span", { class: "soft small block" }, `${number(one.low)} to ${number(one.high)}`) : null] : "–");
  return scrolling("Pivot", el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, `${chosen.rows} / ${chosen.columns}`), told.columns.map((label) => el("th", { scope: "col", class: "number" }, value(label))))),
    el("tbody", {}, told.rows.map((label, i) => el("tr", {}, el("th", { scope: "row" }, value(label)), told.cells[i].map((one) => el("td", { class: "number" }, cell(one))))))));
}
