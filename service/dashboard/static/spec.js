// What a sweep's spec says of its parameters.

import { fieldName } from "./filterbox.js";

const KINDS = new Set([
  "grid", "choice", "uniform", "quniform", "loguniform", "qloguniform", "randint", "qrandint", "lograndint",
  "qlograndint", "normal", "qnormal", "lognormal", "qlognormal", "beta",
]);

function isMapping(node) {
  return node !== null && typeof node === "object" && !Array.isArray(node);
}

/** The kind of a parameter (grid, uniform, …), or null for a constant or a nested mapping. */
function kindOf(node) {
  if (!isMapping(node)) return null;
  return Object.keys(node).find((key) => KINDS.has(key) && !isPlainBeta(key, node[key])) ?? (isConditional(node) && "value" in node ? "value" : null);
}

/** Whether this is a parameter of that name, such as Adam's, and not the distribution. */
function isPlainBeta(key, body) {
  return key === "beta" && !(isMapping(body) && ("a" in body || "b" in body));
}

function isConditional(node) {
  return isMapping(node) && typeof node.when === "string";
}

/** Every parameter's path, with its kind and values where it varies. */
function leaves(parameters, prefix = "", maybe = false) {
  return Object.entries(parameters).flatMap(([name, node]) => {
    if (name === "when" && maybe && isConditional(parameters)) return [];
    const path = prefix + name;
    const kind = kindOf(node);
    const absent = maybe || isConditional(node);
    if (kind) return [{ path, kind, values: valuesOf(node[kind]), varies: absent || !isSingle(node[kind]) }];
    if (isMapping(node)) return leaves(node, `${path}.`, absent);
    return [{ path, kind: "value", values: null, varies: absent }];
  });
}

/** Parameters that vary: their path and kind. */
export function varying(parameters) {
  return leaves(parameters).filter(({ varies }) => varies);
}

/** The paths of those that do not. */
export function constants(parameters) {
  return leaves(parameters).filter(({ varies }) => !varies).map(({ path }) => path);
}

function valuesOf(given) {
  if (Array.isArray(given)) return given;
  return Array.isArray(given?.values) ? given.values : null;
}

function isSingle(given) {
  return valuesOf(given)?.length === 1;
}

/** Scalars of a parameter set under their dotted paths. */
export function flatten(given, prefix = "") {
  return Object.entries(given).flatMap(([name, node]) =>
    isMapping(node) ? flatten(node, `${prefix}${name}.`) : [[prefix + name, node]]);
}

/** By which field to sort a parameter: a mapping by its first scalar that varies. */
export function sortField({ path, values }) {
  const first = values?.find(isMapping);
  if (!first) return `parameters.${fieldName(path)}`;
  const names = Object.keys(first);
  const told = names.find((name) => new Set(values.map((value) => value?.[name])).size > 1) ?? names[0];
  return `parameters.${fieldName(path)}.${fieldName(told)}`;
}

/** Fields that filters may name, as far as a spec tells them. */
export function fieldsOf(spec, metrics) {
  const numbers = ["best", "best_step", "step", "reports", "index", "assignment", "replicate", "attempts", "max_t", "seed"];
  const texts = ["state", "reason", "group", "node", "pack", "origin"];
  const states = ["completed", "stopped", "diverged", "failed", "cancelled", "running", "paused", "pending"];
  const parameters = varying(spec.parameters).flatMap(({ path, values }) => {
    const found = new Map();
    for (const value of values ?? [0]) {
      for (const [name, scalar] of isMapping(value) ? flatten(value, `${path}.`) : [[path, value]]) {
        found.set(name, [...(found.get(name) ?? []), scalar]);
      }
    }
    return [...found].map(([name, scalars]) => ({
      name: `parameters.${fieldName(name)}`,
      type: typeof scalars[0] === "string" ? "text" : typeof scalars[0] === "boolean" ? "boolean" : "number",
      values: [...new Set(scalars.filter((scalar) => typeof scalar === "string"))],
    }));
  });
  return [
    ...numbers.map((name) => ({ name, type: "number", values: [] })),
    ...texts.map((name) => ({ name, type: "text", values: name === "state" ? states : [] })),
    ...parameters,
    ...["metrics", "min", "max"].flatMap((source) => metrics.map((name) => ({ name: `${source}.${fieldName(name)}`, type: "number", values: [] }))),
  ];
}
