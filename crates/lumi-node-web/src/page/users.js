// The users of the domain.

import { byId, counted, element, moment, say } from "./dom.js";

export class Users {
  #domain = "";
  #told = { users: 0, online: 0, shown: [] };
  /** The rows, by the user's name. */
  #rows = new Map();

  /** `choose` is told the address of a user whose messages somebody wants to see. */
  constructor(choose) {
    byId("named").addEventListener("input", () => this.#draw());
    byId("users").addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button) choose(`${button.dataset.user}@${this.#domain}`);
    });
  }

  of(domain) {
    this.#domain = domain;
  }

  show(told) {
    const now = Date.now();
    for (const user of told.shown) {
      if (user.address) user.since = now - user["online-for"];
    }
    this.#told = told;
    this.#draw();
  }

  #draw() {
    const { users, online, shown } = this.#told;
    const named = byId("named").value.trim().toLowerCase();
    const found = shown.filter(({ user }) => user.toLowerCase().includes(named));
    this.#drawRows(found);
    byId("how-many").textContent = `${online.toLocaleString("en")} of ${users.toLocaleString("en")} online`;
    const more = users - shown.length;
    const others = [];
    if (named && found.length === 0) others.push(more > 0 ? "Nobody who is shown is named so." : "Nobody here is named so.");
    if (more > 0) others.push(`${counted(more, "more user is", "more users are")} not shown: lumi-node ctl list finds them.`);
    say(byId("others"), others.join(" "));
  }

  /** Leaves rows where they are as far as it can, with whoever is at one of them. */
  #drawRows(found) {
    const rows = new Map(found.map((told) => [told.user, this.#rows.get(told.user) ?? new Row(told.user)]));
    for (const [user, { line }] of this.#rows) if (!rows.has(user)) line.remove();
    this.#rows = rows;
    const focused = document.activeElement;
    let next = byId("users").firstChild;
    for (const told of found) {
      const row = rows.get(told.user);
      row.show(told);
      if (row.line === next) next = next.nextSibling;
      else byId("users").insertBefore(row.line, next);
    }
    // A button that has moved has lost it.
    if (focused.isConnected) focused.focus({ preventScroll: true });
  }
}

class Row {
  #state = element("span", "state");
  #key = element("span", "key");
  #address = element("span", "address");
  #since = element("td", "");

  constructor(user) {
    const button = element("button", "name", user);
    button.type = "button";
    button.title = `Only messages about ${user}`;
    button.dataset.user = user;
    const head = element("th", "", [button]);
    head.scope = "row";
    this.line = element("tr", "", [head, element("td", "", [this.#state, this.#key, " ", this.#address]), this.#since]);
  }

  show({ address, since, key, restored }) {
    const state = address ? "online" : "offline";
    this.line.className = state;
    say(this.#state, restored ? `${state} (restored)` : state);
    say(this.#key, key ? ", has a key" : "");
    say(this.#address, address ?? "");
    say(this.#since, since === undefined ? "" : moment(since));
  }
}
