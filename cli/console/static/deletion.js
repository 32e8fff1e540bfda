// #/deletions/ID: a deletion that two people agree on.

import { get, post, remove } from "./api.js";
import { confirm } from "./dialogs.js";
import { announce, badge, card, facts, h, put } from "./dom.js";
import { live } from "./live.js";
import { keyHref } from "./project.js";
import { STATE_TONES } from "./states.js";
import { now } from "./time.js";
import { count, keyId, minute, spaced, when, who } from "./words.js";

const EVERY = 5000;
const WAY = ["requested", "approved", "quarantined", "scheduled", "deleted"];
const OVER = new Set(["deleted", "called_off", "expired", "rescued"]);

export function deletion(place, id) {
  const buttons = h("div", { class: "actions" });
  let state = null;
  place.append(h("p", { class: "crumbs" }, h("a", { href: "#/keys" }, "Keys")), h("h1", { tabindex: "-1" }, "Deletion"), h("p", { class: "under" }, h("code", null, id)));
  const view = live(place, {
    read: () => get("deletions", id),
    draw: (body, one) => {
      if (state !== null && state !== one.state) announce(`The deletion is now ${spaced(one.state)}`);
      state = one.state;
      const after = async (asked) => { if (await asked) view.again(); };
      put(buttons,
        one.state === "requested" ? h("button", { type: "button", class: "danger", id: "approve", onclick: () => after(approve(one)) }, "Approve…") : null,
        OVER.has(one.state) || one.called_off_by ? null : h("button", { type: "button", class: "quiet", id: "calloff", onclick: () => after(callOff(one)) }, "Call off…"));
      draw(body, one, buttons);
    },
    every: (one) => (OVER.has(one.state) ? null : EVERY),
  });
  return view.stop;
}

const approve = (one) => confirm({
  title: "Approve this deletion",
  says: [h("p", null, `${who(one.requested_by)} requested it. With your approval the key is disabled at the next look, stays in quarantine for ${count(one.quarantine_days, "day")}, and after a fresh proof KMS deletes it with 30 days' notice. What it opens is lost then, for ever.`),
    h("p", null, "You approve the proof with this digest:"), h("p", null, h("code", null, one.digest))],
  word: "Approve", danger: true, done: "The deletion is approved",
  act: () => post(["deletions", one.deletion_id, "approval"], { digest: one.digest }),
});

const callOff = (one) => confirm({
  title: "Call this deletion off",
  says: h("p", null, "The key stays. If it is in quarantine, or pending deletion, it comes back at the next look."),
  word: "Call it off", done: "The deletion is called off",
  act: () => remove("deletions", one.deletion_id),
});

function next(one) {
  if (one.called_off_by && one.ended_at === null) return "It was called off: the key comes back at the next look.";
  return {
    requested: "Another person approves.",
    approved: "The key goes into quarantine at the next look.",
    quarantined: `The key is disabled for ${count(one.quarantine_days, "day")}; calling it off brings it back.`,
    scheduled: `KMS deletes the key on ${when(one.deletion_date, now())}; calling it off brings it back.`,
    deleted: "The key is deleted.", called_off: "It was called off.", expired: "Nobody approved it in time; the key stays.",
    rescued: "The key is needed again; it stays.",
  }[one.state] ?? "";
}

function draw(body, one, buttons) {
  const reached = [one.requested_at, one.approved_at, one.quarantined_at, one.scheduled_at].filter(Boolean).length;
  const steps = WAY.includes(one.state) ? WAY : [...WAY.slice(0, reached), one.state], here = steps.indexOf(one.state);
  const by = (at, person) => (at ? `${minute(at)} by ${who(person)}` : null);
  put(body,
    h("ol", { class: "steps", "aria-label": "Steps" }, steps.map((step, at) =>
      h("li", { class: at < here ? "past" : at === here ? `here ${STATE_TONES[step]}` : "coming", "aria-current": at === here ? "step" : null },
        spaced(step), at < here ? h("span", { class: "unseen" }, " (done)") : null))),
    h("p", { class: "answer small" }, next(one)),
    one.waiting_for.length ? h("ul", { class: "waiting" }, one.waiting_for.map((text) => h("li", null, `waiting for: ${text}`))) : null,
    buttons,
    card("Facts", facts([
      ["state", badge(spaced(one.state), STATE_TONES[one.state])],
      ["key", h("a", { href: keyHref(one.key) }, h("code", null, keyId(one.key)))],
      ["proof", h("code", null, one.digest)],
      ["requested", by(one.requested_at, one.requested_by)],
      ["approved", by(one.approved_at, one.approved_by)],
      ["expires unless approved", one.state === "requested" ? when(one.expires_at, now()) : null],
      ["quarantined", one.quarantined_at ? minute(one.quarantined_at) : null],
      ["scheduled", one.scheduled_at ? minute(one.scheduled_at) : null],
      ["KMS deletes", one.deletion_date && one.state === "scheduled" && !one.called_off_by ? when(one.deletion_date, now()) : null],
      ["called off by", one.called_off_by ? who(one.called_off_by) : null],
      ["ended", one.ended_at ? minute(one.ended_at) : null],
    ]), one.compensation ? h("p", { class: "dim" }, "The key was made for a rotation that gave up; it never served.") : null));
}
