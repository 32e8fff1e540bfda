// Elements made from words: text always becomes a text node, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return element;
}

/** An element of HTML: `h("a", {href: "#/", onclick: work}, "text", child)`; null children are left out. */
export const h = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);

/** An element of SVG. */
export const s = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

/** Put new children into a place; what had the focus keeps it when its id is still there. */
export function put(place, ...children) {
  const held = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.replaceChildren(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  if (held) document.getElementById(held)?.focus();
}

/** The same work, done at most a few times a second however often it is asked for. */
export function calmly(work, signal) {
  let timer = 0;
  signal.addEventListener("abort", () => clearTimeout(timer));
  return () => {
    timer ||= setTimeout(() => { timer = 0; work(); }, 150);
  };
}

/** Tell those who listen rather than look. */
export function announce(text) {
  document.getElementById("live").textContent = text;
}

/** A list of names and values; pairs whose value is null are left out. */
export const facts = (pairs) =>
  h("dl", { class: "facts" }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== false)
    .map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));

/** A card with a heading. */
export const card = (title, ...children) =>
  h("section", { class: "card" }, h("h2", null, title), ...children);

/** A state or standing as a coloured word; the word alone says it all. */
export const badge = (word, tone) => h("span", { class: `badge ${tone}` }, word);
