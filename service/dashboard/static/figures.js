// Figures that the service builds, drawn by Plotly.

import { address, get, isAbort, pageOf } from "./api.js";
import { el, fill, throttle } from "./dom.js";
import { hint, trouble } from "./ui.js";

const QUIET_MS = 2_500;
/** Plotly skips the styles of its maps, which no figure here is, where an element has this id. */
const MAP_STYLES = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";

let loading = null;

/** Plotly, loaded when the first figure is drawn. */
function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = el("script", { src: document.documentElement.dataset.plotly });
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => {
      loading = null;
      reject(new Error("The drawing library could not be loaded. Reload the page."));
    });
    document.head.append(el("meta", { id: MAP_STYLES }), script);
  });
  return loading;
}

/** The colours in use: `light` or `dark`. */
export function theme() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen) return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Whether a figure has something to show. */
function isEmpty(drawing) {
  return !drawing.data?.length;
}

function fitted(layout) {
  const style = getComputedStyle(document.body);
  const narrow = matchMedia("(max-width: 40rem)").matches;
  const { width, ...rest } = layout ?? {};
  return {
    ...rest,
    autosize: true,
    font: { ...rest.font, family: style.fontFamily, color: style.color },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    ...(narrow ? { margin: { l: 48, r: 12, t: 36, b: 56, ...rest.margin, ...{ r: 12 } } } : {}),
  };
}

function trialOf(point) {
  const found = point.customdata ?? point.data?.customdata;
  const first = Array.isArray(found) ? found[0] : found;
  return typeof first === "string" ? first : null;
}

/**
 * A figure of the service.
 *
 * `path` is its route, `params` tells its query when it is drawn, `onPoint` hears of clicks on
 * points that are no trial's. `load` draws it, `refresh` does so again when things are quiet.
 */
export function figure({ path, title, params, onPoint = null, empty = "Nothing to draw yet." }) {
  const plot = el("div", { class: "plot", role: "img", "aria-label": title });
  const links = el("div", { class: "row plot-links" });
  const message = el("div");
  const element = el("figure", { class: "figure" }, message, plot, links);
  let running = null;
  let shown = "";
  let wanted = false;

  const draw = async (drawing) => {
    const library = await plotly();
    const text = JSON.stringify(drawing) + theme();
    if (text === shown) return;
    shown = text;
    await library.react(plot, drawing.data, fitted(drawing.layout), { displayModeBar: false, responsive: true });
    plot.removeAllListeners?.("plotly_click");
    plot.on("plotly_click", ({ points }) => {
      const id = trialOf(points[0]);
      if (id) location.href = pageOf("trials", id);
      else onPoint?.(points[0]);
    });
  };
  const load = async () => {
    wanted = true;
    running?.abort();
    const mine = new AbortController();
    running = mine;
    plot.setAttribute("aria-busy", "true");
    const query = params();
    try {
      const drawing = await get(path, { ...query, format: "json", theme: theme() }, mine.signal);
      plot.hidden = isEmpty(drawing);
      fill(message, isEmpty(drawing) ? hint(empty) : null);
      if (!isEmpty(drawing)) await draw(drawing);
      fill(links, isEmpty(drawing) ? null : saving(path, query));
    } catch (error) {
      if (isAbort(error)) return;
      plot.hidden = true;
      shown = "";
      fill(links);
      fill(message, trouble(error));
    } finally {
      if (running === mine) plot.removeAttribute("aria-busy");
    }
  };
  const visible = () => element.isConnected && element.offsetParent !== null;
  document.addEventListener("theme-changed", () => { if (wanted && visible()) load(); });
  return { element, load, refresh: throttle(QUIET_MS, () => { if (visible()) load(); }) };
}

function saving(path, query) {
  const png = address(path, { ...query, format: "png", theme: theme(), width: 1200, height: 675 });
  const json = address(path, { ...query, format: "json", theme: theme() });
  return [
    el("a", { href: png, download: "figure.png" }, "PNG"),
    el("a", { href: json, download: "figure.json" }, "Plotly JSON"),
  ];
}
