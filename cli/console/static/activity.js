// #/activity: what happened in the whole fleet, newest first.

import { read } from "./api.js";
import { h, put } from "./dom.js";
import { live } from "./live.js";
import { told } from "./problems.js";
import { minute, short, who } from "./words.js";

const ROWS = 50, LATELY = 5, EVERY = 20000;

export function activity(place) {
  place.append(h("h1", { tabindex: "-1" }, "Activity"), h("p", { class: "dim" }, "The audit trail of the whole fleet, newest first."));
  const older = h("tbody", { role: "rowgroup" }), trouble = h("div"), pager = h("div", { class: "pager" });
  let next = null, followed = false;
  const more = h("button", { type: "button", class: "quiet", id: "older", onclick: async () => {
    more.disabled = true;
    try {
      const page = await read(["activity"], { limit: ROWS, cursor: next });
      followed = true;
      next = page.next;
      older.append(...page.items.map(row));
      put(trouble);
      put(pager, next ? more : null);
    } catch (problem) {
      put(trouble, told(problem));
    } finally {
      more.disabled = false;
      if (next) more.focus();
    }
  } }, "Older");
  const view = live(place, {
    read: () => read(["activity"], { limit: ROWS }),
    draw: (body, page) => {
      // What was read beyond the first page goes on from where it began: once that is so, the list stays as it is.
      if (followed) return;
      next = page.next;
      older.replaceChildren();
      put(body, page.items.length ? table(h("tbody", { role: "rowgroup" }, page.items.map(row)), older) : h("p", null, "Nothing has happened yet."));
      put(pager, next ? more : null);
    },
    every: () => (followed ? null : EVERY),
  });
  place.append(trouble, pager);
  return view.stop;
}

/** The latest few entries, for other views. */
export async function lately() {
  const page = await read(["activity"], { limit: LATELY });
  return page.items.length ? table(h("tbody", { role: "rowgroup" }, page.items.map(row))) : h("p", { class: "dim" }, "Nothing has happened yet.");
}

const table = (...bodies) => h("table", { class: "list", role: "table", "aria-label": "Activity" },
  h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ["when", "by", "what", "of", "why, and from what to what"].map((word) =>
    h("th", { scope: "col", role: "columnheader" }, word)))), bodies);

const row = (one) => h("tr", { role: "row" },
  h("td", { role: "cell", class: "nowrap" }, minute(one.at)),
  h("td", { role: "cell" }, who(one.who)),
  h("td", { role: "cell" }, one.what),
  h("td", { role: "cell" }, subject(one)),
  h("td", { role: "cell", class: "know" }, note(one)));

// What stands before a key's id, and says nothing in a list.
const ARN = /arn:[\w-]+:kms:[\w-]+:\d{12}:key\//g;

const VIEWS = { project: "projects", key: "keys", deletion: "deletions" };

function subject(one) {
  const text = one.name ?? (one.about === "key" || one.about === "deletion" ? [`${one.about} `, h("code", { class: "whole" }, short(one.subject))] : one.subject);
  if (one.about === "fleet") return h("a", { href: "#/policy" }, "the fleet");
  return VIEWS[one.about] ? h("a", { href: `#/${VIEWS[one.about]}/${encodeURIComponent(one.subject)}` }, text) : text;
}

function note({ why, before, after }) {
  const changed = [before, after].filter(Boolean).join(" → ");
  return [why, changed].filter(Boolean).join("; ").replaceAll(ARN, "");
}
