"""The Atlas credentials from Secrets Manager: taken up within the hour, and never shown."""

import json
import traceback
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from botocore.stub import Stubber

from chalicelib.adapters.secrets import Secrets
from chalicelib.usecases.ports import NotFound, PermanentError, TemporaryError

CANARY = "canary-7f3a"
CONTENT = {
    "organization": "0123456789abcdef01234567",
    "reader": {"client_id": "reader-id", "client_secret": f"{CANARY}-reader"},
    "owner": {"client_id": "owner-id", "client_secret": f"{CANARY}-owner"},
    "webhook_secrets": [f"{CANARY}-old-hook", f"{CANARY}-new-hook"],
}


@pytest.fixture
def manager(aws):
    return aws.client("secretsmanager")


@pytest.fixture
def name(manager, request):
    name = f"keyturn/{sha256(request.node.name.encode()).hexdigest()[:12]}"
    manager.create_secret(Name=name, SecretString=json.dumps(CONTENT))
    yield name
    manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


@pytest.fixture
def secrets(manager, clock):
    return Secrets(manager, clock.now)


def write(manager, name, content):
    text = content if isinstance(content, str) else json.dumps(content)
    manager.put_secret_value(SecretId=name, SecretString=text)


def changed(part, value):
    return CONTENT | {part: value}


def later(clock, **step):
    clock.advance_to(clock.now() + timedelta(**step))


def test_a_secret_gives_its_organization_both_accounts_and_the_webhooks(secrets, name):
    secret = secrets.get(name)

    assert secret.organization == CONTENT["organization"]
    assert (secret.reader.client_id, secret.reader.client_secret) == ("reader-id", f"{CANARY}-reader")
    assert (secret.owner.client_id, secret.owner.client_secret) == ("owner-id", f"{CANARY}-owner")
    assert secret.webhook_secrets == (f"{CANARY}-old-hook", f"{CANARY}-new-hook")


def test_a_secret_without_webhooks_and_with_more_than_we_know_is_fine(secrets, manager, name):
    content = {part: value for part, value in CONTENT.items() if part != "webhook_secrets"}
    write(manager, name, content | {"note": "kept by ops"})

    assert secrets.get(name).webhook_secrets == ()


def test_a_secret_is_fetched_once_and_not_for_every_call(secrets, manager, name):
    secrets.get(name)
    write(manager, name, changed("organization", "another"))

    assert secrets.get(name).organization == CONTENT["organization"]


def test_a_changed_secret_is_taken_up_within_one_hour_of_whatever_clock(secrets, manager, name, clock):
    secrets.get(name)
    write(manager, name, changed("organization", "another"))
    later(clock, hours=1)

    assert secrets.get(name).organization == "another"


def test_a_secret_that_cannot_be_fetched_again_is_an_error_and_not_an_old_copy(secrets, manager, name, clock):
    secrets.get(name)
    write(manager, name, "{")
    later(clock, hours=1)

    with pytest.raises(PermanentError):
        secrets.get(name)


def test_a_printed_secret_shows_no_secret(secrets, name):
    secret = secrets.get(name)

    assert CANARY not in f"{secret!r} {secret} {secret.reader!r} {replace(secret, organization='x')!r}"


def test_the_filter_is_told_every_secret_also_the_one_before(secrets, manager, name, clock):
    secrets.get(name)
    write(manager, name, changed("owner", {"client_id": "owner-id", "client_secret": "fresh"}))
    later(clock, hours=1)
    secrets.get(name)

    parts = ("reader", "owner", "old-hook", "new-hook")
    assert set(secrets.current_values()) == {f"{CANARY}-{part}" for part in parts} | {"fresh"}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (f'{{"organization": "{CANARY}"', "not JSON"),
        (f"{CANARY}", "not JSON"),
        (json.dumps([CANARY]), "object"),
        (json.dumps({part: CONTENT[part] for part in ("reader", "owner")}), "`organization`"),
        (json.dumps(changed("organization", "")), "$.organization"),
        (json.dumps(changed("reader", CANARY)), "$.reader"),
        (json.dumps(changed("owner", {"client_id": CANARY})), "`client_secret`"),
        (json.dumps(changed("owner", {"client_id": CANARY, "client_secret": 7})), "$.owner.client_secret"),
        (json.dumps(changed("webhook_secrets", CANARY)), "$.webhook_secrets"),
        (json.dumps(changed("webhook_secrets", [CANARY, None])), "$.webhook_secrets[1]"),
    ],
)
def test_a_malformed_secret_is_refused_naming_it_and_the_field_but_never_its_content(
    secrets, manager, name, content, named
):
    write(manager, name, content)

    with pytest.raises(PermanentError) as refused:
        secrets.get(name)

    assert name in refused.value.message
    assert named in refused.value.message
    assert CANARY not in "".join(traceback.format_exception(refused.value))


def test_a_secret_that_does_not_exist_is_not_found_and_the_message_says_where_to_look(secrets):
    with pytest.raises(NotFound, match=r"keyturn/missing.*ATLAS_SECRETS"):
        secrets.get("keyturn/missing")


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("AccessDeniedException", 400, PermanentError),
        ("DecryptionFailure", 400, PermanentError),
        ("InvalidRequestException", 400, PermanentError),
        ("InternalServiceError", 500, TemporaryError),
        ("ThrottlingException", 400, TemporaryError),
    ],
)
def test_an_error_of_secrets_manager_becomes_one_of_ours(aws, clock, code, status, expected):
    client = aws.client("secretsmanager")
    stubber = Stubber(client)
    stubber.add_client_error("get_secret_value", code, "said so", http_status_code=status)

    with stubber, pytest.raises(expected) as seen:
        Secrets(client, clock.now).get("keyturn/o1")

    assert (type(seen.value), seen.value.code) == (expected, code)
