"""The files of the console's page: nothing in them comes from elsewhere, runs inline, or turns text into markup."""

import re

import pytest

from cli.console.files import STATIC, files

SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.js"))}
PAGE = (STATIC / "index.html").read_text(encoding="utf-8")
STYLE = (STATIC / "style.css").read_text(encoding="utf-8")
MARKUP = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "new Function",
    "DOMParser",
    "srcdoc",
)
NAMESPACE = "http://www.w3.org/2000/svg"


def test_every_file_of_the_folder_can_be_asked_for():
    assert set(files()) == {path.name for path in STATIC.iterdir()} | {""}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_turns_text_into_markup(name):
    assert [word for word in MARKUP if word in SCRIPTS[name]] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_imports_files_that_are_there_and_only_what_they_export(name):
    for names, source in re.findall(r'^import \{([^}]+)\} from "\./([^"]+)";', SCRIPTS[name], re.MULTILINE):
        exported = re.findall(r"^export (?:const|function|async function) (\w+)", SCRIPTS[source], re.MULTILINE)
        exported += re.findall(r"^export class (\w+)", SCRIPTS[source], re.MULTILINE)
        assert {one.strip() for one in names.split(",")} <= set(exported)
        assert all(len(re.findall(rf"\b{one.strip()}\b", SCRIPTS[name])) > 1 for one in names.split(","))


def test_every_script_is_reached_from_the_first():
    reached, waiting = set(), ["main.js"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += set(re.findall(r'from "\./([^"]+)"', SCRIPTS[name])) - reached

    assert reached == set(SCRIPTS)


@pytest.mark.parametrize("text", [PAGE, STYLE, *SCRIPTS.values()])
def test_nothing_comes_from_elsewhere(text):
    assert re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text.replace(NAMESPACE, "")) == []


def test_the_page_holds_no_script_style_or_handler_of_its_own():
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", PAGE) == []


def test_the_keyboard_sees_where_it_is_and_motion_is_asked_for():
    assert ":focus-visible" in STYLE
    moving = STYLE.partition("@media (prefers-reduced-motion: no-preference)")[0]
    assert not re.search(r"\b(transition|animation)\b", moving)
