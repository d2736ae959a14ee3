// Every sweep, newest first, with its progress.

import { address, get, latest, pageOf } from "../api.js";
import { el, fill, throttle } from "../dom.js";
import { filterBox } from "../filterbox.js";
import { ago, count, duration, moment, number } from "../format.js";
import { LIVE_WORDS, follow } from "../live.js";
import { SWEEP_ENDED, bar, done, hint, notice, pill, scrolling, took, total, trouble } from "../ui.js";

const PAGE = 50;
const QUIET_MS = 1_000;
const FIELDS = [
  { name: "name", type: "text", values: [] },
  { name: "state", type: "text", values: ["queued", "running", "paused", "completed", "failed", "cancelled"] },
  { name: "created_by", type: "text", values: [] },
  { name: "priority", type: "number", values: [] },
  { name: "best", type: "number", values: [] },
];

/** Show the list. */
export async function show(main) {
  const asked = new URLSearchParams(location.search);
  const state = { filter: asked.get("filter") ?? "", before: [], cursor: null };
  const chosen = new Set();
  const status = el("span", { class: "live", data: { status: "" } });
  const content = el("div", { class: "stack" });
  const pager = el("div", { class: "row pager" });
  const compare = el("a", { class: "button", hidden: true }, "");
  const box = filterBox({
    label: "Filter", placeholder: "state == 'running' and name contains 'lr'", text: state.filter, fields: FIELDS, sweep: null,
    onChange: (text) => { state.filter = text; state.before = []; state.cursor = null; keep(); load(); },
  });
  const keep = () => history.replaceState(null, "", address(location.pathname, { filter: state.filter }));
  const choose = (id, on) => {
    if (on) chosen.add(id);
    else chosen.delete(id);
    compare.hidden = chosen.size < 2;
    compare.textContent = `Compare ${chosen.size}`;
    compare.href = address("compare", { sweeps: [...chosen].join(",") });
  };
  const guarded = latest(content, (error) => {
    if (error.code === "invalid-query") box.setError(error);
    else fill(content, trouble(error));
  });
  const load = () => guarded(async (signal) => {
    const page = await get("v1/sweeps", { filter: state.filter, limit: PAGE, cursor: state.cursor, count: "true" }, signal);
    if (signal.aborted) return;
    box.setError(null);
    const focused = placeOfFocus(content, pager);
    fill(content, page.items.length ? table(page.items, chosen, choose) : none(state.filter));
    const back = el("button", { type: "button", disabled: !state.before.length, on: { click: () => { state.cursor = state.before.pop() ?? null; load(); } } }, "Newer");
    const on = el("button", { type: "button", disabled: !page.next_cursor, on: { click: () => { state.before.push(state.cursor); state.cursor = page.next_cursor; load(); } } }, "Older");
    fill(pager, state.before.length || page.next_cursor ? [back, on] : []);
    if (focused) document.querySelector(focused)?.focus();
  });
  fill(main,
    el("div", { class: "row between" }, el("h1", {}, "Sweeps", status), el("div", { class: "row" }, compare, el("a", { class: "button primary", href: address("submit") }, "New sweep"))),
    box.element, content, pager);
  await load();
  const again = throttle(QUIET_MS, load);
  follow("v1/events", { on: { sweep: again }, poll: again, status: (now) => { status.dataset.status = now; status.textContent = LIVE_WORDS[now] ?? ""; } });
}

/** Where the focus is in what is about to be drawn anew, as a selector; null when it is elsewhere. */
function placeOfFocus(content, pager) {
  const now = document.activeElement;
  if (pager.contains(now)) return `.pager button:nth-child(${[...pager.children].indexOf(now) + 1})`;
  if (!content.contains(now)) return null;
  const row = now.closest("tr[data-sweep]");
  return row ? `tr[data-sweep="${row.dataset.sweep}"] ${now.localName}` : "main .scroll";
}

function none(filter) {
  if (filter) return hint("No sweep matches this filter. Loosen it, or clear it.");
  return notice("No sweep yet", "Write one here, starting from an example, or post one from a shell:",
    el("pre", {}, `sweep submit studies/arithmetic-quickstart.yaml --wait\n\ncurl -X POST -H 'Content-Type: application/yaml' \\\n     --data-binary @spec.yaml ${address("v1/sweeps")}`),
    el("p", {}, el("a", { class: "button primary", href: address("submit") }, "Write a sweep")));
}

function table(sweeps, chosen, choose) {
  const heads = ["", "Name", "State", "Progress", "Best", "Took", "Created"];
  return scrolling("Sweeps", el("table", { class: "sweeps" }, el("caption", { class: "hidden" }, "Sweeps, newest first"),
    el("thead", {}, el("tr", {}, heads.map((head, i) => (i ? el("th", { scope: "col", class: { 2: "wide", 4: "number" }[i] }, head) : el("td", {}))))),
    el("tbody", {}, sweeps.map((sweep) => row(sweep, chosen, choose)))));
}

function row(sweep, chosen, choose) {
  const box = el("input", { type: "checkbox", "aria-label": `Compare ${sweep.name}`, checked: chosen.has(sweep.id), on: { change: () => choose(sweep.id, box.checked) } });
  return el("tr", { data: { sweep: sweep.id } },
    el("td", {}, box),
    el("th", { scope: "row", class: "name" }, el("a", { href: pageOf("sweeps", sweep.id) }, sweep.name), tags(sweep), el("span", { class: "narrow" }, pill(sweep.state))),
    el("td", { class: "wide" }, pill(sweep.state), sweep.waiting && !SWEEP_ENDED.has(sweep.state) ? el("span", { class: "reason soft", title: sweep.waiting }, sweep.waiting) : null),
    el("td", { class: "progress" }, bar(sweep.trials), el("span", { class: "small soft" }, `${number(done(sweep.trials))} of ${count(total(sweep.trials), "trial")}`)),
    el("td", { class: "number" }, el("span", { class: "strong" }, number(sweep.best?.value)), el("span", { class: "small soft block" }, sweep.spec?.metric?.name ?? "")),
    el("td", {}, duration(took(sweep))),
    el("td", { title: moment(sweep.created_at) }, ago(sweep.created_at), el("span", { class: "small soft block" }, sweep.created_by)));
}

function tags(sweep) {
  return sweep.tags?.length ? el("span", { class: "tags" }, sweep.tags.map((tag) => el("span", { class: "tag" }, tag))) : null;
}
