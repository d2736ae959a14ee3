// One study: what was published against what was found here.

import { address, get, latest, pageOf } from "../api.js";
import { el, fill } from "../dom.js";
import { hint, pill, scrolling, trouble } from "../ui.js";

/** Show a study. */
export async function show(main, name) {
  const asked = new URLSearchParams(location.search);
  const body = el("div", { class: "stack" });
  const guarded = latest(body, (error) => fill(body, el("h1", {}, name), trouble(error)));
  const load = (size) => guarded(async (signal) => {
    const report = await get(`v1/studies/${encodeURIComponent(name)}`, { size }, signal);
    fill(body, ...partsOf(report, load));
    document.title = `${report.study.title} · Sweeps`;
  });
  fill(main, el("nav", { class: "crumbs", "aria-label": "Where this is" }, el("a", { href: address("studies") }, "Studies")), body);
  fill(body, el("p", { class: "loading", role: "status" }, "Judging the claims…"));
  await load(asked.get("size"));
}

function partsOf(report, load) {
  const { study } = report;
  const sizes = Object.entries(study.sizes).map(([size]) => el("button", { type: "button", "aria-pressed": String(size === report.size), on: { click: () => load(size) } }, size));
  return [
    el("h1", {}, study.title), el("p", { class: "soft" }, study.source), el("p", { class: "prose" }, ...markdown(study.about)),
    el("div", { class: "row" }, el("span", { class: "soft small" }, "Size:"), sizes),
    report.size ? label(study.sizes[report.size]?.label) : notRun(study),
    ...report.notices.map((text) => hint(text, "busy")),
    report.sweeps.length ? el("p", { class: "row" }, "Rests on", report.sweeps.map((sweep) => el("span", { class: "row" }, el("a", { href: pageOf("sweeps", sweep.id) }, sweep.name), pill(sweep.state)))) : null,
    el("h2", {}, "Claims"), tally(report.claims), claims(report.claims),
    report.size && report.figures.length ? el("h2", {}, "Figures") : null,
    ...(report.size ? report.figures.map((figure) => picture(report, figure)) : []),
  ].filter(Boolean);
}

function label(text) {
  return text ? hint(text) : null;
}

function notRun(study) {
  return hint(`This study was not run on this service. Run it with: sweep study run ${study.name}`);
}

function tally(list) {
  const found = Object.entries({ agrees: 0, disagrees: 0, "not run": 0, ...Object.groupBy?.(list, (one) => one.verdict) });
  const counts = found.map(([verdict, group]) => [verdict, Array.isArray(group) ? group.length : 0]).filter(([, n]) => n);
  return el("p", { class: "row" }, counts.map(([verdict, n]) => el("span", { class: "verdict", data: { verdict } }, `${n} ${n === 1 ? verdict : verdict.replace(/agrees$/, "agree")}`)));
}

/** Roles are named, since on a phone the rows are drawn as blocks. */
function claims(list) {
  const cell = (label, ...content) => el("td", { class: "wrap", role: "cell", data: { label } }, content);
  const rows = list.map((claim) => el("tr", { role: "row" },
    cell("Verdict", el("span", { class: "verdict", data: { verdict: claim.verdict } }, claim.verdict)),
    el("th", { scope: "row", role: "rowheader", class: "wrap statement" }, claim.statement, el("span", { class: "soft small block" }, claim.source), why(claim)),
    cell("Published", claim.published || "–"), cell("Ours", claim.ours || "–")));
  const heads = ["Verdict", "Statement", "Published", "Ours"].map((head) => el("th", { scope: "col", role: "columnheader" }, head));
  return scrolling("Claims", el("table", { class: "claims", role: "table" }, el("caption", { class: "hidden" }, "Published against ours"),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads)), el("tbody", { role: "rowgroup" }, rows)));
}

function why(claim) {
  return el("details", { class: "small" }, el("summary", {}, "Agrees when"), el("p", {}, claim.rule), claim.tried && claim.verdict === "disagrees" ? el("p", {}, `What was tried: ${claim.tried}`) : null);
}

function picture(report, { name, title, caption }) {
  const source = address(`v1/studies/${encodeURIComponent(report.study.name)}/figures/${encodeURIComponent(name)}`, { size: report.size });
  const shown = el("img", { src: source, alt: title });
  const made = el("figure", { class: "study-figure" }, el("h3", {}, title), shown, el("figcaption", { class: "soft" }, ...markdown(caption)));
  shown.addEventListener("error", () => made.remove());
  return made;
}

/** Text with its `code` set apart; the studies' texts use no more of Markdown. */
function markdown(text) {
  return text.split(/(`[^`]+`)/).map((part) => (part.startsWith("`") && part.length > 2 ? el("code", {}, part.slice(1, -1)) : part));
}
