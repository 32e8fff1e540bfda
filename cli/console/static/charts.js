// Pictures along the calendar, drawn at the width they have; each is also told as a list for those who do not see it.

import { h, put, s } from "./dom.js";
import { count, day, daysUntil, moment } from "./words.js";

const DAY = 86400000;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const ROW = 44, TOP = 34, BAR = 15, LEAST = 3;

/** A place that redraws its picture whenever its width changes. */
function drawn(draw) {
  const place = h("div", { class: "chart" });
  let width = 0;
  new ResizeObserver(() => {
    if (place.clientWidth === width || !place.clientWidth) return;
    width = place.clientWidth;
    put(place, draw(width));
  }).observe(place);
  return place;
}

/** First days of months between two times, as many as fit. */
function ticks(from, to, width) {
  const months = (to - from) / (30.4 * DAY);
  if (months < 2.5) return days(from, to, width);
  const step = [1, 2, 3, 6, 12, 24, 60].find((one) => (width / months) * one > 58) ?? 120;
  const found = [];
  const start = new Date(from);
  for (let at = start.getUTCFullYear() * 12 + start.getUTCMonth() + 1; ; at += 1) {
    const time = Date.UTC(Math.floor(at / 12), at % 12, 1);
    if (time > to) return found;
    if (at % step === 0) found.push([time, at % 12 === 0 || (step > 1 && !found.length) ? `${MONTHS[at % 12]} ${Math.floor(at / 12)}` : MONTHS[at % 12]]);
  }
}

/** Days between two times that are not far apart, as many as fit. */
function days(from, to, width) {
  const all = (to - from) / DAY;
  const step = [1, 2, 7, 14].find((one) => (width / all) * one > 58) ?? 30;
  const found = [];
  for (let at = Math.ceil(from / DAY / step) * step; at * DAY <= to; at += step) {
    const date = new Date(at * DAY);
    found.push([at * DAY, `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`]);
  }
  return found;
}

/** The calendar behind rows: months and marked days. `x` turns a time into a place. */
function calendar(from, to, x, width, height, marks) {
  const parts = ticks(from, to, width).map(([time, text]) => [
    s("line", { class: "month", x1: x(time), x2: x(time), y1: TOP - 8, y2: height }),
    x(time) < width - 44 ? s("text", { class: "tick", x: x(time) + 4, y: TOP - 22 + 9 }, text) : null,
  ]);
  return [...parts.flat(), ...marks.filter(({ at }) => at >= from && at <= to).flatMap(({ at, text, tone }, index) => {
    const place = x(at), right = place > width - 90;
    // Words of marks that are close to each other go below each other.
    const below = marks.slice(0, index).some((one) => Math.abs(x(one.at) - place) < 130);
    return [s("line", { class: `mark ${tone}`, x1: place, x2: place, y1: TOP - 4, y2: height }),
      s("text", { class: `marked ${tone}`, x: place + (right ? -4 : 4), y: height + (below ? 28 : 14), "text-anchor": right ? "end" : "start" }, text)];
  })];
}

const LEGEND = {
  use: "in use", deploy: "deploying", drain: "retiring", coming: "draining until it is free",
  quarantine: "in quarantine", pending: "pending deletion", planned: "until it is due",
};

/** `lives`: [{label, href, phases: [{kind, from, to}], says}] as milliseconds; `marks`: [{at, text, tone}]. */
export function timeline(lives, now, marks) {
  const phases = lives.flatMap((one) => one.phases);
  const ends = [...phases.flatMap((one) => [one.from, one.to]), now, ...marks.map((one) => one.at)];
  const least = Math.min(...ends), most = Math.max(...ends);
  const spare = Math.max((most - least) * 0.03, 2 * DAY);
  const from = least - spare, to = most + spare;
  const kinds = Object.keys(LEGEND).filter((kind) => phases.some((one) => one.kind === kind));
  const picture = drawn((width) => {
    const x = (time) => ((time - from) / (to - from)) * width;
    const height = TOP + lives.length * ROW;
    return s("svg", { width, height: height + 34, role: "img", "aria-label": `Timeline of ${count(lives.length, "key")}, told below` },
      calendar(from, to, x, width, height, marks),
      lives.map((one, row) => {
        const y = TOP + row * ROW;
        return [s("text", { class: "label", x: Math.min(Math.max(x(one.phases[0]?.from ?? from), 2), width - 130), y: y + 13 }, one.label),
          one.phases.map((phase) => s("rect", { class: `phase ${phase.kind}`, x: x(phase.from), y: y + 19,
            width: Math.max(x(phase.to) - x(phase.from), LEAST), height: BAR, rx: 2 },
            s("title", null, `${LEGEND[phase.kind]}: ${spell(phase)}`)))];
      }));
  });
  return h("figure", null, picture,
    h("figcaption", { class: "legend" }, kinds.map((kind) => h("span", null, h("i", { class: `swatch ${kind}` }), LEGEND[kind]))),
    h("ul", { class: "unseen" }, lives.map((one) => h("li", null, `${one.label}: `,
      one.phases.map((phase) => `${LEGEND[phase.kind]} ${spell(phase)}`).join("; ") || one.says)),
      marks.map((one) => h("li", null, `${one.text}: ${day(new Date(one.at).toISOString())}`))));
}

const spell = ({ from, to, open }) => `${open ? "from a time nobody knows" : `from ${day(new Date(from).toISOString())}`} to ${day(new Date(to).toISOString())}`;

/** How long each cluster's last snapshot stays, and which clusters need the key beyond that; null when none has any. */
export function draining({ clusters, reasons, free_at: freeAt }, now) {
  const longer = new Set(reasons.filter((one) => one.until === null && one.cluster).map((one) => one.cluster));
  const held = clusters.filter((one) => one.snapshots)
    .sort((a, b) => ((a.last_expiry ?? "9") < (b.last_expiry ?? "9") ? -1 : 1));
  if (!held.length) return null;
  const ends = held.map((one) => (one.last_expiry ? moment(one.last_expiry).getTime() : 0));
  const free = freeAt ? moment(freeAt).getTime() : 0;
  const from = now.getTime(), to = Math.max(...ends, free, from + DAY) + Math.max((Math.max(...ends, free) - from) * 0.04, DAY / 2);
  const marks = free > from ? [{ at: free, text: `free ${day(freeAt)}`, tone: "due" }] : [];
  const says = (one) => one.last_expiry
    ? `${count(one.snapshots, "snapshot")}, the last expires ${day(one.last_expiry)} (${left(one.last_expiry, now)})${longer.has(one.cluster) ? ", and it needs the key beyond that" : ""}`
    : `${count(one.snapshots, "snapshot")}, the last expires never, or nobody can say`;
  const picture = drawn((width) => {
    const x = (time) => ((time - from) / (to - from)) * width;
    const height = TOP + held.length * ROW;
    return s("svg", { width, height: height + 34, role: "img", "aria-label": `What drains when, of ${count(held.length, "cluster")}, told below` },
      calendar(from, to, x, width, height, marks),
      held.map((one, row) => {
        const y = TOP + row * ROW, end = one.last_expiry ? ends[row] : to;
        return [s("text", { class: "label", x: 2, y: y + 13 }, width < 520 ? `${one.cluster}: ${count(one.snapshots, "snapshot")}` : `${one.cluster}: ${says(one)}`),
          s("rect", { class: `phase ${one.last_expiry ? "drain" : "pending"}`, x: 0, y: y + 19, width: Math.max(x(end), LEAST), height: BAR, rx: 2 },
            s("title", null, says(one))),
          one.last_expiry && longer.has(one.cluster)
            ? s("rect", { class: "phase coming", x: x(end), y: y + 19, width: Math.max(x(to) - x(end), LEAST), height: BAR }) : null];
      }));
  });
  return h("figure", null, picture, h("ul", { class: "unseen" }, held.map((one) => h("li", null, `${one.cluster}: ${says(one)}`))));
}

function left(text, now) {
  const days = daysUntil(text, now);
  return days <= 0 ? "today or before" : `in ${count(days, "day")}`;
}
