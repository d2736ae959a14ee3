// The table of a sweep: one row a trial, or one an assignment where it has replicates.

import { assignmentBoard } from "./assignments.js";
import { el, fill } from "./dom.js";
import { leaderboard } from "./leaderboard.js";

/** The sweep's table; `state.rows` says of what, and `onChange` hears when the address has to follow. */
export function board({ sweep, metrics, state, onChange, onError }) {
  const makers = {
    trials: () => leaderboard({ sweep, metrics, state, onChange, onError }),
    assignments: () => assignmentBoard({ sweep, state, onError }),
  };
  const made = new Map();
  const place = el("div", { class: "stack" });
  const head = el("div", { class: "row between board-head" });
  const current = () => {
    if (!made.has(state.rows)) made.set(state.rows, makers[state.rows]());
    return made.get(state.rows);
  };
  const switcher = sweep.spec.replicates > 1 ? rowsSwitch(state, () => { show(); onChange(); current().restart(); }) : null;
  const show = () => {
    const { element, summary, tools } = current();
    fill(head, summary, el("div", { class: "row" }, switcher, tools));
    fill(place, head, element);
  };
  if (!switcher) state.rows = "trials";
  show();
  return {
    element: place,
    load: () => current().load(),
    restart: () => current().restart(),
    refresh: () => current().refresh(),
  };
}

function rowsSwitch(state, onPick) {
  const options = [["trials", "trial"], ["assignments", "assignment"]].map(([rows, noun]) => el("label", {},
    el("input", { type: "radio", name: "rows", value: rows, checked: state.rows === rows, on: { change: () => { state.rows = rows; onPick(); } } }),
    el("span", {}, noun)));
  return el("fieldset", { class: "switch" }, el("legend", {}, "One row a"), options);
}
