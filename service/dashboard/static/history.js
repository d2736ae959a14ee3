// What happened to a sweep or a trial, and who did it: the audit, the newest first.

import { get, latest, pageOf } from "./api.js";
import { el, fill, throttle } from "./dom.js";
import { moment, value } from "./format.js";
import { flatten } from "./spec.js";
import { hint, trouble } from "./ui.js";

const PAGE = 50;
const QUIET_MS = 1_000;
const LONG = 160;

const WORDS = {
  "sweep.created": "posted the sweep", "sweep.edited": "changed the sweep", "sweep.retried": "had failed trials tried again",
  "sweep.pause_asked": "asked for a pause", "sweep.paused": "paused the sweep", "sweep.resumed": "resumed the sweep",
  "sweep.cancel_asked": "asked to cancel", "sweep.cancelled": "cancelled the sweep", "sweep.completed": "completed the sweep",
  "sweep.failed": "gave the sweep up", "sweep.running": "began to train", "sweep.queued": "queued the sweep",
  "sweep.deleted": "deleted the sweep", "sweep.states_removed": "removed its saved states", "sweep.states_left": "left its saved states",
  "driver.started": "started a driver", "driver.ended": "saw a driver end", "node.excluded": "excluded a node",
  "trial.failed": "gave up on", "trial.retried": "tries again", "trial.restarted": "trains for longer", "trial.exploited": "gave a better one's state to",
};

const TONES = { failed: "bad", cancelled: "bad", states_left: "bad", excluded: "busy", retried: "busy", ended: "quiet", completed: "good", exploited: "accent" };

/** The history of a sweep, or of one of its trials alone. */
export function history({ sweep, trial = null }) {
  const list = el("ol", { class: "timeline" });
  const message = el("div");
  const older = el("button", { type: "button", hidden: true, on: { click: () => more() } }, "Older");
  const element = el("div", { class: "stack" }, list, message, el("div", {}, older));
  let cursor = null;
  let newest = null;

  const ask = (from, signal) => get(`v1/sweeps/${sweep}/audit`, { order: "newest", trial, limit: PAGE, cursor: from }, signal);
  const told = (page) => {
    cursor = page.next_cursor;
    older.hidden = !cursor;
  };
  const guarded = latest(element, (error) => fill(message, trouble(error)));
  const load = () => guarded(async (signal) => {
    const page = await ask(null, signal);
    const fresh = page.items.filter((event) => newest === null || event.id > newest);
    const joined = newest !== null && (fresh.length < page.items.length || !page.next_cursor);
    fill(message, page.items.length ? null : hint(trial ? "Nothing beside its training: no failure, no retry." : "Nothing has happened yet."));
    if (newest !== null && !fresh.length) return;
    newest = page.items[0]?.id ?? null;
    if (joined) list.prepend(...fresh.map((event) => entry(event, sweep)));
    else {
      fill(list, page.items.map((event) => entry(event, sweep)));
      told(page);
    }
  });
  const more = () => guarded(async (signal) => {
    const page = await ask(cursor, signal);
    list.append(...page.items.map((event) => entry(event, sweep)));
    told(page);
  });
  return { element, load, refresh: throttle(QUIET_MS, load) };
}

function entry(event, sweep) {
  const tone = TONES[event.kind.split(".")[1]] ?? "";
  return el("li", { data: { kind: event.kind, tone } },
    el("p", { class: "event" }, el("strong", {}, event.actor), ` ${WORDS[event.kind] ?? event.kind} `,
      event.trial_id ? el("a", { href: pageOf("trials", event.trial_id) }, `trial #${event.trial_id.split("-").at(-1)}`) : null,
      " ", el("time", { class: "soft small", datetime: event.time }, moment(event.time))),
    event.kind === "trial.exploited" ? exploited(event.detail, sweep) : details(event.detail));
}

/** A step of population based training: whose state and parameters were taken, and what changed. */
function exploited({ donor, old, parameters, ...rest }, sweep) {
  const before = new Map(flatten(old ?? {}));
  const changes = flatten(parameters ?? {}).filter(([name, now]) => JSON.stringify(before.get(name)) !== JSON.stringify(now));
  return el("dl", { class: "detail" },
    donor === undefined ? null : pair("donor", el("a", { href: pageOf("trials", `${sweep}-${donor}`) }, `trial #${donor}`)),
    changes.map(([name, now]) => pair(name, [el("span", { class: "soft" }, value(before.get(name))), el("span", { class: "soft" }, " → "), el("span", {}, value(now))])),
    flatten(rest).map(([name, part]) => pair(name, value(part))));
}

function details(detail) {
  const pairs = flatten(detail ?? {}).filter(([, part]) => part !== null && part !== undefined);
  return pairs.length ? el("dl", { class: "detail" }, pairs.map(([name, part]) => pair(name, long(part)))) : null;
}

/** A long text folded to its last line, since that is where a log says what went wrong. */
function long(part) {
  const text = typeof part === "string" ? part.trim() : value(part);
  if (text.length <= LONG && !text.includes("\n")) return text;
  const end = text.split("\n").at(-1);
  return el("details", {}, el("summary", {}, end.length > LONG ? `${end.slice(0, LONG)}…` : end), el("pre", { tabindex: "0" }, text));
}

function pair(name, shown) {
  return el("div", {}, el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, shown));
}
