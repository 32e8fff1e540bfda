// A long list as a table: a text filter, chips with counts, and at most a hundred rows at a time.

import { announce, h, put } from "./dom.js";
import { count } from "./words.js";

const ROWS = 100;
const WAIT = 150;

/**
 * Set a list up. `columns`: [{title, cell(item), class}]; `groups`: words with `groupOf(item)` as an index into them;
 * `textOf(item)` is what the filter looks through; `noun` is what is counted. Gives the element and `show(items, done)`.
 */
export function listing({ name, noun, columns, groups, tones, groupOf, textOf, empty }) {
  let items = [], done = false, text = "", chosen = null, page = 0, waiting = 0;
  const input = h("input", { type: "search", id: `${name}-filter`, autocomplete: "off", spellcheck: "false",
    placeholder: "Filter", "aria-label": `Filter the ${noun}s`, oninput: () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { text = input.value.trim().toLowerCase(); page = 0; draw(true); }, WAIT);
    } });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Show only" });
  const body = h("tbody", { role: "rowgroup" });
  const said = h("p", { class: "dim counted" });
  const pager = h("div", { class: "pager" });
  const table = h("table", { class: "list", role: "table", "aria-label": `${noun}s` },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      columns.map((one) => h("th", { scope: "col", role: "columnheader", class: one.class }, one.title)))), body);

  function draw(tell) {
    const counts = groups.map(() => 0);
    const found = text ? items.filter((one) => textOf(one).toLowerCase().includes(text)) : items;
    found.forEach((one) => { counts[groupOf(one)] += 1; });
    const shown = chosen === null ? found : found.filter((one) => groupOf(one) === chosen);
    const pages = Math.max(1, Math.ceil(shown.length / ROWS));
    page = Math.min(page, pages - 1);
    put(chips, groups.map((word, at) => counts[at] || at === chosen
      ? h("button", { type: "button", class: `chip ${tones[at]}`, id: `${name}-chip-${at}`,
          "aria-pressed": String(chosen === at),
          onclick: () => { chosen = chosen === at ? null : at; page = 0; draw(true); } },
        word, h("span", { class: "number" }, counts[at].toLocaleString("en-US")))
      : null));
    const rows = shown.slice(page * ROWS, (page + 1) * ROWS);
    put(body, rows.map((one) => h("tr", { role: "row" },
      columns.map((column) => h("td", { role: "cell", class: column.class, "data-title": column.title }, column.cell(one))))));
    table.hidden = rows.length === 0;
    const sentence = !shown.length
      ? (done ? (items.length ? "Nothing matches the filter." : empty) : "Loading…")
      : shown.length === items.length ? count(shown.length, noun) : `${shown.length.toLocaleString("en-US")} of ${count(items.length, noun)}`;
    put(said, sentence, done || !items.length ? null : ", loading more…");
    if (tell) announce(sentence);
    put(pager, pages < 2 ? null : [
      step("Before", "before", page === 0, -1),
      h("span", null, `${(page * ROWS + 1).toLocaleString("en-US")} to ${(page * ROWS + rows.length).toLocaleString("en-US")} of ${shown.length.toLocaleString("en-US")}`),
      step("After", "after", page === pages - 1, 1)]);
  }

  const step = (word, id, off, by) => h("button", { type: "button", class: "quiet", id: `${name}-${id}`, disabled: off,
    onclick: () => { page += by; draw(true); table.scrollIntoView({ block: "nearest" }); } }, word);

  const element = h("div", null, h("div", { class: "tools" }, input, chips), said, table, pager);
  return { element, show(given, complete) { items = given; done = complete; draw(false); } };
}
