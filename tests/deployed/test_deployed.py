"""Keyturn as it is deployed: its story on the emulator, in order. `make deploy-test` runs it."""

import json

import pytest
from deployed.place import SECRET, STACK, eventually

REQUEST = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def told(place):
    """What people get: a queue subscribed to the topic of alerts."""
    return place.make_mailbox(place.outputs()["AlertsTopicArn"], "people")


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


def test_a_rotation_asked_for_over_the_api_goes_through_the_queue_to_the_swap(place, project, told, ada):
    old = place.ask("GET", f"/v1/projects/{project}", key=ada)[1]["key"]

    status, rotation = place.ask(
        "POST", f"/v1/projects/{project}/rotations", {"reason": "deployed"}, key=ada, **{"Idempotency-Key": "first"}
    )

    assert status == 202, rotation
    shown = place.rotation_in("deploying", project, ada)
    assert shown["new_key"] not in {None, old}
    assert str(place.atlas.projects[project].encryption.cmk.arn) == shown["new_key"]


def test_the_rotation_is_deployed_once_every_cluster_has_rested_with_the_new_key(place, project, told, ada):
    place.pass_time(minutes=25)
    place.invoke("Track")
    eventually(lambda: any("at rest" in one for one in place.rotation(project, ada)["waiting_for"]))
    place.pass_time(minutes=31)
    place.invoke("Track")

    place.rotation_in("deployed", project, ada)


def test_every_notice_reaches_its_subscriber_through_the_stream_once(place, told):
    messages = [json.loads(one["Body"]) for one in place.taken(told, 10)]

    kinds = [one["MessageAttributes"]["kind"]["Value"] for one in messages]
    assert sorted(kinds) == ["rotation_deployed", "rotation_started"]
