// How values are shown.

const whole = new Intl.NumberFormat("en");

/** A number in at most five significant digits; a dash for none. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return whole.format(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace(/\.?0*e\+?/, "e");
  return String(Number(value.toPrecision(4)));
}

/** One, or many: `count(2, "trial")` is "2 trials". */
export function count(amount, noun) {
  return `${whole.format(amount)} ${noun}${amount === 1 ? "" : "s"}`;
}

/** Seconds in the two largest units that say something. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return units(minutes, "min", Math.floor(seconds % 60), "s");
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return units(hours, "h", minutes % 60, "min");
  return units(Math.floor(hours / 24), "d", hours % 24, "h");
}

function units(large, one, small, other) {
  return small ? `${large} ${one} ${small} ${other}` : `${large} ${one}`;
}

/** The seconds between two times; until now when there is no end. */
export function between(start, end) {
  if (!start) return null;
  return Math.max(0, ((end ? Date.parse(end) : Date.now()) - Date.parse(start)) / 1000);
}

/** How long ago a time was. */
export function ago(time) {
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(time).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

/** A time in full, in the reader's time zone. */
export function moment(time) {
  return new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/** A parameter's value on one line: a mapping as its values. */
export function value(given) {
  if (given === null || given === undefined) return "–";
  if (Array.isArray(given)) return `[${given.map(value).join(", ")}]`;
  if (typeof given === "object") return Object.values(given).map(value).join(" · ");
  return number(given);
}

/** What lies at a dotted path. */
export function at(given, path) {
  return path.split(".").reduce((node, part) => (node && typeof node === "object" ? node[part] : undefined), given);
}
