"""What the pages name must exist: links, commands with their options, settings, routes, targets and AWS calls."""

import math
import re
import shlex
from pathlib import Path

import botocore.session
import pytest
import typer
from botocore import xform_name

from app import app as hall
from chalicelib.domain.approval import DEFAULT_QUARANTINE_DAYS
from chalicelib.domain.countdown import DOLLARS_PER_KEY_MONTH
from chalicelib.domain.retention import MARGIN
from chalicelib.domain.vocabulary import NoticeKind
from chalicelib.settings import DEFAULTS
from cli.__main__ import app as keyturn
from sandbox.template import read_template

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
TEXTS = {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in PAGES}

FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
INLINE = re.compile(r"`([^`\n]+)`")
FROM_OUTSIDE = {
    "AWS_ENCRYPTION_KEY_INVALID",
    "AWS_ENCRYPTION_KEY_NEEDS_ROTATION",
    "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED",
    "CAPABILITY_NAMED_IAM",
    "ENCRYPT_DECRYPT",
    "SYMMETRIC_DEFAULT",
    "KEYTURN_ENDPOINT",
}
"""Names in capitals that are no settings of the functions: Atlas' and AWS' own words, and the command's setting."""


def prose(text):
    return FENCED.sub("", text)


def shell_lines(text, begin):
    """The commands of a page's shell blocks that begin so, as words, lines that go on joined."""
    for _, kind, block in FENCED.findall(text):
        for line in block.replace("\\\n", " ").splitlines() if kind == "sh" else ():
            for words in commands(line):
                if words[:1] == [begin]:
                    yield words


def commands(line):
    """The commands of a line, those within others too, each as its words."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    found = [[]]
    for word in reader:
        if set(word) <= set("();<>|&") or word in {"do", "until"}:
            found.append([])
        else:
            found[-1].append(word)
    return found


def rows(what):
    """Each thing found on each page, to be a test of its own."""
    return [
        pytest.param(page, found, id=f"{page}: {found}") for page, text in TEXTS.items() for found in sorted(what(text))
    ]


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_inside_leads_to_a_page_and_a_heading_that_exist(page):
    for target in LINK.findall(prose(TEXTS[page])):
        if "://" in target:
            assert target.startswith("https://")
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent.joinpath(path).resolve() if path else ROOT / page
        assert found.is_file(), target
        assert not anchor or anchor in anchors(found.read_text(encoding="utf-8")), target


def parse(words):
    """Let the command read its words as if it were called, and call nothing."""
    group = typer.main.get_command(keyturn)
    above = group.make_context("keyturn", list(words), resilient_parsing=True)
    name, command, rest = group.resolve_command(above, list(words))
    if command is None:
        pytest.fail(f"no such command: {words[0]}")
    return command.make_context(name, rest, parent=above)


@pytest.mark.parametrize(("page", "words"), rows(lambda text: {tuple(w) for w in shell_lines(text, "keyturn")}))
def test_every_printed_call_of_the_command_is_one_that_it_understands(page, words):
    parse(words[1:])


def test_a_call_that_the_command_does_not_understand_is_noticed():
    for words in (["keys", "--gone"], ["rotate"], ["vanish"], ["policy", "--mode", "never"]):
        with pytest.raises((Exception, pytest.fail.Exception), match=r"(?i)no such|missing|not one of"):
            parse(words)


def mentioned(text):
    """Calls of the command within sentences, and options alone."""
    return {code for code in INLINE.findall(prose(text)) if re.match(r"keyturn [a-z]|--[a-z]", code)}


def options_of_programs():
    """What the programs behind make's targets take, by their own parsers."""
    sources = [source for room in ("sandbox", "package", "bench") for source in (ROOT / room).glob("*.py")]
    return {name for source in sources for name in re.findall(r'add_argument\(\s*"(--[\w-]+)"', source.read_text())}


@pytest.mark.parametrize(("page", "code"), rows(mentioned))
def test_every_command_and_option_named_in_a_sentence_exists(page, code):
    group = typer.main.get_command(keyturn)
    options = {
        name: {o for p in one.params for o in (*p.opts, *p.secondary_opts)} for name, one in group.commands.items()
    }
    known = set().union(*options.values(), options_of_programs(), {"--install-completion", "--version"})
    if code.startswith("keyturn "):
        _, name, *rest = code.split()
        assert name in options
        known = options[name]
        code = " ".join(rest)
    assert {word for word in code.split() if word.startswith("--")} <= known


def capitals(text):
    return {code for code in INLINE.findall(prose(text)) if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", code)}


@pytest.mark.parametrize(("page", "name"), rows(capitals))
def test_every_setting_named_exists(page, name):
    assert name in DEFAULTS or name in FROM_OUTSIDE


def routes(text):
    return set(re.findall(r"`(?:GET|POST|PATCH|DELETE) (/[^`? ]*)", text))


@pytest.mark.parametrize(("page", "route"), rows(routes))
def test_every_route_named_is_served(page, route):
    served = {re.sub(r"\{\w+\}", "{}", path) for path in hall.routes} | {"/sandbox/clock", "/sandbox/inbox"}
    asked = re.sub(r"\{\w+\}", "{}", route)

    assert asked in served or any(path.endswith(asked.removeprefix("/…")) for path in served if "…" in asked)


def targets(text):
    return set(re.findall(r"(?:^ *|`)make (?:--silent )?([a-z][a-z-]*)", text, re.MULTILINE))


@pytest.mark.parametrize(("page", "target"), rows(targets))
def test_every_make_target_named_exists(page, target):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize(("page", "words"), rows(lambda text: {tuple(w) for w in shell_lines(text, "aws")}))
def test_every_call_of_the_aws_cli_is_one_that_aws_knows(page, words):
    _, service, operation, *rest = words
    options = {word.removeprefix("--") for word in rest if word.startswith("--")}
    if (service, operation) == ("cloudformation", "deploy"):  # the AWS CLI's own, made of several calls
        assert options <= {"template-file", "stack-name", "capabilities", "parameter-overrides"}
        return
    model = botocore.session.get_session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    asked = model.operation_model(names[operation]).input_shape
    known = {xform_name(member, "-") for member in asked.members}

    assert options - {"query", "notification-endpoint"} <= known  # which the AWS CLI has by itself, or renames
    assert {xform_name(member, "-") for member in asked.required_members} <= options


def test_every_output_and_parameter_of_the_stack_that_the_guides_name_exists():
    template = read_template()
    known = {*template["Parameters"], *template["Outputs"], "EndpointURL"}  # the last is Chalice's own

    named = {
        name
        for page, text in TEXTS.items()
        if page.startswith("docs/how-to/")
        for name in INLINE.findall(text)
        if re.fullmatch(r"([A-Z][a-z]+){2,}(URL|Arn)?", name)
    }

    assert named - {"PendingDeletion", "RoleArn", "KeyturnAccount"} <= known
    assert {"AtlasSecrets", "AlertsEmail", "AlertsTopicArn", "EventBusName"} <= named


def test_every_kind_of_message_that_the_filter_names_is_sent():
    (kinds,) = re.findall(r'\{"kind": (\[.*?\]), "recip', TEXTS["docs/how-to/connect-slack-and-filter.md"])

    assert set(re.findall(r"\w+", kinds)) <= set(NoticeKind)


def test_the_map_leads_to_every_page():
    led_to = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in LINK.findall(TEXTS["docs/index.md"])}

    missing = {str(page.relative_to(ROOT)) for page in ROOT.glob("docs/**/*.md")} - {
        str(page.relative_to(ROOT)) for page in led_to
    }

    assert missing == {"docs/index.md"}


def test_the_map_fits_on_a_screen():
    assert len(TEXTS["docs/index.md"].splitlines()) <= 40


def test_the_table_of_costs_is_what_the_rules_give():
    page = TEXTS["docs/explanation/quotas-and-costs.md"]
    table = re.findall(r"^\| ([\d,]+) days \| ([\d,]+) days \| (.*) \| (.*) \|$", page, re.MULTILINE)

    assert len(table) == 4
    for kept, period, keys, dollars in table:
        needed = int(kept.replace(",", "")) + MARGIN.days + DEFAULT_QUARANTINE_DAYS
        old = needed / int(period.replace(",", ""))
        low, high = 1 + math.floor(old), 1 + math.ceil(old)
        assert keys == f"{low} to {high}"
        assert dollars == f"${low * DOLLARS_PER_KEY_MONTH:.0f} to ${high * DOLLARS_PER_KEY_MONTH:.0f}"


def test_the_figures_of_a_sweep_are_those_of_the_printed_run():
    page, run = TEXTS["docs/explanation/quotas-and-costs.md"], TEXTS["docs/benchmarks.md"]
    ((calls, units),) = re.findall(
        r"five clusters with 200 snapshots each is (\d+) calls.*?writes (\d+) units", page, re.DOTALL
    )

    assert re.findall(r"^\| 5 clusters \| (\d+) ", run, re.MULTILINE) == [calls]
    assert re.findall(r"^\| a key still needed \|.*\| (\d+) \| \d+ \| 1/\d+ \|$", run, re.MULTILINE) == [units]


def test_every_reason_to_keep_a_key_is_explained():
    rules = (ROOT / "chalicelib" / "domain" / "retention.py").read_text(encoding="utf-8")
    kinds = set(re.findall(r'kind="(\w+)"', rules)) | set(
        re.findall(r'^UNFINISHED, RUNNING_JOBS = "(\w+)", "(\w+)"', rules, re.MULTILINE)[0]
    )

    explained = set(re.findall(r"`(\w+)`", TEXTS["docs/explanation/what-safe-means.md"]))

    assert kinds <= explained
