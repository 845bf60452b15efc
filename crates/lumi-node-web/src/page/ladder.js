// The ladder: who sent which message to whom, in the order in which the node saw them. Each message is an item of a
// list that says it in words, beside the arrow that shows it.

import { byId, counted, element, say } from "./dom.js";
import { columnsOf, mostIn, roomIn } from "./lanes.js";
import { drawIn, factsOf, gap, header, missedBefore, nameIn, rowOf } from "./rows.js";

export class Ladder {
  #parties = new Map();
  #arrows = [];
  /** The messages that stand still during a pause, and the number of the last one. */
  #held;
  #filter = filterOf("");
  /** Set if all rows are to be made anew. */
  #isStale = true;
  /** The pixels of all columns together. */
  #room = 0;
  /** The columns above the rows, as text. */
  #columns = "";
  /** Each row with its arrow, by number; and up to which number there are rows. */
  #rows = new Map();
  #gaps = new Map();
  #last = 0;
  #chosen;
  /** Set if new messages are scrolled to. */
  #follows = true;
  #isAtEnd = true;
  #waits = false;

  constructor() {
    byId("about").addEventListener("input", ({ target }) => this.#look(target.value));
    byId("pause").addEventListener("click", () => this.#pause());
    byId("newest").addEventListener("click", () => {
      this.#choose(undefined);
      byId("ladder").scrollTop = byId("ladder").scrollHeight;
    });
    byId("ladder").addEventListener("scroll", () => {
      if (isAtEnd() !== this.#isAtEnd) this.#follow(isAtEnd());
      requestAnimationFrame(() => this.#drawArrows());
    });
    const rows = byId("rows");
    rows.addEventListener("keydown", (event) => this.#press(event));
    rows.addEventListener("click", ({ target }) => {
      const row = target.closest(".row");
      if (row) this.#choose(Number(row.dataset.number));
    });
    new ResizeObserver(() => this.#draw()).observe(byId("messages"));
  }

  /** Begins with a snapshot: all messages before are out of date. Those of a pause are looked at, and stay. */
  begin({ parties, arrows }) {
    this.#parties = new Map(parties.map((party) => [party.id, party]));
    this.#arrows = [];
    arrows.forEach((arrow) => this.#add(arrow));
    if (this.#held) {
      // A node that was started again counts from 1 again.
      if ((arrows.at(-1)?.number ?? 0) < this.#held.last) this.#held.last = 0;
    } else {
      this.#isStale = true;
      this.#choose(undefined);
    }
    this.#draw();
  }

  change(changes) {
    for (const { party, gone, arrow } of changes) {
      if (party) this.#parties.set(party.id, party);
      if (gone !== undefined) this.#parties.delete(gone);
      if (arrow) this.#add(arrow);
    }
    this.#arrows.splice(0, this.#arrows.length - MAX_ARROWS);
    this.#draw();
  }

  #add(arrow) {
    const last = this.#arrows.at(-1);
    const missed = last ? arrow.number - last.number - 1 : 0;
    this.#arrows.push({ ...arrow, missed });
  }

  /** Shows only what is about `user`. */
  about(user) {
    byId("about").value = user;
    this.#look(user);
  }

  #look(user) {
    this.#filter = filterOf(user.trim());
    this.#isStale = true;
    this.#draw();
  }

  #pause() {
    if (this.#held) {
      // It may be another node by now, which has used the same numbers for other messages.
      this.#isStale = true;
      this.#held = undefined;
    } else {
      const last = this.#arrows.at(-1)?.number ?? 0;
      this.#held = { parties: new Map(this.#parties), arrows: [...this.#arrows], last };
    }
    this.#draw();
  }

  /** Soon, and once for all that comes together. */
  #draw() {
    if (this.#waits) return;
    this.#waits = true;
    requestAnimationFrame(() => {
      this.#waits = false;
      this.#drawNow();
    });
  }

  #drawNow() {
    const { arrows, last } = this.#held ?? { arrows: this.#arrows, last: Infinity };
    const shown = arrows.filter(this.#filter.takes);
    const box = byId("ladder");
    if (this.#isStale) {
      this.#isStale = false;
      this.#rows.clear();
      this.#gaps.clear();
      this.#last = 0;
      byId("rows").replaceChildren();
    }
    this.#room = roomIn(box);
    box.style.setProperty("--lanes", `${this.#room}px`);
    this.#drawRows(arrows);
    byId("columns").hidden = shown.length === 0;
    const why = this.#filter.isOfAll || arrows.length === 0 ? "No message has passed yet." : "No message here is about that user.";
    say(byId("none"), shown.length ? "" : why);
    const all = counted(arrows.length, "message", "messages");
    byId("count").textContent = this.#filter.isOfAll ? all : `${shown.length} of ${all}`;
    const news = this.#arrows.filter(({ number }) => number > last).length;
    byId("pause").textContent = !this.#held ? "Pause" : news ? `Go on (${news} new)` : "Go on";
    this.#mark();
    if (this.#follows) box.scrollTop = box.scrollHeight;
    this.#follow(this.#follows);
    this.#drawArrows();
  }

  /** Draws the arrows that are in view, between columns of those alone that they are between. */
  #drawArrows() {
    const parties = this.#held?.parties ?? this.#parties;
    const box = byId("ladder");
    const seen = this.#inView();
    const columns = columnsOf(parties, seen.map(({ arrow }) => arrow), mostIn(this.#room));
    const width = Math.floor(this.#room / Math.max(columns.length, 1));
    const heads = JSON.stringify([columns, width]);
    if (heads !== this.#columns) {
      this.#columns = heads;
      box.style.setProperty("--column", `${width}px`);
      box.style.setProperty("--before", columns.findIndex(({ role }) => role === "this"));
      byId("columns").classList.toggle("tight", width < TIGHT);
      byId("columns").replaceChildren(element("span", "time", ""), element("div", "lanes", columns.map(header)));
      for (const head of byId("columns").querySelectorAll(".column")) head.style.width = `${width}px`;
    }
    box.style.setProperty("--head", `${byId("columns").offsetHeight}px`);
    const places = JSON.stringify([columns.map(({ id }) => id), width]);
    for (const item of seen) {
      nameIn(item.row, item.arrow, parties);
      if (item.places === places) continue;
      item.places = places;
      drawIn(item.row, item.arrow, parties, columns, width);
    }
  }

  /** The rows in view with their arrows: the chosen one first, then the newest. */
  #inView() {
    const box = byId("ladder");
    const [top, end] = [box.scrollTop + byId("columns").offsetHeight, box.scrollTop + box.clientHeight];
    const items = [...this.#rows.values()];
    const seen = [];
    for (let at = firstBelow(items, top); at < items.length && items[at].row.offsetTop < end; at += 1) {
      seen.unshift(items[at]);
    }
    const chosen = seen.findIndex(({ arrow }) => arrow.number === this.#chosen);
    if (chosen > 0) seen.unshift(...seen.splice(chosen, 1));
    return seen;
  }

  /** Takes away what is not kept any more, and adds what is new. */
  #drawRows(arrows) {
    const first = arrows[0]?.number ?? Infinity;
    const drop = (items, rowOfItem) => {
      for (const [number, item] of items) {
        if (number >= first) break;
        rowOfItem(item).remove();
        items.delete(number);
      }
    };
    drop(this.#rows, ({ row }) => row);
    drop(this.#gaps, (item) => item);
    const isNew = this.#last > 0;
    for (const arrow of arrows) {
      if (arrow.number <= this.#last) continue;
      this.#last = arrow.number;
      if (arrow.missed > 0) this.#tellMissed(arrow);
      if (!this.#filter.takes(arrow)) continue;
      const row = rowOf(arrow);
      nameIn(row, arrow, this.#held?.parties ?? this.#parties);
      if (isNew) row.classList.add("new");
      this.#rows.set(arrow.number, { row, arrow, places: "" });
      byId("rows").append(row);
    }
  }

  /** Whomever the messages before `arrow` were about. */
  #tellMissed({ number, missed }) {
    let item = byId("rows").lastElementChild;
    if (!item?.classList.contains("gap")) {
      item = gap();
      this.#gaps.set(number, item);
      byId("rows").append(item);
    }
    missedBefore(item, missed);
  }

  /** Sets whether new messages are scrolled to. */
  #follow(follows) {
    this.#follows = follows;
    this.#isAtEnd = isAtEnd();
    byId("newest").hidden = follows || this.#isAtEnd;
  }

  #press(event) {
    const numbers = [...this.#rows.keys()];
    const at = numbers.indexOf(this.#chosen);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (event.altKey || event.ctrlKey || event.metaKey || numbers.length === 0) return;
    if (event.key === "Escape") {
      this.#choose(undefined);
    } else if (step !== undefined) {
      event.preventDefault();
      const from = at < 0 ? (step < 0 ? numbers.length : -1) : at;
      this.#choose(numbers[Math.min(Math.max(from + step, 0), numbers.length - 1)]);
    }
  }

  #choose(number) {
    this.#chosen = number;
    this.#mark();
    const row = this.#rows.get(number)?.row;
    row?.scrollIntoView({ block: "nearest", inline: "nearest" });
    // It stays in view, whatever comes.
    this.#follow(!row || row === byId("rows").lastElementChild);
    this.#drawArrows();
    const arrow = (this.#held?.arrows ?? this.#arrows).find((arrow) => arrow.number === number);
    byId("hint").hidden = arrow !== undefined;
    byId("facts").hidden = arrow === undefined;
    if (!arrow) return;
    const facts = factsOf(arrow, this.#held?.parties ?? this.#parties);
    byId("facts").replaceChildren(...facts.flatMap(([term, text, className]) => [element("dt", "", term), element("dd", className, text)]));
  }

  /** Lets the chosen row be seen as such. */
  #mark() {
    for (const row of byId("rows").querySelectorAll("[aria-selected=true]")) row.setAttribute("aria-selected", "false");
    const row = this.#rows.get(this.#chosen)?.row;
    row?.setAttribute("aria-selected", "true");
    if (row) byId("rows").setAttribute("aria-activedescendant", row.id);
    else byId("rows").removeAttribute("aria-activedescendant");
  }
}

/** The messages about users who are named so, or about the very user of an address. */
function filterOf(user) {
  if (user === "") return { isOfAll: true, takes: () => true };
  const part = user.toLowerCase();
  const is = user.includes("@") ? (other) => comparable(other) === comparable(user) : (other) => other.toLowerCase().includes(part);
  return { isOfAll: false, takes: ({ users }) => users.some(is) };
}

/** An address, of which the domain may be in any case. */
function comparable(address) {
  const at = address.indexOf("@");
  return address.slice(0, at) + address.slice(at).toLowerCase();
}

/** The place of the first of `items` that ends below `top`. */
function firstBelow(items, top) {
  let [from, to] = [0, items.length];
  while (from < to) {
    const at = (from + to) >> 1;
    const { offsetTop, offsetHeight } = items[at].row;
    if (offsetTop + offsetHeight > top) to = at;
    else from = at + 1;
  }
  return from;
}

/** Returns whether the newest message is in view. */
function isAtEnd() {
  const { scrollTop, clientHeight, scrollHeight } = byId("ladder");
  return scrollTop + clientHeight >= scrollHeight - NEAR;
}

/** The most messages that are shown, as many as a node keeps. */
const MAX_ARROWS = 500;

/** Columns of fewer pixels have smaller heads. */
const TIGHT = 100;

/** Pixels from the end at which somebody still follows. */
const NEAR = 60;
