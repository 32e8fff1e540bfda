// Checks before a rotation: first those that failed, then those that nobody could make.

import { badge, h } from "./dom.js";
import { count } from "./words.js";

const ORDER = [false, null];
const WORDS = new Map([[true, ["passed", "good"]], [false, ["failed", "bad"]], [null, ["not verifiable", "warn"]]]);

/** Checks: in the open what did not pass, and behind a click what did. */
export function checkList(checks) {
  const doubtful = checks.filter((one) => !one.passed).sort((a, b) => ORDER.indexOf(a.passed) - ORDER.indexOf(b.passed));
  const passed = checks.filter((one) => one.passed);
  return [
    doubtful.length ? list(doubtful) : null,
    passed.length ? h("details", null, h("summary", null, `${count(passed.length, "check")} passed`), list(passed)) : null];
}

const list = (checks) => h("ul", { class: "checks" }, checks.map((one) => h("li", null,
  badge(...WORDS.get(one.passed)), h("span", null, h("strong", null, one.name.replaceAll("_", " ")), h("br"), one.text))));

/** What checks say together. */
export function outlook(checks) {
  const failed = checks.filter((one) => one.passed === false).length;
  const unknown = checks.filter((one) => one.passed === null).length;
  if (failed) return [`It would be refused: ${count(failed, "check")} failed.`, "bad"];
  if (unknown) return [`It would go through, but ${count(unknown, "check")} could not be made.`, "warn"];
  return ["It would go through.", "good"];
}
