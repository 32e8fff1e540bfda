"""Keyturn as it is deployed: its story on the emulator, in order. `make deploy-test` runs it."""

import json
import sys
import time

import pytest
from deployed.emulator import ACCOUNT, ROOT
from deployed.place import SECRET, STACK, eventually

sys.path.insert(0, str(ROOT / "docs"))
import draw_powers


@pytest.fixture(scope="module")
def told(place):
    """What people get: a queue subscribed to the topic of alerts."""
    return place.make_mailbox(place.outputs()["AlertsTopicArn"], "people")


@pytest.fixture(scope="module")
def machines(place):
    """What machines get: a queue that a rule of the event bus feeds."""
    return place.make_feed(place.outputs()["EventBusName"], "machines")


@pytest.fixture(scope="module")
def project(place):
    role = place.make_role_of_atlas()
    made = place.atlas.add_project("payments", key=place.make_key(role), role_arn=role)
    place.atlas.add_cluster(made, "ledger")
    return made


def test_a_deployment_without_its_one_needed_parameter_is_refused_in_words(place):
    assert place.deploy() == 1

    assert "give a value for AtlasSecrets" in place.printed


def test_the_package_is_deployed_by_one_command(place):
    status = place.deploy(
        AtlasSecrets=SECRET, AtlasBaseUrl=place.atlas_server.address, AlertsEmail="people@example.com"
    )

    assert status == 0, place.printed
    assert f"{STACK}: CREATE_COMPLETE" in place.printed


def test_who_does_not_sign_or_is_not_let_in_by_iam_gets_nothing(place, ada, stranger):
    assert place.ask("GET", "/v1/health")[0] == 403
    assert place.ask("GET", "/v1/health", key=stranger)[0] == 403

    assert place.ask("GET", "/v1/health", key=ada) == (200, {"status": "ok", "version": "0.1.0"})


def test_discovery_reads_atlas_with_the_credentials_of_the_secret(place, project, ada):
    place.invoke("Discover")

    status, body = place.ask("GET", "/v1/projects", key=ada)
    assert status == 200
    assert [(one["project_id"], one["covered"]) for one in body["items"]] == [(project, ["ledger"])]


def test_doctor_finds_nothing_wrong(place, project, ada):
    status, printed = place.keyturn("doctor", key=ada)

    assert status == 0, place.printed
    assert "1 project, none in trouble" in printed


def test_a_rotation_asked_for_over_the_api_goes_through_the_queue_to_the_swap(place, project, told, machines, ada):
    old = place.ask("GET", f"/v1/projects/{project}", key=ada)[1]["key"]

    status, rotation = place.ask(
        "POST", f"/v1/projects/{project}/rotations", {"reason": "deployed"}, key=ada, **{"Idempotency-Key": "first"}
    )

    assert status == 202, rotation
    shown = place.rotation_in("deploying", project, ada)
    assert shown["new_key"] not in {None, old}
    assert str(place.atlas.projects[project].encryption.cmk.arn) == shown["new_key"]


def test_the_rotation_is_deployed_once_every_cluster_has_rested_with_the_new_key(place, project, ada):
    place.pass_time(minutes=25)
    place.invoke("Track")
    eventually(lambda: any("at rest" in one for one in place.rotation(project, ada)["waiting_for"]))
    place.pass_time(minutes=31)
    place.invoke("Track")

    place.rotation_in("deployed", project, ada)


def test_every_notice_reaches_people_and_machines_through_the_stream_once(told, machines):
    wanted = ["rotation_deployed", "rotation_deploying", "rotation_started"]

    eventually(lambda: len(told.came()) >= len(wanted) and len(machines.came()) >= len(wanted))

    assert sorted(one["MessageAttributes"]["kind"]["Value"] for one in told.came()) == wanted
    assert sorted(event["detail"]["kind"] for event in machines.came()) == wanted
    assert {event["source"] for event in machines.came()} == {"keyturn"}


def test_a_changed_notice_does_not_wake_the_stream_but_waits_for_relay(place, told):
    """Here the notice is made to look unsent; that relay's schedule really fires is seen further down."""
    events, rule = place.client("events"), place.physical("RelayRelayEvent")
    events.disable_rule(Name=rule)

    place.unsend_a_notice()

    time.sleep(4)  # as long as the stream takes to wake announce, and some
    assert len(told.with_id(place.unsent)) == 1
    events.enable_rule(Name=rule)


def test_one_bad_message_of_a_batch_is_given_back_and_ends_among_the_dead_letters(place):
    queue, dead = place.physical("RotationsQueue"), place.physical("RotationsDeadLetters")
    mapping = place.mapping_of("Rotate")
    place.soon_visible("RotationsQueue")
    place.change_mapping(mapping, Enabled=False, BatchSize=10)
    good = {"project_id": "nobody", "rotation_id": "nothing"}
    bodies = [json.dumps(good), "this is no JSON", json.dumps(good)]
    entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]
    place.client("sqs").send_message_batch(QueueUrl=queue, Entries=entries)

    place.change_mapping(mapping, Enabled=True)

    (letter,) = place.taken(dead, 120)
    assert letter["Body"] == "this is no JSON"
    assert place.waiting(queue) == 0
    place.change_mapping(mapping, BatchSize=1)


def test_a_rotation_that_iam_stopped_goes_on_from_the_dead_letters_once_it_may(place, project, ada):
    queue, dead = place.physical("RotationsQueue"), place.physical("RotationsDeadLetters")
    with place.without("Rotate", "dynamodb:*"):
        body = {"strategy": "kms-on-demand", "reason": "with a new material"}
        status, _ = place.ask(
            "POST", f"/v1/projects/{project}/rotations", body, key=ada, **{"Idempotency-Key": "second"}
        )
        assert status == 202
        (letter,) = place.taken(dead, 120)
        assert place.rotation(project, ada)["state"] == "requested"

    place.client("sqs").send_message(QueueUrl=queue, MessageBody=letter["Body"])

    done = place.rotation_in("deployed", project, ada)
    assert done["strategy"] == "kms-on-demand"
    assert done["evidence"]


def test_what_a_schedule_could_not_get_done_is_laid_aside(place):
    with place.without("Remind", "dynamodb:*"):
        place.invoke("Remind", kind="Event")

        (letter,) = place.taken(place.physical("AsyncDeadLetters"), 120)

    body = json.loads(letter["Body"])
    assert body["requestContext"]["condition"] == "RetriesExhausted"
    assert "dynamodb" in json.dumps(body["responsePayload"]).lower()


def test_the_old_key_is_kept_and_the_api_says_why(place, project, ada):
    eventually(lambda: place.key_left_by_the_first(project, ada)["reasons"])

    left = place.key_left_by_the_first(project, ada)

    assert left["safe_to_delete"] is False


def test_guard_brings_a_needed_key_back_and_names_who_was_at_it(place, project, told, ada):
    key = place.key_left_by_the_first(project, ada)["arn"]
    place.of_kms("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)

    place.invoke("Guard", place.kms_events[-1])

    assert place.of_kms("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    actor = f"arn:aws:iam::{ACCOUNT}:root"
    rescues = eventually(lambda: [one for one in told.came() if actor in one["Message"]])
    assert [one["MessageAttributes"]["key_id"]["Value"] for one in rescues] == [key.rpartition("/")[2]]


def test_relay_fires_on_its_schedule_and_sends_what_waits(place, told):
    eventually(lambda: len(told.with_id(place.unsent)) == 2, 90)


NOT_TRIED = {"sts:AssumeRole"}
"""The emulator's policies do not see which role is meant, and so refuse it to everybody."""


@pytest.mark.parametrize("name", sorted(draw_powers.policies()))
def test_a_functions_role_may_do_what_the_page_of_powers_says_and_nothing_else(place, name):
    intended = draw_powers.table()[name]

    tried = place.try_powers(name)

    may = {action for action, said in intended.items() if said not in {draw_powers.NO, draw_powers.NEVER}}
    assert {action for action, allowed in tried.items() if allowed} == may - NOT_TRIED
    assert set(tried) == set(intended) - NOT_TRIED


def test_a_change_of_parameters_is_an_update_in_place_that_leaves_the_memory_alone(place, project, ada):
    table, api = place.table, place.api

    assert place.deploy("--dry-run", LogRetentionDays="30") == 0
    assert "nothing was changed" in place.printed
    assert place.deploy(LogRetentionDays="30") == 0

    assert f"{STACK}: UPDATE_COMPLETE" in place.printed
    assert (place.table, place.api) == (table, api)
    groups = place.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{STACK}-")["logGroups"]
    assert {one["retentionInDays"] for one in groups} == {30}
    assert place.ask("GET", f"/v1/projects/{project}", key=ada)[0] == 200


def test_the_same_package_again_changes_nothing(place):
    assert place.deploy() == 0

    assert "nothing to change" in place.printed


def test_without_the_stack_the_table_and_every_key_are_still_there(place, project, ada):
    table = place.table
    keys = [place.rotation(project, ada)["old_key"], place.key_left_by_the_first(project, ada)["arn"]]

    assert place.run("undeploy") == 0

    assert f"kept AWS::DynamoDB::Table {table}" in place.printed
    found = place.client("dynamodb").describe_table(TableName=table)["Table"]
    assert found["ItemCount"] > 0
    assert {place.of_kms("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"] for key in keys} == {"Enabled"}
    left = place.client("lambda").list_functions()["Functions"]
    assert [one["FunctionName"] for one in left if one["FunctionName"].startswith(STACK)] == []
