// What went wrong, in words: every reason, and the request under which the logs know more.

import { h } from "./dom.js";

/** A problem as an alert; anything that is no Problem is told by its message. */
export function told(problem) {
  const { status, reasons, request_id: request, rotation_id: open, type } = problem.document ?? {};
  const detail = problem.message;
  const more = (reasons ?? []).map(reason).filter((text) => !detail.includes(text));
  return h("div", { class: "problem", role: "alert" },
    h("p", null, h("strong", null, title(type, status)), " ", detail.split("\n").flatMap((line, at) => (at ? [h("br"), line] : [line]))),
    more.length ? h("ul", null, more.map((text) => h("li", null, text))) : null,
    open ? h("p", null, `The open rotation is ${open}.`) : null,
    request ? h("p", { class: "dim" }, "Request ", h("code", null, request)) : null);
}

function title(type, status) {
  if (type?.startsWith("urn:keyturn:console:") || !type) return status === 0 ? "No answer:" : "Not done:";
  return status >= 500 ? "Keyturn failed:" : "Keyturn says no:";
}

function reason({ cluster, text, kind }) {
  const words = text || kind;
  return !cluster || words.includes(cluster) ? words : `${cluster}: ${words}`;
}
