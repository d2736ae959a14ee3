// Sweeps beside each other.

import { address, get, pageOf } from "../api.js";
import { el, fill } from "../dom.js";
import { figure } from "../figures.js";
import { count, duration, number, value } from "../format.js";
import { varying } from "../spec.js";
import { choice, hint, notice, pill, scrolling, total, trouble } from "../ui.js";

/** Show the comparison that the address names, or a list to choose from. */
export async function show(main) {
  const asked = new URLSearchParams(location.search);
  const ids = (asked.get("sweeps") ?? "").split(",").filter(Boolean);
  if (ids.length < 2) return choose(main, ids);
  const sweeps = await Promise.all(ids.map((id) => get(`v1/sweeps/${encodeURIComponent(id)}`)));
  const chosen = { metric: asked.get("metric") ?? "best", by: asked.get("by") ?? "" };
  const drawing = figure({ path: "v1/compare/figure", title: "The sweeps beside each other", params: () => query(ids, chosen), empty: "No trial has reported yet." });
  const result = el("div", { class: "stack" });
  const load = async () => {
    history.replaceState(null, "", address(location.pathname, { ...query(ids, chosen), metric: chosen.metric === "best" ? "" : chosen.metric }));
    drawing.load();
    try {
      fill(result, ...resultOf(await get("v1/compare", query(ids, chosen)), sweeps));
    } catch (error) {
      fill(result, trouble(error));
    }
  };
  const by = [["", "nothing"], ...common(sweeps).map((path) => [`parameters.${path}`, path])];
  const metrics = [["best", "best"], ...[...new Set(sweeps.map((sweep) => sweep.spec.metric.name))].map((name) => [`metrics.${name}`, `last ${name}`])];
  fill(main, el("h1", {}, `Compare ${count(sweeps.length, "sweep")}`), overview(sweeps),
    el("div", { class: "row controls" }, choice("compare-metric", "Metric", metrics, chosen.metric, (picked) => { chosen.metric = picked; load(); }),
      choice("compare-by", "Split by", by, chosen.by, (picked) => { chosen.by = picked; load(); })),
    drawing.element, result);
  return load();
}

function query(ids, { metric, by }) {
  return { sweeps: ids.join(","), metric, by };
}

function common(sweeps) {
  const [first, ...others] = sweeps.map((sweep) => varying(sweep.spec.parameters).map(({ path }) => path));
  return first.filter((path) => others.every((paths) => paths.includes(path)));
}

async function choose(main, ids) {
  const { items } = await get("v1/sweeps", { limit: 100 });
  if (items.length < 2) {
    fill(main, el("h1", {}, "Compare"), notice("Two sweeps are needed", "Run another one, then choose both here.", el("p", {}, el("a", { class: "button primary", href: address("submit") }, "Write a sweep"))));
    return;
  }
  const boxes = items.map((sweep) => el("label", { class: "check" }, el("input", { type: "checkbox", value: sweep.id, checked: ids.includes(sweep.id) }), el("span", {}, sweep.name), pill(sweep.state)));
  const form = el("form", { class: "stack" }, el("fieldset", { class: "stack tight" }, el("legend", {}, "Choose two or more"), boxes), el("div", { class: "row" }, el("button", { type: "submit", class: "primary" }, "Compare")));
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
    ["Took", (sweep) => duration(sweep.used?.seconds)], ["Steps trained", (sweep) => number(sweep.used?.trial_steps)],
  ];
  return table("Overview", ["", ...sweeps.map((sweep) => el("a", { href: pageOf("sweeps", sweep.id) }, sweep.name))], rows.map(([name, cell]) => [name, ...sweeps.map(cell)]));
}

function table(label, heads, rows) {
  return scrolling(label, el("table", {}, el("thead", {}, el("tr", {}, heads.map((head) => (head === "" ? el("td") : el("th", { scope: "col" }, head))))),
    el("tbody", {}, rows.map(([first, ...cells]) => el("tr", {}, el("th", { scope: "row" }, first), cells.map((cell) => el("td", { class: "wrap" }, cell)))))));
}

function resultOf(told, sweeps) {
  const nameOf = (id) => sweeps.find((sweep) => sweep.id === id)?.name ?? id;
  return [differences(told.differences ?? told.spec_differences, sweeps), matched(told.matched, nameOf)].filter(Boolean);
}

function differences(found, sweeps) {
  if (!found?.length) return el("p", { class: "soft" }, "Their specs do not differ.");
  const shown = (one, i) => {
    const given = Array.isArray(one.values) ? one.values[i] : one.values?.[sweeps[i].id];
    return el("code", {}, given === undefined || given === null ? "–" : typeof given === "object" ? JSON.stringify(given) : value(given));
  };
  return el("section", { class: "stack" }, el("h2", {}, "Where their specs differ"),
    table("Differences", ["Field", ...sweeps.map((sweep) => sweep.name)], found.map((one) => [one.field ?? one.path, ...sweeps.map((_, i) => shown(one, i))])));
}

function matched(found, nameOf) {
  const list = Array.isArray(found) ? found : found ? [found] : [];
  if (!list.length) return hint("No two of their trials have the same parameters, so none can be compared one to one.");
  return el("section", { class: "stack" }, el("h2", {}, "The same parameters in both"),
    table("Matched assignments", ["Sweep", "pairs", "difference", "95% interval"], list.map((one) => [nameOf(one.sweep ?? one.id ?? ""), number(one.pairs ?? one.count), number(one.difference ?? one.mean), `${number(one.low)} to ${number(one.high)}`])));
}
