// Figures that the service builds, drawn by Plotly.

import { address, get, latest, pageOf } from "./api.js";
import { el, fill, throttle } from "./dom.js";
import { hint, trouble } from "./ui.js";

const QUIET_MS = 2_500;
/** Plotly skips the styles of its maps, which no figure here is, where an element has this id. */
const MAP_STYLES = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";

const PHONE = matchMedia("(max-width: 40rem)");

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

function fitted(drawing) {
  const style = getComputedStyle(document.body);
  const { width, title, ...rest } = drawing.layout ?? {};
  const fitting = {
    ...rest,
    autosize: true,
    font: { ...rest.font, family: style.fontFamily, color: style.color },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { ...rest.margin, t: 44 },
  };
  if (!PHONE.matches) return { data: drawing.data, layout: fitting };
  return { data: drawing.data.map((trace) => (trace.type === "heatmap" ? { ...trace, showscale: false } : trace)), layout: narrow(fitting) };
}

/** A layout for a phone: labels may lean, the legend takes a row of its own. */
function narrow(layout) {
  const title = { ...layout.xaxis?.title, font: { ...layout.xaxis?.title?.font, size: 11 } };
  const xaxis = { ...layout.xaxis, title, automargin: true, ...(layout.xaxis?.type === "category" ? { tickangle: -50 } : {}) };
  const legend = { ...layout.legend, orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", font: { size: 11 } };
  return { ...layout, xaxis, yaxis: { ...layout.yaxis, automargin: true }, legend, margin: { ...layout.margin, l: 8, r: 10 } };
}

/** Plotly's text without its marks. */
function plainText(text) {
  return new DOMParser().parseFromString(text ?? "", "text/html").body.textContent;
}

/** A figure's title and what stands below it, as text of the page, which wraps and can be chosen. */
function captionOf({ layout }) {
  const title = plainText(typeof layout?.title === "string" ? layout.title : layout?.title?.text);
  const below = plainText(layout?.title?.subtitle?.text);
  return [title ? el("strong", {}, title) : null, below ? el("span", { class: "soft small" }, below) : null];
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
 * points; without it a click opens the point's trial. `load` draws it, `refresh` does so again when things are quiet.
 */
export function figure({ path, title, params, onPoint = null, empty = "Nothing to draw yet." }) {
  const plot = el("div", { class: "plot", role: "img", "aria-label": title });
  const links = el("div", { class: "row plot-links" });
  const message = el("div");
  const caption = el("figcaption", { class: "row" });
  const element = el("figure", { class: "figure" }, caption, message, plot, links);
  let shown = "";
  let wanted = false;
  let last = null;

  const draw = async (drawing) => {
    const library = await plotly();
    const text = JSON.stringify([drawing, theme(), PHONE.matches]);
    if (text === shown) return;
    shown = text;
    last = drawing;
    const fitting = fitted(drawing);
    fill(caption, ...captionOf(drawing));
    plot.style.height = drawing.layout?.height ? `${drawing.layout.height}px` : "";
    await library.react(plot, fitting.data, fitting.layout, { displayModeBar: false, responsive: true });
    plot.removeAllListeners?.("plotly_click");
    plot.on("plotly_click", ({ points }) => {
      const id = onPoint ? null : trialOf(points[0]);
      if (id) location.href = pageOf("trials", id);
      else onPoint?.(points[0]);
    });
  };
  const guarded = latest(plot, (error) => {
    plot.hidden = true;
    caption.hidden = true;
    shown = "";
    fill(links);
    fill(message, trouble(error));
  });
  const load = () => guarded(async (signal) => {
    wanted = true;
    const query = params();
    const drawing = await get(path, { ...query, format: "json", theme: theme() }, signal);
    plot.hidden = isEmpty(drawing);
    fill(message, isEmpty(drawing) ? hint(empty) : null);
    if (!isEmpty(drawing)) await draw(drawing);
    if (signal.aborted) return;
    caption.hidden = isEmpty(drawing);
    fill(links, isEmpty(drawing) ? null : saving(path, query));
  });
  PHONE.addEventListener("change", () => { if (last && !plot.hidden) draw(last); });
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
