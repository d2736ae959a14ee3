// One sweep: how far it is, its trials, its figures.

import { actions } from "../actions.js";
import { address, get, pageOf } from "../api.js";
import { board } from "../board.js";
import { budgetBars } from "../budget.js";
import { readChoice, writeChoice } from "../columns.js";
import { el, fill, throttle } from "../dom.js";
import { all, filterBox } from "../filterbox.js";
import { count, duration, moment, number } from "../format.js";
import { bestFirst } from "../leaderboard.js";
import { LIVE_WORDS, follow } from "../live.js";
import { panelsOf } from "../panels.js";
import { fieldsOf } from "../spec.js";
import { SWEEP_ENDED, TRIAL_STATES, bar, done, hint, menu, pill, tabs, took, total } from "../ui.js";

const TABS = {
  trials: "Trials", curves: "Curves", pivot: "Pivot", importance: "Importance", pareto: "Pareto",
  stopping: "Early stopping", resources: "Resources", failures: "Failures", history: "History", spec: "Spec",
};

const SPEC_MS = 5_000;
const ENDED_MS = 15_000;

/** Show a sweep. */
export async function show(main, id) {
  let sweep = await get(`v1/sweeps/${encodeURIComponent(id)}`);
  const first = await get(`v1/sweeps/${sweep.id}/trials`, { limit: 20, sort: "-reports,index" });
  const metrics = metricsOf(sweep, first.items);
  document.title = `${sweep.name} · Sweeps`;

  const asked = new URLSearchParams(location.search);
  const state = {
    text: asked.get("filter") ?? "", marks: [], filter: asked.get("filter") ?? "", sort: asked.get("sort") ?? bestFirst(sweep), tab: asked.get("tab") ?? "trials",
    columns: readChoice(sweep, asked.get("columns")), rows: asked.get("rows") === "assignments" ? "assignments" : "trials",
  };
  const head = header();
  const chips = el("div", { class: "row chips" });
  const box = filterBox({
    label: "Filter trials", text: state.text, sweep: sweep.id, fields: fieldsOf(sweep.spec, metrics),
    placeholder: `best > 0.5 and state != 'failed'`,
    onChange: (text) => { state.text = text; changed(true); },
  });
  const keep = () => history.replaceState(null, "", address(location.pathname, {
    tab: state.tab === "trials" ? "" : state.tab, filter: state.text, sort: state.sort === bestFirst(sweep) ? "" : state.sort,
    columns: writeChoice(state.columns), rows: state.rows === "trials" ? "" : state.rows,
  }));
  const view = {
    sweep: () => sweep, metrics, state, box,
    board: board({ sweep, metrics, state, onChange: keep, onError: (error) => box.setError(error, opening(state)) }),
    narrow(condition) { box.set(all([state.text, condition])); state.text = box.input.value; changed(true); },
    mark(marks) { state.marks = marks; changed(false); },
  };
  const panels = panelsOf(view);
  const book = tabs("Views of the sweep", TABS, state.tab, (name, panel) => {
    state.tab = name;
    keep();
    panels.show(name, panel);
  });
  const changed = (typed) => {
    state.filter = all([state.text, ...state.marks.map((one) => one.condition)]);
    fill(chips, state.marks.map(({ name, condition }) =>
      el("button", { type: "button", class: "chip", "aria-label": `Remove the condition ${condition}`, on: { click: () => panels.clearMark(name) } }, condition, el("span", { "aria-hidden": "true" }, " ×"))));
    keep();
    view.board.restart();
    panels.filtered(typed);
  };
  let watching = null;
  const update = (told) => {
    if (told.version < sweep.version) return;
    sweep = { ...sweep, ...told, spec: told.spec ?? sweep.spec };
    head.show(sweep, update, view);
    if (!SWEEP_ENDED.has(sweep.state)) watching?.resume();
  };
  fill(main, head.element, el("div", { class: "filter-bar" }, box.element, chips, exportMenu(sweep, state)), book.list, book.panels);
  update(sweep);
  book.choose();
  watching = watch(sweep.id, { update, view, panels, status: head.status });
}

/** How many characters the filter that is sent has before the box's text. */
function opening({ text, marks }) {
  return text && marks.length ? 1 : 0;
}

function watch(id, { update, view, panels, status }) {
  const refresh = throttle(1_000, () => { view.board.refresh(); panels.refresh(); });
  const record = async () => update(await get(`v1/sweeps/${id}`));
  const spec = throttle(SPEC_MS, () => record().catch(() => {})); // events come without it
  watchEnded(view, record);
  const stream = follow(`v1/sweeps/${id}/events`, {
    on: { sweep: (told) => { update(told); spec(); refresh(); }, trials: refresh, end: refresh },
    poll: async () => {
      const before = JSON.stringify(view.sweep().trials);
      await record().catch(() => status("away"));
      const now = view.sweep();
      refresh();
      if (SWEEP_ENDED.has(now.state) && before === JSON.stringify(now.trials)) stream.stop();
    },
    status,
  });
  return stream;
}

/** Look now and then whether an ended sweep goes on: a retry, or trials that were added. */
function watchEnded(view, record) {
  const timer = setInterval(() => {
    if (document.hidden || !SWEEP_ENDED.has(view.sweep().state)) return;
    record().catch((error) => { if (error.status === 404) clearInterval(timer); });
  }, ENDED_MS);
}

function metricsOf(sweep, trials) {
  const { metric, search } = sweep.spec;
  const found = new Set([metric, ...(search.objectives ?? [])].map(({ name }) => name));
  for (const trial of trials) for (const name of Object.keys(trial.metrics ?? {})) found.add(name);
  return [...found];
}

function header() {
  const live = el("span", { class: "live", data: { status: "" } });
  const title = el("h1");
  const buttons = el("div", { class: "row actions" });
  const notes = el("div", { class: "stack tight" });
  const progress = el("div", { class: "stack tight" });
  const facts = el("dl", { class: "facts" });
  const budget = el("div", { class: "stack" });
  const element = el("div", { class: "head" }, el("div", { class: "row between top-row" }, title, buttons), notes, progress, facts, budget);
  let drawn = "";
  const status = (now) => {
    live.dataset.status = now;
    live.textContent = LIVE_WORDS[now] ?? "";
  };
  const draw = (sweep, update, view) => {
    fill(title, el("span", {}, sweep.name), pill(sweep.state), live);
    const key = JSON.stringify([sweep.state, sweep.wanted, sweep.trials.failed > 0, sweep.trials.cancelled > 0, sweep.priority, sweep.weight, sweep.spec.max_concurrent, sweep.spec.budget]);
    if (key !== drawn) fill(buttons, actions(sweep, update));
    drawn = key;
    fill(notes, ...notesOf(sweep));
    fill(progress, bar(sweep.trials), legend(sweep, view));
    fill(budget, budgetBars(sweep));
    fill(facts, factsOf(sweep));
  };
  return { element, status, show: draw };
}

function notesOf(sweep) {
  const asking = { pause: "A pause was asked for: trials stop at their next saved states.", cancel: "It is being cancelled." }[sweep.wanted];
  return [
    sweep.spec.description ? el("p", { class: "soft" }, sweep.spec.description) : null,
    sweep.reason ? el("p", {}, sweep.reason) : null,
    asking && !SWEEP_ENDED.has(sweep.state) && sweep.state !== "paused" ? hint(asking, "busy") : null,
    sweep.waiting && !SWEEP_ENDED.has(sweep.state) ? hint(sweep.waiting, "busy") : null,
    ...Object.entries(sweep.excluded_nodes ?? {}).map(([, why]) => hint(`Node excluded: ${why}`, "busy")),
  ];
}

function legend(sweep, view) {
  const states = TRIAL_STATES.filter((state) => sweep.trials[state]);
  return el("div", { class: "row legend" },
    el("span", { class: "small" }, `${number(done(sweep.trials))} of ${count(total(sweep.trials), "trial")} ended`),
    states.map((state) => el("button", { type: "button", class: "legend-item", data: { state }, title: `Show those that are ${state}`, on: { click: () => view.narrow(`state == '${state}'`) } },
      `${number(sweep.trials[state])} ${state}`)));
}

function factsOf(sweep) {
  const { metric } = sweep.spec;
  const best = sweep.best
    ? [el("span", { class: "figure-value" }, number(sweep.best.value)), " ", el("a", { href: pageOf("trials", sweep.best.trial_id) }, `trial #${sweep.best.trial_id.split("-").at(-1)}`), el("span", { class: "soft" }, ` step ${number(sweep.best.step)}`)]
    : [el("span", { class: "figure-value" }, "–")];
  const facts = [
    [`Best ${metric.name} (${metric.mode})`, best],
    ["Training now", [el("span", { class: "figure-value" }, number(sweep.trials.running ?? 0)), sweep.places ? el("span", { class: "soft" }, ` of ${count(sweep.places, "place")}`) : null]],
    ["Took", [el("span", { class: "figure-value" }, duration(took(sweep)))]],
  ];
  if (sweep.used?.trial_steps) facts.push(["Steps trained", [el("span", { class: "figure-value" }, number(sweep.used.trial_steps))]]);
  if (sweep.used?.gpu_seconds) facts.push(["GPU hours", [el("span", { class: "figure-value" }, number(sweep.used.gpu_seconds / 3600))]]);
  facts.push(["Started", [sweep.started_at ? moment(sweep.started_at) : "not yet", el("span", { class: "soft" }, ` by ${sweep.created_by}`)]]);
  return facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
}

function exportMenu(sweep, state) {
  const formats = { csv: "CSV", parquet: "Parquet", arrow: "Arrow stream" };
  return menu("Export", "download", () => [
    ...Object.entries(formats).map(([format, name]) =>
      el("a", { href: address(`v1/sweeps/${sweep.id}/export`, { format, filter: state.filter }), download: "" }, name)),
    el("p", { class: "soft small" }, state.filter ? "The trials that pass the filter." : "All trials."),
  ]);
}
