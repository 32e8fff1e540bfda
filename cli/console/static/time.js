// What time it is: the wall's, or in a sandbox the virtual one, which operators may turn.

import { clock, turn } from "./api.js";
import { announce, h, put } from "./dom.js";
import { minute } from "./words.js";

const DAY = 86400;
const EVERY = 5000;
let virtual = null;
let turning = false;

/** The time now. */
export const now = () => virtual ?? new Date();

/** Tells everybody who shows something that it may have changed. */
export const changed = new EventTarget();

async function look() {
  if (turning) return;
  const told = (await clock()).now;
  const moved = virtual !== null && virtual.getTime() !== new Date(told).getTime();
  virtual = new Date(told);
  document.querySelector("#clock time").textContent = minute(told);
  if (moved) changed.dispatchEvent(new Event("time"));
}

/** Let virtual time pass, day by day. */
export async function pass(seconds, name) {
  if (turning) return;
  turning = true;
  const place = document.getElementById("clock");
  const buttons = [...place.querySelectorAll("button")];
  buttons.forEach((one) => { one.disabled = true; });
  const held = document.activeElement;
  place.querySelector(".said").textContent = "";
  try {
    for (let left = seconds; left > 0; left -= DAY) {
      const told = (await turn(Math.min(left, DAY))).now;
      virtual = new Date(told);
      place.querySelector("time").textContent = minute(told);
    }
    announce(`${name} has passed`);
  } catch (problem) {
    announce(problem.message);
    place.querySelector(".said").textContent = problem.message;
  } finally {
    turning = false;
    buttons.forEach((one) => { one.disabled = false; });
    if (buttons.includes(held)) held.focus();
    changed.dispatchEvent(new Event("time"));
  }
}

/** Find out whether this is a sandbox; its clock is shown then. */
export async function startClock() {
  try {
    const told = (await clock()).now;
    if (told === null) return;
    virtual = new Date(told);
  } catch {
    return;
  }
  const place = document.getElementById("clock");
  const button = (name, seconds) =>
    h("button", { type: "button", class: "quiet", id: `pass-${seconds}`, onclick: () => pass(seconds, name),
      "aria-label": `Let ${name} pass` }, `+ ${name}`);
  put(place, h("span", { class: "sandbox" }, "Sandbox"), h("time", null, minute(virtual.toISOString())),
    button("an hour", 3600), button("a day", DAY), button("a month", 30 * DAY), h("span", { class: "said" }));
  place.hidden = false;
  setInterval(() => look().catch(() => {}), EVERY);
}

