// The box for filters: completion of fields and values, errors at their column.

import { get } from "./api.js";
import { debounce, el, fill } from "./dom.js";

const OPERATORS = ["==", "!=", "<", "<=", ">", ">=", "in", "contains"];
const AFTER_VALUE = ["and", "or"];
const SHOWN = 12;
const WORD = /[A-Za-z_][\w.]*$/;
const OPEN_TEXT = /(["'])([^"']*)$/;

let boxes = 0;

/** A constant as the query language writes it. */
export function constant(value) {
  if (typeof value !== "string") return String(value);
  return `'${value.replaceAll("'", "''")}'`;
}

/** A field's name as the query language writes it: parts that are no plain words in quotes. */
export function fieldName(path) {
  return path.split(".").map((part) => (/^[A-Za-z_]\w*$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`)).join(".");
}

/** Several conditions as one; nothing for none. */
export function all(conditions) {
  const given = conditions.filter(Boolean);
  return given.length > 1 ? given.map((one) => `(${one})`).join(" and ") : given[0] ?? "";
}

/** What may come next at the caret, and which part of the text it takes the place of. */
function suggestions(text, caret, fields) {
  const before = text.slice(0, caret);
  const open = OPEN_TEXT.exec(before);
  const quotes = (before.match(/["']/g) ?? []).length;
  if (open && quotes % 2 === 1) return valuesFor(before.slice(0, open.index), open[2], open.index, fields);
  const word = WORD.exec(before)?.[0] ?? "";
  const start = caret - word.length;
  const head = before.slice(0, start).trimEnd();
  const last = head.split(/\s+/).at(-1) ?? "";
  if (/(==|!=|<=|>=|<|>|contains|\[|,)$/i.test(head)) return valuesFor(head, word, start, fields);
  if (head === "" || /^(and|or|not|\(+)$/i.test(last) || last.endsWith("(")) return fieldsFor(word, start, fields);
  if (!word && !/\s$/.test(before)) return { start, items: [] };
  const known = fields.some((field) => field.name === last);
  return words(known ? OPERATORS : AFTER_VALUE, word, start);
}

function fieldsFor(word, start, fields) {
  const wanted = word.toLowerCase();
  const found = fields.filter((field) => field.name.toLowerCase().includes(wanted));
  found.sort((a, b) => rank(a.name, wanted) - rank(b.name, wanted));
  return { start, items: found.slice(0, SHOWN).map((field) => ({ text: field.name, note: field.type })) };
}

function rank(name, wanted) {
  const parts = name.toLowerCase().split(".");
  return name.toLowerCase().startsWith(wanted) ? 0 : parts.some((part) => part.startsWith(wanted)) ? 1 : 2;
}

function valuesFor(head, typed, start, fields) {
  const named = [...head.matchAll(/([A-Za-z_][\w."']*)\s*(?:==|!=|<=|>=|<|>|contains\b|(?:not\s+)?in\s*\[)/gi)].at(-1)?.[1];
  const field = fields.find((one) => one.name === named);
  if (!field) return { start, items: [] };
  const values = field.type === "boolean" ? [true, false] : field.values ?? [];
  const shown = values.map((value) => ({ text: constant(value), note: "" }));
  return { start, items: shown.filter(({ text }) => text.toLowerCase().includes(typed.toLowerCase())).slice(0, SHOWN) };
}

function words(list, word, start) {
  return { start, items: list.filter((one) => one.startsWith(word.toLowerCase())).map((text) => ({ text, note: "" })) };
}

/**
 * A filter box. `onChange` is called with the text once typing pauses; `fields` are those to
 * complete until the service has told its own. `setError` shows what the service says of it;
 * columns count from behind so many characters that were sent before it.
 */
export function filterBox({ label, placeholder, text, sweep, fields, onChange }) {
  boxes += 1;
  const id = `filter-${boxes}`;
  let known = fields;
  let found = { start: 0, items: [] };
  let active = -1;
  const input = el("input", {
    id, type: "text", role: "combobox", autocomplete: "off", autocapitalize: "off", spellcheck: "false", data: { filter: "" },
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list`, "aria-describedby": `${id}-error`, placeholder, value: text, maxlength: 2000,
  });
  const list = el("ul", { id: `${id}-list`, role: "listbox", "aria-label": "Completions", hidden: true });
  const error = el("div", { id: `${id}-error`, class: "filter-error", role: "alert" });
  const clear = el("button", { type: "button", class: "quiet clear", "aria-label": "Clear the filter", hidden: !text }, "×");
  const element = el("div", { class: "filter" }, el("label", { for: id }, label),
    el("div", { class: "filter-field" }, input, el("kbd", { "aria-hidden": "true" }, "/"), clear, list), error);

  const tell = debounce(300, () => onChange(input.value.trim()));
  const hide = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const mark = () => {
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === active)));
    if (active < 0) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", `${id}-${active}`);
      list.children[active].scrollIntoView({ block: "nearest" });
    }
  };
  const suggest = () => {
    found = suggestions(input.value, input.selectionStart ?? input.value.length, known);
    active = -1;
    if (!found.items.length) return hide();
    fill(list, found.items.map(({ text: name, note }, i) =>
      el("li", { role: "option", id: `${id}-${i}`, "aria-selected": "false", on: { pointerdown: (event) => { event.preventDefault(); take(i); } } },
        el("span", {}, name), el("span", { class: "soft" }, note))));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    return undefined;
  };
  const changed = () => {
    clear.hidden = !input.value;
    setError(null);
    tell();
  };
  const take = (i) => {
    const caret = input.selectionStart ?? input.value.length;
    const chosen = `${found.items[i].text} `;
    input.value = input.value.slice(0, found.start) + chosen + input.value.slice(caret);
    const place = found.start + chosen.length;
    input.setSelectionRange(place, place);
    changed();
    suggest();
  };
  const setError = (problem, before = 0) => {
    if (!problem) {
      input.removeAttribute("aria-invalid");
      return fill(error);
    }
    input.setAttribute("aria-invalid", "true");
    const place = problem.column ? problem.column - 1 - before : null;
    const column = place === null || place > input.value.length + before ? null : Math.min(place, input.value.length);
    const message = problem.message.replace(/ \(column \d+\)$/, "");
    if (column === null) return fill(error, el("p", {}, message));
    const shown = el("code", {}, input.value.slice(0, column),
      el("mark", {}, input.value.slice(column, column + 1) || " "), input.value.slice(column + 1));
    const go = el("button", { type: "button", class: "link", on: { click: () => { input.focus(); input.setSelectionRange(column, column + 1); } } }, `Column ${column + 1}`);
    return fill(error, shown, el("p", {}, go, `: ${message}`));
  };

  input.addEventListener("input", () => { changed(); suggest(); });
  input.addEventListener("click", suggest);
  input.addEventListener("blur", hide);
  input.addEventListener("keydown", (event) => {
    const open = !list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) return suggest();
      const size = found.items.length;
      active = event.key === "ArrowDown" ? (active + 1) % size : (active <= 0 ? size : active) - 1;
      mark();
    } else if ((event.key === "Enter" || event.key === "Tab") && open && active >= 0) {
      event.preventDefault();
      take(active);
    } else if (event.key === "Enter") {
      hide();
      tell.cancel();
      onChange(input.value.trim());
    } else if (event.key === "Escape" && open) {
      event.stopPropagation();
      hide();
    }
    return undefined;
  });
  clear.addEventListener("click", () => {
    input.value = "";
    hide();
    changed();
    input.focus();
  });
  get("v1/query/fields", { sweep }).then((answer) => {
    const told = Array.isArray(answer) ? answer : answer.items;
    if (told?.length) known = told;
  }).catch(() => {});
  return {
    element, input, setError,
    get fields() { return known; },
    set(value) { input.value = value; clear.hidden = !value; setError(null); },
  };
}
