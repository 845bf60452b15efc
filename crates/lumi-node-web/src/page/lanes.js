// The columns of the ladder, and the arrows between them.

import { drawn } from "./dom.js";

/**
 * The parties that the arrows are between, as columns from left to right: agents, this node, other nodes. Of very many,
 * those that the newest are between, and one for all others.
 */
export function columnsOf(parties, arrows) {
  const used = new Set();
  for (let at = arrows.length - 1; at >= 0 && used.size < MAX_COLUMNS; at -= 1) used.add(arrows[at].from).add(arrows[at].to);
  const columns = [...parties.values()].filter(({ id }) => used.has(id));
  const isWithout = ({ from, to }) => !used.has(from) || !used.has(to);
  if (!columns.some(({ role }) => role === "others") && arrows.some(isWithout)) columns.push(OTHERS);
  return columns.sort((one, other) => ORDER.indexOf(one.role) - ORDER.indexOf(other.role) || one.id - other.id);
}

/** How wide each of so many columns is in `box`, in pixels: beside a text if there is room, above it if not. */
export function widthOf(columns, box) {
  const isNarrow = box.clientWidth < TIME + TEXT + columns * LEAST;
  box.classList.toggle("narrow", isNarrow);
  const room = isNarrow ? box.clientWidth : (box.clientWidth - TIME) * SHARE;
  return Math.floor(Math.min(Math.max(room / Math.max(columns, 1), LEAST), MOST));
}

/** The arrow between two of the columns, whose lines are in the style of the page. */
export function arrowOf({ from, to, kind }, columns, width) {
  const others = columns.findIndex(({ role }) => role === "others");
  const place = (id) => columns.findIndex((column) => column.id === id);
  const middle = (id) => ((place(id) < 0 ? others : place(id)) + 0.5) * width;
  const [start, end] = [middle(from), middle(to)];
  const side = Math.sign(end - start) || 1;
  // A point cannot be said in percent, so it has a drawing of its own.
  const point = drawn("svg", { x: end - side * 2, y: `${HEIGHT}%`, overflow: "visible" }, [
    drawn("path", { class: "point", d: `M0 0L${-9 * side} -5V5z` }),
  ]);
  const line = drawn("line", { class: "arrow", x1: start + side * 2, x2: end - side * 8, y1: `${HEIGHT}%`, y2: `${HEIGHT}%` });
  const label = drawn("text", { class: "label", x: (start + end) / 2, y: `${HEIGHT}%`, dy: "-6", "text-anchor": "middle" });
  label.textContent = kind;
  return drawn("svg", { "aria-hidden": "true" }, [line, point, label]);
}

/** Those who have no column of their own. */
const OTHERS = { id: "others", role: "others", name: "others", address: null };

const MAX_COLUMNS = 32;

const ORDER = ["agent", "others", "this", "node"];

/** Where in a row the arrow is, in percent from above. */
const HEIGHT = 62;

/** Pixels of a column. */
const LEAST = 84;
const MOST = 170;

/** What the columns have of the room beside the time. */
const SHARE = 0.5;

/** Pixels that the time takes, and the text at least. */
const TIME = 112;
const TEXT = 272;
