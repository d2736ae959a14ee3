// Changes as they happen: server-sent events, or asking again and again where there are none.

import { address } from "./api.js";

const POLL_MS = 2_500;
const AGAIN_MS = 20_000;
const HIDDEN_MS = 30_000;

/** How the state of a stream is shown. */
export const LIVE_WORDS = { live: "live", polling: "refreshing", away: "service away" };

/**
 * Follow a stream of events.
 *
 * `on` maps events to functions of their data; `poll` is called once a stream is open, since
 * something may have changed before, and every few seconds while none can be had; `status` hears
 * "live", "away", "polling" or "ended". While the tab is hidden the stream is let go, since a
 * browser has few connections to one host. What is followed may begin anew after its end:
 * `resume` follows it again, and does nothing before.
 */
export function follow(path, { on, poll, status }) {
  let source = null;
  let lastId = null;
  let timer = 0;
  let again = 0;
  let hiding = 0;
  let over = false;

  const hear = (name, call) => (event) => {
    lastId = event.lastEventId || lastId;
    call(JSON.parse(event.data || "null"));
    if (name === "end") stop("ended");
  };

  const open = () => {
    if (over || source) return;
    source = new EventSource(address(path, { last_event_id: lastId }), { withCredentials: true });
    source.onopen = () => {
      clearInterval(timer);
      timer = 0;
      status("live");
      poll();
    };
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) fallBack();
      else status("away"); // the browser tries again by itself
    };
    const events = { end: () => {}, ...on };
    for (const [name, call] of Object.entries(events)) source.addEventListener(name, hear(name, call));
  };

  const close = () => {
    source?.close();
    source = null;
    clearInterval(timer);
    clearTimeout(again);
    timer = 0;
  };

  const fallBack = () => {
    close();
    status("polling");
    timer = setInterval(poll, POLL_MS);
    again = setTimeout(open, AGAIN_MS);
  };

  const stop = (why) => {
    if (over) return;
    over = true;
    close();
    clearTimeout(hiding);
    document.removeEventListener("visibilitychange", seen);
    status(why);
  };

  const seen = () => {
    clearTimeout(hiding);
    if (document.hidden) {
      hiding = setTimeout(close, HIDDEN_MS);
    } else if (!source && !timer) {
      poll();
      open();
    }
  };

  const resume = () => {
    if (!over) return;
    over = false;
    document.addEventListener("visibilitychange", seen);
    open();
  };

  document.addEventListener("visibilitychange", seen);
  open();
  return { stop: () => stop("ended"), resume };
}
