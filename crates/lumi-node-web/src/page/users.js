// The users of the domain.

import { byId, counted, element, moment } from "./dom.js";

export class Users {
  #domain = "";
  #told = { users: 0, online: 0, shown: [] };

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
    // Who was at one of them stays there.
    const at = document.activeElement?.closest("#users button")?.dataset.user;
    byId("users").replaceChildren(...found.map(row));
    if (at !== undefined) [...byId("users").querySelectorAll("button")].find(({ dataset }) => dataset.user === at)?.focus();
    byId("how-many").textContent = `${online.toLocaleString("en")} of ${users.toLocaleString("en")} online`;
    const more = users - shown.length;
    const others = [];
    if (named && found.length === 0) others.push("Nobody here is named so.");
    if (more > 0) others.push(`${counted(more, "more user is", "more users are")} not shown.`);
    byId("others").textContent = others.join(" ");
  }
}

function row({ user, address, since }) {
  const button = element("button", "name", user);
  button.type = "button";
  button.title = `Only messages about ${user}`;
  button.dataset.user = user;
  const head = element("th", "", [button]);
  head.scope = "row";
  return element("tr", address ? "online" : "offline", [
    head,
    element("td", "", [
      element("span", "state", address ? "online" : "offline"),
      " ",
      element("span", "address", address ?? ""),
    ]),
    element("td", "", since === undefined ? "" : moment(since)),
  ]);
}
