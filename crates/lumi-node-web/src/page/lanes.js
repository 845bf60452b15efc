// The columns of the ladder, and the arrows between them.

import { drawn } from "./dom.js";

/**
 * The parties that `arrows` are between, as columns from left to right: agents, this node, other nodes. This node is
 * always among them. If they are more than `most`, those of the first arrows have columns, and all others share one.
 */
export function columnsOf(parties, arrows, most) {
  const all = [...parties.values()];
  const used = new Set(all.filter(({ role }) => role === "this").map(({ id }) => id));
  for (const { from, to } of arrows) used.add(from).add(to);
  const known = [...used].map((id) => parties.get(id)).filter((party) => party && party.role !== "check");
  return (known.length > most ? shared(known, most) : known).sort(
    (one, other) => ORDER.indexOf(one.role) - ORDER.indexOf(other.role) || one.id - other.id,
  );
}

/** The first of them, and a column of all others. */
function shared(known, most) {
  const named = known.filter(({ role }) => role !== "others");
  const kept = named.slice(0, most - 1);
  const name = named.length < known.length ? "others" : `${named.length - kept.length} others`;
  return [...kept, { id: "others", role: "others", name, address: null, addresses: 0 }];
}

/**
 * The pixels that the columns have in `box`: beside a text if there is room, above it if not. This depends on nothing
 * but the width of the box, so that rows keep their heights whatever the columns are.
 */
export function roomIn(box) {
  const isNarrow = box.clientWidth < NARROW;
  box.classList.toggle("narrow", isNarrow);
  return isNarrow ? box.clientWidth : Math.floor((box.clientWidth - TIME) * SHARE);
}

/** The number of columns that have room there. */
export const mostIn = (room) => Math.max(Math.floor(room / LEAST), 3);

/** The arrow between two of the columns, whose lines are in the style of the page. One without a column is beside it. */
export function arrowOf({ from, to, kind }, parties, columns, width) {
  const others = columns.findIndex(({ role }) => role === "others");
  const middle = (place) => (place + 0.5) * width;
  const own = middle(columns.findIndex(({ role }) => role === "this"));
  const end = (id) => {
    const place = columns.findIndex((column) => column.id === id);
    const isShared = others >= 0 && parties.get(id)?.role !== "check";
    if (place < 0 && !isShared) return { at: own - Math.min(width / 2, STUB), isOpen: true };
    return { at: middle(place < 0 ? others : place), isOpen: false };
  };
  const [start, target] = [end(from), end(to)];
  const side = Math.sign(target.at - start.at) || 1;
  const tip = target.at - (target.isOpen ? 0 : side * 2);
  // A point cannot be said in percent, so it has a drawing of its own.
  const point = drawn("svg", { x: tip, y: `${HEIGHT}%`, overflow: "visible" }, [
    drawn("path", { class: "point", d: `M0 0L${-9 * side} -5V5z` }),
  ]);
  const line = drawn("line", {
    class: "arrow",
    x1: start.at + (start.isOpen ? 0 : side * 2),
    x2: tip - side * 6,
    y1: `${HEIGHT}%`,
    y2: `${HEIGHT}%`,
  });
  const label = drawn("text", {
    class: "label",
    x: (start.at + target.at) / 2,
    y: `${HEIGHT}%`,
    dy: "-6",
    "text-anchor": "middle",
  });
  label.textContent = kind;
  return drawn("svg", { "aria-hidden": "true" }, [line, point, label]);
}

const ORDER = ["agent", "others", "this", "node"];

/** The place of the arrow in a row, in percent from above. */
const HEIGHT = 62;

/** The least pixels of a column: a name of some length, and an arrow with its kind. */
const LEAST = 72;

/** The pixels of an arrow without a column at one end. */
const STUB = 70;

/** The share of the columns in the room beside the time. */
const SHARE = 0.5;

/** The pixels of a time. */
const TIME = 112;

/** A box with fewer pixels has texts below its arrows. */
const NARROW = 660;
