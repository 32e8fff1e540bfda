"""A browser for the console's tests: Chromium by way of Playwright, each person in a profile of their own."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "build" / "console"
AXE = Path(__file__).parent / "axe" / "axe.min.js"
WIDE, NARROW = {"width": 1200, "height": 860}, {"width": 360, "height": 760}
LONGEST = 15_000
"""Milliseconds that anything on the page may take."""

chromium = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)


@contextmanager
def open_browser():
    """A browser without a window; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if chromium is None:
        pytest.skip("Chromium is not on this machine")
    with playwright.sync_playwright() as driver:
        # Its own sandbox cannot be had as root, and it sees pages of this test alone.
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


class Person:
    """Somebody before the console: their page, and what the browser complained of."""

    def __init__(self, browser, address):
        self.address = address
        context = browser.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce")
        self.page = context.new_page()
        self.page.set_default_timeout(LONGEST)
        self.complaints = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.open("/")

    def _hear(self, message):
        # That the API refuses something is told on the page, and the browser tells it here once more.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def open(self, path):
        """Go to a view by its address, and wait for its heading."""
        self.page.goto(f"{self.address}#{path}")
        self.page.wait_for_selector("main h1")

    def sees(self, text, *, within="main"):
        """Wait until a text is seen."""
        self.page.locator(within).get_by_text(text).first.wait_for()

    def press(self, name, *, within="main"):
        """Press a button by its name."""
        self.page.locator(within).get_by_role("button", name=name).first.click()

    def fill(self, label, text):
        """Fill a field of the open dialog."""
        self.page.locator("dialog").get_by_label(label).fill(text)

    def read(self, path):
        """Ask the API as the page does."""
        return self.page.evaluate("path => fetch(path).then(one => one.json())", f"api/v1/{path}")

    def pass_time(self, seconds):
        """Turn the sandbox's clock."""
        body = "seconds => import('./time.js').then(time => time.pass(seconds, 'time'))"
        self.page.evaluate(body, seconds)

    def violations(self):
        """What axe finds that is serious or worse, as `rule: where`."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        return [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found
            if one["impact"] in {"serious", "critical"}
            for node in one["nodes"]
        ]

    def overflow(self):
        """By how many pixels the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def picture(self, name):
        """Keep what is seen under build/console/, where somebody wants to look at it (KEYTURN_PICTURES=1)."""
        if os.environ.get("KEYTURN_PICTURES") != "1":
            return
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=not self.page.locator("dialog[open]").count())
