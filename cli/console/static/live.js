// A view that reads, draws, and reads again while that makes sense.

import { h, put } from "./dom.js";
import { told } from "./problems.js";
import { changed } from "./time.js";

/**
 * Keep a place up to date. `read()` gives what is shown; `draw(place, shape)` draws it when it has changed; `every(shape)`
 * says after how many milliseconds to read again, or null. Gives {again, stop}.
 */
export function live(place, { read, draw, every = () => null }) {
  const trouble = h("div"), body = h("div");
  place.append(trouble, body);
  let timer = 0, stopped = false, shown = "", turn = 0, wrong = "";
  async function again() {
    clearTimeout(timer);
    const mine = (turn += 1);
    let pause = 5000;
    try {
      const shape = await read();
      if (stopped || mine !== turn) return;
      put(trouble);
      wrong = "";
      const text = JSON.stringify(shape);
      if (text !== shown) {
        shown = text;
        draw(body, shape);
      }
      pause = every(shape);
    } catch (problem) {
      if (stopped || mine !== turn) return;
      // The same trouble again is not read out again.
      if (wrong !== problem.message) put(trouble, told(problem));
      wrong = problem.message;
      if (problem.document?.status === 404) pause = null;
    }
    if (pause !== null) timer = setTimeout(again, document.hidden ? pause * 5 : pause);
  }
  const listening = () => { shown = ""; again(); };
  changed.addEventListener("time", listening);
  again();
  return {
    again,
    stop() {
      stopped = true;
      clearTimeout(timer);
      changed.removeEventListener("time", listening);
    },
  };
}
