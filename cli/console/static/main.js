// Which view the address names; one is open at a time.

import { activity } from "./activity.js";
import { deletion } from "./deletion.js";
import { announce, h, put } from "./dom.js";
import { fleet } from "./fleet.js";
import { oneKey } from "./key.js";
import { allKeys } from "./keys.js";
import { fleetPolicy } from "./policy.js";
import { project } from "./project.js";
import { rotation } from "./rotation.js";
import { startTheme } from "./theme.js";
import { startClock } from "./time.js";

const VIEWS = [
  [/^\/$/, "Fleet", fleet],
  [/^\/projects\/([^/?]+)$/, "Project", project],
  [/^\/rotations\/([^/?]+)\/([^/?]+)$/, "Rotation", rotation],
  [/^\/keys$/, "Keys", allKeys],
  [/^\/keys\/([^/?]+)(?:\?(.*))?$/, "Key", oneKey],
  [/^\/deletions\/([^/?]+)$/, "Deletion", deletion],
  [/^\/policy$/, "Policy", fleetPolicy],
  [/^\/activity$/, "Activity", activity],
];

const main = document.getElementById("main");
let close = () => {};

function open(first) {
  const path = location.hash.replace(/^#/, "") || "/";
  close();
  put(main);
  const [pattern, title, view] = VIEWS.find(([shape]) => shape.test(path)) ?? [/.*/, "Not found", absent];
  const named = (path.match(pattern) ?? []).slice(1).map((part) => part && decodeURIComponent(part));
  document.title = `${title} · Keyturn`;
  close = view(main, ...named) ?? (() => {});
  for (const link of document.querySelectorAll("#nav a")) {
    const own = link.getAttribute("href").slice(1);
    const here = own === "/" ? path === "/" || path.startsWith("/projects") || path.startsWith("/rotations")
      : path.startsWith(own) || (own === "/keys" && path.startsWith("/deletions"));
    if (here) link.setAttribute("aria-current", path === own ? "page" : "true");
    else link.removeAttribute("aria-current");
  }
  if (first) return;
  window.scrollTo(0, 0);
  (main.querySelector("h1") ?? main).focus({ preventScroll: true });
  announce(title);
}

function absent(place) {
  place.append(h("h1", { tabindex: "-1" }, "Not found"), h("p", null, "There is no such page. ", h("a", { href: "#/" }, "To the fleet")));
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  (main.querySelector("h1") ?? main).focus();
});
window.addEventListener("hashchange", () => open(false));
startTheme(document.getElementById("theme"));
startClock().finally(() => open(true));
