// What may be done with a sweep in the state that it is in.

import { address, change } from "./api.js";
import { BUDGET } from "./budget.js";
import { ask, field } from "./dialog.js";
import { el, icon } from "./dom.js";
import { SWEEP_ENDED, toast } from "./ui.js";

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

/** What of a sweep a form changes, as the service takes it. */
function changesOf(sweep, data) {
  const before = { max_concurrent: sweep.spec.max_concurrent ?? null, priority: sweep.priority, weight: sweep.weight };
  const after = Object.fromEntries(Object.keys(before).map((name) => [name, numberOf(data, name)]));
  const wanted = Object.fromEntries(Object.entries(after).filter(([name, value]) => value !== before[name]));
  const budget = Object.fromEntries(BUDGET.map(({ name }) => [name, numberOf(data, `budget.${name}`)]));
  const same = BUDGET.every(({ name }) => budget[name] === (sweep.spec.budget?.[name] ?? null));
  return same ? wanted : { ...wanted, budget };
}

async function edit(sweep, onChange) {
  const { spec } = sweep;
  const limits = BUDGET.map(({ name, label }) => field(`budget.${name}`, label, spec.budget?.[name] ?? "", { placeholder: "no limit" }));
  await ask({
    title: `Change ${sweep.name}`, confirm: "Save",
    fields: [
      field("max_concurrent", "Trials at once", spec.max_concurrent ?? "", { placeholder: "no limit" }),
      field("priority", "Priority (higher goes first)", sweep.priority),
      field("weight", "Weight among sweeps of equal priority", sweep.weight),
      el("fieldset", { class: "stack" }, el("legend", {}, "Budget"),
        el("p", { class: "soft small" }, "At a limit the sweep ends cleanly. Empty: no limit."), el("div", { class: "pair" }, limits)),
    ],
    send: async (data) => {
      const wanted = changesOf(sweep, data);
      if (!Object.keys(wanted).length) return;
      onChange(await change("PATCH", `v1/sweeps/${sweep.id}`, wanted));
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
  if (sweep.trials.failed > 0) {
    made.push(button("Retry failed", "retry", () => act(sweep, "retry", "Failed trials are tried again.", onChange)));
  }
  if (!SWEEP_ENDED.has(state)) {
    made.push(button("Edit", "edit", () => edit(sweep, onChange)));
    if (wanted !== "cancel") made.push(button("Cancel", "stop", () => cancel(sweep, onChange), "danger"));
  } else {
    made.push(button("Delete", "bin", () => remove(sweep), "danger"));
  }
  return made;
}
