"""`keyturn rotate` and its neighbours: what is asked, what is shown, and how a rotation is watched."""

import json
from uuid import UUID

import pytest
from fake_api import NEW, NOW, OLD, PROJECT, open_api, page, project, rotation
from simple_world import a_world

from chalicelib.domain.records import Check, Policy, Problem
from chalicelib.domain.vocabulary import RotationState as State
from chalicelib.domain.vocabulary import Strategy
from chalicelib.usecases import show

ROTATIONS = f"/v1/projects/{PROJECT}/rotations"
ONE = f"{ROTATIONS}/r1"
SWAPPED = {"new_key": NEW, "swapped_at": NOW}


@pytest.fixture
def desk():
    with open_api() as opened:
        yield opened


def test_a_rotation_is_requested_with_nothing_but_what_was_said(desk):
    desk.api.on(f"POST {ROTATIONS}", rotation(), status=202)

    told = desk.keyturn("rotate", PROJECT)

    assert told.exit_code == 0
    assert desk.api.asked[-1].body == {}
    assert f"Watch it: keyturn rotation {PROJECT} r1 --watch" in told.stdout


def test_every_wish_reaches_the_api_under_its_name(desk):
    desk.api.on(f"POST {ROTATIONS}", rotation(), status=202)
    words = ("--key", str(NEW), "--to-region", "eu-west-1", "--credentials-secret", "keyturn/iam", "--emergency")

    desk.keyturn("rotate", PROJECT, *words, "--strategy", "kms-automatic", "--period-days", "365", "--reason", "leaked")

    assert desk.api.asked[-1].body == {
        "key": str(NEW),
        "region": "eu-west-1",
        "credentials_secret": "keyturn/iam",
        "emergency": True,
        "strategy": "kms-automatic",
        "period_days": 365,
        "reason": "leaked",
    }


def test_each_request_gets_a_key_of_its_own_unless_one_is_given(desk):
    desk.api.on(f"POST {ROTATIONS}", rotation(), status=202)

    for words in ((), (), ("--idempotency-key", "monday")):
        desk.keyturn("rotate", PROJECT, *words)

    first, second, third = (asked.headers["Idempotency-Key"] for asked in desk.api.asked)
    assert UUID(first) != UUID(second)
    assert third == "monday"


CHECKS = [
    {"name": "covered", "passed": True, "text": "it is covered"},
    {"name": "old_key", "passed": None, "text": "may not be read"},
    {"name": "wanted_key", "passed": False, "text": "it is disabled"},
]


@pytest.mark.parametrize(
    ("checks", "verdict", "code"),
    [
        (CHECKS[:1], "It would go through.", 0),
        (CHECKS[:2], "It would go through, but 1 check could not be made.", 0),
        (CHECKS, "It would be refused: 1 check failed.", 1),
    ],
)
def test_a_dry_run_shows_every_check_and_what_would_become_of_it(desk, checks, verdict, code):
    desk.api.on(f"POST {ROTATIONS}", {"dry_run": True, "checks": checks})

    told = desk.keyturn("rotate", PROJECT, "--dry-run")

    assert desk.api.asked[-1].body == {"dry_run": True}
    assert (told.exit_code, told.stdout.splitlines()[-2:]) == (code, [verdict, "Nothing was changed."])


def test_a_dry_run_shows_first_what_failed(desk):
    desk.api.on(f"POST {ROTATIONS}", {"dry_run": True, "checks": CHECKS})

    lines = desk.keyturn("rotate", PROJECT, "--dry-run").stdout.splitlines()

    assert [line.split()[:2] for line in lines[1:4]] == [["NO", "wanted_key"], ["?", "old_key"], ["ok", "covered"]]


def test_a_watched_rotation_is_told_line_by_line_where_nobody_sits_at_a_terminal(desk):
    desk.api.on(f"POST {ROTATIONS}", rotation(), status=202)
    waiting = rotation(State.DEPLOYING, waiting_for=("cluster ledger to become IDLE",), **SWAPPED)
    desk.api.on(f"GET {ONE}", waiting, waiting, rotation(State.DEPLOYED, deployed_at=NOW, **SWAPPED))
    slept = []

    told = desk.keyturn("rotate", PROJECT, "--watch", "--every", "7", sleep=slept.append)

    assert told.exit_code == 0
    assert told.stdout.splitlines()[:3] == [
        "2027-03-01 09:30 UTC requested",
        "2027-03-01 09:30 UTC deploying: waiting for cluster ledger to become IDLE",
        "requested > preparing > swapping > deploying > deployed",
    ]
    assert slept == [7.0, 7.0, 7.0]


@pytest.mark.parametrize(("state", "code"), [(State.FAILED, 1), (State.CANCELLED, 1), (State.ROLLED_BACK, 1)])
def test_a_watched_rotation_that_ends_otherwise_than_deployed_ends_the_command_with_1(desk, state, code):
    desk.api.on(f"POST {ROTATIONS}", rotation(), status=202)
    desk.api.on(f"GET {ONE}", rotation(state, error=Problem(code="key_disabled", detail="the key is disabled")))

    told = desk.keyturn("rotate", PROJECT, "--watch")

    assert told.exit_code == code
    assert "key_disabled: the key is disabled" in told.stdout


def test_a_watched_rotation_as_json_is_one_document_at_the_end(desk):
    desk.api.on(f"GET {ONE}", rotation(State.DEPLOYING, **SWAPPED), rotation(State.DEPLOYED, **SWAPPED))

    told = desk.keyturn("rotation", PROJECT, "r1", "--watch", "--json")

    assert json.loads(told.stdout)["state"] == "deployed"


def test_a_watched_rollback_is_well_when_it_is_rolled_back(desk):
    desk.api.on(f"POST {ONE}/rollback", rotation(State.ROLLING_BACK, **SWAPPED), status=202)
    desk.api.on(f"GET {ONE}", rotation(State.RETURNING, **SWAPPED), rotation(State.ROLLED_BACK, **SWAPPED))

    told = desk.keyturn("rollback", PROJECT, "r1", "--watch")

    assert told.exit_code == 0
    assert "rolling back > returning > rolled back" in told.stdout


def test_who_stops_watching_is_told_that_the_rotation_goes_on(desk):
    desk.api.on(f"GET {ONE}", rotation(State.DEPLOYING, **SWAPPED))

    def leave(_seconds):
        raise KeyboardInterrupt

    told = desk.keyturn("rotation", PROJECT, "r1", "--watch", sleep=leave)

    assert told.exit_code == 130
    assert "The rotation goes on without you" in told.stdout


def test_a_rotation_is_cancelled_before_the_swap(desk):
    desk.api.on(f"POST {ONE}/cancel", rotation(cancel_requested_by="ada"), status=202)

    told = desk.keyturn("cancel", PROJECT, "r1")

    assert told.exit_code == 0
    assert "It is cancelled at its next step" in told.stdout


def test_who_asked_for_another_end_is_named(desk):
    desk.api.on(f"GET {ONE}", rotation(State.DEPLOYED, rollback_requested_by="ada"))

    assert "ada asked to roll it back." in desk.keyturn("rotation", PROJECT, "r1").stdout


def test_rotations_are_listed(desk):
    desk.api.on(
        f"GET {ROTATIONS}", page(rotation(State.DEPLOYED, ended_at=NOW), rotation(State.FAILED, emergency=True))
    )

    lines = desk.keyturn("rotations", PROJECT).stdout.splitlines()

    assert lines[1].split() == ["r1", "deployed", "new-cmk", "2027-03-01", "09:30", "2027-03-01", "09:30", "ada"]
    assert lines[2].split() == ["r1", "failed", "new-cmk", "2027-03-01", "09:30", "-", "ada", "(emergency)"]


def test_a_project_without_rotations_says_so(desk):
    desk.api.on(f"GET {ROTATIONS}", page())

    assert desk.keyturn("rotations", PROJECT).stdout == "No rotation yet.\n"


def test_a_rotation_is_shown_with_its_banner_and_the_checks_that_did_not_pass(desk):
    checks = tuple(Check(**check) for check in CHECKS)
    desk.api.on(f"GET {ONE}", rotation(State.DEPLOYING, checks=checks, waiting_for=("peace",), **SWAPPED))

    told = desk.keyturn("rotation", PROJECT, "r1").stdout

    assert f"do not disable or delete {OLD} until this is over" in told.replace("\n", " ")
    assert "- waiting for peace" in told
    assert "3 checks made, 2 not passed:" in told
    assert "it is covered" not in told


def test_after_an_emergency_it_says_what_the_old_key_still_opens(desk):
    snapshots = [["ledger", "s1", "2027-02-01T00:00:00Z", "2027-05-01T00:00:00Z", True]]
    left = {"key": str(OLD), "at": "x", "counted": 2500, "unread": ["listSnapshots: 503"], "snapshots": snapshots}
    desk.api.on(f"GET {ONE}", rotation(State.DEPLOYED, emergency=True, **SWAPPED) | {"still_readable": left})

    told = desk.keyturn("rotation", PROJECT, "r1").stdout.replace("\n", " ")

    assert "The old key still opens 2,500 snapshots, the last until 2027-05-01; 1 place could not be read" in told


@pytest.mark.parametrize(
    ("wishes", "steps"),
    [
        ({"strategy": Strategy.KMS_ON_DEMAND, "state": State.RENEWING}, "requested > renewing > deployed"),
        ({"state": State.FAILED}, "requested > failed"),
        ({"state": State.FAILED, **SWAPPED}, "requested > preparing > swapping > deploying > failed"),
        ({"state": State.CANCELLED}, "requested > cancelled"),
    ],
)
def test_the_steps_are_those_of_the_way_that_it_goes(desk, wishes, steps):
    desk.api.on(f"GET {ONE}", rotation(**wishes))

    assert desk.keyturn("rotation", PROJECT, "r1").stdout.splitlines()[0] == steps


def test_the_open_rotation_is_named_to_who_asks_for_another(desk):
    desk.api.refuse(f"POST {ROTATIONS}", 409, "a rotation of payments is open already", rotation_id="r0")

    told = desk.keyturn("rotate", PROJECT)

    assert told.exit_code == 1
    assert "The open rotation is r0." in told.stderr


def test_a_request_whose_answer_was_lost_can_be_repeated_for_the_same_rotation(desk):
    desk.api.on(f"POST {ROTATIONS}", {"message": "Endpoint request timed out"}, status=504)

    told = desk.keyturn("rotate", PROJECT, "--idempotency-key", "monday")

    assert told.exit_code == 3
    assert "--idempotency-key monday" in told.stderr
    assert [asked.headers["Idempotency-Key"] for asked in desk.api.asked] == ["monday"] * 3


POLICY = f"/v1/projects/{PROJECT}/policy"


def test_a_policy_is_shown_with_the_option_that_changes_each_wish(desk):
    desk.api.on(f"GET /v1/projects/{PROJECT}", project())

    told = desk.keyturn("policy", PROJECT).stdout

    assert "--period-days            90" in told
    assert "--ladder                 -30,-14,-7,-1,0,1,7" in told
    assert "--recipient              none" in told


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("--period-days", "60", "--mode", "rotate"), {"rotation_period_days": 60, "mode": "rotate"}),
        (("--period-days", "none", "--kms-role-arn", "none"), {"rotation_period_days": None, "kms_role_arn": None}),
        (("--ladder", "-30,0"), {"ladder": [-30, 0]}),
        (("--recipient", "a@x", "--recipient", "b@x"), {"recipients": ["a@x", "b@x"]}),
        (("--recipient", "none"), {"recipients": []}),
        (
            ("--no-delete-foreign-keys", "--attestation-always"),
            {"delete_foreign_keys": False, "attestation_always": True},
        ),
        (("--guard", "tell", "--quarantine-days", "14"), {"guard": "tell", "quarantine_days": 14}),
        (("--digest", "--digest-hour", "6"), {"digest": True, "digest_hour": 6}),
        (
            ("--inherit", "ladder", "--inherit", "--period-days", "--no-digest"),
            {"digest": False, "inherit": ["ladder", "rotation_period_days"]},
        ),
    ],
)
def test_only_what_is_named_of_a_policy_is_changed(desk, words, body):
    desk.api.on(f"PATCH {POLICY}", project())

    assert desk.keyturn("policy", PROJECT, *words).exit_code == 0
    assert desk.api.asked[-1].body == body


def test_a_ladder_without_a_day_is_called_wrongly_and_nothing_is_asked(desk):
    told = desk.keyturn("policy", PROJECT, "--ladder", "")

    assert told.exit_code == 2
    assert "is no ladder: give days with commas" in told.stderr
    assert not desk.api.asked


def test_what_a_project_wishes_by_itself_is_told_from_what_it_inherits(desk):
    desk.api.on(f"GET /v1/projects/{PROJECT}", project(policy=Policy(ladder=(0,)), policy_own=("ladder",)))

    told = desk.keyturn("policy", PROJECT).stdout

    assert "--ladder                 0 (its own)" in told
    assert told.count("(its own)") == 1


def test_without_a_project_the_fleets_policy_is_shown_and_changed(desk):
    fleet = show.show_fleet_version(a_world().outside)[1]
    desk.api.on("GET /v1/policy", fleet)
    desk.api.on("PATCH /v1/policy", fleet)

    shown, changed = desk.keyturn("policy"), desk.keyturn("policy", "--ladder", "-7,0", "--digest")

    assert "Policy of the fleet" in shown.stdout
    assert "--period-days            none" in shown.stdout
    assert changed.exit_code == 0
    assert desk.api.asked[-1].body == {"ladder": [-7, 0], "digest": True}


def test_the_fleet_has_nothing_to_inherit_from(desk):
    told = desk.keyturn("policy", "--inherit", "ladder")

    assert (told.exit_code, desk.api.asked) == (2, [])


@pytest.mark.parametrize("words", [("--ladder", "soon"), ("--period-days", "soon"), ("--mode", "dance")])
def test_a_wish_that_cannot_be_meant_is_called_wrongly(desk, words):
    told = desk.keyturn("policy", PROJECT, *words)

    assert told.exit_code == 2
    assert not desk.api.asked
