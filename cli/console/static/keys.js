// #/keys: every key, and whether it may go.

import { badge, calmly, h, put } from "./dom.js";
import { listing } from "./listing.js";
import { told } from "./problems.js";
import { keyHref, mayGo } from "./project.js";
import { HARMS, STATE_TONES } from "./states.js";
import { keys, projectName, projects } from "./store.js";
import { changed, now } from "./time.js";
import { count, dollars, spaced } from "./words.js";

const STATES = ["free", "retiring", "deploying", "quarantined", "pending_deletion", "current", "unused", "deleted"];
const groupOf = (key) => (key.safe_to_delete && ["retiring", "unused"].includes(key.state) ? 0 : Math.max(STATES.indexOf(key.state), 0));

/** What somebody did to a key past Keyturn, beside its state. */
export const harmed = (key) => key.warnings.filter((one) => HARMS[one.kind]).map((one) => [" ", badge(HARMS[one.kind], "bad")]);

export function allKeys(place) {
  const stop = new AbortController();
  const summary = h("p", { class: "summary" }), trouble = h("div");
  const list = listing({
    name: "keys", noun: "key", empty: "No key.", groupOf,
    groups: STATES.map((state) => (state === "free" ? "may go" : spaced(state))),
    tones: STATES.map((state) => (state === "free" ? "good" : STATE_TONES[state])),
    textOf: (one) => `${one.arn} ${one.projects.map(projectName).join(" ")} ${spaced(one.state)} ${one.warnings.map((it) => HARMS[it.kind] ?? "").join(" ")}`,
    columns: [
      { title: "key", class: "name", cell: (one) => h("a", { href: keyHref(one.arn) }, h("code", null, one.key_id)) },
      { title: "state", cell: (one) => [badge(spaced(one.state), STATE_TONES[one.state]), harmed(one)] },
      { title: "may go", class: "nowrap go", cell: (one) => mayGo(one, now()) },
      { title: "projects", class: "know", cell: (one) => one.projects.map(projectName).join(", ") },
      { title: "a month", class: "nowrap cost", cell: (one) => dollars(one.dollars_per_month) },
    ],
  });
  place.append(h("h1", { tabindex: "-1" }, "Keys"), summary, trouble, list.element);

  function draw() {
    const retiring = keys.told.retiring;
    put(summary, retiring ? (retiring.keys ? `${count(retiring.keys, "old key")} for ${dollars(retiring.dollars_per_month)} a month.` : "No old key is kept.") : "");
    put(trouble, keys.problem ? told(keys.problem) : null);
    const items = [...keys.items].sort((a, b) => groupOf(a) - groupOf(b) || ((a.free_at ?? "9") < (b.free_at ?? "9") ? -1 : 1));
    list.show(items, !keys.loading);
  }
  const again = () => { keys.load(); if (!projects.known) projects.load(); };
  const soon = calmly(draw, stop.signal);
  keys.addEventListener("change", soon, { signal: stop.signal });
  projects.addEventListener("change", soon, { signal: stop.signal });
  changed.addEventListener("time", again, { signal: stop.signal });
  again();
  draw();
  return () => stop.abort();
}
