// The studies that ship with the installed packages.

import { get, pageOf } from "../api.js";
import { el, fill } from "../dom.js";
import { count } from "../format.js";
import { notice } from "../ui.js";

/** Show the list. */
export async function show(main) {
  const { items } = await get("v1/studies");
  const intro = el("p", { class: "soft" }, "Each study trains what a publication describes and checks its statements against the results in this service.");
  if (!items.length) {
    fill(main, el("h1", {}, "Studies"), notice("No study is installed", "A package offers studies through the entry-point group sweep.studies."));
    return;
  }
  fill(main, el("h1", {}, "Studies"), intro, el("ul", { class: "cards" }, items.map((study) => el("li", { class: "card" },
    el("h2", {}, el("a", { href: pageOf("studies", study.name) }, study.title)),
    el("p", { class: "soft small" }, study.source),
    el("p", { class: "row small" }, el("span", { class: "tag" }, study.name), el("span", {}, count(study.claims, "claim")), el("span", { class: "soft" }, `sizes: ${Object.keys(study.sizes).join(", ")}`))))));
}
