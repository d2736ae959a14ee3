// A text area with line numbers, colours and messages at the lines that they are about.

import { el, fill } from "./dom.js";
import { pieces } from "./yaml.js";

/** An editor; `onInput` hears of every change. `show` puts messages at their lines. */
export function editor({ label, text, onInput }) {
  const gutter = el("div", { class: "gutter", "aria-hidden": "true" });
  const back = el("pre", { class: "backdrop", "aria-hidden": "true" });
  const area = el("textarea", { id: "spec", spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-describedby": "spec-problems" });
  const element = el("div", { class: "editor" }, el("label", { for: "spec", class: "hidden" }, label), gutter, el("div", { class: "code" }, back, area));
  let problems = [];
  area.value = text;

  const lineOf = (line, i) => {
    const mine = problems.filter((problem) => problem.place?.line === i);
    const made = el("span", { class: mine.length ? "line bad" : "line" }, marked(line, mine));
    if (mine.length) made.append(el("span", { class: "remark" }, mine.map((problem) => problem.message).join("; ")));
    return [made, "\n"];
  };
  const draw = () => {
    const lines = area.value.split("\n");
    const bad = new Set(problems.map((problem) => problem.place?.line));
    fill(gutter, lines.map((_, i) => el("div", { class: bad.has(i) ? "bad" : null }, String(i + 1))));
    fill(back, lines.flatMap(lineOf));
    area.style.setProperty("height", `${Math.max(18, lines.length + 2) * 1.5}em`);
  };
  const scroll = () => { back.scrollLeft = area.scrollLeft; };
  area.addEventListener("input", () => { draw(); onInput(); });
  area.addEventListener("scroll", scroll);
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Tab" || event.shiftKey || area.dataset.leave) return;
    event.preventDefault();
    area.setRangeText("  ", area.selectionStart, area.selectionEnd, "end");
    draw();
    onInput();
  });
  area.addEventListener("keyup", (event) => { if (event.key === "Escape") area.dataset.leave = "true"; });
  area.addEventListener("blur", () => { delete area.dataset.leave; });
  draw();
  return {
    element,
    get text() { return area.value; },
    set(value) { area.value = value; problems = []; draw(); },
    show(found) {
      problems = found;
      area.setAttribute("aria-invalid", String(found.length > 0));
      draw();
    },
    goTo({ line, start }) {
      const before = area.value.split("\n").slice(0, line).join("\n").length + (line ? 1 : 0);
      area.focus();
      area.setSelectionRange(before + start, before + start);
      area.scrollIntoView({ block: "nearest" });
    },
  };
}

/** A line's coloured pieces, with the fields that are wrong underlined. */
function marked(line, problems) {
  const wrong = problems.map((problem) => problem.place);
  let column = 0;
  return pieces(line).map(([text, kind]) => {
    const [start, end] = [column, column + text.length];
    column = end;
    const bad = wrong.some((place) => place.start < end && place.end > start);
    return kind || bad ? el("span", { class: [kind, bad ? "wrong" : ""].join(" ").trim() }, text) : text;
  });
}
