// The views of a sweep beside its table, each made when it is first shown.

import { get, latest, pageOf } from "./api.js";
import { el, fill, throttle } from "./dom.js";
import { figure } from "./figures.js";
import { fieldName } from "./filterbox.js";
import { count, number } from "./format.js";
import { history } from "./history.js";
import { parallel } from "./parallel.js";
import { pivot } from "./pivot.js";
import { choice, hint, pill, trouble } from "./ui.js";

const QUIET_MS = 3_000;
const FAILURES = 50;

/** Everything that the tabs show. */
export function panelsOf(view) {
  const makers = { trials, curves, pivot: (v) => pivot(v), importance, pareto, stopping, resources, failures, history: happened, spec };
  const made = new Map();
  let shown = null;
  const reload = (typed = true) => made.get(shown)?.load(typed);
  return {
    show(name, panel) {
      shown = name;
      if (!made.has(name)) {
        const one = makers[name](view);
        made.set(name, one);
        fill(panel, one.element);
      }
      made.get(name).load(true);
    },
    filtered: (typed) => { if (shown !== "trials" || typed) reload(typed); },
    refresh: () => made.get(shown)?.refresh?.(),
    clearMark: (name) => made.get("trials")?.clearMark(name),
  };
}

function metricNames(view) {
  return view.metrics.map((name) => [name, name]);
}

function trials(view) {
  const lines = parallel({ sweep: view.sweep(), state: view.state, onMark: (marks) => view.mark(marks) });
  const plot = el("details", { class: "fold", open: matchMedia("(min-width: 50rem)").matches }, el("summary", {}, "Parallel coordinates"), lines.element);
  plot.addEventListener("toggle", () => { if (plot.open) lines.load(); });
  let begun = false;
  return {
    element: el("div", { class: "stack" }, plot, view.board.element),
    load(typed) {
      if (typed && plot.open) lines.load();
      if (!begun) view.board.load();
      begun = true;
    },
    refresh: lines.refresh,
    clearMark: (name) => lines.clear(name),
  };
}

function curves(view) {
  const { id, spec: { metric } } = view.sweep();
  const chosen = { metric: metric.name, trials: "50", colour_by: "", log: "none" };
  const parameters = view.box.fields.map(({ name }) => name).filter((name) => name.startsWith("parameters."));
  const colours = [["", "none"], ...parameters.map((name) => [name, name.slice("parameters.".length)])];
  const scales = [["none", "linear"], ["y", "logarithmic up"], ["x", "logarithmic across"], ["xy", "logarithmic both"]];
  const drawing = figure({
    path: `v1/sweeps/${id}/figures/curves`, title: "Learning curves of the trials, rungs and stopped trials marked",
    params: () => ({ ...chosen, filter: view.state.filter, sort: view.state.sort }),
    empty: "No curves yet: no trial of this filter has reported.",
  });
  const pick = (name) => (picked) => { chosen[name] = picked; drawing.load(); };
  const controls = el("div", { class: "row controls" }, choice("curve-metric", "Metric", () => metricNames(view), chosen.metric, pick("metric")),
    choice("curve-trials", "Trials", [["20", "first 20"], ["50", "first 50"], ["200", "first 200"]], chosen.trials, pick("trials")),
    choice("curve-colour", "Colour by", colours, chosen.colour_by, pick("colour_by")), choice("curve-scale", "Scale", scales, chosen.log, pick("log")),
    el("p", { class: "soft small" }, "The first trials of the table's order. Click a curve to open its trial."));
  return { element: el("div", { class: "stack" }, controls, drawing.element), load: drawing.load, refresh: drawing.refresh };
}

function importance(view) {
  const { id, spec: { metric } } = view.sweep();
  const drawing = figure({
    path: `v1/sweeps/${id}/figures/importance`, title: "How much each parameter matters",
    params: () => ({ metric: "best", filter: view.state.filter }),
    empty: "Too few trials have reported to tell which parameters matter.",
  });
  const text = el("p", { class: "soft small" }, `How much worse a random forest predicts the best ${metric.name} when one parameter is shuffled. It tells what matters here, not why.`);
  return { element: el("div", { class: "stack" }, text, drawing.element), load: drawing.load, refresh: null };
}

function pareto(view) {
  const { id, spec: { metric, search } } = view.sweep();
  const further = search.objectives?.[0];
  const names = () => [["best", `best ${metric.name}`], ["step", "steps"], ...view.metrics.flatMap((name) => [[`metrics.${fieldName(name)}`, `last ${name}`], [`min.${fieldName(name)}`, `min ${name}`], [`max.${fieldName(name)}`, `max ${name}`]])];
  const other = further?.name ?? view.metrics.find((name) => name !== metric.name);
  const chosen = { x: other ? `metrics.${fieldName(other)}` : "step", y: further ? `metrics.${fieldName(metric.name)}` : "best", x_mode: further?.mode ?? "min", y_mode: metric.mode };
  const drawing = figure({
    path: `v1/sweeps/${id}/figures/pareto`, title: "Trials that no other beats in both metrics",
    params: () => ({ ...chosen, filter: view.state.filter }), empty: "No trial of this filter has both metrics.",
  });
  const modes = [["min", "lower is better"], ["max", "higher is better"]];
  const pick = (name) => (picked) => { chosen[name] = picked; drawing.load(); };
  const controls = el("div", { class: "row controls" },
    choice("pareto-x", "Across", names, chosen.x, pick("x")), choice("pareto-x-mode", "Across is", modes, chosen.x_mode, pick("x_mode")),
    choice("pareto-y", "Up", names, chosen.y, pick("y")), choice("pareto-y-mode", "Up is", modes, chosen.y_mode, pick("y_mode")));
  return { element: el("div", { class: "stack" }, controls, drawing.element), load: drawing.load, refresh: drawing.refresh };
}

function stopping(view) {
  const { type = "none", plateau } = view.sweep().spec.early_stopping ?? {};
  const parts = [];
  if (type === "pbt") parts.push(explored(view));
  if (plateau || !["none", "pbt"].includes(type)) parts.push(spared(view));
  if (!parts.length) return { element: hint("This sweep stops no trial early. Give its spec early_stopping: {type: asha, …} to save steps."), load() {} };
  const each = (name) => () => parts.forEach((part) => part[name]());
  return { element: el("div", { class: "stack" }, parts.map(({ element }) => element)), load: each("load"), refresh: each("refresh") };
}

/** What a population explored, and whose state went on. */
function explored(view) {
  const { id, spec: { early_stopping: { perturb } } } = view.sweep();
  const names = Object.keys(perturb);
  const chosen = { parameter: names[0] };
  const drawing = figure({
    path: `v1/sweeps/${id}/figures/exploits`, title: "A parameter of each trial over its steps, a dot where it went on from another's state",
    params: () => chosen, empty: "No trial has reported yet.",
  });
  const controls = el("div", { class: "row controls" },
    choice("explored-parameter", "Parameter", names.map((name) => [name, name]), chosen.parameter, (picked) => { chosen.parameter = picked; drawing.load(); }),
    el("p", { class: "soft small" }, "Population based training stops no trial: at a dot a poor one went on from a better one's state. Click a line to open its trial; the history tells each step."));
  return { element: el("div", { class: "stack" }, controls, drawing.element), load: drawing.load, refresh: drawing.refresh };
}

/** What early stopping spared. */
function spared(view) {
  const { id } = view.sweep();
  const facts = el("dl", { class: "facts" });
  const drawing = figure({
    path: `v1/sweeps/${id}/figures/savings`, title: "Trials at each rung, and the steps that early stopping saved",
    params: () => ({}), empty: "No trial has reached a rung yet.",
  });
  const tell = async () => {
    const told = await get(`v1/sweeps/${id}/savings`).catch(() => null);
    if (told) fill(facts, savingFacts(told));
  };
  const load = () => { tell(); drawing.load(); };
  return { element: el("div", { class: "stack" }, facts, drawing.element), load, refresh: throttle(QUIET_MS, load) };
}

function savingFacts({ trained, without, saved, stopped }) {
  const facts = [["Steps trained", number(trained)], ["Without early stopping", number(without)], ["Saved", without ? `${Math.round((100 * saved) / without)}%` : "–"], ["Trials stopped early", number(stopped)]];
  return facts.map(([name, shown]) => el("div", {}, el("dt", {}, name), el("dd", {}, el("span", { class: "figure-value" }, shown))));
}

function resources(view) {
  const { id } = view.sweep();
  const drawing = figure({
    path: `v1/sweeps/${id}/figures/resources`, title: "Trials that trained on each node over time",
    params: () => ({}), empty: "No trial has started yet.",
  });
  const lengths = figure({
    path: `v1/sweeps/${id}/figures/duration`, title: "How long trials took",
    params: () => ({ filter: view.state.filter }), empty: "No trial has ended yet.",
  });
  const nodes = el("div");
  const tell = async () => {
    const excluded = Object.entries(view.sweep().excluded_nodes ?? {});
    fill(nodes, excluded.map(([node, why]) => hint(`${node}: excluded. ${why}`, "busy")));
  };
  const load = () => { tell(); drawing.load(); lengths.load(); };
  return { element: el("div", { class: "stack" }, nodes, drawing.element, lengths.element), load, refresh: drawing.refresh };
}

function failures(view) {
  const list = el("div", { class: "stack" });
  const opened = new Set();
  const guarded = latest(list, (error) => { if (error.code !== "invalid-query") fill(list, trouble(error)); });
  const load = () => guarded(async (signal) => {
    const filter = "state in ['failed', 'diverged']";
    const page = await get(`v1/sweeps/${view.sweep().id}/trials`, { filter: view.state.filter ? `(${view.state.filter}) and ${filter}` : filter, limit: FAILURES, sort: "index", count: "true" }, signal);
    const all = page.count ?? page.items.length;
    const some = all > page.items.length ? el("p", { class: "soft small" }, `The first ${number(page.items.length)} of ${count(all, "trial")} that failed or diverged. Filter to see others.`) : null;
    fill(list, page.items.length ? [some, ...groupsOf(page.items).map((group) => failure(group, opened))] : hint("No trial of this filter has failed or diverged.", "good"));
  });
  return { element: list, load, refresh: throttle(QUIET_MS, load) };
}

/** Trials with the same last line of their traceback, together. */
function groupsOf(items) {
  const groups = new Map();
  for (const trial of items) {
    const line = (trial.error ?? "").trim().split("\n").at(-1) || trial.reason || trial.state;
    groups.set(line, [...(groups.get(line) ?? []), trial]);
  }
  return [...groups].map(([line, found]) => ({ line, found })).sort((a, b) => b.found.length - a.found.length);
}

function failure({ line, found }, opened) {
  const trialsOf = found.slice(0, 20).map((trial) => el("a", { href: pageOf("trials", trial.id) }, `#${trial.index}`));
  const details = el("details", { class: "failure", open: opened.has(line) },
    el("summary", {}, pill(found[0].state), el("code", {}, line), el("span", { class: "soft" }, count(found.length, "trial"))),
    el("p", { class: "row" }, "Trials:", trialsOf, found.length > 20 ? `and ${found.length - 20} more` : null),
    found[0].error ? el("pre", { tabindex: "0" }, found[0].error) : null);
  details.addEventListener("toggle", () => { if (details.open) opened.add(line); else opened.delete(line); });
  return details;
}

function happened(view) {
  return history({ sweep: view.sweep().id });
}

function spec(view) {
  const text = el("pre", { tabindex: "0", "aria-label": "The sweep's spec" });
  const load = () => { text.textContent = JSON.stringify(view.sweep().spec, null, 2); };
  return { element: text, load, refresh: load };
}
