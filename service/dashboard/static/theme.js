// Sets the chosen colours before anything is drawn; without a choice the system's hold.
(() => {
  try {
    const chosen = localStorage.getItem("sweep-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be switched off; the system's colours do then.
  }
})();
