// The ladder: who sent which message to whom, in the order in which the node saw them. Each message is an item of a
// list that says it in words, beside the arrow that shows it.

import { byId, counted, element, moment } from "./dom.js";
import { arrowOf, columnsOf, widthOf } from "./lanes.js";

export class Ladder {
  #parties = new Map();
  #arrows = [];
  /** What stands still while it is paused. */
  #held;
  #filter = "";
  /** What the rows that are there were drawn for. */
  #drawnFor = "";
  #rows = new Map();
  #chosen;
  #waits = false;

  constructor() {
    byId("about").addEventListener("input", ({ target }) => this.#look(target.value));
    byId("pause").addEventListener("click", () => this.#pause());
    const rows = byId("rows");
    rows.addEventListener("keydown", (event) => this.#press(event));
    rows.addEventListener("click", ({ target }) => {
      const row = target.closest(".row");
      if (row) this.#choose(Number(row.dataset.number));
    });
    new ResizeObserver(() => this.#draw()).observe(byId("messages"));
  }

  /** Whatever was there before is out of date. */
  begin({ parties, arrows }) {
    this.#parties = new Map(parties.map((party) => [party.id, party]));
    this.#arrows = arrows;
    this.#drawnFor = "";
    if (this.#held) this.#pause();
    this.#choose(undefined);
    this.#draw();
  }

  change(changes) {
    for (const { party, gone, arrow } of changes) {
      if (party) this.#parties.set(party.id, party);
      if (gone !== undefined) this.#parties.delete(gone);
      if (arrow) this.#arrows.push(arrow);
    }
    this.#arrows.splice(0, this.#arrows.length - MAX_ARROWS);
    this.#draw();
  }

  /** Shows only what is about `user`. */
  about(user) {
    byId("about").value = user;
    this.#look(user);
  }

  #look(user) {
    this.#filter = user.trim().toLowerCase();
    this.#draw();
  }

  #pause() {
    this.#held = this.#held ? undefined : { parties: new Map(this.#parties), arrows: [...this.#arrows] };
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
    const { parties, arrows } = this.#held ?? { parties: this.#parties, arrows: this.#arrows };
    const shown = arrows.filter(({ users }) => !this.#filter || users.some((user) => user.toLowerCase().includes(this.#filter)));
    const box = byId("ladder");
    const isAtEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - NEAR;
    const columns = columnsOf(parties, shown);
    const width = widthOf(columns.length, box);
    const drawnFor = JSON.stringify([this.#filter, width, columns]);
    if (drawnFor !== this.#drawnFor) {
      this.#drawnFor = drawnFor;
      this.#rows.clear();
      byId("rows").replaceChildren();
      box.style.setProperty("--lanes", `${columns.length * width}px`);
      byId("columns").replaceChildren(element("span", "time", ""), element("div", "lanes", columns.map(header)));
      for (const head of byId("columns").querySelectorAll(".column")) head.style.width = `${width}px`;
    }
    this.#drawRows(shown, columns, width);
    box.style.setProperty("--head", `${byId("columns").offsetHeight}px`);
    byId("none").hidden = shown.length > 0;
    byId("columns").hidden = shown.length === 0;
    byId("none").textContent = this.#filter && arrows.length ? "No message here is about that user." : "No message has passed yet.";
    const all = counted(arrows.length, "message", "messages");
    byId("count").textContent = this.#filter ? `${shown.length} of ${all}` : all;
    const last = this.#held?.arrows.at(-1)?.number ?? 0;
    const news = this.#held ? this.#arrows.filter(({ number }) => number > last).length : 0;
    byId("pause").textContent = !this.#held ? "Pause" : news ? `Go on (${news} new)` : "Go on";
    this.#mark();
    if (isAtEnd && this.#chosen === undefined) box.scrollTop = box.scrollHeight;
  }

  /** Takes away what is not shown any more, and adds what is new. */
  #drawRows(shown, columns, width) {
    const first = shown[0]?.number ?? Infinity;
    for (const [number, row] of this.#rows) {
      if (number >= first) break;
      row.previousSibling?.remove();
      row.remove();
      this.#rows.delete(number);
    }
    let before = [...this.#rows.keys()].at(-1);
    const isNew = before !== undefined;
    for (const arrow of shown) {
      if (before !== undefined && arrow.number <= before) continue;
      const missed = before === undefined || this.#filter ? 0 : arrow.number - before - 1;
      if (missed > 0) byId("rows").append(gap(missed));
      const row = rowOf(arrow, columns, width);
      if (isNew) row.classList.add("new");
      this.#rows.set(arrow.number, row);
      byId("rows").append(row);
      before = arrow.number;
    }
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
    const arrow = (this.#held?.arrows ?? this.#arrows).find((arrow) => arrow.number === number);
    byId("hint").hidden = arrow !== undefined;
    byId("facts").hidden = arrow === undefined;
    if (!arrow) return;
    const party = (id) => {
      const { role, name, address } = (this.#held?.parties ?? this.#parties).get(id) ?? UNKNOWN;
      return `${ROLES[role]} ${name}${address && address !== name ? `, ${address}` : ""}`;
    };
    const facts = [
      ["Message", arrow.message, "message"],
      ["It says", arrow.words],
      ["From", party(arrow.from)],
      ["To", party(arrow.to)],
      ["Passed", `${arrow.at === null ? "at an unknown time" : moment(arrow.at, true)}, as number ${arrow.number}`],
      ["Length", counted(arrow.length, "byte", "bytes")],
      ["Note", arrow.note],
    ].filter(([, text]) => text);
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

function header({ role, name, address }) {
  const where = element("span", "address");
  if (address && address !== name) {
    // If it has no room in a line, the port is in the next one.
    const [ip, port] = address.split(":");
    where.append(ip, element("wbr", ""), `:${port}`);
  }
  const made = element("div", `column ${role}`, [
    element("span", "role", ROLES[role]),
    element("span", "name", name),
    where,
  ]);
  made.title = [ROLES[role], name, address].filter(Boolean).join(" ");
  return made;
}

function rowOf(arrow, columns, width) {
  const name = (id) => columns.find((column) => column.id === id)?.name ?? UNKNOWN.name;
  const parties = element("span", "unseen", [
    element("span", "from", name(arrow.from)),
    " to ",
    element("span", "to", name(arrow.to)),
    ": ",
  ]);
  const said = element("div", "said", [
    // The arrow shows it to those who see it.
    parties,
    element("p", "words", arrow.words),
    element("code", "message", arrow.message),
    element("span", "size", ` ${arrow.length} B`),
    ...(arrow.note ? [element("p", "note", arrow.note)] : []),
  ]);
  const time = element("span", "time", arrow.at === null ? "" : moment(arrow.at, true));
  const lanes = element("div", "lanes", [arrowOf(arrow, columns, width)]);
  const row = element("li", `row ${kindOf(arrow.kind)}`, [time, lanes, said]);
  row.id = `message-${arrow.number}`;
  row.dataset.number = arrow.number;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", "false");
  return row;
}

function gap(missed) {
  const made = element("li", "gap", `${counted(missed, "message", "messages")} passed too fast to be shown`);
  made.setAttribute("role", "option");
  made.setAttribute("aria-disabled", "true");
  return made;
}

/** Whether it asks, is an answer that is no refusal, or what else it is. */
function kindOf(kind) {
  if (kind === "?") return "malformed";
  if (!kind.startsWith("R")) return "asks";
  return kind.endsWith("0") ? "done" : "refused";
}

const ROLES = { agent: "agent", others: "others", this: "this node", node: "node" };

/** A party that is not known, which does not happen. */
const UNKNOWN = { role: "agent", name: "?", address: null };

/** The most messages that are shown, as many as a node keeps. */
const MAX_ARROWS = 500;

/** Pixels from the end at which somebody still follows. */
const NEAR = 60;
