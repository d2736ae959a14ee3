// Parallel coordinates: one line a trial, one axis a parameter. What is marked on an axis
// becomes a condition of the filter, so the table and the figures follow. Marks are kept as values,
// since an axis changes with the trials.

import { get, latest, pageOf } from "./api.js";
import { axisOf } from "./axes.js";
import { el, fill, throttle } from "./dom.js";
import { fieldName } from "./filterbox.js";
import { number } from "./format.js";
import { flatten, varying } from "./spec.js";
import { hint, scrolling, trouble } from "./ui.js";

const LIMIT = 2_000;
const PAGE = 1_000;
const FRAME_MS = 8;
const HEIGHT = 250;
const TOP = 34;
const BOTTOM = 14;
const AXIS_PX = 130;
const MAX_AXES = 12;
const REACH_PX = 22;
const TICK_PX = 6.4;
const NEAR_END = 0.03;
const SVG = "http://www.w3.org/2000/svg";
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37]];

function colour(share, dark) {
  const low = dark ? 0.25 : 0;
  const high = dark ? 1 : 0.85;
  const place = (low + share * (high - low)) * (VIRIDIS.length - 1);
  const i = Math.min(Math.floor(place), VIRIDIS.length - 2);
  const mix = VIRIDIS[i].map((part, c) => Math.round(part + (VIRIDIS[i + 1][c] - part) * (place - i)));
  return `rgb(${mix.join(" ")})`;
}

function axesOf(sweep, trials) {
  const logs = new Map(varying(sweep.spec.parameters).map(({ path, kind }) => [path, kind.includes("log")]));
  const rows = trials.map((trial) => new Map(flatten(trial.parameters)));
  const paths = new Set();
  for (const row of rows) for (const [path, value] of row) if (!Array.isArray(value)) paths.add(path);
  const parameters = [...paths].map((path) => axisOf({
    name: `parameters.${fieldName(path)}`, title: path, log: logs.get(path), values: rows.map((row) => row.get(path)),
  }));
  const metric = axisOf({ name: "best", title: `best ${sweep.spec.metric.name}`, values: trials.map((trial) => trial.best) });
  const found = parameters.map((axis, i) => axis && { ...axis, of: (j) => rows[j].get([...paths][i]) }).filter(Boolean);
  const kept = found.slice(0, MAX_AXES - 1);
  return metric ? [...kept, { ...metric, of: (j) => trials[j].best }] : kept;
}

function svg(tag, props, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** How good a trial is among those drawn, 0 to 1; the same for all where no metric tells. */
function goodness(metric, j, max) {
  if (!metric) return 0.5;
  const value = metric.of(j);
  const share = value === null || value === undefined ? 0 : metric.share(value);
  return max ? share : 1 - share;
}

/** The plot of a sweep; `onMark` is told all conditions that are marked, by field. */
export function parallel({ sweep, state, onMark }) {
  const canvas = el("canvas", { "aria-hidden": "true" });
  const layer = svg("svg", { class: "axes", role: "img", "aria-label": "Parallel coordinates of the trials: one line a trial, one axis a parameter" });
  const stage = el("div", { class: "parallel", hidden: true }, canvas, layer);
  const message = el("div");
  const help = el("p", { class: "soft small" }, "Drag along an axis to keep what lies there; click it to let go. The filter box does the same by keyboard.");
  const element = el("div", { class: "stack" }, scrolling("Parallel coordinates", stage), help, message);
  const marks = new Map();
  let trials = [];
  let axes = [];
  let dragging = false;

  const dark = () => getComputedStyle(document.documentElement).getPropertyValue("--is-dark").trim() === "1";
  const width = () => Math.max(element.clientWidth, axes.length * AXIS_PX);
  const x = (i) => 46 + (axes.length > 1 ? (i * (width() - 116)) / (axes.length - 1) : 0);
  const y = (share) => TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
  const passes = (j) => axes.every((axis) => {
    const mark = marks.get(axis.name);
    const value = axis.of(j);
    if (!mark) return true;
    return value !== null && value !== undefined && mark.keeps(value);
  });

  const drawLines = inFrames(function* lines() {
    const scale = window.devicePixelRatio || 1;
    const hidden = document.createElement("canvas");
    hidden.width = width() * scale;
    hidden.height = HEIGHT * scale;
    const pen = hidden.getContext("2d");
    pen.scale(scale, scale);
    const metric = axes.find(({ name }) => name === "best") ?? null;
    const max = sweep.spec.metric.mode === "max";
    const order = trials.map((_, j) => j).sort((a, b) => (metric ? (max ? 1 : -1) * ((metric.of(a) ?? -Infinity) - (metric.of(b) ?? -Infinity)) : 0));
    const night = dark();
    const drawn = trials;
    for (const kept of [false, true]) {
      pen.globalAlpha = kept ? Math.max(0.25, Math.min(0.9, 60 / trials.length)) : 1;
      pen.lineWidth = kept ? 1.6 : 1;
      for (const j of order) {
        if (passes(j) !== kept) continue;
        pen.strokeStyle = kept ? colour(goodness(metric, j, max), night) : night ? "rgb(255 255 255 / 7%)" : "rgb(20 30 50 / 7%)";
        line(pen, j);
        yield;
        if (trials !== drawn) return;
      }
    }
    canvas.width = hidden.width;
    canvas.height = hidden.height;
    canvas.style.setProperty("width", `${hidden.width / scale}px`);
    canvas.style.setProperty("height", `${HEIGHT}px`);
    canvas.getContext("2d").drawImage(hidden, 0, 0);
  }, (busy) => stage.toggleAttribute("data-drawing", busy));
  const line = (pen, j) => {
    pen.beginPath();
    let before = null;
    axes.forEach((axis, i) => {
      const value = axis.of(j);
      if (value === null || value === undefined) {
        before = null;
        return;
      }
      const point = [x(i), y(axis.share(value))];
      if (before) pen.bezierCurveTo((before[0] + point[0]) / 2, before[1], (before[0] + point[0]) / 2, point[1], ...point);
      else pen.moveTo(...point);
      before = point;
    });
    pen.stroke();
  };
  const drawAxes = () => {
    layer.setAttribute("width", width());
    layer.setAttribute("height", HEIGHT);
    const parts = axes.flatMap((axis, i) => {
      const group = [
        svg("line", { x1: x(i), x2: x(i), y1: y(1), y2: y(0), class: "axis" }),
        svg("text", { x: x(i), y: 14, class: "title", "text-anchor": "middle" }, short(axis.title, 17)),
        ...axis.ticks.flatMap(([share, text]) => tick(x(i) + 8, y(share), short(text, 18))),
      ];
      const spans = marks.get(axis.name)?.spans(axis) ?? [];
      return [...group, ...spans.map(([low, high]) => svg("rect", { x: x(i) - 7, width: 14, y: y(high), height: Math.max(2, y(low) - y(high)), rx: 3, class: "mark" }))];
    });
    layer.replaceChildren(...parts);
  };
  const draw = () => {
    if (!axes.length || stage.hidden) return;
    drawAxes();
    drawLines();
  };
  const tell = () => onMark(axes.map((axis) => [axis, marks.get(axis.name)]).filter(([, mark]) => mark)
    .map(([axis, mark]) => ({ name: axis.name, title: axis.title, condition: mark.condition })).filter(({ condition }) => condition));
  const near = (event) => {
    const place = event.clientX - layer.getBoundingClientRect().left;
    const i = axes.findIndex((_, k) => Math.abs(x(k) - place) <= REACH_PX);
    return i < 0 ? null : axes[i];
  };
  const shareAt = (event) => {
    const share = 1 - (event.clientY - layer.getBoundingClientRect().top - TOP) / (HEIGHT - TOP - BOTTOM);
    return share < NEAR_END ? 0 : share > 1 - NEAR_END ? 1 : share;
  };

  layer.addEventListener("pointerdown", (event) => {
    const axis = near(event);
    if (!axis) return openNearest(event);
    const start = shareAt(event);
    layer.setPointerCapture(event.pointerId);
    marks.delete(axis.name);
    dragging = true;
    const move = (moved) => {
      const now = shareAt(moved);
      const mark = Math.abs(now - start) > 0.02 ? axis.mark([Math.min(start, now), Math.max(start, now)]) : null;
      if (mark) marks.set(axis.name, mark);
      else marks.delete(axis.name);
      draw();
    };
    const end = () => {
      layer.removeEventListener("pointermove", move);
      layer.removeEventListener("lostpointercapture", end);
      dragging = false;
      draw();
      tell();
    };
    layer.addEventListener("pointermove", move);
    layer.addEventListener("lostpointercapture", end);
    return undefined;
  });
  const openNearest = (event) => {
    const box = layer.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    const i = axes.findIndex((_, k) => k + 1 < axes.length && px >= x(k) && px <= x(k + 1));
    if (i < 0) return;
    const part = (px - x(i)) / (x(i + 1) - x(i));
    const away = (j) => {
      const [a, b] = [axes[i].of(j), axes[i + 1].of(j)];
      if (a === undefined || a === null || b === undefined || b === null || !passes(j)) return Infinity;
      return Math.abs(y(axes[i].share(a)) * (1 - part) + y(axes[i + 1].share(b)) * part - py);
    };
    const best = trials.reduce((found, _, j) => (away(j) < away(found) ? j : found), 0);
    if (trials.length && away(best) < 8) location.href = pageOf("trials", trials[best].id);
  };

  const first = async (signal) => {
    const asked = { filter: state.text, sort: state.sort, fields: "id,index,state,parameters,best" };
    const start = await get(`v1/sweeps/${sweep.id}/trials`, { ...asked, limit: PAGE, count: "true" }, signal);
    const items = [...start.items];
    let cursor = start.next_cursor;
    while (cursor && items.length < LIMIT) {
      const page = await get(`v1/sweeps/${sweep.id}/trials`, { ...asked, limit: Math.min(PAGE, LIMIT - items.length), cursor }, signal);
      items.push(...page.items);
      cursor = page.next_cursor;
    }
    return { items, all: start.count ?? items.length };
  };
  const guarded = latest(element, (error) => { if (error.code !== "invalid-query") fill(message, trouble(error)); });
  const load = () => guarded(async (signal) => {
    const { items, all } = await first(signal);
    if (signal.aborted) return;
    trials = items.map((trial) => ({ ...trial, best: trial.best?.value ?? trial.best }));
    axes = axesOf(sweep, trials);
    stage.hidden = axes.length < 2;
    help.hidden = stage.hidden;
    fill(message, stage.hidden ? hint("Lines appear once two trials with different parameters have reported.")
      : all > trials.length ? el("p", { class: "soft small" }, `The first ${number(trials.length)} of ${number(all)} trials are drawn, by the table's order. Filter or sort to see others.`) : null);
    draw();
  });
  new ResizeObserver(draw).observe(element);
  document.addEventListener("theme-changed", draw);
  return {
    element, load,
    refresh: throttle(3_000, () => { if (element.offsetParent !== null && !dragging) load(); }),
    clear(name) { marks.delete(name); draw(); tell(); },
  };
}

/**
 * Work in pieces, each within a frame's time, so that the page stays answerable. What is asked
 * for while it goes on is done once it is over; `told` hears when it begins and ends.
 */
function inFrames(work, told) {
  let going = null;
  let again = false;
  const step = () => {
    const until = performance.now() + FRAME_MS;
    while (performance.now() < until) {
      if (!going.next().done) continue;
      going = again ? work() : null;
      again = false;
      if (!going) return told(false);
    }
    return requestAnimationFrame(step);
  };
  return () => {
    if (going) {
      again = true;
      return;
    }
    going = work();
    told(true);
    step();
  };
}

/** A tick's text on a ground of its own, since lines start where it stands. */
function tick(left, middle, text) {
  const ground = svg("rect", { x: left - 3, y: middle - 8, width: text.length * TICK_PX + 6, height: 16, rx: 3, class: "ground" });
  return [ground, svg("text", { x: left, y: middle + 4, class: "tick" }, text)];
}

function short(text, size) {
  return text.length > size ? `${text.slice(0, size - 1)}…` : text;
}
