"""The Atlas credentials and those of legacy IAM users from Secrets Manager: never old, and never shown."""

import json
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from time import sleep

import pytest
from botocore.stub import Stubber

from chalicelib.adapters.secrets import PREFIX, Secrets
from chalicelib.usecases.ports import NotFound, PermanentError, TemporaryError

ROOT = Path(__file__).parent.parent
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


def test_threads_that_want_a_secret_at_the_same_moment_fetch_it_once(manager, name, clock):
    fetched = []

    class Slow:
        exceptions, meta = manager.exceptions, manager.meta

        def get_secret_value(self, **asked):
            fetched.append(asked)
            sleep(0.02)
            return manager.get_secret_value(**asked)

    secrets = Secrets(Slow(), clock.now)
    with ThreadPoolExecutor(8) as threads:
        found = {secret.organization for secret in threads.map(secrets.get, [name] * 8)}

    assert (found, len(fetched)) == ({CONTENT["organization"]}, 1)


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


KEY_ID, SECRET_KEY = "AKIA0123456789012345", f"{CANARY}/+secretAccessKey"
CREDENTIALS = {"access_key_id": KEY_ID, "secret_access_key": SECRET_KEY}


@pytest.mark.parametrize(
    ("id_field", "secret_field"),
    [
        ("access_key_id", "secret_access_key"),
        ("AccessKeyId", "SecretAccessKey"),
        ("accessKeyID", "secretAccessKey"),
        ("access_key_id", "SecretAccessKey"),
    ],
)
def test_credentials_are_read_in_each_spelling(secrets, manager, name, id_field, secret_field):
    write(manager, name, {id_field: KEY_ID, secret_field: SECRET_KEY, "UserName": "atlas"})

    given = secrets.credentials(name)

    assert (given.access_key_id, given.secret_access_key) == (KEY_ID, SECRET_KEY)


def test_credentials_are_found_by_the_arn_of_their_secret_too(secrets, manager, name):
    write(manager, name, CREDENTIALS)
    arn = manager.describe_secret(SecretId=name)["ARN"]

    assert secrets.credentials(arn).access_key_id == KEY_ID


def test_credentials_are_fetched_each_time_and_kept_nowhere(secrets, manager, name):
    write(manager, name, CREDENTIALS)
    secrets.credentials(name)
    write(manager, name, CREDENTIALS | {"access_key_id": "AKIANEXT000000000000"})

    assert secrets.credentials(name).access_key_id == "AKIANEXT000000000000"
    assert secrets._kept == secrets._provider.store == {}


def test_no_secret_is_left_with_powertools(secrets, name):
    secrets.get(name)

    assert secrets._provider.store == {}


def test_the_filter_is_told_the_secret_part_of_credentials_alone(secrets, manager, name):
    write(manager, name, CREDENTIALS)
    secrets.credentials(name)

    assert secrets.current_values() == (SECRET_KEY,)


def test_printed_credentials_show_no_secret(secrets, manager, name):
    write(manager, name, CREDENTIALS)
    given = secrets.credentials(name)

    assert CANARY not in f"{given!r} {given} {[given]} {replace(given, access_key_id='x')!r}"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (f'{{"access_key_id": "{CANARY}"', "no JSON object"),
        (CANARY, "no JSON object"),
        (json.dumps([CANARY]), "no JSON object"),
        (json.dumps(CONTENT), "`access_key_id` is missing"),
        ({"access_key_id": CANARY}, "`secret_access_key` is missing"),
        (CREDENTIALS | {"secret_access_key": ""}, "`secret_access_key` must"),
        (CREDENTIALS | {"secret_access_key": f"{CANARY}\n"}, "`secret_access_key` must"),
        (CREDENTIALS | {"secret_access_key": [CANARY]}, "`secret_access_key` must"),
        (CREDENTIALS | {"access_key_id": None}, "`access_key_id` must"),
        (CREDENTIALS | {"SecretAccessKey": f"{CANARY}-other"}, "`secret_access_key` must"),
    ],
)
def test_malformed_credentials_are_refused_naming_secret_and_field_but_never_the_content(
    secrets, manager, name, content, named
):
    write(manager, name, content)

    with pytest.raises(PermanentError) as refused:
        secrets.credentials(name)

    assert (name in refused.value.message, refused.value.code) == (True, "malformed")
    assert named in refused.value.message
    assert CANARY not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    "elsewhere",
    [
        "payroll",
        "other/keyturn/x",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:payroll-AbCdEf",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:payroll:secret:keyturn/x",
        "",
    ],
)
def test_credentials_of_somebody_else_are_not_read_and_the_message_says_how_to_name_them(secrets, elsewhere):
    with pytest.raises(PermanentError, match="name it keyturn/…") as refused:
        secrets.credentials(elsewhere)

    assert refused.value.code == "not_ours"


def test_credentials_that_do_not_exist_stop_the_work_but_are_no_missing_project(secrets):
    with pytest.raises(PermanentError, match="keyturn/missing does not exist") as refused:
        secrets.credentials("keyturn/missing")

    assert type(refused.value) is PermanentError
    assert refused.value.code == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [("AccessDeniedException", 400, PermanentError), ("InternalServiceError", 500, TemporaryError)],
)
def test_an_error_over_credentials_names_their_secret(aws, clock, code, status, expected):
    client = aws.client("secretsmanager")
    stubber = Stubber(client)
    stubber.add_client_error("get_secret_value", code, "said so", http_status_code=status)

    with stubber, pytest.raises(expected, match="the credentials secret keyturn/user") as seen:
        Secrets(client, clock.now).credentials("keyturn/user")

    assert (type(seen.value), seen.value.code) == (expected, code)


def test_the_policies_allow_secrets_of_this_prefix_and_no_others():
    policies = [json.loads(path.read_text()) for path in (ROOT / ".chalice" / "policies").glob("*.json")]
    statements = [statement for policy in policies for statement in policy["Statement"]]
    reading = [one for one in statements if "secretsmanager:GetSecretValue" in json.dumps(one["Action"])]

    assert reading
    assert all(json.dumps(one["Resource"]).rstrip('"]}').endswith(f":secret:{PREFIX}*") for one in reading)
