// #/projects/ID: one project, its keys along the calendar, and what can be done.

import { get, post, read } from "./api.js";
import { timeline } from "./charts.js";
import { confirm, date, line } from "./dialogs.js";
import { badge, card, facts, h, put } from "./dom.js";
import { live } from "./live.js";
import { changeProject, wishes } from "./policy.js";
import { rotate } from "./rotating.js";
import { HARMS, STATE_TONES } from "./states.js";
import { STANDINGS, TONES, driftText, standing } from "./standing.js";
import { keys } from "./store.js";
import { now } from "./time.js";
import { day, keyId, minute, moment, short, spaced, when, who } from "./words.js";

const OPEN_EVERY = 2000, IDLE_EVERY = 30000, LIVES = 8;
// How much is drawn of a use whose beginning nobody of ours has seen.
const BEFORE = 30 * 86400000;
const at = (text) => moment(text).getTime();

export function project(place, id) {
  const heading = h("h1", { tabindex: "-1" }, id);
  const buttons = h("div", { class: "actions" });
  place.append(h("p", { class: "crumbs" }, h("a", { href: "#/" }, "Fleet")), heading);
  const view = live(place, {
    read: () => everything(id),
    draw: (body, shape) => {
      heading.textContent = shape.project.name || id;
      draw(body, shape, buttons);
    },
    every: (shape) => (shape.project.open_rotation ? OPEN_EVERY : IDLE_EVERY),
  });
  put(buttons,
    h("button", { type: "button", id: "rotate", onclick: async () => {
      const made = await rotate(await get("projects", id));
      if (made) location.hash = `#/rotations/${id}/${made.rotation_id}`;
    } }, "Rotate…"),
    h("button", { type: "button", class: "quiet", id: "acknowledge", onclick: async () => {
      await acknowledge(await get("projects", id));
      view.again();
    } }, "Acknowledge until…"),
    h("button", { type: "button", class: "quiet", id: "change-policy", onclick: async () => {
      if (await changeProject(id, heading.textContent)) view.again();
    } }, "Change policy…"));
  return view.stop;
}

async function everything(id) {
  const [shape, rotations] = await Promise.all([get("projects", id), read(["projects", id, "rotations"])]);
  // Keys come from the one list that there is; it is read anew when the project's key is not among them.
  if (!keys.known || !keys.items.some((one) => one.arn === shape.key)) await keys.load();
  const own = await Promise.all(keys.items.filter((one) => one.projects.includes(id)).map(fresh));
  return { project: shape, rotations: rotations.items, more: Boolean(rotations.next), keys: own, today: day(now().toISOString()) };
}

async function fresh({ arn, key_id: id }) {
  const key = await read(["keys", id], placeOf(arn));
  return { key, deletion: key.deletion_id ? await get("deletions", key.deletion_id).catch(() => null) : null };
}

const placeOf = (arn) => { const [, , , region, account] = arn.split(":"); return { account, region }; };

function draw(body, shape, buttons) {
  const { project: one, rotations } = shape, stands = standing(one, now());
  put(body,
    h("p", { class: "under" }, badge(STANDINGS[stands], TONES[stands]), h("span", { class: "dim" }, h("code", null, one.project_id))),
    one.banner ? h("div", { class: "banner", role: "note" }, h("strong", null, "While the rotation deploys: "), one.banner) : null,
    one.drift.length || one.valid === false
      ? h("div", { class: "problem" }, h("p", null, h("strong", null, "Drift: "), (one.drift.length ? one.drift : ["key_invalid"]).map(driftText).join("; "), "."))
      : null,
    buttons,
    h("div", { class: "columns" },
      h("div", { class: "stack" }, card("Key", facts([
        ["key", one.key ? h("a", { href: keyHref(one.key) }, h("code", null, keyId(one.key))) : "none"],
        ["key since", day(one.key_since)],
        ["due", when(one.due_at, now())],
        ["open rotation", one.open_rotation ? h("a", { href: `#/rotations/${one.project_id}/${one.open_rotation}` }, one.open_rotation) : null],
        ["quiet until", one.quiet_until && moment(one.quiet_until) > now() ? when(one.quiet_until, now()) : null],
        ["organization", h("code", null, one.organization)],
      ])), clusters(one)),
      card("Policy", wishes(one.policy, one.policy_own), h("p", { class: "dim" }, one.policy_own.length
        ? "What is not its own is as the fleet's policy says." : "Nothing is its own: the fleet's policy holds."))),
    shape.keys.length ? card("Its keys", timeline(lives(shape), now().getTime(), marks(one)), keyTable(shape.keys)) : null,
    card("Rotations", rotations.length ? rotationTable(rotations) : h("p", { class: "dim" }, "No rotation yet."),
      shape.more ? h("p", { class: "dim" }, "Older ones: `keyturn rotations`.") : null));
}

const clusters = (one) => card("Clusters",
  one.not_covered_because ? h("p", null, `Not covered: ${one.not_covered_because}`) : null,
  one.covered.length ? h("ul", { class: "clusters" }, one.covered.map((name) => h("li", null, badge("covered", "good"), name)))
    : h("p", { class: "dim" }, "No cluster is covered."),
  one.not_covered.length ? h("ul", { class: "clusters" }, one.not_covered.map((cluster) =>
    h("li", null, badge("not covered", "dim"), h("span", null, cluster.name, h("span", { class: "dim" }, `: ${cluster.reason}`))))) : null);

export const keyHref = (arn) => { const { account, region } = placeOf(arn); return `#/keys/${keyId(arn)}?account=${account}&region=${region}`; };

function marks(one) {
  const today = { at: now().getTime(), text: "today", tone: "today" };
  return one.due_at ? [today, { at: at(one.due_at), text: `due ${day(one.due_at)}`, tone: "due" }] : [today];
}

/** What each key was and will be, from the project, its rotations and its deletions; the newest on top. */
function lives({ project: one, rotations, keys: own }) {
  const today = now().getTime();
  const told = own.map(({ key, deletion }) => ({ label: short(key.arn), says: spaced(key.state), phases: phasesOf(key, deletion, one, rotations, today) }));
  return told.filter((life) => life.phases.length).sort((a, b) => b.phases[0].from - a.phases[0].from).slice(0, LIVES);
}

function phasesOf(key, deletion, one, rotations, today) {
  const phases = [];
  const add = (kind, from, to) => { if (from !== null && to !== null && to > from) phases.push({ kind, from, to }); };
  const to = rotations.find((rotation) => rotation.new_key === key.arn && rotation.swapped_at);
  const away = rotations.find((rotation) => rotation.old_key === key.arn && rotation.new_key && rotation.new_key !== key.arn && rotation.swapped_at && rotation.state !== "rolled_back");
  const current = one.key === key.arn;
  const deployed = to?.deployed_at ? at(to.deployed_at) : null;
  const replaced = key.replaced_at ? at(key.replaced_at) : away?.swapped_at ? at(away.swapped_at) : null;
  if (to) add("deploy", at(to.swapped_at), deployed ?? replaced ?? today);
  const begins = deployed ?? (to ? null : current && one.key_since ? at(one.key_since) : replaced === null ? null : replaced - BEFORE);
  if (begins !== null) add("use", begins, replaced ?? today);
  if (begins !== null && !deployed && !current) phases.at(-1).open = true;
  if (current && replaced === null && one.due_at) add("planned", today, at(one.due_at));
  if (replaced === null) return phases;
  const quarantined = deletion?.quarantined_at ? at(deletion.quarantined_at) : null;
  const scheduled = deletion?.scheduled_at ? at(deletion.scheduled_at) : null;
  const gone = deletion?.ended_at ? at(deletion.ended_at) : null;
  add("drain", replaced, Math.min(quarantined ?? today, today));
  if (quarantined === null && key.free_at && !["deleted", "current"].includes(key.state)) add("coming", today, at(key.free_at));
  if (quarantined !== null) add("quarantine", quarantined, scheduled ?? gone ?? today);
  if (scheduled !== null) add("pending", scheduled, gone ?? (deletion.deletion_date ? at(deletion.deletion_date) : today));
  return phases;
}

function keyTable(own) {
  return h("table", { class: "list", role: "table", "aria-label": "Keys" }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
    ["key", "state", "may go"].map((word) => h("th", { scope: "col", role: "columnheader" }, word)))),
    h("tbody", { role: "rowgroup" }, own.map(({ key }) => h("tr", { role: "row" },
      h("td", { role: "cell" }, h("a", { href: keyHref(key.arn) }, h("code", null, key.key_id))),
      h("td", { role: "cell" }, badge(spaced(key.state), STATE_TONES[key.state]), key.warnings.filter((it) => HARMS[it.kind]).map((it) => [" ", badge(HARMS[it.kind], "bad")])), h("td", { role: "cell", class: "go" }, mayGo(key, now()))))));
}

/** Whether a key may go, in a word. */
export function mayGo(key, today) {
  if (key.safe_to_delete) return "yes";
  return key.free_at && at(key.free_at) >= Math.floor(today / 86400000) * 86400000 ? `on ${day(key.free_at)}` : "no";
}

function rotationTable(rotations) {
  const columns = ["rotation", "state", "strategy", "requested", "by"];
  return h("table", { class: "list", role: "table", "aria-label": "Rotations" }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
    columns.map((word) => h("th", { scope: "col", role: "columnheader" }, word)))),
    h("tbody", { role: "rowgroup" }, rotations.map((one) => h("tr", { role: "row" },
      h("td", { role: "cell" }, h("a", { href: `#/rotations/${one.project_id}/${one.rotation_id}` }, h("code", null, one.rotation_id))),
      h("td", { role: "cell" }, badge(spaced(one.state), STATE_TONES[one.state])),
      h("td", { role: "cell" }, one.strategy),
      h("td", { role: "cell", class: "nowrap" }, minute(one.requested_at)),
      h("td", { role: "cell" }, who(one.requested_by), one.emergency ? " (emergency)" : "")))));
}

function acknowledge(one) {
  const today = now();
  const in14 = new Date(today.getTime() + 14 * 86400000).toISOString();
  const tomorrow = new Date(today.getTime() + 86400000).toISOString();
  const rotates = one.policy.mode === "rotate" ? ", and Keyturn does not rotate it by itself before it either" : "";
  return confirm({
    title: `Acknowledge ${one.name}`,
    says: h("p", null, `No reminder is sent about this project before that day${rotates}. It stays due ${when(one.due_at, today)}; nothing else changes.`),
    fields: [date("until", "Quiet until", { value: day(in14), min: day(tomorrow) }), line("comment", "Comment", { hint: "For those who come after you." })],
    word: "Acknowledge",
    done: "Acknowledged",
    act: (given) => post(["projects", one.project_id, "acknowledgement"], given),
  });
}
