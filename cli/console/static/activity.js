// #/activity: rotations and deletions of late, newest first, as far as the loaded keys and projects name them.

import { get, read } from "./api.js";
import { badge, h } from "./dom.js";
import { live } from "./live.js";
import { STATE_TONES } from "./states.js";
import { keys, projectName, projects } from "./store.js";
import { changed } from "./time.js";
import { count, keyId, minute, spaced, who } from "./words.js";

const PROJECTS = 40, DELETIONS = 40, AT_ONCE = 6, SHOWN = 100;

export function activity(place) {
  place.append(h("h1", { tabindex: "-1" }, "Activity"));
  let known = false;
  const reload = () => { known = false; };
  changed.addEventListener("time", reload);
  const read = async () => {
    // The lists may be long: between two of their changes only what is going on is read again.
    if (!known) await Promise.all([projects.load(), keys.load()]);
    known = true;
    return recent();
  };
  const view = live(place, { read, draw, every: () => 20000 });
  return () => {
    changed.removeEventListener("time", reload);
    view.stop();
  };
}

/** Work through a list, a few at a time. */
async function several(items, work) {
  const results = [], left = [...items.entries()];
  const worker = async () => { for (let next; (next = left.shift());) results[next[0]] = await work(next[1]); };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}

async function recent() {
  if (projects.problem ?? keys.problem) throw projects.problem ?? keys.problem;
  // Whose key changed last was rotated last; whoever rotates now comes first.
  const open = projects.items.filter((one) => one.open_rotation).map((one) => one.project_id);
  const renewed = keys.items.filter((one) => one.deployed_at ?? one.replaced_at)
    .sort((a, b) => ((a.deployed_at ?? a.replaced_at) < (b.deployed_at ?? b.replaced_at) ? 1 : -1)).flatMap((one) => one.projects);
  const since = [...projects.items].sort((a, b) => ((a.key_since ?? "") < (b.key_since ?? "") ? 1 : -1)).map((one) => one.project_id);
  const chosen = [...new Set([...open, ...renewed, ...since])].slice(0, PROJECTS);
  const named = keys.items.filter((one) => one.deletion_id).slice(0, DELETIONS);
  const [rotations, deletions] = await Promise.all([
    several(chosen, (id) => read(["projects", id, "rotations"], { limit: 10 }).then((page) => page.items)),
    several(named, (one) => get("deletions", one.deletion_id).then((told) => ({ ...told, projects: one.projects }))),
  ]);
  const rows = [
    ...rotations.flat().map((one) => ({ at: one.ended_at ?? one.deployed_at ?? one.swapped_at ?? one.requested_at, what: "rotation", state: one.state,
      href: `#/rotations/${one.project_id}/${one.rotation_id}`, of: projectName(one.project_id), by: one.requested_by, key: null })),
    ...deletions.map((one) => ({ at: one.ended_at ?? one.scheduled_at ?? one.quarantined_at ?? one.approved_at ?? one.requested_at, what: "deletion", state: one.state,
      href: `#/deletions/${one.deletion_id}`, of: one.projects.map(projectName).join(", "), by: one.requested_by, key: keyId(one.key) })),
  ].sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, SHOWN);
  return { rows, looked: chosen.length, all: projects.items.length };
}

function draw(body, { rows, looked, all }) {
  const columns = ["when", "what", "state", "of", "by"];
  body.replaceChildren(
    h("p", { class: "dim" }, looked < all ? `Of the ${count(looked, "project")} whose keys changed last, out of ${all.toLocaleString("en-US")}.` : `Of ${count(all, "project")}.`),
    rows.length ? h("table", { class: "list", role: "table", "aria-label": "Activity" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map((word) => h("th", { scope: "col", role: "columnheader" }, word)))),
      h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row" },
        h("td", { role: "cell", class: "nowrap" }, minute(row.at)),
        h("td", { role: "cell" }, h("a", { href: row.href }, row.what)),
        h("td", { role: "cell" }, badge(spaced(row.state), STATE_TONES[row.state])),
        h("td", { role: "cell" }, row.of, row.key ? [" ", h("code", null, row.key)] : null),
        h("td", { role: "cell" }, who(row.by))))))
      : h("p", null, "Nothing yet."));
}
