"""The operators' door over the real table; here nobody looks ahead for it (test_api_preview.py has who does)."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import wiring
from chalicelib.adapters.tracker import DynamoTracker
from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import AuditEntry, Change, ClusterTally, Harm, Key, Project, Proof, Reason, Rotation
from chalicelib.domain.vocabulary import KeyState, RotationState, Strategy

NOW = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
CURRENT = KeyArn(account="123456789012", region="us-east-1", key_id="11111111-2222-3333-4444-555555555555")
FREE = KeyArn(account="123456789012", region="us-east-1", key_id="99999999-2222-3333-4444-555555555555")
DRAINING = KeyArn(account="123456789012", region="us-east-1", key_id="77777777-2222-3333-4444-555555555555")
PROJECT = "64b0c0c0c0c0c0c0c0c0c0c0"
KEPT = Reason(
    kind="snapshots",
    text="7 snapshots of ledger need it",
    project_id=PROJECT,
    cluster="ledger",
    until=NOW + timedelta(days=365),
)
ALICE = "arn:aws:iam::123456789012:user/alice"
BOB = "arn:aws:iam::123456789012:user/bob"


@pytest.fixture
def door(aws, stack, table, monkeypatch):
    """The real API over the real table: `door(method, path, body, caller=…)` gives (status, answer)."""
    user = aws.admin
    environment = {
        "AWS_ENDPOINT_URL": aws.address,
        "AWS_ACCESS_KEY_ID": user.access_key_id,
        "AWS_SECRET_ACCESS_KEY": user.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "POWERTOOLS_METRICS_DISABLED": "true",
        "TABLE_NAME": table,
        "ROTATIONS_QUEUE_URL": stack["RotationsQueue"]["url"],
        "SWEEPS_QUEUE_URL": stack["SweepsQueue"]["url"],
        "ALERTS_TOPIC_ARN": stack["AlertsTopic"]["arn"],
        "ESCALATIONS_TOPIC_ARN": stack["EscalationsTopic"]["arn"],
        "EVENT_BUS_NAME": stack["EventBus"]["name"],
        "PREVIEW_FUNCTION": "not-deployed",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    wiring.furnish(now=lambda: NOW)
    DynamoTracker(aws.client("dynamodb"), table).commit(
        Change(
            records=(
                Project(project_id=PROJECT, name="payments", organization="o", seen_at=NOW, key=CURRENT, key_since=NOW),
                Project(
                    project_id="playground", name="toys", organization="o", seen_at=NOW, not_covered_because="M0 only"
                ),
                Key(arn=CURRENT, state=KeyState.CURRENT, projects=(PROJECT,), first_seen_at=NOW),
                Key(
                    arn=DRAINING,
                    state=KeyState.RETIRING,
                    projects=(PROJECT,),
                    first_seen_at=NOW,
                    swept_at=NOW,
                    reasons=(KEPT,),
                    clusters=(
                        ClusterTally(
                            project_id=PROJECT,
                            cluster="ledger",
                            cluster_id="5f" * 12,
                            snapshots=7,
                            last_expiry=KEPT.until,
                            newest=NOW,
                        ),
                    ),
                ),
                Key(
                    arn=FREE,
                    state=KeyState.RETIRING,
                    projects=(PROJECT,),
                    first_seen_at=NOW,
                    created_by_us=True,
                    swept_at=NOW,
                    safe_since=NOW,
                    proof_digest="a" * 64,
                    proof_at=NOW,
                ),
                Proof(digest="a" * 64, at=NOW, arn=FREE, document="{}"),
            )
        )
    )
    yield _call
    wiring.furnish()


def _call(method, path, body=None, *, caller=ALICE, query=None, headers=None):
    from app import app

    resource, names = _match(app, path)
    event = {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": {"content-type": "application/json", **(headers or {})},
        "multiValueHeaders": {},
        "multiValueQueryStringParameters": {name: [value] for name, value in (query or {}).items()} or None,
        "pathParameters": names,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": method,
            "requestId": "r",
            "identity": {"userArn": caller, "sourceIp": "127.0.0.1"},
        },
        "body": body if isinstance(body, str | None) else json.dumps(body),
        "isBase64Encoded": False,
    }
    answer = app(event, _Context())
    return answer["statusCode"], json.loads(answer["body"])


def _match(app, path):
    parts = path.split("/")
    for route in app.routes:
        names = route.split("/")
        if len(names) == len(parts) and all(n == p or n.startswith("{") for n, p in zip(names, parts, strict=True)):
            return route, {n[1:-1]: p for n, p in zip(names, parts, strict=True) if n.startswith("{")}
    raise LookupError(path)


class _Context:
    function_name = "api_handler"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:api_handler"
    aws_request_id = "r"

    @staticmethod
    def get_remaining_time_in_millis():
        return 29_000


@pytest.fixture
def memory(aws, table):
    """The tracker behind the door, for what other functions would have written."""
    return DynamoTracker(aws.client("dynamodb"), table)


def key_for(text):
    return {"idempotency-key": text}


def keep_rotation(memory, *, state, **changes):
    """Write a rotation as far as another function would have brought it; gives its path."""
    rotation = Rotation(
        rotation_id="r1",
        project_id=PROJECT,
        state=state,
        strategy=Strategy.NEW_CMK,
        requested_by=ALICE,
        requested_at=NOW,
        fingerprint="f",
        old_key=CURRENT,
        old_key_since=NOW,
        **changes,
    )
    project = memory.project(PROJECT)
    open_rotation = None if state.terminal else rotation.rotation_id
    key = rotation.new_key or CURRENT
    memory.commit(Change(records=(rotation, replace(project, open_rotation=open_rotation, key=key))))
    return f"/v1/projects/{PROJECT}/rotations/r1"


def test_health_needs_nothing(door):
    status, answer = door("GET", "/v1/health")

    assert (status, answer["status"]) == (200, "ok")


def test_activity_tells_what_happened_everywhere_newest_first_page_by_page(door, memory):
    door("PATCH", f"/v1/projects/{PROJECT}/policy", {"rotation_period_days": 30, "mode": "rotate"})
    door("POST", f"/v1/keys/{DRAINING.key_id}/attestation", {"statement": "no copies"}, caller=BOB)
    memory.commit(
        Change(records=(), audit=(AuditEntry(at=NOW + timedelta(days=1), who="x", what="y", subject="fleet"),))
    )

    _, first = door("GET", "/v1/activity", query={"limit": "1"})
    status, rest = door("GET", "/v1/activity", query={"cursor": first["next"]})

    shown = [(one["about"], one["name"], one["what"]) for one in (*first["items"], *rest["items"])]
    assert status == 200
    assert shown[0] == ("fleet", None, "y")
    assert set(shown[1:]) == {("project", "payments", "policy changed"), ("key", None, "key attested")}
    assert rest["next"] is None


def test_a_change_of_policy_is_told_in_words(door):
    door("PATCH", f"/v1/projects/{PROJECT}/policy", {"rotation_period_days": 30, "mode": "rotate"})

    _, answer = door("GET", "/v1/activity")

    (entry,) = answer["items"]
    assert entry["after"] == (
        "rotation period: from as the alert of Atlas says, else 90 days to 30 days;"
        " on the due day: from remind people to rotate by itself"
    )


def test_the_latest_rotation_comes_first(door, memory):
    for name, minutes in (("ffff", 0), ("aaaa", 1), ("cccc", 2)):
        rotation = Rotation(
            rotation_id=name,
            project_id=PROJECT,
            state=RotationState.FAILED,
            strategy=Strategy.NEW_CMK,
            requested_by=ALICE,
            requested_at=NOW + timedelta(minutes=minutes),
            fingerprint="f",
            old_key=CURRENT,
        )
        memory.commit(Change(records=(rotation,)))

    _, first = door("GET", f"/v1/projects/{PROJECT}/rotations", query={"limit": "2"})
    _, last = door("GET", f"/v1/projects/{PROJECT}/rotations", query={"cursor": first["next"]})

    assert [one["rotation_id"] for one in (*first["items"], *last["items"])] == ["cccc", "aaaa", "ffff"]


SCHEDULED = Harm(operation="ScheduleKeyDeletion", actor=BOB, seen_at=NOW, deletion_date=NOW + timedelta(days=7))


def test_a_needed_key_that_kms_is_going_to_delete_warns_and_is_named_with_the_first_page_of_keys(door, memory):
    memory.commit(Change(records=(replace(memory.key(DRAINING), harm=SCHEDULED),)))

    _, key = door("GET", f"/v1/keys/{DRAINING.key_id}")
    _, keys = door("GET", "/v1/keys", query={"limit": "1"})

    (warning,) = key["warnings"]
    assert (warning["kind"], warning["at"]) == ("deletion_scheduled_outside", "2027-03-08T09:30:00Z")
    assert "KMS deletes it on 2027-03-08" in warning["text"]
    assert "user/bob" in warning["text"]
    assert [one["key_id"] for one in keys["endangered"]] == [DRAINING.key_id]


@pytest.mark.parametrize("changes", [{"state": KeyState.PENDING_DELETION}, {"state": KeyState.DELETED}], ids=str)
def test_what_its_own_deletion_does_to_a_key_is_no_harm(door, memory, changes):
    memory.commit(Change(records=(replace(memory.key(DRAINING), harm=SCHEDULED, **changes),)))

    _, key = door("GET", f"/v1/keys/{DRAINING.key_id}")
    _, keys = door("GET", "/v1/keys")

    assert (key["warnings"], keys["endangered"]) == ([], [])


def test_a_key_that_is_gone_is_endangered_after_those_that_can_be_saved(door, memory):
    gone = Harm(operation="KeyDeleted", actor="KMS", seen_at=NOW)
    records = (replace(memory.key(DRAINING), harm=gone), replace(memory.key(CURRENT), harm=SCHEDULED))
    memory.commit(Change(records=records))

    _, keys = door("GET", "/v1/keys")

    kinds = [one["warning"]["kind"] for one in keys["endangered"]]
    assert kinds == ["deletion_scheduled_outside", "deleted_outside"]


def test_a_project_is_shown_with_its_due_date_and_policy(door):
    status, answer = door("GET", f"/v1/projects/{PROJECT}")

    assert status == 200
    assert answer["key"] == str(CURRENT)
    assert answer["due_at"] == "2027-05-30T09:30:00Z"
    assert answer["policy"]["ladder"] == [-30, -14, -7, -1, 0, 1, 7]


def test_the_fleet_is_paged_to_its_end(door):
    _, first = door("GET", "/v1/projects", query={"limit": "1"})
    _, second = door("GET", "/v1/projects", query={"limit": "1", "cursor": first["next"]})

    assert {first["items"][0]["name"], second["items"][0]["name"]} == {"payments", "toys"}


@pytest.mark.parametrize("query", [{"cursor": "nonsense"}, {"limit": "0"}, {"limit": "many"}])
def test_a_page_that_makes_no_sense_is_refused(door, query):
    status, answer = door("GET", "/v1/projects", query=query)

    assert (status, answer["status"]) == (400, 400)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"rotation_period_days": "ninety"}', "rotation_period_days"),
        ('{"colour": 1}', "colour"),
        ('{"ladder": [0.5]}', "ladder"),
        ("{", "truncated"),
    ],
)
def test_a_wrong_body_is_refused_by_the_name_of_its_field(door, body, named):
    status, answer = door("PATCH", f"/v1/projects/{PROJECT}/policy", body)

    assert status == 400
    assert named in answer["detail"]


def test_a_policy_is_changed_and_the_due_date_follows(door):
    status, answer = door("PATCH", f"/v1/projects/{PROJECT}/policy", {"rotation_period_days": 30, "mode": "rotate"})

    assert status == 200
    assert answer["due_at"] == "2027-03-31T09:30:00Z"
    assert answer["policy"]["mode"] == "rotate"


def test_how_often_kms_rotates_and_whether_people_must_vouch_is_policy(door):
    wanted = {"strategy": "kms-automatic", "automatic_period_days": 180, "attestation_always": True}
    status, answer = door("PATCH", f"/v1/projects/{PROJECT}/policy", wanted)

    assert status == 200
    assert {name: answer["policy"][name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("field", "value"),
    [("automatic_period_days", 30), ("automatic_period_days", None), ("attestation_always", "yes")],
)
def test_a_policy_that_kms_or_people_could_not_keep_is_refused_by_the_fields_name(door, field, value):
    status, answer = door("PATCH", f"/v1/projects/{PROJECT}/policy", {field: value})
    _, project = door("GET", f"/v1/projects/{PROJECT}")

    assert status == 400
    assert f"`$.{field}`" in answer["detail"]
    assert project["policy"]["automatic_period_days"] == 365
    assert project["policy"]["attestation_always"] is False


@pytest.mark.parametrize("path", [f"/v1/projects/{PROJECT}/policy", "/v1/policy"])
def test_a_role_that_the_functions_may_not_assume_is_refused_before_a_rotation_fails_over_it(door, path):
    status, answer = door("PATCH", path, {"kms_role_arn": "arn:aws:iam::444455556666:role/keys"})

    assert status == 400
    assert "`kms_role_arn`" in answer["detail"]
    assert "begins with keyturn-" in answer["detail"]


def test_a_reminder_is_acknowledged_until_a_date(door):
    body = {"until": "2027-04-01T00:00:00Z", "comment": "after the release"}
    status, answer = door("POST", f"/v1/projects/{PROJECT}/acknowledgement", body)

    assert (status, answer["quiet_until"]) == (200, "2027-04-01T00:00:00Z")


def test_the_same_idempotency_key_names_the_same_rotation(door):
    path = f"/v1/projects/{PROJECT}/rotations"
    first = door("POST", path, {}, headers=key_for("one"))
    again = door("POST", path, {}, headers=key_for("one"))
    other_body = door("POST", path, {"reason": "other"}, headers=key_for("one"))
    other_key = door("POST", path, {}, headers=key_for("two"))

    assert first[0] == again[0] == 202
    assert first[1]["rotation_id"] == again[1]["rotation_id"]
    assert other_body[0] == 422
    assert (other_key[0], other_key[1]["rotation_id"]) == (409, first[1]["rotation_id"])


def test_a_rotation_can_be_watched_and_given_up(door):
    _, opened = door("POST", f"/v1/projects/{PROJECT}/rotations", {}, headers=key_for("three"))
    path = f"/v1/projects/{PROJECT}/rotations/{opened['rotation_id']}"
    _, shown = door("GET", path)
    status, _ = door("POST", f"{path}/cancel", {})

    assert shown["state"] == "requested"
    assert status == 202


@pytest.mark.parametrize(
    ("project", "body", "status"),
    [
        ("nowhere", {}, 404),
        ("playground", {}, 409),
        (PROJECT, {"key": "alias/mine"}, 409),
        (PROJECT, {"key": str(CURRENT)}, 409),
        (PROJECT, {"strategy": "kms-on-demand", "key": str(FREE)}, 409),
        (PROJECT, {"strategy": "kms-automatic", "emergency": True}, 409),
        (PROJECT, {"strategy": "kms-on-demand", "period_days": 90}, 409),
    ],
)
def test_a_rotation_that_cannot_be_is_refused_at_once(door, project, body, status):
    found, answer = door("POST", f"/v1/projects/{project}/rotations", body, headers=key_for("four"))

    assert found == status
    assert answer["detail"]


def test_a_dry_run_without_anybody_to_look_ahead_says_so_and_opens_nothing(door):
    path = f"/v1/projects/{PROJECT}/rotations"
    status, answer = door("POST", path, {"dry_run": True}, headers=key_for("five"))
    _, rotations = door("GET", path)

    *known, unknown = answer["checks"]
    assert status == 200
    assert [check["name"] for check in known] == ["covered", "nothing_open", "strategy", "wanted_key"]
    assert (unknown["name"], unknown["passed"]) == ("preview", None)
    assert "not-deployed" in unknown["text"]
    assert rotations["items"] == []


def test_what_can_be_refused_without_looking_refuses_with_every_reason(door):
    path = f"/v1/projects/{PROJECT}/rotations"
    body = {"strategy": "kms-on-demand", "key": "alias/mine"}
    status, answer = door("POST", path, body, headers=key_for("six"))
    _, rotations = door("GET", path)

    assert status == 409
    assert [reason["kind"] for reason in answer["reasons"]] == ["strategy", "wanted_key"]
    assert rotations["items"] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("region", "eu west 1"),
        ("region", ""),
        ("credentials_secret", "payroll"),
        ("credentials_secret", "keyturn/"),
        ("period_days", 89),
        ("period_days", 2561),
        ("period_days", 90.5),
        ("emergency", "yes"),
        ("strategy", "new"),
        ("key", ""),
        ("dry_run", 1),
    ],
)
def test_a_request_with_a_field_that_cannot_be_is_refused_by_the_fields_name(door, field, value):
    path = f"/v1/projects/{PROJECT}/rotations"
    status, answer = door("POST", path, {field: value}, headers=key_for("seven"))
    _, rotations = door("GET", path)

    assert status == 400
    assert f"`$.{field}`" in answer["detail"]
    assert rotations["items"] == []


def test_a_request_says_all_that_it_asks_for(door):
    body = {
        "region": "EU_WEST_1",
        "credentials_secret": "keyturn/legacy/payments",
        "reason": "a leaver",
        "emergency": True,
    }
    status, answer = door("POST", f"/v1/projects/{PROJECT}/rotations", body, headers=key_for("eight"))

    assert status == 202
    assert {name: answer[name] for name in body} == {**body, "region": "eu-west-1"}
    assert answer["requested_by"] == ALICE


@pytest.mark.parametrize("state", [RotationState.REQUESTED, RotationState.PREPARING])
def test_before_the_swap_there_is_no_way_back_but_to_cancel(door, memory, state):
    path = keep_rotation(memory, state=state)
    status, answer = door("POST", f"{path}/rollback", {})
    _, shown = door("GET", path)

    assert status == 409
    assert "cancel" in answer["detail"]
    assert shown["rollback_requested_by"] is None


@pytest.mark.parametrize("state", [RotationState.DEPLOYING, RotationState.DEPLOYED])
def test_while_the_new_key_is_deployed_and_after_it_the_way_back_is_open(door, memory, state):
    path = keep_rotation(memory, state=state, new_key=FREE, swapped_at=NOW, patch_sent_at=NOW)
    status, answer = door("POST", f"{path}/rollback", {}, caller=BOB)
    _, project = door("GET", f"/v1/projects/{PROJECT}")

    assert (status, answer["rollback_requested_by"]) == (202, BOB)
    assert project["open_rotation"] == answer["rotation_id"]


def test_a_rotation_that_has_failed_has_no_way_back(door, memory):
    path = keep_rotation(memory, state=RotationState.FAILED)
    status, answer = door("POST", f"{path}/rollback", {})

    assert status == 409
    assert "failed" in answer["detail"]


def test_the_way_back_is_closed_once_the_old_key_is_on_its_way_to_deletion(door, memory):
    path = keep_rotation(memory, state=RotationState.DEPLOYED, new_key=FREE, swapped_at=NOW, patch_sent_at=NOW)
    memory.commit(Change(records=(replace(memory.key(CURRENT), state=KeyState.QUARANTINED),)))
    status, answer = door("POST", f"{path}/rollback", {})

    assert status == 409
    assert "deletion" in answer["detail"]


def test_a_rotation_shows_what_stays_readable_and_what_kms_showed(door, memory):
    document = {"key": str(CURRENT), "counted": 1, "snapshots": [["ledger", "5f", None, None, True]]}
    memory.commit(Change(records=(Proof(digest="c" * 64, at=NOW, arn=CURRENT, document=json.dumps(document)),)))
    path = keep_rotation(
        memory,
        state=RotationState.DEPLOYED,
        new_key=FREE,
        emergency=True,
        still_readable="c" * 64,
        evidence=("rotated on demand on 2027-03-01",),
    )
    status, shown = door("GET", path)

    assert status == 200
    assert shown["still_readable"] == document
    assert shown["evidence"] == ["rotated on demand on 2027-03-01"]
    assert shown["emergency"] is True


def test_a_rotation_without_an_emergency_lists_nothing_as_readable(door, memory):
    _, shown = door("GET", keep_rotation(memory, state=RotationState.DEPLOYING, new_key=FREE))

    assert shown["still_readable"] is None
    assert shown["evidence"] == []


def test_a_current_key_shows_why_it_must_stay(door):
    status, answer = door("GET", f"/v1/keys/{CURRENT.key_id}")

    assert status == 200
    assert answer["safe_to_delete"] is False
    assert [reason["kind"] for reason in answer["reasons"]] == ["current"]


def test_a_key_shows_when_it_would_come_free_under_a_shorter_retention(door):
    _, as_it_is = door("GET", f"/v1/keys/{DRAINING.key_id}")
    status, answer = door("GET", f"/v1/keys/{DRAINING.key_id}", query={"retention_days": "30"})

    shortened = NOW + timedelta(days=30)
    assert status == 200
    assert answer["what_if"]["retention_days"] == 30
    assert shortened <= datetime.fromisoformat(answer["what_if"]["free_at"]) < KEPT.until
    assert answer["free_at"] == as_it_is["free_at"]
    assert "what_if" not in as_it_is


@pytest.mark.parametrize("days", ["0", "3651", "-1", "soon", "1.5", ""])
def test_a_retention_that_is_no_number_of_days_is_refused_by_its_name(door, days):
    status, answer = door("GET", f"/v1/keys/{DRAINING.key_id}", query={"retention_days": days})

    assert status == 400
    assert "retention_days" in answer["detail"]


def test_the_first_page_of_keys_says_what_the_retiring_ones_cost(door):
    _, first = door("GET", "/v1/keys", query={"limit": "1"})
    _, second = door("GET", "/v1/keys", query={"limit": "1", "cursor": first["next"]})

    assert first["retiring"] == {"keys": 2, "dollars_per_month": 2.0}
    assert "retiring" not in second


def test_a_needed_key_is_not_deleted(door):
    status, answer = door("POST", f"/v1/keys/{CURRENT.key_id}/deletion", {})

    assert status == 409
    assert answer["detail"]


def test_a_free_key_is_deleted_by_two_people_and_by_the_digest(door):
    status, asked = door("POST", f"/v1/keys/{FREE.key_id}/deletion", {"reason": "unused"})
    path = f"/v1/deletions/{asked['deletion_id']}"
    alone, _ = door("POST", f"{path}/approval", {"digest": "a" * 64})
    stale, _ = door("POST", f"{path}/approval", {"digest": "b" * 64}, caller=BOB)
    approved, _ = door("POST", f"{path}/approval", {"digest": "a" * 64}, caller=BOB)
    _, shown = door("GET", path)

    assert (status, asked["digest"]) == (202, "a" * 64)
    assert (alone, stale, approved) == (403, 409, 200)
    assert shown["state"] == "approved"


def test_a_requested_deletion_can_be_called_off(door):
    _, asked = door("POST", f"/v1/keys/{FREE.key_id}/deletion", {})
    status, answer = door("DELETE", f"/v1/deletions/{asked['deletion_id']}")

    assert (status, answer["state"]) == (202, "called_off")


def test_a_person_vouches_for_what_no_list_shows(door):
    status, answer = door("POST", f"/v1/keys/{FREE.key_id}/attestation", {"statement": "no downloads are left"})

    assert (status, answer["key_id"]) == (200, FREE.key_id)


@pytest.mark.parametrize("path", ["/v1/keys/nothing", "/v1/deletions/nothing", f"/v1/projects/{PROJECT}/rotations/no"])
def test_what_does_not_exist_is_not_found(door, path):
    status, answer = door("GET", path)

    assert (status, answer["title"]) == (404, "Not Found")
