// #/: the fleet, worst first.

import { lately } from "./activity.js";
import { badge, calmly, h, put } from "./dom.js";
import { listing } from "./listing.js";
import { told } from "./problems.js";
import { keyHref } from "./project.js";
import { STANDINGS, TONES, toKnow, worstFirst } from "./standing.js";
import { keys, projects } from "./store.js";
import { changed, now } from "./time.js";
import { count, distance, dollars, listed } from "./words.js";

export function fleet(place) {
  const stop = new AbortController();
  const summary = h("p", { class: "summary" });
  const trouble = h("div"), danger = h("div"), happened = h("div");
  const list = listing({
    name: "fleet", noun: "project", empty: "No projects yet: discovery runs once a day.",
    groups: STANDINGS, tones: TONES,
    groupOf: (one) => one.stands,
    textOf: ({ project: one }) => `${one.name} ${one.project_id} ${toKnow(one, now())}`,
    columns: [
      { title: "standing", class: "standing", cell: ({ stands }) => badge(STANDINGS[stands], TONES[stands]) },
      { title: "name", class: "name", cell: ({ project: one }) => h("a", { href: `#/projects/${one.project_id}` }, one.name || "-") },
      { title: "project", class: "id", cell: ({ project: one }) => h("code", null, one.project_id) },
      { title: "due", class: "due", cell: ({ project: one }) => (one.due_at ? distance(one.due_at, now()) : "") },
      { title: "to know", class: "know", cell: ({ project: one }) => toKnow(one, now()) },
    ],
  });
  place.append(h("h1", { tabindex: "-1" }, "Fleet"), summary, danger, trouble, list.element,
    h("section", { class: "lately" }, h("h2", null, "Lately"), happened, h("p", null, h("a", { href: "#/activity" }, "All activity"))));

  function draw() {
    const items = worstFirst(projects.items, now());
    put(summary, sentence(items), oldKeys());
    put(danger, endangered());
    put(trouble, projects.problem ? told(projects.problem) : null);
    list.show(items, !projects.loading);
  }
  const again = () => {
    projects.load();
    keys.load();
    lately().then((drawn) => put(happened, drawn), () => put(happened, h("p", { class: "dim" }, "It cannot be read now.")));
  };
  const soon = calmly(draw, stop.signal);
  projects.addEventListener("change", soon, { signal: stop.signal });
  keys.addEventListener("change", soon, { signal: stop.signal });
  changed.addEventListener("time", again, { signal: stop.signal });
  again();
  draw();
  return () => stop.abort();
}

function sentence(items) {
  if (!items.length) return projects.loading ? "Loading…" : "No projects yet: discovery runs once a day.";
  const counts = STANDINGS.map((word, at) => [items.filter((one) => one.stands === at).length, word]);
  return `${count(items.length, "project")}: ${listed(counts.filter(([number]) => number).map(([number, word]) => `${number.toLocaleString("en-US")} ${word}`))}.`;
}

const MOST_ENDANGERED = 5;

/** Needed keys that somebody disabled or scheduled for deletion past Keyturn, the most urgent first. */
function endangered() {
  const all = keys.told.endangered ?? [];
  if (!all.length) return null;
  return h("div", { class: "problem", role: "alert" },
    h("p", null, h("strong", null, `${count(all.length, "needed key")} ${all.length === 1 ? "is" : "are"} in danger:`)),
    h("ul", null, all.slice(0, MOST_ENDANGERED).map((one) => h("li", null, h("a", { href: keyHref(one.arn) }, h("code", null, one.key_id)), `: ${one.warning.text}.`))),
    all.length > MOST_ENDANGERED ? h("p", null, h("a", { href: "#/keys" }, `and ${count(all.length - MOST_ENDANGERED, "key")} more`)) : null);
}

function oldKeys() {
  const retiring = keys.told.retiring;
  if (!retiring) return null;
  if (!retiring.keys) return " No old key is kept.";
  return [" ", h("a", { href: "#/keys" }, count(retiring.keys, "old key")),
    ` ${retiring.keys === 1 ? "is" : "are"} kept, for ${dollars(retiring.dollars_per_month)} a month.`];
}
