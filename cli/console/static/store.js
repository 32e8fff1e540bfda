// Lists of the API's, loaded page by page; whoever shows one hears of every page.

import { read } from "./api.js";

const AT_ONCE = 100;

class Listing extends EventTarget {
  constructor(name) {
    super();
    this.name = name;
    this.items = [];
    this.told = {};
    this.loading = false;
    this.problem = null;
    this.known = false;
    this.again = false;
  }

  /** Load everything anew; pages show at once the first time, and together when they replace what is shown. */
  async load() {
    if (this.loading) {
      this.again = true;
      return this.work;
    }
    this.work = this.#load();
    return this.work;
  }

  async #load() {
    this.loading = true;
    this.problem = null;
    const items = [];
    try {
      let cursor = null;
      do {
        const page = await read([this.name], { limit: AT_ONCE, cursor });
        if (cursor === null) this.told = page;
        items.push(...page.items);
        cursor = page.next;
        if (!this.known) this.#show([...items]);
      } while (cursor);
      this.known = true;
      this.items = items;
    } catch (problem) {
      this.problem = problem;
    }
    this.loading = false;
    this.#show(this.items);
    if (this.again) {
      this.again = false;
      await this.load();
    }
  }

  #show(items) {
    this.items = items;
    this.dispatchEvent(new Event("change"));
  }
}

export const projects = new Listing("projects");
export const keys = new Listing("keys");

/** The name of a project where it is known, else its id. */
export function projectName(id) {
  if (named.of !== projects.items) named = { of: projects.items, names: new Map(projects.items.map((one) => [one.project_id, one.name])) };
  return named.names.get(id) || id;
}

let named = { of: null, names: new Map() };
