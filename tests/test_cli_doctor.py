"""`keyturn doctor`: what it finds from outside, and how it says to mend it."""

import json
import socket
from datetime import timedelta
from email.utils import format_datetime

import pytest
from fake_api import NOW, call, in_days, open_api, page, project

from chalicelib.domain import acknowledgement, discovery, outlook
from cli import VERSION
from cli.examination import _MENDS
from cli.standing import DRIFTS, MINOR

HEALTH = "GET /v1/health"


@pytest.fixture
def desk():
    with open_api() as opened:
        yield opened


WATCHED = {"changed_at": "2027-03-01T09:00:00Z", "dead_letters": [], "expiring": [], "unverified": []}


def well(api, *, skew=0, version=VERSION, projects=(), endangered=(), **watched):
    """An API that keeps out who does not sign, and answers who does."""
    date = {"Date": format_datetime(NOW - timedelta(seconds=skew), usegmt=True)}
    api.on(HEALTH, {"message": "Missing Authentication Token"}, status=403, headers=date)
    api.on(HEALTH, {"status": "ok", "version": version})
    api.on("GET /v1/watch", WATCHED | watched)
    api.on("GET /v1/projects", page(*(projects or [project()])))
    api.on("GET /v1/keys", page(retiring={"keys": 0, "dollars_per_month": 0}, endangered=list(endangered)))


def found(told):
    return {one["check"]: (one["verdict"], one["found"], one["mend"]) for one in json.loads(told.stdout)["checks"]}


def test_where_all_is_well_nothing_is_to_mend(desk):
    well(desk.api)

    told = desk.keyturn("doctor")

    assert told.exit_code == 0
    assert "To mend" not in told.stdout
    assert "found by `env`, signing for us-east-1" in told.stdout


def test_each_thing_is_looked_at_on_its_own(desk):
    well(desk.api)

    seen = found(desk.keyturn("doctor", "--json"))

    verdicts = {check: verdict for check, (verdict, _, _) in seen.items()}
    assert verdicts == dict.fromkeys(
        ("endpoint", "door", "clock", "credentials", "access", "version", "watch", "projects", "keys"), "ok"
    )


def test_needed_keys_that_somebody_takes_away_are_named_with_what_undoes_it(desk):
    text = "KMS deletes it on 2027-03-08: that was scheduled outside Keyturn, and not undone"
    harmed = [{"key_id": f"k{number}", "warning": {"text": text}} for number in range(12)]
    well(desk.api, endangered=harmed)

    told = desk.keyturn("doctor", "--json")
    verdict, said, mend = found(told)["keys"]

    assert (told.exit_code, verdict) == (1, "wrong")
    assert said.startswith(f"k0: {text}; k1: {text}")
    assert said.endswith(f"k9: {text}; and 2 more")
    assert mend == "at once: `keyturn key KEY` says who needs it"


def test_an_older_api_that_tells_of_no_danger_is_not_taken_for_one_that_knows_of_none(desk):
    desk.api.on("GET /v1/keys", page())
    well(desk.api)

    told = desk.keyturn("doctor", "--json")

    assert (told.exit_code, found(told)["keys"][0]) == (0, "not verifiable")


@pytest.mark.parametrize(
    ("skew", "said"), [(400, "400 seconds ahead of the API's"), (-61, "61 seconds behind the API's")]
)
def test_a_clock_that_is_off_is_told_by_how_much(desk, skew, said):
    well(desk.api, skew=skew)

    told = desk.keyturn("doctor", "--json")

    assert found(told)["clock"] == ("wrong", said, "set this machine's clock, by NTP for instance")
    assert told.exit_code == 1


def test_another_version_is_worth_a_look(desk):
    well(desk.api, version="9.9")

    told = desk.keyturn("doctor", "--json")

    assert found(told)["version"][0] == "look"
    assert told.exit_code == 0


def test_an_api_that_lets_everybody_in_is_wrong(desk):
    desk.api.on(HEALTH, {"status": "ok", "version": VERSION})
    desk.api.on("GET /v1/projects", page(project()))

    told = desk.keyturn("doctor", "--json")

    assert found(told)["door"][:2] == ("wrong", "calls without a signature are let in")
    assert told.exit_code == 1


def test_each_project_in_trouble_is_named_with_how_to_mend_it(desk):
    well(desk.api, projects=[project(name="hurt", drift=("grant_removed",)), project(name="ill", valid=False)])

    told = desk.keyturn("doctor")

    assert told.exit_code == 1
    said = " ".join(told.stdout.split())
    assert "project hurt: give Atlas' role kms:Encrypt, kms:Decrypt and kms:DescribeKey" in said
    assert "project ill: look at the key's state and policy in KMS" in said


def test_of_many_in_trouble_only_some_are_named(desk):
    well(desk.api, projects=[project(name=f"p{n}", drift=("grant_removed",)) for n in range(15)])

    assert found(desk.keyturn("doctor", "--json"))["projects"][1] == "5 projects more in trouble"


def test_overdue_projects_are_worth_a_look(desk):
    well(desk.api, projects=[project(key_since=in_days(-100))])

    assert found(desk.keyturn("doctor", "--json"))["projects"] == (
        "look",
        "1 project overdue",
        "keyturn status names them",
    )


def test_credentials_that_are_not_accepted_end_the_examination(desk):
    desk.api.on(HEALTH, {"message": "The security token included in the request is invalid."}, status=403)

    told = desk.keyturn("doctor", "--json")

    assert told.exit_code == 3
    assert found(told)["access"] == (
        "wrong",
        "The call was not let in (403): The security token included in the request is invalid.",
        "These credentials are not AWS': try another --profile.",
    )
    assert "projects" not in found(told)


def test_without_credentials_the_way_to_keyturn_is_examined_all_the_same(desk):
    desk.api.on(HEALTH, {"message": "Missing Authentication Token"}, status=403)

    told = desk.keyturn("doctor", "--json", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)

    assert told.exit_code == 3
    assert found(told)["endpoint"][0] == "ok"
    assert found(told)["credentials"][1].startswith("No AWS credentials were found.")


def test_where_nobody_listens_nothing_else_is_tried():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))

        told = call(f"http://127.0.0.1:{taken.getsockname()[1]}", "doctor", "--json")

    assert told.exit_code == 3
    assert list(found(told)) == ["endpoint"]


def test_dead_letters_are_wrong_and_expiring_secrets_worth_a_look(desk):
    well(desk.api, dead_letters=["keyturn-SweepsDeadLetters"], expiring=["a secret of mdb_sa_id_1: 2027-03-09"])

    told = desk.keyturn("doctor", "--json")

    seen = found(told)
    assert told.exit_code == 1
    assert seen["dead letters"][:2] == (
        "wrong",
        "keyturn-SweepsDeadLetters is not empty: messages lie there that could not be handled",
    )
    assert seen["credentials of Atlas"][:2] == ("look", "a secret of mdb_sa_id_1: 2027-03-09")
    assert "watch" not in seen


def test_what_nobody_may_look_at_is_said_and_is_not_wrong(desk):
    well(desk.api, unverified=["when the secret of mdb_sa_id_1 expires"])

    told = desk.keyturn("doctor")

    assert told.exit_code == 0
    assert "when the secret of mdb_sa_id_1 expires" in told.stdout


def test_a_keyturn_that_never_looked_at_itself_is_worth_a_look(desk):
    well(desk.api, changed_at=None)

    assert found(desk.keyturn("doctor", "--json"))["watch"][0] == "look"


def test_what_endangers_nothing_is_worth_a_look_with_its_projects(desk):
    late = [project(name=f"p{n}", drift=("atlas_alert_late",)) for n in range(12)]
    well(desk.api, projects=[*late, project(name="old", access_key_id="AKIA0", drift=("access_key_old",))])

    told = desk.keyturn("doctor", "--json")

    outlook = [one for one in json.loads(told.stdout)["checks"] if one["check"] == "outlook"]
    assert told.exit_code == 0
    assert [one["verdict"] for one in outlook] == ["look", "look"]
    assert outlook[1]["found"].endswith("p8, p9 and 2 more")
    assert "keyturn threshold" in outlook[1]["mend"]
    assert found(told)["not verifiable"][1].endswith("Keyturn may not ask IAM: old")


def test_every_drift_that_discovery_tells_has_words_and_a_remedy():
    minor = (outlook.ACCESS_KEY_OLD, outlook.ALERT_LATE, outlook.ALERT_BLIND, acknowledgement.NOT_ACKNOWLEDGED)
    written = (discovery.PROJECT_GONE, discovery.KEY_INVALID, *minor)

    assert set(DRIFTS) == set(_MENDS)
    assert set(written) <= set(DRIFTS)
    assert set(minor) == MINOR


def test_a_sandboxs_clock_may_be_turned(desk):
    date = {"Date": format_datetime(in_days(80), usegmt=True), "Server": "keyturn-sandbox"}
    desk.api.on(HEALTH, {"message": "Missing Authentication Token"}, status=403, headers=date)
    desk.api.on(HEALTH, {"status": "ok", "version": VERSION})
    desk.api.on("GET /v1/projects", page(project()))

    assert found(desk.keyturn("doctor", "--json"))["clock"] == ("ok", "a sandbox's own, that may be turned", None)
