// What may be done with a sweep in the state that it is in.

import { address, change, get } from "./api.js";
import { BUDGET } from "./budget.js";
import { ask, field } from "./dialog.js";
import { el, icon } from "./dom.js";
import { SWEEP_ENDED, toast } from "./ui.js";

const BUDGET_FIELD = "budget.";

async function act(sweep, name, said, onChange) {
  try {
    onChange(await change("POST", `v1/sweeps/${sweep.id}/${name}`));
    toast(said);
  } catch (error) {
    toast(error.message, "bad");
  }
}

async function cancel(sweep, onChange) {
  const sure = await ask({
    title: `Cancel ${sweep.name}?`, confirm: "Cancel the sweep", danger: true,
    text: "Trials that train now are stopped, those that wait never start. What was reported stays. It cannot be resumed.",
  });
  if (sure) await act(sweep, "cancel", "The sweep is being cancelled.", onChange);
}

async function remove(sweep) {
  const sure = await ask({
    title: `Delete ${sweep.name}?`, confirm: "Delete the sweep", danger: true,
    text: "Its trials, reports, logs and saved states are removed for good.",
  });
  if (!sure) return;
  try {
    await change("DELETE", `v1/sweeps/${sweep.id}`);
    location.href = address("");
  } catch (error) {
    toast(error.message, "bad");
  }
}

/** A field's number; null when it is empty. */
function numberOf(data, name) {
  const text = data.get(name);
  return text === "" ? null : Number(text);
}

/** The fields of a form that were changed, with their numbers. */
function changed(fields, data) {
  const numbers = fields.map(([name, before]) => [name, before, numberOf(data, name)]);
  return Object.fromEntries(numbers.filter(([, before, after]) => after !== before).map(([name, , after]) => [name, after]));
}

/** Save what was changed in the form; of the budget, whose limits are written together, the others as they are by now. */
async function save(sweep, { own, limits }, data) {
  const wanted = changed(own, data);
  const budget = Object.entries(changed(limits, data)).map(([name, limit]) => [name.slice(BUDGET_FIELD.length), limit]);
  if (budget.length) {
    const { spec } = await get(`v1/sweeps/${sweep.id}`);
    wanted.budget = { ...spec.budget, ...Object.fromEntries(budget) };
  }
  return Object.keys(wanted).length ? change("PATCH", `v1/sweeps/${sweep.id}`, wanted) : null;
}

async function edit({ id }, onChange) {
  const sweep = await get(`v1/sweeps/${id}`);
  const { max_concurrent: places = null, budget } = sweep.spec;
  const own = [["max_concurrent", places], ["priority", sweep.priority], ["weight", sweep.weight]];
  const limits = BUDGET.map(({ name }) => [BUDGET_FIELD + name, budget?.[name] ?? null]);
  await ask({
    title: `Change ${sweep.name}`, confirm: "Save",
    fields: [
      field("max_concurrent", "Trials at once", places ?? "", { placeholder: "no limit" }),
      field("priority", "Priority (higher goes first)", sweep.priority),
      field("weight", "Weight among sweeps of equal priority", sweep.weight),
      el("fieldset", { class: "stack" }, el("legend", {}, "Budget"),
        el("p", { class: "soft small" }, "At a limit the sweep ends cleanly. Empty: no limit."),
        el("div", { class: "pair" }, limits.map(([name, limit], i) => field(name, BUDGET[i].label, limit ?? "", { placeholder: "no limit" })))),
    ],
    send: async (data) => {
      const saved = await save(sweep, { own, limits }, data);
      if (!saved) return;
      onChange(saved);
      toast("Saved.");
    },
  });
}

function button(text, picture, click, kind = "") {
  return el("button", { type: "button", class: kind || null, on: { click } }, icon(picture), text);
}

/** The buttons for a sweep; `onChange` is given the sweep as it is afterwards. */
export function actions(sweep, onChange) {
  const { state, wanted } = sweep;
  const made = [];
  if (state === "paused" || (wanted === "pause" && !SWEEP_ENDED.has(state))) {
    made.push(button("Resume", "play", () => act(sweep, "resume", "The sweep goes on.", onChange), "primary"));
  } else if ((state === "running" || state === "queued") && wanted !== "cancel") {
    made.push(button("Pause", "pause", () => act(sweep, "pause", "The sweep pauses at its trials' next saved states.", onChange)));
  }
  const failed = sweep.trials.failed > 0;
  if (failed || (state === "failed" && sweep.trials.cancelled > 0)) {
    made.push(button(failed ? "Retry failed" : "Retry", "retry", () => act(sweep, "retry", failed ? "Failed trials are tried again." : "The trials that it never got to are tried.", onChange)));
  }
  if (!SWEEP_ENDED.has(state)) {
    made.push(button("Edit", "edit", () => edit(sweep, onChange).catch((error) => toast(error.message, "bad"))));
    if (wanted !== "cancel") made.push(button("Cancel", "stop", () => cancel(sweep, onChange), "danger"));
  } else {
    made.push(button("Delete", "bin", () => remove(sweep), "danger"));
  }
  return made;
}
