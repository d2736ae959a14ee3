// A question before something is done, and fields to fill in.

import { el, fill } from "./dom.js";
import { hint } from "./ui.js";

/** A field of a form: its label, an input, and a place for what is wrong with it. */
export function field(name, label, value, props = {}) {
  const id = `field-${name.replaceAll(".", "-")}`;
  return el("div", { class: "field" },
    el("label", { for: id }, label),
    el("input", { id, name, type: "number", step: "any", value, ...props }),
    el("p", { id: `${id}-error`, class: "field-error" }));
}

/** Put the service's remarks at the fields that they are about; the others above all of them. */
function remark(form, error, above) {
  const problems = error.problems?.length ? error.problems : [{ path: "", message: error.message }];
  const left = new Set(problems);
  for (const input of form.querySelectorAll("input[name]")) {
    const mine = problems.filter(({ path }) => path === input.name);
    mine.forEach((problem) => left.delete(problem));
    input.toggleAttribute("aria-invalid", mine.length > 0);
    if (mine.length) {
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", `${input.id}-error`);
    }
    document.getElementById(`${input.id}-error`).textContent = mine.map(({ message }) => message).join("; ");
  }
  fill(above, left.size ? hint([...left].map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; "), "error") : null);
  form.querySelector("[aria-invalid]")?.focus();
}

/** Inputs whose text is no number: their value reads as empty, which would say something else. */
function unreadable(form) {
  return [...form.querySelectorAll("input[name]")].filter((input) => input.validity.badInput)
    .map((input) => ({ path: input.name, message: "This is not a number: write one, such as 12 or 0.5." }));
}

/**
 * Ask before something is done; resolves to the form's data, or null.
 *
 * `send` is given the data while the dialog is open: what it throws is shown at the fields, and
 * the dialog stays.
 */
export function ask({ title, text, confirm, danger = false, fields = [], send = null }) {
  return new Promise((resolve) => {
    const above = el("div");
    const yes = el("button", { type: "submit", value: "yes", class: danger ? "danger" : "primary" }, confirm);
    const form = el(
      "form", { method: "dialog", class: "stack", novalidate: send !== null },
      el("h2", { id: "ask-title" }, title),
      text ? el("p", { class: "soft" }, text) : null,
      above, ...fields,
      el("div", { class: "row end" }, el("button", { type: "button", value: "no", on: { click: () => dialog.close() } }, "Keep as it is"), yes),
    );
    const dialog = el("dialog", { "aria-labelledby": "ask-title" }, form);
    let answer = null;
    const submit = async (event) => {
      const data = new FormData(form);
      if (!send) {
        answer = data;
        return undefined;
      }
      event.preventDefault();
      const problems = unreadable(form);
      if (problems.length) return remark(form, { problems }, above);
      yes.disabled = true;
      try {
        await send(data);
        answer = data;
        dialog.close();
      } catch (error) {
        yes.disabled = false;
        remark(form, error, above);
      }
      return undefined;
    };
    form.addEventListener("submit", submit);
    dialog.addEventListener("close", () => { dialog.remove(); resolve(answer); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
