// Pieces of the page. Text gets in as text: what is in it is never read as HTML.

/** The element of the page that has this id. */
export const byId = (id) => document.getElementById(id);

/** A new element with `text`, or with `children`. */
export function element(tag, className, content = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (Array.isArray(content)) made.append(...content);
  else made.textContent = content;
  return made;
}

/** A new element of a drawing. */
export function drawn(tag, attributes, children = []) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Changed only when it is another text: it may be read out then, and who marks it keeps the mark. */
export function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** The local time of `at`, in milliseconds since 1970, and the date unless it is today. */
export function moment(at, withMilliseconds = false) {
  const date = new Date(at);
  const fraction = withMilliseconds ? { fractionalSecondDigits: 3 } : {};
  const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", ...fraction };
  const time = new Intl.DateTimeFormat("en-GB", clock).format(date);
  if (date.toDateString() === new Date().toDateString()) return time;
  return `${new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" }).format(date)} ${time}`;
}

/** So many of something. */
export const counted = (number, one, more) => `${number.toLocaleString("en")} ${number === 1 ? one : more}`;
