// A sweep's assignments, each the mean of its replicates with its 95% interval.

import { get, latest, pageOf } from "./api.js";
import { el, fill, throttle } from "./dom.js";
import { all } from "./filterbox.js";
import { at, between, count, duration, number, value } from "./format.js";
import { varying } from "./spec.js";
import { hint, pill, scrolling, trouble } from "./ui.js";

const PAGE = 50;
const QUIET_MS = 2_000;
const MOST_TRIALS = 1_000;
const LEFT = new Set(["assignment", "interval"]);

function keysOf({ name }) {
  return {
    assignment: { title: "Assignment", sorts: true },
    mean: { title: `Mean best ${name}`, sorts: true },
    interval: { title: "95% interval" },
    count: { title: "Replicates", sorts: true },
    best: { title: "Best replicate", sorts: true },
  };
}

/** The table; `state.filter` is shared with the figures, `onError` hears of a filter's error. */
export function assignmentBoard({ sweep, state, onError }) {
  const { metric } = sweep.spec;
  const keys = keysOf(metric);
  const parameters = varying(sweep.spec.parameters);
  const summary = el("p", { class: "summary", role: "status" });
  const tools = el("div", { class: "row pager" });
  const heads = el("tr");
  const body = el("tbody");
  const table = el("table", { class: "board" }, el("caption", { class: "hidden" }, `Assignments of ${sweep.name}`), el("thead", {}, heads), body);
  const message = el("div");
  const element = el("div", { class: "stack" }, scrolling("Assignments", table), message);
  const opened = new Set();
  const order = { key: "mean", down: metric.mode === "max" };
  let found = { items: [], total: 0 };
  let page = 0;

  const drawHeads = () => {
    const told = Object.entries(keys).map(([key, { title, sorts }]) => {
      const sorted = order.key === key ? (order.down ? "descending" : "ascending") : null;
      const text = sorts ? el("button", { type: "button", on: { click: () => sortBy(key) } }, title, el("span", { class: "arrow", "aria-hidden": "true" }, sorted ? (order.down ? "↓" : "↑") : "")) : title;
      return el("th", { scope: "col", class: LEFT.has(key) ? null : "number", "aria-sort": sorted }, text);
    });
    fill(heads, told, parameters.map(({ path }) => el("th", { scope: "col" }, path)));
  };
  const sortBy = (key) => {
    order.down = order.key === key ? !order.down : key !== "assignment";
    order.key = key;
    page = 0;
    drawHeads();
    load();
  };

  const replicatesOf = async (rows, signal) => {
    const wanted = rows.map((group) => group.labels.assignment).filter((number) => opened.has(number));
    if (!wanted.length) return new Map();
    const filter = all([`assignment in [${wanted.join(", ")}] and origin != 'restart'`, state.filter]);
    const { items } = await get(`v1/sweeps/${sweep.id}/trials`, { filter, sort: "assignment,replicate,index", limit: MOST_TRIALS }, signal);
    return Map.groupBy(items, (trial) => trial.assignment);
  };

  const draw = (rows, replicates) => {
    const values = rows.flatMap(({ mean, low, high }) => [mean, low, high]).filter((one) => one !== null && one !== undefined);
    const scale = [Math.min(...values), Math.max(...values)];
    const focused = document.activeElement?.closest?.("tr[data-assignment]")?.dataset.assignment;
    fill(body, rows.flatMap((group) => {
      const number = group.labels.assignment;
      const open = opened.has(number);
      const made = rowOf(group, scale, open);
      return open ? [made, detailOf(number, replicates.get(number) ?? [], group.trials)] : [made];
    }));
    if (focused) body.querySelector(`tr[data-assignment="${focused}"] button`)?.focus();
    table.hidden = !rows.length;
    fill(message, rows.length ? null : hint(state.filter ? "No trial matches this filter. Loosen it, or clear it." : "This sweep has no trials yet."));
    summarise(rows);
  };
  const rowOf = (group, scale, open) => {
    const name = group.labels.assignment;
    const button = el("button", { type: "button", class: "quiet opener", "aria-expanded": String(open), "aria-label": `Replicates of assignment ${name}`, on: { click: () => toggle(name) } },
      el("span", { class: "turn", "aria-hidden": "true" }, "▸"), ` ${name}`);
    const best = group.best ? el("a", { href: pageOf("trials", group.best.trial) }, number(group.best.value)) : "–";
    return el("tr", { data: { assignment: name } },
      el("td", {}, button), el("td", { class: "number strong" }, number(group.mean)), el("td", {}, intervalOf(group, scale)),
      el("td", { class: "number" }, group.count === group.trials ? number(group.count) : `${number(group.count)} of ${number(group.trials)}`), el("td", { class: "number" }, best),
      parameters.map(({ path }) => el("td", {}, value(at(group.parameters ?? {}, path)))));
  };
  const detailOf = (name, trials, all) => {
    const titles = ["Replicate", "Trial", "State", `Best ${metric.name}`, "at step", "Step", "Seed", "Time"];
    const rows = trials.map((t) => el("tr", {}, [number(t.replicate), el("a", { href: pageOf("trials", t.id) }, `#${t.index}`), pill(t.state), number(t.best?.value), number(t.best?.step), number(t.step), String(t.seed), duration(between(t.started_at, t.ended_at))]
      .map((cell, i) => el("td", { class: i === 2 ? null : "number" }, cell))));
    const some = all > trials.length ? el("p", { class: "soft small" }, `${number(trials.length)} of ${number(all)} are shown: ${number(MOST_TRIALS)} for all opened rows. Close others, or filter.`) : null;
    return el("tr", { class: "detail", data: { of: name } }, el("td", { colspan: Object.keys(keys).length + parameters.length }, some,
      el("table", { "aria-label": `Replicates of assignment ${name}` }, el("thead", {}, el("tr", {}, titles.map((title, i) => el("th", { scope: "col", class: i === 2 ? null : "number" }, title)))), el("tbody", {}, rows))));
  };
  const toggle = (name) => {
    if (!opened.delete(name)) opened.add(name);
    return load();
  };
  const summarise = (rows) => {
    const first = page * PAGE;
    const told = count(found.total, "assignment");
    summary.textContent = rows.length === found.total ? told : `${first + 1}–${first + rows.length} of ${told}`;
    const turn = (text, step, possible) => el("button", { type: "button", disabled: !possible, on: { click: () => { page += step; load(); } } }, text);
    fill(tools, found.total > PAGE ? [turn("Previous", -1, page > 0), turn("Next", 1, first + PAGE < found.total)] : []);
  };
  const guarded = latest(element, (error) => {
    if (error.code === "invalid-query" && state.filter) onError(error);
    else fill(message, trouble(error));
  });
  const ask = (signal) => get(`v1/sweeps/${sweep.id}/groups`, { by: "assignment", filter: state.filter, sort: `${order.down ? "-" : ""}${order.key}`, limit: PAGE, offset: page * PAGE }, signal);
  const load = () => guarded(async (signal) => {
    found = await ask(signal);
    const last = Math.max(0, Math.ceil(found.total / PAGE) - 1);
    if (page > last) {
      page = last;
      found = await ask(signal);
    }
    const rows = found.items;
    const replicates = await replicatesOf(rows, signal);
    if (signal.aborted) return;
    onError(null);
    draw(rows, replicates);
  });
  const restart = () => { page = 0; return load(); };
  drawHeads();
  return { element, summary, tools, load, restart, refresh: throttle(QUIET_MS, load) };
}

/** An interval in words, and as a line on the scale of all that are shown. */
function intervalOf({ mean, low, high }, [least, most]) {
  if (low === null || low === undefined) return el("span", { class: "soft" }, "–");
  const share = (one) => (most > least ? (one - least) / (most - least) : 0.5).toFixed(4);
  return [el("span", { class: "whisker", "aria-hidden": "true", vars: { "--low": share(low), "--at": share(mean), "--high": share(high) } }), el("span", { class: "interval" }, `${number(low)} to ${number(high)}`)];
}
