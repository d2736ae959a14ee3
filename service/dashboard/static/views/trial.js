// One trial: curves, parameters, what it printed, why it failed.

import { address, get, pageOf } from "../api.js";
import { el, fill } from "../dom.js";
import { figure } from "../figures.js";
import { between, duration, moment, number, value } from "../format.js";
import { history } from "../history.js";
import { logView } from "../logs.js";
import { flatten } from "../spec.js";
import { TRIAL_ENDED, choice, hint, pill } from "../ui.js";

const AGAIN_MS = 3_000;
const ENDED_MS = 30_000;

/** Show a trial. */
export async function show(main, id) {
  let trial = await get(`v1/trials/${encodeURIComponent(id)}`);
  const sweep = await get(`v1/sweeps/${trial.sweep_id}`);
  document.title = `Trial #${trial.index} of ${sweep.name} · Sweeps`;
  const title = el("h1");
  const facts = el("dl", { class: "facts" });
  const error = el("div");
  const values = el("div", { class: "columns" });
  const chosen = { metric: sweep.spec.metric.name };
  const curves = figure({
    path: `v1/trials/${trial.id}/figures/curves`, title: "What the trial reported, by step", params: () => chosen,
    empty: "It has not reported yet.",
  });
  const names = () => [...new Set([chosen.metric, ...Object.keys(trial.metrics ?? {})])].map((name) => [name, name]);
  const metric = choice("trial-metric", "Metric", names, chosen.metric, (picked) => { chosen.metric = picked; curves.load(); });
  const logs = logView(trial.id, () => TRIAL_ENDED.has(trial.state));
  const past = history({ sweep: sweep.id, trial: trial.id });
  const draw = () => {
    fill(title, el("span", {}, `Trial #${trial.index}`), pill(trial.state));
    fill(facts, factsOf(trial, sweep));
    fill(error, trial.error ? failure(trial) : null);
    fill(values, section("Parameters", flatten(trial.parameters)), section("Metrics", metricsOf(trial)), section("Training", training(trial)));
  };
  fill(main,
    el("nav", { "aria-label": "Where this is", class: "crumbs" }, el("a", { href: address("") }, "Sweeps"), " / ", el("a", { href: pageOf("sweeps", sweep.id) }, sweep.name)),
    el("div", { class: "head" }, title, facts), error,
    el("section", { class: "stack", "aria-label": "Curves" }, el("div", { class: "row between" }, el("h2", {}, "Curves"), metric), curves.element), values, logs.element,
    el("section", { class: "stack", "aria-label": "History" }, el("h2", {}, "History"), past.element));
  draw();
  curves.load();
  logs.load();
  past.load();
  const again = async () => {
    if (document.hidden) return;
    const before = JSON.stringify(trial);
    const ended = TRIAL_ENDED.has(trial.state);
    trial = await get(`v1/trials/${trial.id}`).catch(() => trial);
    if (JSON.stringify(trial) !== before) {
      draw();
      curves.refresh();
      past.refresh();
      if (ended) logs.load();
    }
  };
  const later = () => setTimeout(async () => { await again(); later(); }, TRIAL_ENDED.has(trial.state) ? ENDED_MS : AGAIN_MS);
  later();
}

function factsOf(trial, sweep) {
  const { metric } = sweep.spec;
  const facts = [
    [`Best ${metric.name}`, [el("span", { class: "figure-value" }, number(trial.best?.value)), trial.best ? el("span", { class: "soft" }, ` step ${number(trial.best.step)}`) : null]],
    ["Step", [el("span", { class: "figure-value" }, number(trial.step)), trial.max_t ? el("span", { class: "soft" }, ` of ${number(trial.max_t)}`) : null]],
    ["Took", [el("span", { class: "figure-value" }, duration(between(trial.started_at, trial.ended_at)))]],
    ["Why", trial.reason ?? "–"],
    ["Node", trial.node ?? "–"],
  ];
  return facts.map(([name, shown]) => el("div", {}, el("dt", {}, name), el("dd", {}, shown)));
}

function failure(trial) {
  return el("section", { class: "stack", "aria-label": "Traceback" }, el("h2", {}, "Why it failed"), el("pre", { class: "bad", tabindex: "0" }, trial.error));
}

function metricsOf(trial) {
  const names = Object.keys(trial.metrics ?? {});
  return names.map((name) => [name, trial.nonfinite?.[name] ?? `${number(trial.metrics[name])}  (${number(trial.minimum?.[name])} to ${number(trial.maximum?.[name])})`]);
}

function training(trial) {
  const group = flatten(JSON.parse(trial.group)).map(([name, part]) => `${name} = ${value(part)}`).join("\n");
  const facts = { group, replicate: trial.replicate, seed: String(trial.seed), attempts: trial.attempts, pack: trial.pack, reports: trial.reports, started: trial.started_at && moment(trial.started_at), ended: trial.ended_at && moment(trial.ended_at), checkpoint: trial.checkpoint };
  return Object.entries(facts).filter(([, fact]) => fact !== null && fact !== undefined && fact !== "");
}

function section(title, pairs) {
  const list = pairs.length ? el("dl", { class: "pairs" }, pairs.map(([name, shown]) => el("div", {}, el("dt", {}, name), el("dd", {}, typeof shown === "string" ? shown : value(shown))))) : hint("None yet.");
  return el("section", { class: "card", "aria-label": title }, el("h2", {}, title), list);
}
