// #/rotations/PROJECT/ID: one rotation while it goes.

import { get, post } from "./api.js";
import { checkList } from "./checks.js";
import { confirm } from "./dialogs.js";
import { announce, badge, card, facts, h, put } from "./dom.js";
import { live } from "./live.js";
import { keyHref } from "./project.js";
import { STATE_TONES } from "./states.js";
import { count, day, keyId, minute, spaced, who } from "./words.js";

const EVERY = 2000;
const TERMINAL = new Set(["deployed", "failed", "cancelled", "rolled_back"]);
const BEFORE_SWAP = new Set(["requested", "preparing", "renewing", "swapping"]);
const BACK = ["rolling_back", "returning", "rolled_back"];
const THERE = ["requested", "preparing", "swapping", "deploying", "deployed"];
const STAYING = ["requested", "renewing", "deployed"];

export function rotation(place, project, id) {
  const buttons = h("div", { class: "actions" });
  let state = null;
  const name = h("a", { href: `#/projects/${project}` }, project);
  get("projects", project).then((one) => { name.textContent = one.name || project; }, () => {});
  place.append(h("p", { class: "crumbs" }, h("a", { href: "#/" }, "Fleet"), " / ", name), h("h1", { tabindex: "-1" }, "Rotation"),
    h("p", { class: "under" }, h("code", null, id)));
  const view = live(place, {
    read: () => get("projects", project, "rotations", id),
    draw: (body, one) => {
      if (state !== null && state !== one.state) announce(`The rotation is now ${spaced(one.state)}`);
      state = one.state;
      put(buttons, actions(one, view));
      draw(body, one, buttons);
    },
    every: (one) => (TERMINAL.has(one.state) ? null : EVERY),
  });
  return view.stop;
}

function actions(one, view) {
  const after = async (asked) => { if (await asked) view.again(); };
  return [
    BEFORE_SWAP.has(one.state) && !one.swapped_at ? h("button", { type: "button", class: "quiet", id: "cancel", onclick: () => after(cancel(one)) }, "Cancel…") : null,
    one.swapped_at && ["deploying", "deployed"].includes(one.state) && one.strategy === "new-cmk"
      ? h("button", { type: "button", class: "danger", id: "rollback", onclick: () => after(rollBack(one)) }, "Roll back…") : null];
}

const cancel = (one) => confirm({
  title: "Cancel this rotation",
  says: h("p", null, "The project keeps the key it has. A key that was made for this rotation is taken back within a day. If the settings are changed before Keyturn hears of it, it says so."),
  word: "Cancel the rotation", danger: true, done: "The rotation is being cancelled",
  act: () => post(["projects", one.project_id, "rotations", one.rotation_id, "cancel"]),
});

const rollBack = (one) => confirm({
  title: "Go back to the old key",
  says: [h("p", null, "The settings are changed back to ", h("code", null, keyId(one.old_key)), ", and Atlas takes that key to every running cluster again."),
    h("p", null, "Snapshots made in between keep the new key: it retires, and is kept until nothing needs it.")],
  word: "Roll back", danger: true, done: "The rotation is being rolled back",
  act: () => post(["projects", one.project_id, "rotations", one.rotation_id, "rollback"]),
});

/** The steps of the way that a rotation goes, its present state among them. */
function way(one) {
  const ways = [BACK, one.strategy === "new-cmk" ? THERE : STAYING, THERE, STAYING];
  return ways.find((steps) => steps.includes(one.state)) ?? [...(one.swapped_at ? THERE.slice(0, 4) : THERE.slice(0, 1)), one.state];
}

function draw(body, one, buttons) {
  const steps = way(one), here = steps.indexOf(one.state), over = TERMINAL.has(one.state);
  const failed = one.checks.filter((check) => check.passed === false).length, unknown = one.checks.filter((check) => check.passed === null).length;
  put(body,
    h("ol", { class: "steps", "aria-label": "Steps" }, steps.map((step, at) =>
      h("li", { class: at < here || (at === here && step === "deployed") ? "past" : at === here ? `here ${STATE_TONES[step]}` : "coming", "aria-current": at === here ? "step" : null },
        spaced(step), at < here ? h("span", { class: "unseen" }, " (done)") : null))),
    one.banner ? h("div", { class: "banner", role: "note" }, one.banner) : null,
    one.error ? h("div", { class: "problem", role: "note" }, h("p", null, h("strong", null, `${spaced(one.error.code)}: `), one.error.detail)) : null,
    !over && one.waiting_for.length ? h("ul", { class: "waiting" }, one.waiting_for.map((text) => h("li", null, `waiting for ${text}`))) : null,
    one.cancel_requested_by && !over ? h("p", null, `${who(one.cancel_requested_by)} asked to cancel it.`) : null,
    one.rollback_requested_by ? h("p", null, `${who(one.rollback_requested_by)} asked to roll it back.`) : null,
    buttons,
    h("div", { class: "columns" }, card("Facts", facts([
      ["state", badge(spaced(one.state), STATE_TONES[one.state])],
      ["strategy", one.strategy],
      ["old key", h("a", { href: keyHref(one.old_key) }, h("code", null, keyId(one.old_key)))],
      ["new key", one.new_key ? h("a", { href: keyHref(one.new_key) }, h("code", null, keyId(one.new_key))) : "not yet"],
      ["requested", `${minute(one.requested_at)} by ${who(one.requested_by)}${one.emergency ? " (emergency)" : ""}`],
      ["reason", one.reason || null],
      ["swapped", minute(one.swapped_at)],
      ["deployed", minute(one.deployed_at)],
      ["ended", minute(one.ended_at)],
    ])),
    card("Checks", one.checks.length ? [h("p", null, `${count(one.checks.length, "check")} made: ${one.checks.length - failed - unknown} passed, ${failed} failed, ${unknown} not verifiable.`), checkList(one.checks)] : h("p", { class: "dim" }, "None made yet."))),
    one.evidence.length ? card("What KMS lists", h("ul", null, one.evidence.map((text) => h("li", null, text)))) : null,
    one.still_readable ? card("What the old key still opens", h("p", null, readable(one.still_readable))) : null);
}

function readable({ counted, snapshots = [], unread = [] }) {
  const ends = snapshots.map((one) => one[3]);
  const until = ends.length && ends.every(Boolean) ? `, the last until ${day(ends.sort().at(-1))}` : "";
  return `The old key still opens ${count(counted, "snapshot")}${until}${unread.length ? `; ${count(unread.length, "place")} could not be read` : ""}.`;
}
