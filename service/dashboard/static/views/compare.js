// Sweeps beside each other.

import { address, get, latest, pageOf } from "../api.js";
import { el, fill } from "../dom.js";
import { figure } from "../figures.js";
import { fieldName } from "../filterbox.js";
import { count, duration, number, value } from "../format.js";
import { flatten, varying } from "../spec.js";
import { choice, hint, notice, pill, scrolling, took, total, trouble } from "../ui.js";

const SHOWN_PAIRS = 20;
const OFFERED = 100;

/** Show the comparison that the address names, or a list to choose from. */
export async function show(main) {
  const asked = new URLSearchParams(location.search);
  const ids = (asked.get("sweeps") ?? "").split(",").filter(Boolean);
  if (ids.length < 2) return choose(main, ids);
  const sweeps = await Promise.all(ids.map((id) => get(`v1/sweeps/${encodeURIComponent(id)}`)));
  const metrics = metricsOf(sweeps);
  const chosen = { metric: metricAsked(asked.get("metric"), metrics), mode: asked.get("mode") ?? "", by: asked.get("by") ?? "" };
  const drawing = figure({ path: "v1/compare/figure", title: "The sweeps beside each other", params: () => query(ids, chosen), empty: "No trial has reported yet." });
  const result = el("div", { class: "stack" });
  const guarded = latest(result, (error) => fill(result, trouble(error)));
  const load = () => guarded(async (signal) => {
    history.replaceState(null, "", address(location.pathname, { ...query(ids, chosen), metric: chosen.metric === metrics[0][0] ? "" : chosen.metric }));
    drawing.load();
    fill(result, ...resultOf(await get("v1/compare", query(ids, chosen), signal)));
  });
  const by = [["", "nothing"], ...common(sweeps).map((path) => [`parameters.${fieldName(path)}`, path])];
  const modes = [["", "as the spec says"], ["min", "lower"], ["max", "higher"]];
  fill(main, el("h1", {}, `Compare ${count(sweeps.length, "sweep")}`), overview(sweeps),
    el("div", { class: "row controls" }, choice("compare-metric", "Metric", metrics, chosen.metric, (picked) => { chosen.metric = picked; load(); }),
      choice("compare-mode", "Better is", modes, chosen.mode, (picked) => { chosen.mode = picked; load(); }),
      choice("compare-by", "Split by", by, chosen.by, (picked) => { chosen.by = picked; load(); })),
    drawing.element, result);
  return load();
}

/** What is asked of the API and kept in the address. */
function query(ids, { metric, mode, by }) {
  return { sweeps: ids.join(","), metric, mode, by };
}

/** The metric of the address, among those to choose from; the first for none and for "best". */
function metricAsked(given, metrics) {
  if (!given || given === "best") return metrics[0][0];
  if (!metrics.some(([name]) => name === given)) metrics.push([given, given]);
  return given;
}

/** What the sweeps optimise, each at its best and as it was last: the first sweep's is usual. */
function metricsOf(sweeps) {
  const names = [...new Set(sweeps.map((sweep) => sweep.spec.metric.name))];
  return [...names.map((name) => [name, `best ${name}`]), ...names.map((name) => [`last.${fieldName(name)}`, `last ${name}`])];
}

function common(sweeps) {
  const [first, ...others] = sweeps.map((sweep) => varying(sweep.spec.parameters).map(({ path }) => path));
  return first.filter((path) => others.every((paths) => paths.includes(path)));
}

async function choose(main, ids) {
  const { items, count: all } = await get("v1/sweeps", { limit: OFFERED, count: "true" });
  if (items.length < 2) {
    fill(main, el("h1", {}, "Compare"), notice("Two sweeps are needed", "Run another one, then choose both here.", el("p", {}, el("a", { class: "button primary", href: address("submit") }, "Write a sweep"))));
    return;
  }
  const boxes = items.map((sweep) => el("label", { class: "check" }, el("input", { type: "checkbox", value: sweep.id, checked: ids.includes(sweep.id) }), el("span", {}, sweep.name), pill(sweep.state)));
  const some = all > items.length ? el("p", { class: "soft small" }, `The newest ${number(items.length)} of ${count(all, "sweep")}. Filter the list of sweeps to tick others there.`) : null;
  const form = el("form", { class: "stack" }, el("fieldset", { class: "stack tight" }, el("legend", {}, "Choose two or more"), some, boxes), el("div", { class: "row" }, el("button", { type: "submit", class: "primary" }, "Compare")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const picked = [...form.querySelectorAll("input:checked")].map((box) => box.value);
    if (picked.length > 1) location.href = address("compare", { sweeps: picked.join(",") });
  });
  fill(main, el("h1", {}, "Compare"), form);
}

function overview(sweeps) {
  const rows = [
    ["State", (sweep) => pill(sweep.state)], ["Best", (sweep) => el("span", { class: "strong" }, number(sweep.best?.value))],
    ["Metric", (sweep) => `${sweep.spec.metric.name} (${sweep.spec.metric.mode})`], ["Trials", (sweep) => number(total(sweep.trials))],
    ["Took", (sweep) => duration(took(sweep))],
  ];
  return table("Overview", ["", ...sweeps.map((sweep) => el("a", { href: pageOf("sweeps", sweep.id) }, sweep.name))], rows.map(([name, cell]) => [name, ...sweeps.map(cell)]));
}

function table(label, heads, rows) {
  return scrolling(label, el("table", {}, el("thead", {}, el("tr", {}, heads.map((head) => (head === "" ? el("td") : el("th", { scope: "col" }, head))))),
    el("tbody", {}, rows.map(([first, ...cells]) => el("tr", {}, el("th", { scope: "row" }, first), cells.map((cell) => el("td", { class: "wrap" }, cell)))))));
}

function resultOf(told) {
  return [told.by ? groups(told) : null, differences(told), ...told.matched.map((one) => matched(one, told.sweeps))].filter(Boolean);
}

function groups({ sweeps, by }) {
  const labels = [...new Map(sweeps.flatMap((sweep) => sweep.groups.map(({ label }) => [JSON.stringify(label), label])))];
  const cell = (sweep, key) => {
    const found = sweep.groups.find(({ label }) => JSON.stringify(label) === key);
    return found?.count ? [el("span", { class: "strong" }, number(found.best)), el("span", { class: "soft small" }, ` mean ${number(found.mean)} of ${number(found.count)}`)] : "–";
  };
  return el("section", { class: "stack" }, el("h2", {}, `Best by ${by.replace(/^parameters\./, "")}`),
    table("Best by group", [by.replace(/^parameters\./, ""), ...sweeps.map(({ name }) => name)], labels.map(([key, label]) => [value(label), ...sweeps.map((sweep) => cell(sweep, key))])));
}

function differences({ spec, sweeps }) {
  if (!spec.length) return el("p", { class: "soft" }, "Their specs do not differ.");
  const shown = (given) => el("code", {}, given === null ? "–" : typeof given === "object" ? JSON.stringify(given) : String(given));
  return el("section", { class: "stack" }, el("h2", {}, "Where their specs differ"),
    table("Differences", ["Field", ...sweeps.map(({ name }) => name)], spec.map(({ path, values }) => [path, ...values.map(shown)])));
}

function matched({ sweep, base, assignments, difference, pairs }, sweeps) {
  const nameOf = (id) => sweeps.find((one) => one.id === id)?.name ?? id;
  const title = el("h2", {}, `${nameOf(sweep)} against ${nameOf(base)}, the same parameters in both`);
  if (!difference) return el("section", { class: "stack" }, title, hint("No two of their trials have the same parameters, so none can be compared one to one."));
  const interval = difference.low === null ? "" : ` (95%: ${number(difference.low)} to ${number(difference.high)})`;
  const rows = pairs.slice(0, SHOWN_PAIRS).map((pair) => [flatten(pair.parameters).map(([name, given]) => `${name} ${value(given)}`).join(", "), number(pair.base), number(pair.other), number(pair.difference)]);
  return el("section", { class: "stack" }, title,
    el("p", {}, `Over ${count(assignments, "assignment")} the mean difference is `, el("span", { class: "strong" }, number(difference.mean)), interval, "."),
    el("details", { class: "fold" }, el("summary", {}, `The ${count(rows.length, "largest difference")}`), table("Largest differences", ["Parameters", nameOf(base), nameOf(sweep), "Difference"], rows)));
}
