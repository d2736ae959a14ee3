// Asking for a token, where the service needs one.

import { change } from "./api.js";
import { el } from "./dom.js";

let pending = null;

/** Resolves once the browser is signed in; however many requests wait, one form is shown. */
export function signIn() {
  pending ??= ask().finally(() => {
    pending = null;
  });
  return pending;
}

function ask() {
  return new Promise((resolve) => {
    const field = el("input", {
      id: "token", name: "token", type: "password", autocomplete: "current-password", required: true,
      spellcheck: "false", "aria-describedby": "token-help token-error", placeholder: "swp_…",
    });
    const error = el("p", { class: "field-error", id: "token-error", role: "alert" });
    const form = el(
      "form", { method: "dialog", class: "stack" },
      el("h2", { id: "sign-in-title" }, "Sign in"),
      el("p", { id: "token-help", class: "soft" }, "This service needs a token. ",
        el("code", {}, "sweep token create NAME"), " makes one; the first comes from ",
        el("code", {}, "python -m service token NAME"), " on the server."),
      el("label", { for: "token" }, "Token"), field, error,
      el("div", { class: "row end" }, el("button", { type: "submit", class: "primary" }, "Sign in")),
    );
    const dialog = el("dialog", { class: "sign-in", "aria-labelledby": "sign-in-title" }, form);
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      error.textContent = "";
      field.removeAttribute("aria-invalid");
      try {
        await change("POST", "v1/session", { token: field.value.trim() }, { signingIn: true });
      } catch (problem) {
        error.textContent = problem.status === 401 || problem.status === 422
          ? "This token is not known, or was revoked. Check that all of it was copied." : problem.message;
        field.setAttribute("aria-invalid", "true");
        field.select();
        return;
      }
      dialog.close();
      dialog.remove();
      document.dispatchEvent(new Event("signed-in"));
      resolve();
    });
    document.body.append(dialog);
    dialog.showModal();
    field.focus();
  });
}
