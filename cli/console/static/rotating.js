// Asking for a rotation: its checks first, then the question.

import { post } from "./api.js";
import { checkList, outlook } from "./checks.js";
import { choice, confirm, line, tick } from "./dialogs.js";
import { badge, h } from "./dom.js";
import { listed } from "./words.js";

const STRATEGIES = [
  ["new-cmk", "new-cmk: another key"],
  ["kms-on-demand", "kms-on-demand: the same key, new material now"],
  ["kms-automatic", "kms-automatic: the same key, KMS renews it by itself"],
];

const HAPPENS = {
  "new-cmk": (project) => [
    "A new KMS key is made and the project's settings are changed to it.",
    project.covered.length
      ? `Atlas then takes the new key to ${listed(project.covered)}, one node after the other. Nobody is cut off; until it is done the project shows a banner and its old key must stay.`
      : "No running cluster has to take it.",
    "Snapshots that exist keep the old key: it retires, and is kept until nothing needs it. It can be rolled back as long as the old key is there.",
  ],
  "kms-on-demand": () => ["KMS gives the key new material now. Its id and Atlas' settings stay. A key can take this 25 times in its life, and it cannot be undone."],
  "kms-automatic": () => ["KMS is told to renew the key's material by itself. Its id and Atlas' settings stay."],
};

/** Check, then ask, then request; gives the rotation, or nothing. */
export async function rotate(project) {
  const wishes = await confirm({
    title: `Rotate the key of ${project.name}`,
    says: h("p", null, "First every check is made. Nothing is changed by that."),
    fields: [
      choice("strategy", "Strategy", STRATEGIES, project.policy.strategy),
      line("reason", "Reason", { hint: "For the audit." }),
      tick("emergency", "Others may know the key", { hint: "Lists in the end every snapshot that the old key still opens." }),
    ],
    word: "Make the checks",
    act: async (given) => {
      const body = { strategy: given.strategy, reason: given.reason, emergency: given.emergency };
      return { body, checks: (await ask(project, { ...body, dry_run: true })).checks };
    },
  });
  if (!wishes) return undefined;
  const [sentence, tone] = outlook(wishes.checks);
  const refused = tone === "bad";
  const once = crypto.randomUUID();
  return confirm({
    title: refused ? "It would be refused" : `Rotate the key of ${project.name} now?`,
    says: [h("p", null, badge(sentence, tone)), checkList(wishes.checks),
      h("h3", null, refused ? "If you ask all the same" : "What will happen"),
      refused ? h("p", null, "Keyturn makes the checks again, and refuses while they fail; nothing is changed then.")
        : h("ul", null, HAPPENS[wishes.body.strategy](project).map((text) => h("li", null, text)))],
    word: refused ? "Ask all the same" : "Rotate now",
    done: "The rotation was requested",
    act: () => ask(project, wishes.body, once),
  });
}

const ask = (project, body, once = crypto.randomUUID()) => post(["projects", project.project_id, "rotations"], body, { once });

