// The axes of parallel coordinates, and marks on them, which are kept as values: an axis changes
// with the trials that it is over.

import { constant } from "./filterbox.js";
import { number } from "./format.js";

/** An axis over the values that trials have in a field; null when they all have the same. */
export function axisOf({ name, title, values, log }) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const distinct = [...new Set(known)];
  if (distinct.length < 2) return null;
  if (known.every((value) => typeof value === "number")) return numeric({ name, title, known, log });
  const names = distinct.map(String).sort();
  const share = (value) => 1 - (names.indexOf(String(value)) + 0.5) / names.length;
  const back = new Map(distinct.map((value) => [String(value), value]));
  const mark = ([low, high]) => {
    const inside = names.filter((one) => share(one) >= low && share(one) <= high);
    return inside.length && inside.length < names.length ? choosing(name, inside.map((one) => back.get(one))) : null;
  };
  return { name, title, share, mark, height: 1 / names.length, ticks: names.map((one) => [share(one), one]) };
}

/** A mark on an axis of categories: what a value must be. */
function choosing(name, values) {
  const kept = new Set(values.map(String));
  const condition = values.length === 1 ? `${name} == ${constant(values[0])}`
    : values.some((one) => typeof one === "boolean") ? null : `${name} in [${values.map(constant).join(", ")}]`;
  const half = (axis) => (axis.height ?? 0) / 2;
  return {
    condition,
    keeps: (value) => kept.has(String(value)),
    spans: (axis) => values.map((one) => axis.share(one)).filter((at) => at < 1).map((at) => [at - half(axis), at + half(axis)]),
  };
}

/** A mark on an axis of numbers: between what a value must lie; null is no limit. */
function between(name, low, high) {
  const parts = [low === null ? null : `${name} >= ${low}`, high === null ? null : `${name} <= ${high}`].filter(Boolean);
  if (!parts.length) return null;
  const within = (share) => (share > 0 ? Math.min(1, share) : 0);
  return {
    condition: parts.join(" and "),
    keeps: (value) => (low === null || value >= low) && (high === null || value <= high),
    spans: (axis) => [[low === null ? 0 : within(axis.share(low)), high === null ? 1 : within(axis.share(high))]],
  };
}

function numeric({ name, title, known, log }) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of known) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const wide = low > 0 && (log || high / low > 50);
  const to = wide ? Math.log10 : (value) => value;
  const from = wide ? (value) => 10 ** value : (value) => value;
  const share = (value) => (to(value) - to(low)) / (to(high) - to(low));
  const value = (part) => Number(from(to(low) + part * (to(high) - to(low))).toPrecision(4));
  const mark = ([bottom, top]) => between(name, bottom > 0.001 ? value(bottom) : null, top < 0.999 ? value(top) : null);
  const ticks = [0, 0.5, 1].map((part) => [part, number(value(part))]);
  return { name, title, share, mark, ticks };
}
