// The work of the last five minutes, as small plots with their figures beside them.

import { drawn, element } from "./dom.js";

export class Plots {
  #cards;
  #span;
  #samples = [];
  #last;

  constructor(place) {
    this.#cards = PLOTS.map((plot) => new Card(plot));
    this.#span = element("h2", "span");
    place.replaceChildren(this.#span, ...this.#cards.map(({ figure }) => figure));
  }

  /** Forgets the figures of another connection, which perhaps was to another node. */
  clear() {
    this.#samples = [];
    this.#last = undefined;
  }

  add(status) {
    const now = {
      at: status.uptime,
      received: sum(status.received),
      sent: sum(status.sent),
      dropped: sum(status.dropped),
      online: status.online,
      users: status.users,
    };
    const last = this.#last;
    this.#last = now;
    if (last && now.at > last.at) {
      const rate = (name) => ((now[name] - last[name]) * 1000) / (now.at - last.at);
      const rates = { received: rate("received"), sent: rate("sent"), dropped: rate("dropped") };
      this.#samples.push({ at: now.at, online: now.online, ...rates });
    }
    this.#samples = this.#samples.filter(({ at }) => now.at - at <= MOST);
    // A minute first, then a minute more with each that is over.
    const seen = now.at - (this.#samples[0]?.at ?? now.at);
    const span = Math.max(1, Math.ceil(seen / MINUTE)) * MINUTE;
    this.#span.textContent = span > MINUTE ? `The last ${span / MINUTE} minutes` : "The last minute";
    this.#cards.forEach((card) => card.draw(this.#samples, now, span));
  }
}

class Card {
  constructor({ name, title, unit, total }) {
    this.name = name;
    this.total = total;
    this.value = element("strong", "value", "–");
    this.beside = element("span", "beside");
    this.area = drawn("path", { class: "area" });
    this.line = drawn("path", { class: "line", "vector-effect": "non-scaling-stroke" });
    const picture = drawn(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      [this.area, this.line],
    );
    const caption = element("figcaption", "", [element("span", "title", title), this.value, element("span", "unit", unit), this.beside]);
    this.figure = element("figure", `panel plot ${name}`, [caption, picture]);
  }

  /** Draws `samples` of the last `span` milliseconds, and says what there is `now`. */
  draw(samples, now, span) {
    const values = samples.map((sample) => sample[this.name]);
    const most = Math.max(0, ...values);
    this.value.textContent = values.length ? short(values.at(-1)) : "–";
    this.beside.textContent = this.total(now, most);
    const top = Math.max(1, most);
    const x = (at) => (WIDTH * (1 - (now.at - at) / span)).toFixed(2);
    const y = (value) => (HEIGHT - 1 - (value / top) * (HEIGHT - 3)).toFixed(2);
    const points = samples.map((sample) => `${x(sample.at)} ${y(sample[this.name])}`);
    const line = points.length ? `M${points.join("L")}` : "";
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", line && `${line}V${HEIGHT}H${x(samples[0].at)}z`);
  }
}

const sum = (counts) => Object.values(counts).reduce((all, count) => all + count, 0);

/** Three figures are enough. */
const short = (value) =>
  value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0, notation: value < 100000 ? "standard" : "compact" });

const inAll = (name) => (now, most) => `${short(now[name])} in all, at most ${short(most)}/s`;

const PLOTS = [
  { name: "received", title: "Received", unit: "messages/s", total: inAll("received") },
  { name: "sent", title: "Sent", unit: "messages/s", total: inAll("sent") },
  { name: "dropped", title: "Dropped", unit: "datagrams/s", total: inAll("dropped") },
  { name: "online", title: "Online", unit: "users", total: ({ users }) => `of ${short(users)} in the domain` },
];

const WIDTH = 150;
const HEIGHT = 36;

/** Milliseconds. */
const MINUTE = 60_000;
const MOST = 5 * MINUTE;
