// Moments, money and names as people read them: the words of cli/words.py; a test compares them.

const DAY = 86400000;

/** A time of the API's as a Date; without a zone it is UTC. */
export const moment = (text) => new Date(/(Z|[+-]\d\d:\d\d)$/.test(text) ? text : `${text}Z`);

const dayNumber = (date) => Math.floor(date.getTime() / DAY);

/** Days in the calendar (UTC) until a time, negative when its day is past. */
export const daysUntil = (text, now) => dayNumber(moment(text)) - dayNumber(now);

/** The day of a time. */
export const day = (text) => (text ? text.slice(0, 10) : "-");

/** The minute of a time, in UTC as the API says it. */
export const minute = (text) => (text ? `${text.slice(0, 10)} ${text.slice(11, 16)} UTC` : "-");

/** A day, and how far it is from now. */
export const when = (text, now) => (text ? `${day(text)} (${distance(text, now)})` : "-");

/** How far a time is from now. */
export function distance(text, now) {
  const days = daysUntil(text, now);
  if (days === 0) return "today";
  return days > 0 ? `in ${count(days, "day")}` : `${count(-days, "day")} ago`;
}

/** A number with its noun, in the plural where that is right. */
export const count = (number, noun) => `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;

/** An amount of money. */
export const dollars = (amount) =>
  `$${amount.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;

/** The id in a key's ARN. */
export const keyId = (arn) => (arn ? arn.slice(arn.lastIndexOf("/") + 1) : "-");

/** The beginning of a key's id, for pictures and lists. */
export const short = (arn) => { const id = keyId(arn); return id.length > 16 ? id.slice(0, id.startsWith("mrk-") ? 12 : 8) : id; };

/** The name at the end of a principal's ARN. */
export function who(arn) {
  if (!arn) return "-";
  const last = arn.slice(arn.lastIndexOf(":") + 1);
  return last.slice(last.indexOf("/") + 1 || last.length) || arn;
}

/** Words with commas, and an `and` before the last. */
export const listed = (parts) =>
  parts.length > 1 ? `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}` : (parts[0] ?? "");

/** A name of the API's with spaces. */
export const spaced = (name) => name.replaceAll("_", " ");
