// Where things stand in a YAML text: enough to colour it, and to find the line of a field.

const KEY = /^(\s*(?:- )*)([\w."'-]+)(\s*:)(?=\s|$)/;

function indentOf(line) {
  return /^\s*/.exec(line)[0].length;
}

function isBlank(line) {
  return /^\s*(#|$)/.test(line);
}

/** Where a key stands inside one line, in block or flow style: its place, or -1. */
function keyIn(line, name, from) {
  const plain = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const found = new RegExp(`(^|[\\s{,])(["']?)${plain}\\2\\s*:`).exec(line.slice(from));
  return found ? from + found.index + found[1].length : -1;
}

/**
 * The line (from 0) and the columns of the field at a dotted path such as
 * `early_stopping.grace_period` or `parameters.lr.grid[2]`; the nearest parent where a field
 * is not written. Null when not even the first part is.
 */
export function locate(text, path) {
  const lines = text.split("\n");
  const parts = path.replace(/\[\d+\]/g, "").split(".").filter(Boolean);
  let found = null;
  let [first, end, column, inner] = [0, lines.length, 0, 0];
  for (const part of parts) {
    const place = findIn(lines, part, { first, end, column, inner });
    if (!place) break;
    found = { line: place.line, start: place.start, end: place.start + part.length };
    first = place.line;
    column = found.end;
    inner = indentOf(lines[place.line]) + 1;
    end = blockEnd(lines, place.line, end);
  }
  return found;
}

function findIn(lines, part, { first, end, column, inner }) {
  const own = column > 0 ? keyIn(lines[first], part, column) : -1;
  if (own >= 0) return { line: first, start: own };
  let depth = null;
  for (let i = column > 0 ? first + 1 : first; i < end; i += 1) {
    if (isBlank(lines[i])) continue;
    const indent = indentOf(lines[i]);
    if (indent < inner) break;
    depth ??= indent;
    const start = keyIn(lines[i], part, 0);
    if (start >= 0 && (indent === depth || /[{[]/.test(lines[first]))) return { line: i, start };
  }
  return null;
}

function blockEnd(lines, line, limit) {
  const indent = indentOf(lines[line]);
  for (let i = line + 1; i < limit; i += 1) {
    if (!isBlank(lines[i]) && indentOf(lines[i]) <= indent) return i;
  }
  return limit;
}

/** The line (from 0) that an error of the YAML reader names, or null. */
export function lineOf(message) {
  const found = /at line (\d+), column (\d+)/.exec(message);
  return found ? { line: Number(found[1]) - 1, start: Number(found[2]) - 1, end: Number(found[2]) } : null;
}

/** A line as pieces with their kind, for colours: `[text, kind]`. */
export function pieces(line) {
  const key = KEY.exec(line);
  if (!key) return values(line);
  return [[key[1], ""], [key[2], "key"], [key[3], ""], ...values(line.slice(key[0].length))];
}

function values(text) {
  const pattern = /(#.*$)|("[^"]*"|'[^']*')|([\w.-]+)(?=\s*:)|((?<![\w.])-?\d[\d.]*(?:[eE][-+]?\d+)?(?![\w.]))/g;
  const found = [];
  let last = 0;
  for (const match of text.matchAll(pattern)) {
    found.push([text.slice(last, match.index), ""]);
    found.push([match[0], match[1] ? "comment" : match[2] ? "text" : match[3] ? "key" : "number"]);
    last = match.index + match[0].length;
  }
  found.push([text.slice(last), ""]);
  return found.filter(([piece]) => piece);
}
