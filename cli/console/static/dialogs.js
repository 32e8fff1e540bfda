// Every action goes through a dialog that says what will happen before it does.

import { announce, h, put } from "./dom.js";
import { told } from "./problems.js";

let number = 0;

/**
 * Ask before acting. `says`: nodes that say what will happen; `fields`: from field(); `word`: the button; `act(values)`
 * does it: a problem it throws is shown here, and its result is given. Gives undefined when the person turned back.
 */
export function confirm({ title, says, fields = [], word, back: turnBack = "Leave it", danger = false, act, done }) {
  const id = `dialog-${(number += 1)}`;
  const trouble = h("div");
  const go = h("button", { type: "submit", class: danger ? "danger" : null, id: `${id}-go` }, word);
  const back = h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, turnBack);
  const form = h("form", { method: "dialog", novalidate: false },
    h("h2", { id: `${id}-title` }, title), h("div", { class: "says" }, says), fields.map((one) => one.element),
    trouble, h("div", { class: "actions" }, go, back));
  const dialog = h("dialog", { "aria-labelledby": `${id}-title` }, form);
  const opener = document.activeElement;
  document.body.append(dialog);
  return new Promise((resolve) => {
    let result;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      go.disabled = true;
      put(trouble);
      dialog.setAttribute("aria-busy", "true");
      try {
        result = await act(Object.fromEntries(fields.map((one) => [one.name, one.value()])));
        if (done) announce(done);
        dialog.close();
      } catch (problem) {
        put(trouble, told(problem));
        trouble.scrollIntoView({ block: "nearest" });
      } finally {
        dialog.removeAttribute("aria-busy");
        go.disabled = false;
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (opener?.isConnected) opener.focus();
      resolve(result);
    });
    dialog.showModal();
  });
}

const labelled = (name, label, hint, input, value) => {
  const id = `field-${name}-${(number += 1)}`;
  input.id = id;
  if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
  const inline = input.type === "checkbox";
  const element = h("div", { class: inline ? "field inline" : "field" },
    inline ? [input, h("label", { for: id }, label)] : [h("label", { for: id }, label), input],
    hint ? h("p", { class: "dim hint", id: `${id}-hint` }, hint) : null);
  return { name, element, value };
};

/** A line of text. */
export function line(name, label, { hint, required = false, value = "" } = {}) {
  const input = h("input", { type: "text", maxlength: 1000, required, value, autocomplete: "off" });
  return labelled(name, label, hint, input, () => input.value.trim());
}

/** A whole number; null when it is left empty. */
export function whole(name, label, { hint, required = false, value = "", min, max }) {
  const input = h("input", { type: "number", step: 1, required, value: value ?? "", min, max, inputmode: "numeric" });
  return labelled(name, label, hint, input, () => (input.value === "" ? null : Number(input.value)));
}

/** A heading between fields. */
export const heading = (text) => ({ name: "", element: h("h3", null, text), value: () => undefined });

/** A day; its value is its beginning in UTC. */
export function date(name, label, { value, min }) {
  const input = h("input", { type: "date", required: true, value, min });
  return labelled(name, label, null, input, () => `${input.value}T00:00:00+00:00`);
}

/** One of several words: [[value, text]]. */
export function choice(name, label, options, value) {
  const input = h("select", null, options.map(([own, text]) => h("option", { value: own, selected: own === value }, text)));
  return labelled(name, label, null, input, () => input.value);
}

/** Yes or no. */
export function tick(name, label, { hint, value = false } = {}) {
  const input = h("input", { type: "checkbox", checked: value });
  return labelled(name, label, hint, input, () => input.checked);
}
