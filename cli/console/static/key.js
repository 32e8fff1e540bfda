// #/keys/ID: may this key be deleted?

import { get, post, read } from "./api.js";
import { draining } from "./charts.js";
import { confirm, line } from "./dialogs.js";
import { badge, card, facts, h, put } from "./dom.js";
import { live } from "./live.js";
import { harmed } from "./keys.js";
import { HARMS, STATE_TONES } from "./states.js";
import { now } from "./time.js";
import { count, day, daysUntil, distance, dollars, minute, moment, short, spaced, when } from "./words.js";

const EVERY = 15000;
// Of how many projects the names are asked for; the others show their ids.
const NAMES = 10;
const ON_ITS_WAY = { quarantined: "It is in quarantine", pending_deletion: "KMS is going to delete it" };

export function oneKey(place, id, search) {
  const query = Object.fromEntries(new URLSearchParams(search ?? ""));
  const asked = { account: query.account, region: query.region };
  const buttons = h("div", { class: "actions" });
  const names = new Map();
  let retention = null;
  const what = h("form", { class: "whatif", onsubmit: (event) => {
    event.preventDefault();
    retention = Number(days.value) || null;
    view.again();
  } });
  const days = h("input", { type: "number", min: 1, max: 3650, id: "retention" });
  what.append(h("label", { for: "retention" }, "And if snapshots were kept for at most"), days, h("span", null, "days?"),
    h("button", { type: "submit", class: "quiet" }, "Show"));
  place.append(h("p", { class: "crumbs" }, h("a", { href: "#/keys" }, "Keys")), h("h1", { tabindex: "-1" }, "May I delete this key?"),
    h("p", { class: "under" }, h("code", null, id)));
  const view = live(place, {
    read: async () => {
      const key = await read(["keys", id], { ...asked, retention_days: retention });
      await Promise.all(key.projects.slice(0, NAMES).filter((one) => !names.has(one)).map(async (one) => {
        names.set(one, await get("projects", one).then((told) => told.name || one, () => one));
      }));
      return { key, today: day(now().toISOString()) };
    },
    draw: (body, { key }) => draw(body, key, names, buttons, what),
    every: () => EVERY,
  });
  put(buttons,
    h("button", { type: "button", class: "danger", id: "delete", onclick: async () => {
      const made = await requestDeletion(id, asked);
      if (made) location.hash = `#/deletions/${made.deletion_id}`;
    } }, "Request deletion…"),
    h("button", { type: "button", class: "quiet", id: "attest", onclick: async () => { await attest(id, asked); view.again(); } }, "Attest…"));
  return view.stop;
}

function draw(body, key, names, buttons, what) {
  const [text, tone] = answer(key);
  const chart = draining(key, now());
  const proof = key.proof;
  const harms = key.warnings.filter((one) => HARMS[one.kind]), looks = key.warnings.filter((one) => !HARMS[one.kind]);
  put(body,
    h("p", { class: `answer ${tone}` }, text),
    harms.map((one) => h("div", { class: "problem", role: "note" }, h("p", null, h("strong", null, "In danger: "), `${one.text}.`))),
    buttons,
    h("div", { class: "columns" },
      key.reasons.length || looks.length ? card(key.reasons.length ? "Reasons to keep it" : "But look",
        h("ul", { class: "reasons" }, key.reasons.map((one) => h("li", null, reasonText(one))),
          looks.map((one) => h("li", { class: "dim" }, `but look: ${one.text}`)))) : null,
      card("Facts", facts([
        ["state", [badge(spaced(key.state), STATE_TONES[key.state]), harmed(key)]],
        ["free", key.safe_to_delete ? "now" : when(key.free_at, now())],
        ["costs", `${dollars(key.dollars_per_month)} a month`],
        ["projects", key.projects.length ? key.projects.map((id, place) => [place ? ", " : "", h("a", { href: `#/projects/${id}` }, names.get(id) ?? id)]) : "none known"],
        ["made by Keyturn", key.created_by_us ? "yes" : "no"],
        ["replaced", key.replaced_at ? minute(key.replaced_at) : null],
        ["last looked", minute(key.swept_at)],
        ["proof", proof ? [h("code", null, proof.digest), ` of ${minute(proof.at)}`] : "none yet"],
        ["deletion", key.deletion_id ? h("a", { href: `#/deletions/${key.deletion_id}` }, key.deletion_id) : null],
        ["ARN", h("code", null, key.arn)],
      ]))),
    chart ? card("What drains when", chart, what, key.what_if ? h("p", { class: "answer small" }, whatIf(key)) : null) : null);
}

/** The answer to the one question, in words. */
function answer(key) {
  if (key.state === "deleted") return ["It is deleted already.", "dim"];
  if (key.deletion_id !== null) {
    return [[`${ON_ITS_WAY[key.state] ?? "Its deletion was requested"}: `, h("a", { href: `#/deletions/${key.deletion_id}` }, "how far it is"), "."], "warn"];
  }
  if (key.safe_to_delete) return ["Yes: nothing needs it any more.", "good"];
  if (key.state === "current" || key.state === "deploying") return ["No: it is in use.", "bad"];
  return [`No: ${freedom(key)}`, "bad"];
}

function freedom(key) {
  const unread = key.reasons.filter((one) => one.kind === "unread");
  if (unread.length) return `not everything could be read, and what is unknown counts as needed (${count(unread.length, "place")}).`;
  if (key.free_at === null) return "nobody can say yet when it comes free.";
  const longest = key.held_longest_by;
  return `it comes free on ${when(key.free_at, now())} if nothing changes.${longest?.cluster ? ` Held longest by cluster ${longest.cluster}.` : ""}`;
}

function reasonText({ text, cluster, until }) {
  const place = cluster && !text.includes(cluster) ? `${cluster}: ` : "";
  if (until === null) return `${place}${text}`;
  return text.includes(day(until)) ? `${place}${text} (${distance(until, now())})` : `${place}${text}, until ${when(until, now())}`;
}

function whatIf({ what_if: { retention_days: kept, free_at: then }, free_at: free }) {
  if (then === null) return `Were snapshots kept for ${count(kept, "day")}, still nobody could say when it comes free.`;
  const sooner = free ? Math.floor((moment(free) - moment(then)) / 86400000) : 0;
  const said = free ? `, ${sooner > 0 ? `${count(sooner, "day")} sooner` : "no sooner"}` : "";
  const comes = daysUntil(then, now()) <= 0 ? "it would be free" : `it would come free on ${when(then, now())}`;
  return `Were snapshots kept for ${count(kept, "day")} at most, ${comes}${said}.`;
}

function attest(id, query) {
  return confirm({
    title: "Vouch for what no API shows",
    says: h("p", null, "Snapshots that were downloaded, or copied elsewhere, show nowhere. You say that none of them needs this key. Your name and these words are kept for the audit, and the key is looked at again."),
    fields: [line("statement", "In your own words", { required: true })],
    word: "Attest", done: "Your statement was taken",
    act: (given) => post(["keys", id, "attestation"], given, { query }),
  });
}

function requestDeletion(id, query) {
  return confirm({
    title: `Request the deletion of ${short(id)}`,
    says: [h("p", null, "Nothing is deleted by this request:"), h("ol", null,
      h("li", null, "Keyturn refuses it while anything needs the key."),
      h("li", null, "Another person must approve, by the digest of the proof."),
      h("li", null, "The key is disabled and stays in quarantine."),
      h("li", null, "After a fresh proof KMS is told to delete it, with 30 days' notice. Until then it can be called off."))],
    fields: [line("reason", "Reason", { hint: "For the audit." })],
    word: "Request deletion", danger: true, done: "The deletion was requested",
    act: (given) => post(["keys", id, "deletion"], given, { query }),
  });
}
