// Starts the view that the shell names.

import { get } from "./api.js";
import { el, fill, icon } from "./dom.js";
import { change } from "./api.js";
import { showError } from "./ui.js";

const VIEWS = {
  sweeps: () => import("./views/sweeps.js"),
  sweep: () => import("./views/sweep.js"),
  trial: () => import("./views/trial.js"),
  compare: () => import("./views/compare.js"),
  submit: () => import("./views/submit.js"),
  studies: () => import("./views/studies.js"),
  study: () => import("./views/study.js"),
};

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function themeButton() {
  const button = el("button", { type: "button", class: "quiet square" });
  const label = () => {
    const name = `Use ${isDark() ? "light" : "dark"} colours`;
    button.setAttribute("aria-label", name);
    button.title = name;
    fill(button, icon(isDark() ? "sun" : "moon"));
  };
  const told = () => {
    label();
    document.dispatchEvent(new Event("theme-changed"));
  };
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("sweep-theme", theme);
    } catch {
      // The choice holds for this page alone then.
    }
    told();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", told);
  label();
  return button;
}

async function signOutButton() {
  const session = await get("v1/session");
  if (session.embedded) return null;
  return el("button", {
    type: "button", class: "quiet", title: `Signed in as ${session.name}`,
    on: { click: async () => { await change("DELETE", "v1/session"); location.reload(); } },
  }, "Sign out");
}

function focusFilter(event) {
  const typing = event.target instanceof Element && event.target.closest("input, textarea, select, [contenteditable]");
  const box = document.querySelector("[data-filter]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey || !box) return;
  event.preventDefault();
  box.focus();
}

async function start() {
  const main = document.getElementById("main");
  const { view, subject } = main.dataset;
  const nav = { sweep: "sweeps", trial: "sweeps", compare: "sweeps", study: "studies" }[view] ?? view;
  document.querySelector(`[data-nav="${nav}"]`)?.setAttribute("aria-current", "page");
  document.addEventListener("keydown", focusFilter);
  const tools = document.getElementById("tools");
  tools.append(themeButton());
  try {
    const button = await signOutButton();
    if (button) tools.append(button);
    const { show } = await VIEWS[view]();
    await show(main, subject);
  } catch (error) {
    showError(main, error);
  }
  main.dataset.ready = "true";
}

await start();
