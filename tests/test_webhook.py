"""Atlas' alert webhook: who has the secret makes us look, once; anything else changes nothing."""

import json
from base64 import b64encode
from datetime import timedelta
from hmac import digest

import pytest
from fake_atlas import ORGANIZATION, PROJECT, an_alert, some_settings
from simple_world import BUSY, DAY, HOUR, MINUTE, START, a_world

from chalicelib.adapters.secrets import Account, OrganizationSecret
from chalicelib.domain.records import Policy
from chalicelib.domain.vocabulary import Mode, NoticeKind
from chalicelib.domain.webhook import is_timely, read_alert
from chalicelib.usecases.hear import hear_asked
from chalicelib.usecases.ports import Conflict, TemporaryError
from chalicelib.usecases.remind import BY_POLICY, remind_all

SECRETS = ("new-secret", "old-secret")
ALERT = {
    "id": "a" * 24,
    "groupId": PROJECT,
    "eventTypeName": "AWS_ENCRYPTION_KEY_NEEDS_ROTATION",
    "status": "OPEN",
    "created": "2027-03-01T11:00:00Z",
    "updated": "2027-03-01T11:59:00Z",
    "humanReadable": "…",
}
ACCOUNT = Account(client_id="c", client_secret="s")
SECRET = OrganizationSecret(organization=ORGANIZATION, reader=ACCOUNT, owner=ACCOUNT, webhook_secrets=SECRETS)


def signed(body: bytes, secret: str = SECRETS[0]) -> str:
    return b64encode(digest(secret.encode(), body, "sha1")).decode()


def call(world, alert=ALERT, *, secret=SECRETS[0], body=None, signature=None):
    body = body if body is not None else json.dumps(alert).encode()
    message = {"body": b64encode(body).decode(), "signature": signature or signed(body, secret)}
    return hear_asked(world.outside, message)["verdict"]


def change_outside(world, **changes):
    world.outside = type(world.outside)(**{**vars(world.outside), **changes})


@pytest.fixture
def world():
    world = a_world()
    knows = lambda body, signature: ORGANIZATION if SECRET.has_signed(body, signature) else None  # noqa: E731
    change_outside(world, signed_by=knows)
    return world


@pytest.mark.parametrize("secret", SECRETS)
def test_either_of_two_secrets_signs_so_that_they_can_be_rotated(world, secret):
    assert call(world, secret=secret) == "heard"


def test_a_heard_alert_makes_us_look_at_the_project_and_its_reminder(world):
    world.in_atlas.settings = some_settings(valid=False)

    call(world)

    assert NoticeKind.DRIFT in world.told()
    assert world.project.due == world.now


def test_an_alert_about_something_else_only_makes_us_look(world):
    before = world.project.due

    assert call(world, ALERT | {"eventTypeName": "AWS_ENCRYPTION_KEY_INVALID"}) == "heard"
    assert ("settings", PROJECT) in world.atlas.calls
    assert world.project.due == before


@pytest.mark.parametrize("signature", ["", "nonsense", "===", signed(b"another body"), "ä" * 28])
def test_a_forged_call_changes_nothing(world, signature):
    commits = len(world.tracker.commits)

    assert call(world, signature=signature or "-") == "forged"
    assert (len(world.tracker.commits), world.atlas.calls) == (commits, [])


def test_a_body_that_is_no_base64_is_a_forgery(world):
    assert hear_asked(world.outside, {"body": "no base64!", "signature": "x"}) == {"verdict": "forged"}


def test_no_bit_of_a_signed_body_may_change(world):
    body = json.dumps(ALERT).encode()
    signature = signed(body)

    changed = [bytes([*body[:n], body[n] ^ 1, *body[n + 1 :]]) for n in range(len(body))]

    assert {call(world, body=one, signature=signature) for one in changed} == {"forged"}


def test_the_same_message_counts_once(world):
    call(world)
    looks = len(world.atlas.calls)

    assert call(world) == "left alone"
    assert len(world.atlas.calls) == looks


def test_a_message_whose_look_failed_counts_when_atlas_sends_it_again(world):
    def atlas_while_the_tracker_breaks(organization):
        world.tracker.fail_next(BUSY)
        return world.organizations[organization]

    whole = world.outside.atlas
    change_outside(world, atlas=atlas_while_the_tracker_breaks)
    with pytest.raises(TemporaryError):
        call(world)
    change_outside(world, atlas=whole)

    assert [call(world), call(world)] == ["heard", "left alone"]
    assert world.project.due == world.now


def test_a_message_that_two_calls_bring_at_once_is_written_once_and_the_loser_is_told_to_come_again(world):
    meanwhile = []

    def atlas_while_the_message_comes_again(organization):
        if not meanwhile:
            meanwhile.append(None)
            meanwhile.append(call(world))
        return world.organizations[organization]

    change_outside(world, atlas=atlas_while_the_message_comes_again)
    with pytest.raises(Conflict):
        call(world)

    assert meanwhile == [None, "heard"]
    assert call(world) == "left alone"
    assert [entry.subject for entry in world.tracker.audit].count(f"alert {ALERT['id']}") == 1


def test_a_later_change_of_the_same_alert_counts_again(world):
    call(world)

    assert call(world, ALERT | {"status": "CLOSED", "updated": "2027-03-01T12:05:00Z"}) == "heard"


@pytest.mark.parametrize(
    "alert",
    [
        ALERT | {"updated": (START - 25 * HOUR).isoformat()},
        ALERT | {"updated": (START + HOUR).isoformat()},
        ALERT | {"groupId": "f" * 24},
        ALERT | {"id": None},
        ALERT | {"status": ["OPEN"]},
        ALERT | {"updated": "yesterday", "created": 7},
        ALERT | {"updated": "2027-03-01T11:59:00", "created": None},
        {},
        [],
        "text",
        7,
    ],
)
def test_what_is_signed_but_old_unknown_or_shapeless_is_harmless(world, alert):
    commits = len(world.tracker.commits)

    assert call(world, alert) == "left alone"
    assert len(world.tracker.commits) == commits


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_is_harmless(world, body):
    assert call(world, body=body) == "left alone"


def test_a_project_of_another_organization_is_none_of_its_business(world):
    world.change(world.project, organization="9" * 24)

    assert call(world) == "left alone"


def test_a_message_counts_for_a_day_and_may_be_a_little_ahead():
    alert = read_alert(json.dumps(ALERT).encode())

    assert is_timely(alert, alert.at + DAY)
    assert not is_timely(alert, alert.at + DAY + timedelta(seconds=1))
    assert is_timely(alert, alert.at - 10 * MINUTE)
    assert not is_timely(alert, alert.at - 11 * MINUTE)


def test_an_alert_starts_the_rotation_that_is_due_by_policy_at_the_next_look_of_remind(world):
    world.change(
        world.project, policy=Policy(mode=Mode.ROTATE), policy_own=("mode",), next_reminder_at=START + 400 * DAY
    )
    world.wait(91 * DAY)
    asleep = remind_all(world.outside)

    heard = call(world, ALERT | {"updated": world.now.isoformat()})
    remind_all(world.outside)

    assert (asleep, heard) == (0, "heard")
    rotation = world.tracker.rotation(PROJECT, world.project.open_rotation)
    assert (rotation.requested_by, rotation.reason) == (BY_POLICY, "due by policy")


@pytest.mark.parametrize(
    "change", [{"policy": Policy()}, {"policy": Policy(mode=Mode.ROTATE, rotation_period_days=365)}]
)
def test_an_alert_starts_no_rotation_where_the_policy_only_reminds_or_nothing_is_due(world, change):
    world.change(world.project, next_reminder_at=START + 400 * DAY, **change)
    world.wait(91 * DAY)

    call(world, ALERT | {"updated": world.now.isoformat()})
    remind_all(world.outside)

    assert world.project.open_rotation is None


def test_an_acknowledgement_that_atlas_tells_of_is_read_from_atlas_and_never_from_the_message(world):
    world.wait(91 * DAY)
    world.in_atlas.alerts = [an_alert(opened_at=world.now - DAY)]
    told = ALERT | {"updated": world.now.isoformat(), "acknowledgedUntil": "2099-01-01T00:00:00Z"}

    call(world, told)
    from_the_message = world.project.silent_until
    world.in_atlas.alerts = [an_alert(opened_at=world.now - DAY, acknowledged_until=world.now + DAY)]
    call(world, told | {"updated": (world.now + MINUTE).isoformat()})

    assert from_the_message is None
    assert world.project.silent_until == world.now + DAY
