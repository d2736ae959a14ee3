// What may be done with a sweep in the state that it is in.

import { address, change } from "./api.js";
import { el, icon } from "./dom.js";
import { SWEEP_ENDED, ask, toast } from "./ui.js";

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

function field(name, label, value, props) {
  return el("label", { class: "stack tight" }, label, el("input", { name, type: "number", value, ...props }));
}

async function edit(sweep, onChange) {
  const { spec } = sweep;
  const answer = await ask({
    title: `Change ${sweep.name}`, confirm: "Save",
    fields: [
      field("max_concurrent", "Trials at once (empty: no limit)", spec.max_concurrent ?? "", { min: 1, step: 1 }),
      field("priority", "Priority (higher goes first)", sweep.priority, { step: 1, required: true }),
      field("weight", "Weight among sweeps of equal priority", sweep.weight, { min: 0.001, step: "any", required: true }),
    ],
  });
  if (!answer) return;
  const limit = answer.get("max_concurrent");
  const wanted = { max_concurrent: limit === "" ? null : Number(limit), priority: Number(answer.get("priority")), weight: Number(answer.get("weight")) };
  try {
    onChange(await change("PATCH", `v1/sweeps/${sweep.id}`, wanted));
    toast("Saved.");
  } catch (error) {
    toast(error.message, "bad");
  }
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
