// A sweep's trials: sorted, filtered and paged by the service.

import { get, latest } from "./api.js";
import { chooser, columnsOf, shownOf } from "./columns.js";
import { el, fill, throttle } from "./dom.js";
import { count } from "./format.js";
import { hint, scrolling, trouble } from "./ui.js";

const PAGE = 50;
const QUIET_MS = 1_000;

/** The sort that shows the best trials first. */
export function bestFirst(sweep) {
  return sweep.spec.metric.mode === "max" ? "-best" : "best";
}

/** Whether an error is about the filter and not about the sort. */
function ofFilter(error) {
  return error.code === "invalid-query" && error.problems[0]?.path !== "sort";
}

/**
 * The leaderboard of a sweep. `state` holds `filter`, `sort` and `columns` and is shared with the
 * figures; `onChange` and `onError` hear of changes. Metrics that trials turn out to have are
 * added to `metrics`.
 */
export function leaderboard({ sweep, metrics, state, onChange, onError }) {
  let columns = columnsOf(sweep, metrics);
  const body = el("tbody");
  const heads = el("tr");
  const summary = el("p", { class: "summary", role: "status" });
  const pager = el("div", { class: "row pager" });
  const table = el("table", { class: "board" }, el("caption", { class: "hidden" }, `Trials of ${sweep.name}`), el("thead", {}, heads), body);
  const message = el("div");
  const element = el("div", { class: "stack" }, scrolling("Trials", table), message);
  let before = [];
  let cursor = null;
  let rows = new Map();
  let last = null;

  const choice = chooser({ sweep, columns: () => columns, state, onChoose: () => { redraw(); onChange(); } });
  const drawHeads = () => fill(heads, shownOf(columns, state.columns).map((column) => {
    const sorted = state.sort.replace(/^-/, "") === column.sort;
    const order = sorted ? (state.sort.startsWith("-") ? "descending" : "ascending") : null;
    const props = { scope: "col", class: column.number ? "number" : null, "aria-sort": order };
    if (!column.sort) return el("th", props, column.title);
    return el("th", props, el("button", { type: "button", on: { click: () => sortBy(column, order) } }, column.title,
      el("span", { class: "arrow", "aria-hidden": "true" }, order ? (order === "descending" ? "↓" : "↑") : "")));
  }));
  const sortBy = (column, order) => {
    const first = column.number && column.sort !== "index" ? "-" : "";
    state.sort = order ? (order === "descending" ? column.sort : `-${column.sort}`) : first + column.sort;
    drawHeads();
    restart();
    onChange();
  };
  const row = (trial, old) => {
    const cells = shownOf(columns, state.columns).map((column) => el("td", { class: [column.number ? "number" : "", column.strong ? "strong" : ""].join(" ").trim() || null }, column.cell(trial)));
    const made = el("tr", { data: { trial: trial.id } }, cells);
    const changed = old && old.trial.best?.value !== trial.best?.value;
    if (changed || (old && old.trial.state !== trial.state)) made.classList.add("changed");
    return made;
  };
  const learn = (trials) => {
    const told = new Set(trials.flatMap((trial) => Object.keys(trial.metrics ?? {})));
    const fresh = [...told].filter((name) => !metrics.includes(name));
    if (!fresh.length) return;
    metrics.push(...fresh);
    columns = columnsOf(sweep, metrics);
    rows = new Map();
    drawHeads();
  };
  const redraw = () => {
    rows = new Map();
    drawHeads();
    if (last) show(last);
  };
  const show = (page) => {
    last = page;
    learn(page.items);
    const old = rows;
    rows = new Map();
    const made = page.items.map((trial) => {
      const kept = old.get(trial.id);
      const same = kept && JSON.stringify(kept.trial) === JSON.stringify(trial) && trial.state !== "running";
      const shown = same ? kept.shown : row(trial, kept);
      rows.set(trial.id, { trial, shown });
      return shown;
    });
    const focused = document.activeElement?.closest?.("tr[data-trial]")?.dataset.trial;
    fill(body, made);
    if (focused) rows.get(focused)?.shown.querySelector("a")?.focus();
    table.hidden = !made.length;
    fill(message, made.length ? null : empty());
    summarise(page);
  };
  const empty = () => hint(state.filter ? "No trial matches this filter. Loosen it, or clear it." : "This sweep has no trials yet.");
  const summarise = (page) => {
    const first = before.length * PAGE;
    const range = `${first + 1}–${first + page.items.length}`;
    const all = page.count ?? (page.next_cursor || before.length ? null : page.items.length);
    if (!page.items.length) summary.textContent = "0 trials";
    else if (all === null) summary.textContent = `Trials ${range}`;
    else summary.textContent = page.items.length === all ? count(all, "trial") : `${range} of ${count(all, "trial")}`;
    const back = el("button", { type: "button", disabled: !before.length, on: { click: () => { cursor = before.pop() ?? null; load(); } } }, "Previous");
    const on = el("button", { type: "button", disabled: !page.next_cursor, on: { click: () => { before.push(cursor); cursor = page.next_cursor; load(); } } }, "Next");
    fill(pager, before.length || page.next_cursor ? [back, on] : []);
  };
  const guarded = latest(element, (error) => {
    if (ofFilter(error) && state.filter) onError(error);
    else fill(message, trouble(error));
  });
  const load = () => guarded(async (signal) => {
    const sort = state.sort.replace(/^-/, "") === "index" ? state.sort : `${state.sort},index`;
    const params = { filter: state.filter, sort, limit: PAGE, cursor, count: "true" };
    const page = await get(`v1/sweeps/${sweep.id}/trials`, params, signal);
    if (signal.aborted) return;
    onError(null);
    show(page);
  });
  const restart = () => {
    before = [];
    cursor = null;
    fill(pager);
    return load();
  };
  drawHeads();
  const tools = el("div", { class: "row" }, choice, pager);
  return { element, summary, tools, load, restart, refresh: throttle(QUIET_MS, load) };
}
