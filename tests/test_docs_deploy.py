"""The page on deploying: its table is the template's, its commands are ones that exist."""

import re
import shlex
import sys
from pathlib import Path

from package.deploy import parser, stack_name

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def test_the_table_of_parameters_is_the_templates():
    sys.path.insert(0, str(ROOT / "docs"))
    import draw_deploy

    assert draw_deploy.document() == PAGE
    assert len(re.findall(r"^\| `[A-Za-z]+` \|", PAGE, re.MULTILINE)) == len(
        draw_deploy.read(ROOT / ".chalice" / "resources.yaml")["Parameters"]
    )


def test_every_printed_deployment_is_one_that_the_script_understands():
    printed = re.findall(r"make (deploy|undeploy)(?:\n| ARGS=\"([^\"]*)\")", PAGE)

    read = [(command, parser().parse_args([command, "live", *shlex.split(options)])) for command, options in printed]

    assert {command for command, _ in read} == {"deploy", "undeploy"}
    assert any(given.dry_run for command, given in read if command == "deploy")


def test_the_make_targets_run_the_script_that_is_tested():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    run = re.findall(
        r"^\t\.venv-package/bin/python -m package\.deploy (\w+) \$\(STAGE\)( \$\(ARGS\))?$", makefile, re.MULTILINE
    )

    assert run == [("deploy", " $(ARGS)"), ("undeploy", "")]


def test_a_stage_has_the_stack_that_the_page_says():
    assert (stack_name("live"), stack_name("test")) == ("keyturn", "keyturn-test")
    assert "`keyturn-test`" in PAGE


def test_who_reads_secrets_is_named_where_a_key_of_ones_own_must_let_them():
    policies = (ROOT / ".chalice" / "policies").glob("*.json")
    readers = {one.stem for one in policies if "secretsmanager:GetSecretValue" in one.read_text(encoding="utf-8")}

    (sentence,) = re.findall(r"must let\n([^.]*) decrypt through Secrets Manager", PAGE)

    assert set(re.findall(r"`(\w+)`", sentence)) == readers


def test_every_file_that_the_page_links_is_there():
    links = re.findall(r"\]\(([^)]+)\)", PAGE)

    assert links
    assert all((ROOT / "docs" / link).is_file() for link in links)
