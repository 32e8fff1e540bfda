"""The webhook's door in a real sandbox world: no signature of ours, no look; a good one, a look."""

import json
from base64 import b64encode
from hmac import digest

import pytest

from chalicelib import wiring
from sandbox.cast import stage
from sandbox.world import WEBHOOK_SECRET

PATH = "/v1/webhooks/atlas"


@pytest.fixture(scope="module")
def place():
    with stage() as set_up:
        project_id = set_up.add_project("payments")
        set_up.atlas.add_cluster(project_id, "ledger")
        runner, api = set_up.install()
        runner.run_until(set_up.world.clock.now())
        yield set_up, api, project_id


def post(place, *, secret=WEBHOOK_SECRET, number=1, headers=None, body=None):
    set_up, api, project_id = place
    alert = {
        "id": f"{number:024x}",
        "groupId": project_id,
        "eventTypeName": "AWS_ENCRYPTION_KEY_INVALID",
        "status": "OPEN",
        "updated": set_up.world.clock.now().isoformat(),
    }
    body = body if body is not None else json.dumps(alert)
    signature = b64encode(digest(secret.encode(), body.encode(), "sha1")).decode()
    said = headers if headers is not None else {"x-mms-signature": signature}
    return api.ask("POST", PATH, body, caller="", headers=said)


def test_a_good_call_is_accepted_without_any_iam(place):
    answer = post(place)

    assert (answer.status, answer.json()) == (202, {"verdict": "heard"})


def test_what_was_heard_names_the_call_that_brought_it(place):
    answer = post(place, number=3)

    (link,) = wiring.outside().tracker.trail(f"alert {3:024x}").links

    assert link.request_id == answer.headers["x-request-id"]


def test_the_same_call_again_is_accepted_and_left_alone(place):
    post(place, number=2)

    answer = post(place, number=2)

    assert (answer.status, answer.json()) == (202, {"verdict": "left alone"})


@pytest.mark.parametrize("headers", [{}, {"x-mms-signature": ""}, {"x-mms-signature": "x" * 1000}])
def test_a_call_without_a_signature_is_refused(place, headers):
    assert post(place, headers=headers).status == 401


def test_a_forged_call_is_refused_as_a_problem(place):
    answer = post(place, secret="another")

    assert answer.status == 401
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_body_larger_than_any_of_atlas_is_refused_unread(place):
    assert post(place, body="x" * (256 * 1024 + 1)).status == 401


def test_a_signed_body_of_no_known_shape_is_harmless(place):
    assert post(place, body="[]").json() == {"verdict": "left alone"}
