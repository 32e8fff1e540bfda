// How a project stands, worst first: the words of cli/standing.py; a test compares them.

import { count, day, moment } from "./words.js";

const SOON = 30 * 86400000;

const DRIFTS = {
  provider_changed: "it encrypts with another provider's key now",
  encryption_disabled: "encryption at rest was switched off",
  key_changed_by_hand: "its key was changed outside Keyturn",
  key_invalid: "Atlas finds its key not valid",
  grant_removed: "the key's policy does not let Atlas' role use it any more",
  backups_unread: "its snapshots cannot be listed: a key that it used before may look free",
  key_not_enabled: "its key is not enabled in KMS",
  project_gone: "it is gone from its Atlas organization",
  access_key_old: "it encrypts with an IAM user's access key that is 90 days old or more",
  atlas_alert_late: "Atlas' own alert comes much later than the rotation is due",
  atlas_alert_blind: "Atlas' own alert does not see that KMS renews the key, and is raised for nothing",
  alert_not_acknowledged: "Atlas' alert is still open after a rotation, and Keyturn may not acknowledge it",
};

// What somebody should see to some day, and what endangers nothing.
const MINOR = new Set(["access_key_old", "atlas_alert_late", "atlas_alert_blind", "alert_not_acknowledged"]);

/** From the worst to what needs nothing. */
export const STANDINGS = ["in trouble", "overdue", "deploying", "rotating", "due soon", "fine", "not covered"];

/** The colour of each standing, by the same order. */
export const TONES = ["bad", "bad", "busy", "busy", "warn", "good", "dim"];

/** How a project stands now: an index into STANDINGS. */
export function standing(project, now) {
  if ((project.drift ?? []).some((code) => !MINOR.has(code)) || project.valid === false) return 0;
  if (project.banner) return 2;
  const due = project.due_at ? moment(project.due_at) : null;
  if (due !== null && due < now) return 1;
  if (project.open_rotation) return 3;
  if (project.not_covered_because) return 6;
  return due !== null && due - now <= SOON ? 4 : 5;
}

/** Projects as {project, stands}, in the order in which an operator should look at them. */
export function worstFirst(projects, now) {
  const seen = projects.map((project) => ({ project, stands: standing(project, now), due: project.due_at || "9", name: project.name || "-" }));
  return seen.sort((a, b) => a.stands - b.stands || compare(a.due, b.due) || compare(a.name, b.name));
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** What an operator should know of a project, in a line. */
export function toKnow(project, now) {
  const drift = project.drift ?? [];
  const troubles = drift.map(driftText);
  if (project.valid === false && !drift.includes("key_invalid")) troubles.push(DRIFTS.key_invalid);
  if (project.open_rotation) troubles.push(`rotation ${project.open_rotation} is open`);
  if (project.not_covered_because) troubles.push(project.not_covered_because);
  else if (project.not_covered?.length) troubles.push(`${count(project.not_covered.length, "cluster")} not covered`);
  if (project.quiet_until && moment(project.quiet_until) > now) troubles.push(`quiet until ${day(project.quiet_until)}`);
  return troubles.join("; ");
}

/** A drift in words. */
export const driftText = (code) => DRIFTS[code] ?? code.replaceAll("_", " ");
