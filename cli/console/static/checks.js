// Checks before a rotation: first those that failed, then those that nobody could make.

import { badge, h } from "./dom.js";
import { count } from "./words.js";

const ORDER = [false, null, true];
const WORDS = new Map([[true, ["passed", "good"]], [false, ["failed", "bad"]], [null, ["not verifiable", "warn"]]]);

/** Checks as a table. */
export function checkTable(checks) {
  const ordered = [...checks].sort((a, b) => ORDER.indexOf(a.passed) - ORDER.indexOf(b.passed));
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Checks" }, h("table", { class: "checks" },
    h("thead", null, h("tr", null, ["", "check", "what was seen"].map((word) => h("th", { scope: "col" }, word || h("span", { class: "unseen" }, "result"))))),
    h("tbody", null, ordered.map((one) => h("tr", null, h("td", null, badge(...WORDS.get(one.passed))),
      h("td", null, one.name.replaceAll("_", " ")), h("td", null, one.text))))));
}

/** What checks say together. */
export function outlook(checks) {
  const failed = checks.filter((one) => one.passed === false).length;
  const unknown = checks.filter((one) => one.passed === null).length;
  if (failed) return [`It would be refused: ${count(failed, "check")} failed.`, "bad"];
  if (unknown) return [`It would go through, but ${count(unknown, "check")} could not be made.`, "warn"];
  return ["It would go through.", "good"];
}
