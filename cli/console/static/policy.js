// #/policy: the fleet's policy; and the dialogs that change it, or a project's.

import { Problem, patch, tagged } from "./api.js";
import { choice, confirm, heading, line, tick, whole } from "./dialogs.js";
import { card, facts, h, put } from "./dom.js";
import { live } from "./live.js";
import { count, listed } from "./words.js";

const rungs = (numbers, where) => (numbers.length > 1 ? `${listed(numbers)} days ${where}` : numbers.length ? `${days(numbers[0])} ${where}` : "");
const ladderTold = (ladder) => [rungs(ladder.filter((one) => one < 0).map((one) => -one), "before"), ladder.includes(0) ? "on the due day" : "",
  rungs(ladder.filter((one) => one > 0), "after")].filter(Boolean).join(", ");
const days = (number) => count(number, "day");
const yes = (wish) => (wish ? "yes" : "no");

/** The name of each wish and how its value is said: the words of chalicelib/domain/wording_policy.py; a test compares them. */
const WORDS = {
  rotation_period_days: ["rotation period", (number) => (number === null ? "as the alert of Atlas says, else 90 days" : days(number))],
  ladder: ["reminders", ladderTold],
  mode: ["on the due day", (mode) => (mode === "rotate" ? "rotate by itself" : "remind people")],
  strategy: ["strategy", String],
  automatic_period_days: ["KMS renews by itself every", days],
  kms_role_arn: ["role for keys in another account", (arn) => arn ?? "none"],
  recipients: ["recipients", (names) => names.join(", ") || "none"],
  escalate_after_days: ["others are told too", (number) => `${days(number)} after the due day`],
  digest: ["early reminders in one message a day", yes],
  digest_hour: ["that message is sent from", (hour) => `${String(hour).padStart(2, "0")}:00 UTC`],
  quarantine_days: ["quarantine", days],
  guard: ["who would destroy a needed key", (guard) => (guard === "tell" ? "is told of only" : "is stopped")],
  delete_foreign_keys: ["keys that Keyturn did not make may be deleted", yes],
  prove_by_snapshot: ["a snapshot must prove each deployment", yes],
  attestation_always: ["a person must vouch for every key", yes],
};

/** What somebody should know before they agree to a change: for each wish, by its new value. */
const MINDS = {
  mode: { rotate: "On its due day a key is rotated without anybody being asked." },
  guard: { tell: "Who disables a needed key, or schedules its deletion, is not stopped any more: what it opens is lost then, unless a person acts in time." },
  delete_foreign_keys: { true: "Keys that somebody else made can then be deleted, once two people agreed and nothing needs them." },
};

/** A wish's value in words. */
const wishTold = (name, value) => WORDS[name][1](value);

/** A whole policy in words, as the audit trail tells it. */
export const policyTold = (policy) => Object.keys(policy).map((name) => `${WORDS[name][0]}: ${wishTold(name, policy[name])}`).join("; ");

/** Every wish of a policy as rows of facts; those of a project's own are marked. */
export const wishes = (policy, own = []) =>
  h("div", { class: "wishes" }, facts(Object.keys(WORDS).map((name) => [WORDS[name][0], `${wishTold(name, policy[name])}${own.includes(name) ? " (its own)" : ""}`])));

export function fleetPolicy(place) {
  place.append(h("h1", { tabindex: "-1" }, "The fleet's policy"), h("p", { class: "dim" }, "It holds for every project that wishes nothing else."));
  const button = h("button", { type: "button", id: "change-policy", onclick: async () => { if (await changeFleet()) view.again(); } }, "Change…");
  const view = live(place, {
    read: () => tagged("policy").then(([shape]) => shape),
    draw: (body, shape) => put(body, h("div", { class: "actions" }, button), card("Policy", wishes(shape.policy))),
    every: () => 30000,
  });
  return view.stop;
}

const changeFleet = () => change({
  path: ["policy"],
  title: "Change the fleet's policy",
  follows: "Each project that has no wish of its own takes this up at its next daily look.",
});

/** Change a project's policy: what is to change, then the question; gives the project, or nothing. */
export const changeProject = (id, name) => change({
  path: ["projects", id],
  target: ["projects", id, "policy"],
  title: `Change the policy of ${name}`,
  follows: "It holds at once for this project; its due day and its reminders follow.",
});

async function change({ path, target = path, title, follows }) {
  let typed = {};
  for (;;) {
    // Read anew each time round: who was too late (412) sees what holds by now, with what they typed over it.
    const [shape, tag] = await tagged(...path);
    const own = shape.policy_own ?? null;
    const body = await confirm({
      title, says: h("p", null, "Nothing is changed before you have seen what would be."), fields: fieldsOf(shape.policy, own, typed), word: "Show what changes",
      act: (given) => { typed = given; return wanted(shape.policy, own, given); },
    });
    if (!body) return undefined;
    const done = await confirm({
      title: `${title}?`, back: "Go back", word: "Change it", done: "The policy is changed",
      says: [h("ul", { class: "changes" }, told(shape.policy, body)), minds(body), h("p", null, follows)],
      act: () => patch(target, body, tag).catch(tellHowToGoOn),
    });
    if (done) return done;
  }
}

function tellHowToGoOn(problem) {
  if (problem.document?.status === 412) problem.message += ". “Go back” shows what holds by now, with what you typed over it.";
  throw problem;
}

function fieldsOf(policy, own, typed) {
  const at = (name) => typed[name] ?? policy[name];
  // Unless a project has a period of its own, the one that is shown is what follows from others.
  const period = typed.rotation_period_days ?? (own && !own.includes("rotation_period_days") ? "" : policy.rotation_period_days ?? "");
  const number = (name, least, most, hint) => whole(name, label(name), { value: at(name), min: least, max: most, required: true, hint });
  return [
    heading("Rotations"),
    whole("rotation_period_days", "Rotation period, in days", { value: period, min: 1, max: 3650, hint: own ? `Empty: as others say, now ${days(policy.rotation_period_days)}.` : "Empty: as the alert of each project's Atlas says, else 90." }),
    choice("mode", "On the due day", [["remind", "remind people"], ["rotate", "rotate by itself"]], at("mode")),
    choice("strategy", "Strategy", ["new-cmk", "kms-on-demand", "kms-automatic"].map((one) => [one, one]), at("strategy")),
    number("automatic_period_days", 90, 2560, "In days, with kms-automatic."),
    line("kms_role_arn", "Role for keys in another account", { value: at("kms_role_arn") ?? "", hint: "Its ARN; empty for none." }),
    tick("prove_by_snapshot", "A snapshot must prove each deployment", { value: at("prove_by_snapshot") }),
    heading("Reminders"),
    line("ladder", "Days, from the due day", { value: typed.ladder ?? policy.ladder.join(", "), required: true, hint: "With commas; before it they are negative: -30, -7, 0, 7." }),
    line("recipients", "Recipients", { value: typed.recipients ?? policy.recipients.join(", "), hint: "With commas; the messages name them, for filters." }),
    number("escalate_after_days", 0, 3650, "In days after the due day."),
    tick("digest", "Early reminders in one message a day", { value: at("digest") }),
    number("digest_hour", 0, 23, "The hour, in UTC."),
    heading("Old keys"),
    number("quarantine_days", 1, 365, "How many days a key is disabled before its deletion is scheduled."),
    choice("guard", "Who would destroy a needed key", [["cancel", "is stopped"], ["tell", "is told of only"]], at("guard")),
    tick("delete_foreign_keys", "Keys that Keyturn did not make may be deleted", { value: at("delete_foreign_keys") }),
    tick("attestation_always", "A person must vouch for every key", { value: at("attestation_always") }),
    ...(own?.length ? [heading("Leave to the fleet's policy again"), ...own.map((name) => tick(`inherit ${name}`, label(name), { value: typed[`inherit ${name}`] ?? false }))] : []),
  ];
}

const label = (name) => WORDS[name][0][0].toUpperCase() + WORDS[name][0].slice(1);

/** The body that asks for what was typed and differs; a Problem where nothing does. */
function wanted(policy, own, given) {
  const inherit = (own ?? []).filter((name) => given[`inherit ${name}`]);
  const asked = { ...given, ladder: ladderFrom(given.ladder), recipients: parts(given.recipients), kms_role_arn: given.kms_role_arn || null };
  const untouched = own && !own.includes("rotation_period_days") && given.rotation_period_days === null;
  const body = Object.fromEntries(Object.keys(WORDS).filter((name) => !inherit.includes(name) && !(name === "rotation_period_days" && untouched))
    .filter((name) => JSON.stringify(asked[name]) !== JSON.stringify(policy[name])).map((name) => [name, asked[name]]));
  if (inherit.length) body.inherit = inherit;
  if (!Object.keys(body).length) throw new Problem({ detail: "Nothing would change: everything is as it is already." });
  return body;
}

const parts = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);

function ladderFrom(text) {
  const rungs = parts(text);
  if (!rungs.length || !rungs.every((one) => /^[+-]?\d{1,4}$/.test(one))) throw new Problem({ detail: "The reminders are whole days with commas, as -30, -7, 0, 7." });
  return rungs.map(Number);
}

const told = (policy, { inherit = [], ...body }) => [
  ...Object.entries(body).map(([name, value]) => h("li", null, h("strong", null, WORDS[name][0]), `: ${wishTold(name, policy[name])} → ${wishTold(name, value)}`)),
  ...inherit.map((name) => h("li", null, h("strong", null, WORDS[name][0]), `: ${wishTold(name, policy[name])} → as the fleet's policy says`)),
];

function minds(body) {
  const texts = Object.entries(body).map(([name, value]) => MINDS[name]?.[value]).filter(Boolean);
  return texts.length ? h("div", { class: "banner warned", role: "note" }, texts.map((text) => h("p", null, text))) : null;
}
