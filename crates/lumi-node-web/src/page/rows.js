// Parties and messages, as they are told.

import { counted, element, moment, say } from "./dom.js";
import { arrowOf } from "./lanes.js";

/** The head of a column. */
export function header({ role, name, address, addresses }) {
  const more = addresses > 1 ? addresses - 1 : 0;
  const where = element("span", "address");
  if (address && (address !== name || more)) {
    // If it has no room in a line, the port is in the next one.
    const [ip, port] = address.split(":");
    where.append(ip, element("wbr", ""), `:${port}`, more ? ` +${more}` : "");
  }
  const [user, ...domain] = name.split("@");
  const called = element("span", "name", [user, ...domain.flatMap((part) => [element("wbr", ""), `@${part}`])]);
  const made = element("div", `column ${role}`, [element("span", "role", ROLES[role]), called, where]);
  const all = more ? `${address} and ${counted(more, "earlier address", "earlier addresses")}` : address;
  made.title = [ROLES[role], name, all].filter(Boolean).join(" ");
  return made;
}

/** A message in words, with room for its arrow. */
export function rowOf(arrow) {
  const between = element("span", "unseen", [
    element("span", "from", ""),
    " to ",
    element("span", "to", ""),
    ": ",
  ]);
  const said = element("div", "said", [
    // The arrow shows it to those who see it.
    between,
    element("p", "words", arrow.words),
    element("code", "message", arrow.message),
    element("span", "size", ` ${arrow.length} B`),
    ...(arrow.note ? [element("p", "note", arrow.note)] : []),
  ]);
  const time = element("span", "time", arrow.at === null ? "" : moment(arrow.at, true));
  const row = element("li", `row ${kindOf(arrow.kind)}`, [time, element("div", "lanes", []), said]);
  row.id = `message-${arrow.number}`;
  row.dataset.number = arrow.number;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", "false");
  return row;
}

/** Says in the row of `arrow` between whom it is. */
export function nameIn(row, arrow, parties) {
  const name = (id) => (parties.get(id) ?? UNKNOWN).name;
  say(row.querySelector(".from"), name(arrow.from));
  say(row.querySelector(".to"), name(arrow.to));
}

/** Draws the arrow of a row between `columns`. */
export function drawIn(row, arrow, parties, columns, width) {
  row.querySelector(".lanes").replaceChildren(arrowOf(arrow, parties, columns, width));
}

/** A place where messages are missing: none so far. */
export function gap() {
  const made = element("li", "gap");
  made.dataset.missed = 0;
  made.setAttribute("role", "option");
  made.setAttribute("aria-disabled", "true");
  return made;
}

/** So many more are missing there. */
export function missedBefore(gap, missed) {
  gap.dataset.missed = Number(gap.dataset.missed) + missed;
  gap.textContent = `${counted(Number(gap.dataset.missed), "message", "messages")} passed too fast to be shown`;
}

/** The facts about a message: terms, texts and classes. */
export function factsOf(arrow, parties) {
  const party = (id) => {
    const { role, name } = parties.get(id) ?? UNKNOWN;
    const who = [ROLES[role], name].filter(Boolean).join(" ");
    return role === "this" || name === arrow.remote ? who : `${who}, ${arrow.remote}`;
  };
  return [
    ["Message", arrow.message, "message"],
    ["It says", arrow.words],
    ["From", party(arrow.from)],
    ["To", party(arrow.to)],
    ["Passed", `${arrow.at === null ? "at an unknown time" : moment(arrow.at, true)}, as number ${arrow.number}`],
    ["Length", counted(arrow.length, "byte", "bytes")],
    ["Note", arrow.note],
  ].filter(([, text]) => text);
}

/** The class of a message: it asks, is an answer that is no refusal, or something else. */
function kindOf(kind) {
  if (kind === "?") return "malformed";
  if (!kind.startsWith("R")) return "asks";
  return kind.endsWith("0") ? "done" : "refused";
}

const ROLES = { agent: "agent", others: "others", check: "", this: "this node", node: "node" };

/** A party that is not known, which does not happen. */
const UNKNOWN = { role: "agent", name: "?", address: null, addresses: 0 };
