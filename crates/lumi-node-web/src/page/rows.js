// Parties and messages, as they are told.

import { counted, element, moment } from "./dom.js";
import { arrowOf } from "./lanes.js";

/** The head of a column. */
export function header({ role, name, address }) {
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

/** A message: its arrow between `columns`, and what it says. */
export function rowOf(arrow, parties, columns, width) {
  const name = (id) => (parties.get(id) ?? UNKNOWN).name;
  const between = element("span", "unseen", [
    element("span", "from", name(arrow.from)),
    " to ",
    element("span", "to", name(arrow.to)),
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
  const lanes = element("div", "lanes", [arrowOf(arrow, columns, width)]);
  const row = element("li", `row ${kindOf(arrow.kind)}`, [time, lanes, said]);
  row.id = `message-${arrow.number}`;
  row.dataset.number = arrow.number;
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", "false");
  return row;
}

/** Where messages are missing, of which there are none so far. */
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

/** All about a message: what, and how it is. */
export function factsOf(arrow, parties) {
  const party = (id) => {
    const { role, name, address } = parties.get(id) ?? UNKNOWN;
    return `${ROLES[role]} ${name}${address && address !== name ? `, ${address}` : ""}`;
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

/** Whether it asks, is an answer that is no refusal, or what else it is. */
function kindOf(kind) {
  if (kind === "?") return "malformed";
  if (!kind.startsWith("R")) return "asks";
  return kind.endsWith("0") ? "done" : "refused";
}

const ROLES = { agent: "agent", others: "others", this: "this node", node: "node" };

/** A party that is not known, which does not happen. */
const UNKNOWN = { role: "agent", name: "?", address: null };
