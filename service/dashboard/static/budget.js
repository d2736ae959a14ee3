// What a sweep has used of its budget.

import { el } from "./dom.js";
import { number } from "./format.js";

const HOUR_S = 3600;
const NEAR = 0.8;

/** The limits that a budget may have, and how much of each a sweep has used. */
export const BUDGET = [
  { name: "trials", label: "Trials", used: ({ trials }) => trials },
  { name: "trial_steps", label: "Trial-steps", used: ({ trial_steps: steps }) => steps },
  { name: "hours", label: "Hours", used: ({ seconds }) => seconds / HOUR_S },
  { name: "gpu_hours", label: "GPU hours", used: ({ gpu_seconds: seconds }) => seconds / HOUR_S },
];

/** A bar for each limit of a sweep; nothing when it has none. */
export function budgetBars(sweep) {
  const limited = BUDGET.filter(({ name }) => sweep.spec.budget?.[name]);
  if (!limited.length || !sweep.used) return null;
  return el("section", { class: "budget", "aria-label": "Budget" }, limited.map((part) => barOf(part, part.used(sweep.used), sweep.spec.budget[part.name])));
}

function barOf({ name, label }, used, limit) {
  const share = Math.min(1, used / limit);
  const text = `${number(Number.isInteger(used) ? used : Number(used.toPrecision(3)))} of ${number(limit)}`;
  const level = share >= 1 ? "full" : share >= NEAR ? "near" : "free";
  const bar = el("div", {
    class: "meter", role: "progressbar", "aria-label": `Budget: ${label}`, "aria-valuemin": 0, "aria-valuemax": limit,
    "aria-valuenow": Math.min(used, limit), "aria-valuetext": text, data: { level }, vars: { "--share": String(share) },
  }, el("span"));
  const said = level === "free" ? text : `${text} · ${level === "full" ? "used up" : `${Math.floor(100 * share)}%`}`;
  return el("div", { class: "budget-part", data: { limit: name } },
    el("div", { class: "row between" }, el("span", { class: "soft" }, label), el("span", { data: { level } }, said)), bar);
}
