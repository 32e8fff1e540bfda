import json
import re
import sys
from pathlib import Path

from package.template import read

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_states_page_is_what_the_tables_say():
    sys.path.insert(0, str(ROOT / "docs"))
    import draw_states

    assert draw_states.STATES.read_text(encoding="utf-8") == draw_states.document()


def test_the_page_and_the_schema_of_events_are_what_the_code_says():
    sys.path.insert(0, str(ROOT / "docs"))
    import draw_events

    assert draw_events.PAGE.read_text(encoding="utf-8") == draw_events.page()
    assert json.loads(draw_events.SCHEMA.read_text(encoding="utf-8")) == draw_events.schema()


def test_the_readme_lists_every_setting_with_its_default():
    from chalicelib.settings import DEFAULTS

    listed = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", README, re.MULTILINE))

    assert set(listed) == set(DEFAULTS)
    for name, default in DEFAULTS.items():
        assert listed[name] == f"`{default}`" if default else listed[name].startswith("set by the stack")


def test_the_readme_lists_every_route_and_no_other():
    from app import app

    listed = set(re.findall(r"^\| `([A-Z]+) (/v1[^`]*)` \|", README, re.MULTILINE))

    served = {(method, path) for path, methods in app.routes.items() for method in methods}

    assert listed == served


def test_the_readme_names_only_make_targets_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    named = set(re.findall(r"(?:^|`)make (?:--silent )?([a-z][a-z-]*)", README, re.MULTILINE))

    assert named
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in named)


def test_the_readme_counts_what_is_deployed_right():
    functions = json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"]["live"]["lambda_functions"]
    types = [resource.get("Type") for resource in read(ROOT / ".chalice" / "resources.yaml")["Resources"].values()]
    counted = len(functions), types.count("AWS::SQS::Queue"), types.count("AWS::DynamoDB::Table")
    words = {16: "sixteen", 15: "fifteen", 17: "seventeen", 18: "eighteen", 4: "four", 5: "five", 6: "six"}

    assert counted[2] == 1
    assert f"one table, {words[counted[0]]} functions, {words[counted[1]]} queues" in README.replace("\n", " ")
