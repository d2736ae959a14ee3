// The service's REST API.

import { signIn } from "./signin.js";

const root = new URL(document.documentElement.dataset.root, location.href);

/** An address of this service: the page's own, or the API's. */
export function address(path, params = {}) {
  const made = new URL(path, root);
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") made.searchParams.set(name, value);
  }
  return made.href;
}

/** The page of a sweep, a trial or a study. */
export function pageOf(kind, id, params = {}) {
  return address(`${kind}/${encodeURIComponent(id)}`, params);
}

/** What the service refused, as its problem document says. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || `the service answered ${status}`);
    this.status = status;
    this.code = problem.code || "";
    this.title = problem.title || "";
    this.problems = problem.problems || [];
    const place = /\(column (\d+)\)$/.exec(this.message);
    this.column = place ? Number(place[1]) : null;
  }

  /** Whether this service does not know the route at all. */
  get missingRoute() {
    return this.status === 404 && this.message === "Not Found";
  }
}

/** Whether an error is a request that was given up. */
function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

async function problemOf(answer) {
  try {
    return await answer.json();
  } catch {
    return { detail: `the service answered ${answer.status} ${answer.statusText}` };
  }
}

async function send(path, params, options) {
  let answer;
  try {
    answer = await fetch(address(path, params), {
      credentials: "same-origin",
      ...options,
      headers: { "X-Sweep-Page": "1", ...options.headers },
    });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(0, { code: "unreachable", detail: "The service does not answer. Is it running?" });
  }
  if (answer.status === 401 && !options.signingIn) {
    await signIn();
    return send(path, params, options);
  }
  if (!answer.ok) throw new ApiError(answer.status, await problemOf(answer));
  return answer;
}

/** What a GET answers, as JSON. */
export async function get(path, params = {}, signal = null) {
  return (await send(path, params, { signal })).json();
}

/** What a GET answers, as text. */
export async function getText(path, params = {}, signal = null) {
  return (await send(path, params, { signal })).text();
}

/** A request that changes something; its JSON answer, or null. */
export async function change(method, path, body, { params = {}, type = "application/json", signal = null, signingIn = false } = {}) {
  const headers = body === undefined ? {} : { "Content-Type": type };
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const answer = await send(path, params, { method, headers, body: text, signal, signingIn });
  return answer.status === 204 ? null : answer.json();
}

/**
 * A guard for work that is asked for again and again: it aborts what it still does, so that only
 * the last counts, and marks the element busy meanwhile. `onError` hears what went wrong with the last.
 */
export function latest(element, onError) {
  let running = null;
  return async (work) => {
    running?.abort();
    const mine = new AbortController();
    running = mine;
    element.setAttribute("aria-busy", "true");
    try {
      await work(mine.signal);
    } catch (error) {
      if (!mine.signal.aborted) onError(error);
    } finally {
      if (running === mine) element.removeAttribute("aria-busy");
    }
  };
}
