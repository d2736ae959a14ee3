// What a trial printed, followed while it trains.

import { address, get } from "./api.js";
import { el, fill } from "./dom.js";
import { choice, hint, trouble } from "./ui.js";

const AGAIN_MS = 2_000;
const KEPT = 5_000;

/** A trial's log; `ended` tells whether more may come. */
export function logView(id, ended) {
  const text = el("pre", { class: "log", tabindex: "0", role: "log", "aria-label": "What the trial printed", "aria-live": "off" });
  const message = el("div");
  const follow = el("input", { type: "checkbox", id: "follow", checked: true });
  let stream = "";
  let cursor = null;
  let work = null;
  let timer = 0;
  let round = 0;

  const show = (pieces) => {
    for (const piece of pieces) {
      const heading = `${piece.work} ${piece.attempt}`;
      if (heading !== work) {
        work = heading;
        text.append(el("span", { class: "log-head" }, `attempt ${piece.attempt}${piece.node ? ` on ${piece.node}` : ""}${piece.packed ? ` (pack ${piece.work})` : ""}\n`));
      }
      text.append(el("span", { class: piece.stream }, piece.text));
    }
    while (text.childNodes.length > KEPT) text.firstChild.remove();
    if (follow.checked && pieces.length) text.scrollTop = text.scrollHeight;
  };
  const more = async () => {
    const mine = round;
    try {
      let page;
      do {
        page = await get(`v1/trials/${id}/logs`, { stream, cursor });
        if (mine !== round) return;
        show(page.items);
        cursor = page.next_cursor ?? page.end_cursor;
      } while (page.next_cursor);
      fill(message, text.childNodes.length ? null : hint(ended() ? "It printed nothing." : "Nothing printed yet."));
    } catch (error) {
      fill(message, trouble(error));
    }
    text.hidden = !text.childNodes.length;
    clearTimeout(timer);
    if (!ended() || follow.dataset.late !== "done") {
      if (ended()) follow.dataset.late = "done";
      timer = setTimeout(more, AGAIN_MS);
    }
  };
  const load = () => {
    round += 1;
    delete follow.dataset.late;
    cursor = null;
    work = null;
    fill(text);
    return more();
  };
  const whole = el("a", { class: "button", href: address(`v1/trials/${id}/logs`, { format: "text" }) }, "All as text");
  const controls = el("div", { class: "row controls" },
    choice("log-stream", "Stream", [["", "both"], ["stdout", "stdout"], ["stderr", "stderr"]], "", (picked) => { stream = picked; load(); }),
    el("label", { class: "check", for: "follow" }, follow, "Keep to the end"), whole);
  return { element: el("section", { class: "stack", "aria-label": "Log" }, el("h2", {}, "Log"), controls, message, text), load };
}
