// Elements made of data. Text becomes text nodes, never markup.

/**
 * An element. `on` maps events to listeners, `data` goes to the dataset, `vars` to CSS custom
 * properties; everything else is an attribute, left out when null or false.
 */
export function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (name === "data") {
      Object.assign(made.dataset, value);
    } else if (name === "vars") {
      for (const [key, text] of Object.entries(value)) made.style.setProperty(key, text);
    } else {
      made.setAttribute(name, value === true ? "" : String(value));
    }
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Put children in place of those that an element has. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return parent;
}

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  pause: "M6 4h3v12H6zM11 4h3v12h-3z",
  play: "M6 4l10 6-10 6z",
  stop: "M5 5h10v10H5z",
  retry: "M10 4a6 6 0 1 1-5.7 4.1l1.5.5A4.4 4.4 0 1 0 10 5.6V8L6 4.8 10 1.6z",
  edit: "M13.5 3.5l3 3L7 16H4v-3z",
  download: "M9 3h2v7h3l-4 4-4-4h3zM4 15h12v2H4z",
  columns: "M3 4h4v12H3zM8.500 4h3.500v12H8.500zM13.500 4H17v12h-3.500z",
  bin: "M5 6h10l-1 11H6zM4 4h12v1.4H4zM8 2.5h4V4H8z",
  moon: "M12.5 2.5a7.5 7.5 0 1 0 5 10.5A6 6 0 0 1 12.500 2.500z",
  sun: "M10 6a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM9.300 1h1.400v3H9.300zM9.300 16h1.400v3H9.300zM1 9.300h3v1.400H1zM16 9.300h3v1.400h-3zM3.100 4.100l1-1 2.100 2.100-1 1zM13.800 14.800l1-1 2.100 2.100-1 1zM4.100 16.900l-1-1 2.100-2.100 1 1zM14.800 6.200l-1-1 2.100-2.100 1 1z",
};

/** A small picture; decoration only, so that screen readers pass over it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 20 20", width: 16, height: 16, "aria-hidden": "true", class: "icon" })) {
    svg.setAttribute(key, value);
  }
  path.setAttribute("d", ICONS[name]);
  path.setAttribute("fill", "currentColor");
  svg.append(path);
  return svg;
}

/** Call a function once things have been quiet for a while; `cancel` forgets a call that waits. */
export function debounce(wait, call) {
  let timer = 0;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...values), wait);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/** Call a function at most once in a while, the last time included. */
export function throttle(wait, call) {
  let timer = 0;
  let last = -Infinity;
  const run = () => {
    timer = 0;
    last = performance.now();
    call();
  };
  return () => {
    if (timer) return;
    timer = setTimeout(run, Math.max(0, last + wait - performance.now()));
  };
}
