// An editor for a sweep, checked while it is written.

import { change, get, latest, pageOf } from "../api.js";
import { debounce, el, fill } from "../dom.js";
import { editor } from "../editor.js";
import { count, number, value } from "../format.js";
import { flatten } from "../spec.js";
import { hint, scrolling, toast } from "../ui.js";
import { lineOf, locate } from "../yaml.js";

const QUIET_MS = 400;
const DRAFT = "sweep-draft";
const START = `name: my-sweep
trainable: arithmetic
metric: {name: accuracy, mode: max, target: 0.99}
parameters:
  task: {grid: [logical_xor, elementwise_mul]}
  dataset: many_hot
  network: {grid: [{type: multiply}, {type: dense, depth: 2, activation: selu}]}
  lr: {loguniform: {min: 1e-4, max: 1e-1}}
search: {type: random, num_trials: 40}
early_stopping: {type: asha, grace_period: 300, max_t: 3000, group_by: [task, network]}
`;

function draft() {
  try {
    return sessionStorage.getItem(DRAFT) || START;
  } catch {
    return START;
  }
}

function keepDraft(text) {
  try {
    sessionStorage.setItem(DRAFT, text);
  } catch {
    // A draft is a convenience; without storage there is none.
  }
}

/** Show the editor. */
export async function show(main) {
  const preview = el("div", { class: "stack" });
  const problems = el("div", { id: "spec-problems", role: "status" });
  const post = el("button", { type: "button", class: "primary", disabled: true }, "Start the sweep");

  const guarded = latest(preview, (error) => {
    post.disabled = true;
    showProblems(placed(error));
    fill(preview, hint("What it would run shows here once the spec is valid."));
  });
  const check = () => guarded(async (signal) => {
    const plan = await change("POST", "v1/sweeps", text.text, { params: { dry_run: "true" }, type: "application/yaml", signal });
    showProblems([]);
    fill(preview, ...previewOf(plan));
    post.disabled = false;
  });
  const placed = (error) => {
    const told = error.problems.length ? error.problems : [{ path: "", message: error.message }];
    return told.map(({ path, message }) => ({ path, message, place: path ? locate(text.text, path) : lineOf(message) }));
  };
  const showProblems = (found) => {
    text.show(found);
    fill(problems, found.length ? el("ul", { class: "problems" }, found.map(problem)) : el("p", { class: "hint good" }, "The spec is valid."));
  };
  const problem = ({ path, message, place }) => el("li", {},
    place ? el("button", { type: "button", class: "link", on: { click: () => text.goTo(place) } }, `Line ${place.line + 1}`) : null,
    path ? el("code", {}, path) : null, el("span", {}, message));
  const later = debounce(QUIET_MS, check);
  const text = editor({ label: "The sweep's spec, in YAML", text: draft(), onInput: () => { post.disabled = true; keepDraft(text.text); later(); } });

  post.addEventListener("click", async () => {
    post.disabled = true;
    try {
      const sweep = await change("POST", "v1/sweeps", text.text, { type: "application/yaml" });
      keepDraft("");
      location.href = pageOf("sweeps", sweep.id);
    } catch (error) {
      showProblems(placed(error));
      post.disabled = error.status === 422;
      toast("The sweep was not started.", "bad");
    }
  });
  const take = (chosen) => { text.set(chosen); keepDraft(chosen); check(); };
  fill(main, el("div", { class: "row between" }, el("h1", {}, "New sweep"), post),
    el("div", { class: "row controls" }, await examples(take), el("p", { class: "soft small" }, "Checked as you write. Tab indents; Escape, then Tab, leaves the editor.")),
    el("div", { class: "split" }, el("div", { class: "stack" }, text.element, problems), el("section", { class: "stack", "aria-label": "What it would run" }, el("h2", {}, "What it would run"), preview)));
  await check();
}

async function examples(take) {
  const { items } = await get("v1/studies/specs").catch(() => ({ items: [] }));
  const select = el("select", { id: "example" }, el("option", { value: "" }, items.length ? "Choose one…" : "None installed"),
    items.map((spec, i) => el("option", { value: i }, `${spec.study}: ${spec.name}`)));
  select.addEventListener("change", () => { if (select.value !== "") take(items[Number(select.value)].text); });
  return el("div", { class: "control" }, el("label", { for: "example" }, "Start from an example"), select);
}

function previewOf(plan) {
  const facts = [["Assignments", number(plan.num_assignments)], ["Trials", number(plan.trials)], ["Groups", number(plan.num_groups)], ["Steps at most", plan.trial_steps === null ? "until each ends" : number(plan.trial_steps)]];
  if (plan.startup_trials !== null) facts.push(["Assignments before a model proposes", number(plan.startup_trials)]);
  if (plan.restarts) facts.push(["Winners trained again", number(plan.restarts)]);
  if (plan.estimate) {
    facts.push(plan.estimate.hours === null ? ["Hours with one place", about(plan.estimate.place_hours)] : ["Hours", about(plan.estimate.hours)]);
    if (plan.estimate.gpu_hours) facts.push(["GPU hours", about(plan.estimate.gpu_hours)]);
  }
  return [
    el("dl", { class: "facts" }, facts.map(([name, shown]) => el("div", {}, el("dt", {}, name), el("dd", {}, el("span", { class: "figure-value" }, shown))))),
    plan.estimate ? hint(`Hours are estimated from ${count(plan.estimate.past_trials, "past trial")} of this trainable.`) : null,
    ...plan.budget.filter((line) => line.missing).map((line) => hint(short(line))),
    plan.rungs.length ? rungs(plan) : null,
    plan.assignments.length ? assignments(plan) : null,
  ].filter(Boolean);
}

function about(amount) {
  return `about ${number(Number(amount.toPrecision(2)))}`;
}

function short({ name, limit, missing }) {
  const unit = name.replace("_", " ").replace("gpu", "GPU");
  return name === "trials" ? `The budget of ${number(limit)} trials is short: ${number(missing)} would not run.`
    : `The budget of ${number(limit)} ${unit} is short of ${about(missing)} more.`;
}

function rungs(plan) {
  const most = Math.max(plan.trials, 1);
  return el("div", { class: "stack tight" }, el("h3", {}, "Early stopping"), el("ul", { class: "rungs" }, plan.rungs.map(({ step, keeps }) =>
    el("li", {}, el("span", {}, `step ${number(step)}`), el("span", { class: "rung-bar", vars: { "--share": String(keeps / most) } }), el("span", {}, `about ${count(keeps, "trial")} go on`)))));
}

function assignments(plan) {
  const rows = plan.assignments.map((assignment) => new Map(flatten(assignment)));
  const names = [...new Set(rows.flatMap((row) => [...row.keys()]))];
  return el("div", { class: "stack tight" }, el("h3", {}, "Its first trials"), scrolling("First trials", el("table", {}, el("thead", {}, el("tr", {}, names.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, names.map((name) => el("td", {}, row.has(name) ? value(row.get(name)) : ""))))))));
}
