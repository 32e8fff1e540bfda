"""What a name can do that somebody else chose, in logs, mail, tables, pages and on a terminal: be read, and no more."""

import csv
import io
import json
import logging
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from fake_api import NEW, NOW, PROJECT, deletion, key, open_api, page, project, rotation
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_evidence_pack import CHANGED, FACTS, OLD_KEY, ROTATION, trail
from test_evidence_pack import PROJECT as SHOP

from chalicelib import wiring
from chalicelib.adapters.messages_shapes import subject
from chalicelib.domain.evidence_pack import compile_pack
from chalicelib.domain.evidence_page import to_csv, to_html

HOSTILE = (
    'Shop"}\n{"level":"CRITICAL","message":"a key was deleted"}',
    "Shop\r2027-03-01 fine",
    "Shop\x1b]0;owned\x07\x1b[2J\x1b[1;1Hfine",
    "Shop\u2028second line\x85third",
    "\x9b31mred",
    "Shop\u202egnp.exe",
    "[bold red]Shop[/bold red]",
    "=cmd|'/C calc'!A0",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "%s %(name)s {0} {name}",
    "\x00\x7f",
    "\ud800",
)
names = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.sampled_from(" a=+-@\n\r\t\v\f\x00\x1b\x85\x9b\u2028\u2029\u202e\"'<>&{}[]|%;,¨"), max_size=20),
    st.text(max_size=40),
)


def written(formatter, name, *, failing=False):
    """What a handler writes of one line of the log that tells a name, and of the failure that names it, too."""
    sink = io.StringIO()
    handler = logging.StreamHandler(sink)
    handler.setFormatter(formatter)
    handler.addFilter(wiring.SecretsFilter())
    log = logging.getLogger("chalicelib.usecases.looking")
    record = log.makeRecord(
        log.name, logging.WARNING, __file__, 1, "project %s could not be read: %s", (name, name), None
    )
    if failing:
        trouble = ValueError(name)
        record.exc_info = (type(trouble), trouble, trouble.__traceback__)
    handler.handle(record)
    return sink.getvalue()


@given(name=names, failing=st.booleans())
@example(name="Shop\u2028x", failing=True)
def test_a_name_never_begins_a_line_of_the_log_nor_adds_a_field_to_one(name, failing):
    formatter = LambdaPowertoolsFormatter(use_rfc3339=True)
    plain = json.loads(written(formatter, "Shop"))

    (line,) = written(formatter, name, failing=failing).splitlines()

    said = json.loads(line)
    assert said.keys() - plain.keys() <= ({"exception", "exception_name", "stack_trace"} if failing else set())
    assert said["level"] == "WARNING"
    assert all(part.isprintable() for part in said["message"].split("\n"))
    assert failing or "\n" not in said["message"]


@given(name=names)
def test_a_line_of_the_log_is_one_line_also_where_nothing_escapes_it(name):
    (line,) = written(logging.Formatter("%(levelname)s %(message)s"), name).splitlines()

    assert line.startswith("WARNING project ")
    assert line.isprintable()


@given(name=names)
@example(name="¨Shop")
@example(name="\u00a8")
def test_a_subject_is_what_sns_takes_whatever_the_name(name):
    sent = subject(f"{name}: rotate its key") if name else subject(name)

    for one in (sent, subject(name)):
        assert 0 < len(one) < 100
        assert all(" " <= c <= "~" for c in one)
        assert one == one.strip()


class Skeleton(HTMLParser):
    """The tags of a page and their attributes: what a browser makes of it, without its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []

    def handle_starttag(self, tag, attrs):
        if tag != "wbr":
            self.tags.append((tag, tuple(attrs)))


def pack_about(name):
    """The evidence of a project in which everything that others wrote is this name."""
    entry = replace(CHANGED, who=name, why=name, after=name)
    return compile_pack(
        replace(
            FACTS,
            project=replace(SHOP, name=name),
            rotations=(replace(ROTATION, requested_by=name, reason=name),),
            keys=(replace(OLD_KEY, clusters=tuple(replace(one, cluster=name) for one in OLD_KEY.clusters)),),
            trails=(trail(entry), trail(subject=OLD_KEY.arn.key_id)),
        )
    )


def skeleton_of(name):
    parsed = Skeleton()
    parsed.feed(to_html(pack_about(name)))
    return parsed.tags


@settings(deadline=None)
@given(name=names.filter(lambda name: name.isprintable() and name.strip()))
def test_a_name_adds_nothing_to_a_page_but_text(name):
    assert skeleton_of(name) == skeleton_of("Shop")


@settings(deadline=None)
@given(name=names.filter(lambda name: "\ud800" not in name))
def test_no_cell_of_a_table_begins_as_a_formula_does(name):
    cells = [cell for row in csv.reader(io.StringIO(to_csv(pack_about(name)), newline="")) for cell in row]

    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@"))]
    assert not [cell for cell in cells if cell.startswith(("\t", "\r", "\n"))]


def tellings(name):
    """Commands, and an answer to each in which everything that others wrote is this name."""
    shop = project(name=name, covered=(name,), acknowledged_by=name, banner=name, quiet_until=NOW)
    turned = rotation(new_key=NEW, waiting_for=(name,)) | {"reason": name, "banner": name, "requested_by": name}
    turned |= {"error": {"code": name, "detail": name}, "checks": [{"name": name, "passed": False, "text": name}]}
    reason = {"kind": name, "text": name, "project_id": name, "cluster": name, "until": None, "call": name}
    held = key() | {"projects": [name], "reasons": [reason], "warnings": [reason], "free_at": None}
    held["clusters"] = [{"cluster": name, "snapshots": 3, "last_expiry": None}]
    gone = deletion() | {"waiting_for": [name], "requested_by": name, "compensation": False}
    return {
        ("projects",): page(shop),
        ("project", PROJECT): shop,
        ("rotations", PROJECT): page(turned),
        ("rotation", PROJECT, "r1"): turned,
        ("keys",): page(held),
        ("key", held["key_id"]): held,
        ("deletion", "d1"): gone,
    }


CALLS = {
    "projects": "GET /v1/projects",
    "project": f"GET /v1/projects/{PROJECT}",
    "rotations": f"GET /v1/projects/{PROJECT}/rotations",
    "rotation": f"GET /v1/projects/{PROJECT}/rotations/r1",
    "keys": "GET /v1/keys",
    "key": f"GET /v1/keys/{key()['key_id']}",
    "deletion": "GET /v1/deletions/d1",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_commands_no_terminal_whatever_is_asked(name):
    with open_api() as desk:
        for words, answer in tellings(name).items():
            desk.api.on(CALLS[words[0]], answer)
            told = desk.keyturn(*words)

            assert told.exit_code == 0, told.stderr
            assert all(line.isprintable() for line in told.stdout.split("\n")), words


@pytest.mark.parametrize("name", HOSTILE)
def test_a_refusal_that_quotes_a_name_commands_no_terminal(name):
    with open_api() as desk:
        desk.api.refuse("GET /v1/projects", 409, name, reasons=[{"kind": name, "text": name, "cluster": name}])
        told = desk.keyturn("projects")

        assert all(line.isprintable() for line in told.stderr.split("\n"))


def test_a_name_of_two_lines_is_shown_in_one():
    with open_api() as desk:
        desk.api.on(CALLS["project"], project(name="Shop\nfine: nothing to do"))

        assert "Shop fine: nothing to do\n" in desk.keyturn("project", PROJECT).stdout
