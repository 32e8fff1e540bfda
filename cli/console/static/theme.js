// Dark or light: as the system says, until somebody says otherwise on this page.

const NEXT = { system: "dark", dark: "light", light: "system" };
const SIGNS = { system: "◐", dark: "●", light: "○" };
const KEPT = "keyturn-theme";

/** Let a button go through system, dark and light; the choice is kept in this browser. */
export function startTheme(button) {
  const set = (theme) => {
    if (theme === "system") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", theme);
    document.querySelector("meta[name=color-scheme]").content = theme === "system" ? "light dark" : theme;
    button.textContent = SIGNS[theme];
    button.setAttribute("aria-label", `Theme: ${theme}`);
    button.title = `Theme: ${theme}`;
    button.onclick = () => {
      localStorage.setItem(KEPT, NEXT[theme]);
      set(NEXT[theme]);
    };
  };
  const kept = localStorage.getItem(KEPT);
  set(kept in NEXT ? kept : "system");
}
