// The ladder: who sent which message to whom, in the order in which the node saw them. Each message is an item of a
// list that says it in words, beside the arrow that shows it.

import { byId, counted, element, say } from "./dom.js";
import { columnsOf, widthOf } from "./lanes.js";
import { factsOf, gap, header, missedBefore, rowOf } from "./rows.js";

export class Ladder {
  #parties = new Map();
  #arrows = [];
  /** What stands still while it is paused, and the number of the last message that does. */
  #held;
  #filter = filterOf("");
  /** The columns and their width that the rows were drawn for, and when that was. */
  #columns = "";
  #width = 0;
  #drawnAt = 0;
  /** By number; and up to which number there are rows. */
  #rows = new Map();
  #gaps = new Map();
  #last = 0;
  #chosen;
  /** What comes is scrolled to. */
  #follows = true;
  #isAtEnd = true;
  #waits = false;
  #later;

  constructor() {
    byId("about").addEventListener("input", ({ target }) => this.#look(target.value));
    byId("pause").addEventListener("click", () => this.#pause());
    byId("newest").addEventListener("click", () => {
      this.#choose(undefined);
      byId("ladder").scrollTop = byId("ladder").scrollHeight;
    });
    byId("ladder").addEventListener("scroll", () => {
      if (isAtEnd() !== this.#isAtEnd) this.#follow(isAtEnd());
    });
    const rows = byId("rows");
    rows.addEventListener("keydown", (event) => this.#press(event));
    rows.addEventListener("click", ({ target }) => {
      const row = target.closest(".row");
      if (row) this.#choose(Number(row.dataset.number));
    });
    new ResizeObserver(() => this.#draw()).observe(byId("messages"));
  }

  /** Whatever was there before is out of date. What is paused is looked at, and stays. */
  begin({ parties, arrows }) {
    this.#parties = new Map(parties.map((party) => [party.id, party]));
    this.#arrows = [];
    arrows.forEach((arrow) => this.#add(arrow));
    if (this.#held) {
      // A node that was started again counts from 1 again.
      if ((arrows.at(-1)?.number ?? 0) < this.#held.last) this.#held.last = 0;
    } else {
      this.#columns = "";
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
    this.#columns = "";
    this.#draw();
  }

  #pause() {
    if (this.#held) {
      // It may be another node by now, which has used the same numbers for other messages.
      this.#columns = "";
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
    const { parties, arrows, last } = this.#held ?? { parties: this.#parties, arrows: this.#arrows, last: Infinity };
    const shown = arrows.filter(this.#filter.takes);
    const box = byId("ladder");
    const columns = columnsOf(parties, shown);
    const width = widthOf(columns.length, box);
    const drawnFor = JSON.stringify(columns);
    if (drawnFor !== this.#columns || width !== this.#width) {
      const rest = this.#drawnAt + PAUSE - Date.now();
      if (drawnFor !== this.#columns && this.#columns && rest > 0) {
        this.#later ??= setTimeout(() => {
          this.#later = undefined;
          this.#draw();
        }, rest);
        return;
      }
      this.#begin(columns, width);
      [this.#columns, this.#width, this.#drawnAt] = [drawnFor, width, Date.now()];
    }
    this.#drawRows(arrows, parties, columns, width);
    box.style.setProperty("--head", `${byId("columns").offsetHeight}px`);
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
  }

  /** No rows, for these columns. */
  #begin(columns, width) {
    const box = byId("ladder");
    this.#rows.clear();
    this.#gaps.clear();
    this.#last = 0;
    byId("rows").replaceChildren();
    box.style.setProperty("--lanes", `${columns.length * width}px`);
    box.style.setProperty("--column", `${width}px`);
    box.style.setProperty("--before", columns.findIndex(({ role }) => role === "this"));
    byId("columns").replaceChildren(element("span", "time", ""), element("div", "lanes", columns.map(header)));
    for (const head of byId("columns").querySelectorAll(".column")) head.style.width = `${width}px`;
  }

  /** Takes away what is not kept any more, and adds what is new. */
  #drawRows(arrows, parties, columns, width) {
    const first = arrows[0]?.number ?? Infinity;
    for (const items of [this.#rows, this.#gaps]) {
      for (const [number, item] of items) {
        if (number >= first) break;
        item.remove();
        items.delete(number);
      }
    }
    const isNew = this.#last > 0;
    for (const arrow of arrows) {
      if (arrow.number <= this.#last) continue;
      this.#last = arrow.number;
      if (arrow.missed > 0) this.#tellMissed(arrow);
      if (!this.#filter.takes(arrow)) continue;
      const row = rowOf(arrow, parties, columns, width);
      if (isNew) row.classList.add("new");
      this.#rows.set(arrow.number, row);
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

  /** Whether what comes is to be scrolled to. */
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
    const row = this.#rows.get(number);
    row?.scrollIntoView({ block: "nearest", inline: "nearest" });
    // It stays in view, whatever comes.
    this.#follow(!row || row === byId("rows").lastElementChild);
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
    const row = this.#rows.get(this.#chosen);
    row?.setAttribute("aria-selected", "true");
    if (row) byId("rows").setAttribute("aria-activedescendant", row.id);
    else byId("rows").removeAttribute("aria-activedescendant");
  }
}

/** What is about a user who is named so, or about the very user of an address. */
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

/** Whether whoever looks is where the newest message is. */
function isAtEnd() {
  const { scrollTop, clientHeight, scrollHeight } = byId("ladder");
  return scrollTop + clientHeight >= scrollHeight - NEAR;
}

/** The most messages that are shown, as many as a node keeps. */
const MAX_ARROWS = 500;

/** Milliseconds from one time that columns come or go to the next: all rows are drawn again then. */
const PAUSE = 1000;

/** Pixels from the end at which somebody still follows. */
const NEAR = 60;
