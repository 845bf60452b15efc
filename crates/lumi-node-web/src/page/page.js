// The page: what the node tells, as it comes, and whether it still does.

import { byId, element, moment, say } from "./dom.js";
import { Ladder } from "./ladder.js";
import { Plots } from "./plots.js";
import { Users } from "./users.js";

const ladder = new Ladder();
const plots = new Plots(byId("plots"));
const users = new Users((address) => ladder.about(address));

let source;
let heard = Date.now();
let last;

byId("counters").addEventListener("toggle", () => last && count(last));

connect();
setInterval(() => {
  // A cable that is pulled says nothing.
  if (source && Date.now() - heard > SILENCE) {
    lost("connection lost, trying again");
    again();
  }
}, 1000);

function connect() {
  heard = Date.now();
  source = new EventSource("events");
  const on = (name, take) =>
    source.addEventListener(name, (event) => {
      heard = Date.now();
      take(JSON.parse(event.data));
    });
  on("snapshot", (snapshot) => {
    report("live", "live");
    plots.clear();
    ladder.begin(snapshot);
  });
  on("ladder", (changes) => ladder.change(changes));
  on("status", (status) => {
    report("live", "live");
    show(status);
  });
  on("users", (told) => users.show(told));
  on("trouble", (words) => report("trouble", words));
  source.onerror = () => {
    lost("connection lost, trying again");
    // An open source comes again by itself.
    if (source.readyState === EventSource.CLOSED) refused();
  };
}

function again() {
  source.close();
  connect();
}

/** The node is there and lets nobody watch: it says why, to those who ask without watching. */
async function refused() {
  source = undefined;
  let wait = AGAIN;
  try {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), SILENCE);
    const answer = await fetch("events", { signal: stop.signal });
    if (answer.ok) {
      stop.abort();
    } else {
      wait = Number(answer.headers.get("Retry-After")) * 1000 || AGAIN;
      lost(await answer.text());
    }
  } catch {
    // It is not there.
  }
  setTimeout(connect, wait);
}

function lost(words) {
  report("lost", words);
}

function report(state, words) {
  byId("connection").dataset.state = state;
  say(byId("connection"), words);
}

function show(status) {
  byId("domain").textContent = status.domain;
  document.title = `${status.domain} – lumi-node`;
  const since = moment(Date.now() - status.uptime);
  byId("node").textContent = `lumi-node ${status.version} at ${status.address}, up since ${since}`;
  users.of(status.domain);
  plots.add(status);
  last = status;
  if (byId("counters").open) count(status);
}

function count({ received, sent, dropped, proofs }) {
  const number = (value) => element("td", "number", value.toLocaleString("en"));
  const row = (name, ...values) => {
    const head = element("th", "", name);
    head.scope = "row";
    return element("tr", "", [head, ...values.map(number)]);
  };
  byId("kinds").replaceChildren(...Object.keys(received).map((kind) => row(kind, received[kind], sent[kind])));
  byId("reasons").replaceChildren(...Object.entries(dropped).map(([reason, times]) => row(reason, times)));
  byId("proofs").replaceChildren(...PROOFS.map(([name, words]) => row(words, proofs[name])));
}

/** The figures of proofs, and what they are called. */
const PROOFS = [
  ["challenges", "Challenges sent"],
  ["accepted", "Accepted"],
  ["repeated", "Accepted again"],
  ["refused", "Refused"],
  ["enrolled", "Keys enrolled"],
];

/** The milliseconds after which a node is gone that tells each second how it is, or after five that it does not know. */
const SILENCE = 8000;

/** The milliseconds until it is asked again, unless it says how long that is. */
const AGAIN = 3000;
