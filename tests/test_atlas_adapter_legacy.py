"""Projects that still encrypt with an IAM user's credentials: how these reach Atlas, and nothing else."""

import json
import logging
import traceback
from dataclasses import dataclass, replace
from urllib.parse import quote

import boto3
import pytest
from atlas_stand_in import API, TOKEN_PATH, Pace, Reply, StandIn, a_session
from fake_atlas import (
    ACCESS_KEY_ID,
    CREDENTIALS,
    ORGANIZATION,
    PROJECT,
    ROLE_ID,
    FakeAtlas,
    a_key,
    legacy_settings,
    some_settings,
)

from chalicelib import wiring
from chalicelib.adapters.atlas import AtlasKeySwapper, AtlasReader
from chalicelib.adapters.secrets import LegacyCredentials
from chalicelib.domain.arn import atlas_region, aws_region
from chalicelib.domain.observed import LegacyUser
from chalicelib.usecases.ports import Atlas, AtlasOwner, NotFound, Outside, PermanentError, TemporaryError

OLD, NEW = a_key(1), a_key(2)
SETTINGS = f"/groups/{PROJECT}/encryptionAtRest"
SECRET_KEY = "canary/7f3a+secretAccessKey0123456789abc"
HELD = LegacyCredentials(access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET_KEY)
DEPRECATED = "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED"
VAULT_CALL = "secretsmanager:GetSecretValue"
NO_POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}


class SettingsOverHttp(StandIn):
    """The settings of a fake's project, shown and changed as Atlas does it."""

    def __init__(self, fake):
        super().__init__()
        self.fake = fake

    def answer(self, asked):
        if asked.path == TOKEN_PATH:
            return super().answer(asked)
        self.asked.append(asked)
        project = self.fake.world[asked.path.removeprefix(API).split("/")[2]]
        if asked.method == "PATCH":
            block = json.loads(asked.body)["awsKms"]
            if "secretAccessKey" in block and not project.settings.legacy_access_key:
                return Reply(status=400, body={"error": 400, "errorCode": DEPRECATED})
            project.settings = replace(
                project.settings,
                key=block["customerMasterKeyID"],
                region=aws_region(block["region"]),
                role_id=block.get("roleId"),
                legacy_access_key="accessKeyID" in block,
                access_key_id=block.get("accessKeyID"),
            )
        return Reply(body={"awsKms": self.block(project.settings)})

    def block(self, shown):
        principal = {"roleId": shown.role_id} if shown.role_id else {"accessKeyID": shown.access_key_id}
        key = {"customerMasterKeyID": shown.key, "region": atlas_region(shown.region)}
        return {"enabled": shown.enabled, "valid": shown.valid, **key, **principal}


class Vault:
    """Secrets Manager, as far as the adapter sees it: it hands out what is in force, or fails."""

    def __init__(self, fake, error=None):
        self.fake = fake
        self.error = error
        self.asked = []

    def __call__(self, secret_id):
        self.asked.append(secret_id)
        if self.error is not None:
            raise self.error
        user = self.fake.legacy_user(secret_id)
        return replace(HELD, access_key_id=user.access_key_id)


@dataclass(frozen=True)
class Side:
    fake: FakeAtlas
    atlas: Atlas
    owner: AtlasOwner


@pytest.fixture(params=["the fake", "the adapter over HTTP"])
def side(request):
    fake = FakeAtlas()
    if request.param == "the fake":
        yield Side(fake, fake, fake)
        return
    with SettingsOverHttp(fake) as server:
        session = a_session(server, Pace())
        yield Side(fake, AtlasReader(session, ORGANIZATION), AtlasKeySwapper(session, Vault(fake)))


def test_it_shows_whose_credentials_a_legacy_project_holds(side):
    side.fake.add(settings=legacy_settings(OLD))

    assert side.atlas.settings(PROJECT) == legacy_settings(OLD)


def test_a_swap_with_credentials_changes_the_key_and_names_no_role(side):
    side.fake.add(settings=legacy_settings(OLD))

    side.owner.swap_key(PROJECT, NEW, settings=legacy_settings(OLD), role_id=ROLE_ID, credentials_secret=CREDENTIALS)

    assert side.atlas.settings(PROJECT) == legacy_settings(NEW)


def test_a_change_of_credentials_alone_is_a_swap_too(side):
    side.fake.add(settings=legacy_settings(OLD))
    side.fake.credentials["keyturn/next"] = LegacyUser(access_key_id="AKIANEXT000000000000", arn="a")

    side.owner.swap_key(PROJECT, OLD, settings=legacy_settings(OLD), role_id=None, credentials_secret="keyturn/next")

    assert side.atlas.settings(PROJECT) == legacy_settings(OLD, access_key_id="AKIANEXT000000000000")


def test_a_swap_with_a_role_takes_a_legacy_project_over_to_it(side):
    side.fake.add(settings=legacy_settings(OLD))

    side.owner.swap_key(PROJECT, NEW, settings=legacy_settings(OLD), role_id=ROLE_ID)

    assert side.atlas.settings(PROJECT) == some_settings(NEW)


def test_atlas_takes_credentials_for_projects_alone_that_hold_some(side):
    side.fake.add(settings=some_settings(OLD))

    with pytest.raises(PermanentError) as problem:
        side.owner.swap_key(PROJECT, NEW, settings=some_settings(OLD), role_id=None, credentials_secret=CREDENTIALS)

    assert (problem.value.code, problem.value.call) == (DEPRECATED, f"PATCH {SETTINGS}")
    assert side.atlas.settings(PROJECT) == some_settings(OLD)


def test_a_secret_that_is_not_there_stops_the_swap_and_is_no_missing_project(side):
    side.fake.add(settings=legacy_settings(OLD))

    with pytest.raises(PermanentError, match="keyturn/nowhere") as problem:
        side.owner.swap_key(
            PROJECT, NEW, settings=legacy_settings(OLD), role_id=None, credentials_secret="keyturn/nowhere"
        )

    assert not isinstance(problem.value, NotFound)
    assert problem.value.call == VAULT_CALL
    assert side.atlas.settings(PROJECT) == legacy_settings(OLD)


@pytest.mark.parametrize("role_id", [None, ""])
def test_without_a_role_and_without_credentials_nothing_is_sent(side, role_id):
    side.fake.add(settings=legacy_settings(OLD))

    with pytest.raises(PermanentError) as problem:
        side.owner.swap_key(PROJECT, NEW, settings=legacy_settings(OLD), role_id=role_id)

    assert problem.value.code == "no_role"


@pytest.mark.parametrize("changes", [{"enabled": False}, {"valid": False}, {"valid": None}])
def test_credentials_do_not_get_past_settings_that_are_not_enabled_and_valid(side, changes):
    shown = legacy_settings(OLD, **changes)
    side.fake.add(settings=shown)

    with pytest.raises(PermanentError, match="not sent"):
        side.owner.swap_key(PROJECT, NEW, settings=shown, role_id=None, credentials_secret=CREDENTIALS)


def test_the_fake_can_fail_to_read_credentials():
    fake = FakeAtlas()
    fake.add(settings=legacy_settings(OLD))
    fake.fail("credentials", TemporaryError("not now", call=VAULT_CALL), only=CREDENTIALS)

    with pytest.raises(TemporaryError):
        fake.swap_key(PROJECT, NEW, settings=legacy_settings(OLD), role_id=None, credentials_secret=CREDENTIALS)

    assert fake.legacy_user(CREDENTIALS).access_key_id == ACCESS_KEY_ID


@pytest.fixture
def atlas():
    with StandIn() as stand_in:
        yield stand_in


def swap(atlas, vault, pace=None):
    owner = AtlasKeySwapper(a_session(atlas, pace or Pace()), vault)
    owner.swap_key(PROJECT, NEW, settings=legacy_settings(OLD), role_id=None, credentials_secret=CREDENTIALS)


def test_the_block_carries_the_credentials_instead_of_a_role(atlas):
    atlas.on(SETTINGS, Reply(body={}), method="PATCH")
    vault = Vault(FakeAtlas())

    swap(atlas, vault)

    (sent,) = atlas.requests(SETTINGS, "PATCH")
    assert json.loads(sent.body) == {
        "awsKms": {
            "enabled": True,
            "customerMasterKeyID": str(NEW),
            "region": "EU_WEST_1",
            "accessKeyID": ACCESS_KEY_ID,
            "secretAccessKey": SECRET_KEY,
            "requirePrivateNetworking": False,
        }
    }
    assert vault.asked == [CREDENTIALS]


def test_the_credentials_are_read_anew_for_each_swap(atlas):
    atlas.on(SETTINGS, Reply(body={}), method="PATCH")
    fake = FakeAtlas()
    owner = AtlasKeySwapper(a_session(atlas, Pace()), Vault(fake))
    for number in (1, 2):
        fake.credentials[CREDENTIALS] = LegacyUser(access_key_id=f"AKIA{number}", arn="a")
        owner.swap_key(PROJECT, NEW, settings=legacy_settings(OLD), role_id=None, credentials_secret=CREDENTIALS)

    sent = [json.loads(asked.body)["awsKms"]["accessKeyID"] for asked in atlas.requests(SETTINGS, "PATCH")]
    assert sent == ["AKIA1", "AKIA2"]


def test_nothing_is_read_from_secrets_manager_for_a_swap_that_may_not_be_sent(atlas):
    vault = Vault(FakeAtlas())
    owner = AtlasKeySwapper(a_session(atlas, Pace()), vault)

    with pytest.raises(PermanentError):
        owner.swap_key(
            PROJECT,
            NEW,
            settings=legacy_settings(OLD, valid=False),
            role_id=None,
            credentials_secret=CREDENTIALS,
        )

    assert vault.asked == atlas.asked == []


@pytest.mark.parametrize("kind", [PermanentError, TemporaryError])
def test_an_error_of_secrets_manager_comes_through_and_nothing_is_sent(atlas, kind):
    error = kind(f"the credentials secret {CREDENTIALS} could not be read", call=VAULT_CALL)

    with pytest.raises(kind, match=CREDENTIALS):
        swap(atlas, Vault(FakeAtlas(), error))

    assert atlas.asked == []


def test_a_swapper_without_a_way_to_read_secrets_says_so(atlas):
    owner = AtlasKeySwapper(a_session(atlas, Pace()))

    with pytest.raises(PermanentError, match=CREDENTIALS):
        owner.swap_key(PROJECT, NEW, settings=legacy_settings(OLD), role_id=None, credentials_secret=CREDENTIALS)


def test_the_refusal_of_credentials_says_what_to_do_instead(atlas):
    atlas.on(SETTINGS, Reply(status=400, body={"error": 400, "errorCode": DEPRECATED}), method="PATCH")

    with pytest.raises(
        PermanentError, match=r"still hold some: authorize an IAM role in cloudProviderAccess"
    ) as problem:
        swap(atlas, Vault(FakeAtlas()))

    assert problem.value.code == DEPRECATED


def echo(status, **headers):
    """An Atlas that repeats what it was sent, as services sometimes do."""

    def answer(asked):
        body = {"errorCode": "INVALID_ATTRIBUTE", "detail": f"bad: {asked.body.decode()}", "parameters": [SECRET_KEY]}
        return Reply(status=status, body=body, headers=headers)

    return answer


@pytest.mark.parametrize(
    "reply",
    [
        echo(400),
        echo(401),
        echo(403),
        echo(429),
        echo(500),
        echo(400, **{"X-Error-Code": SECRET_KEY}),
        lambda asked: Reply(status=307, headers={"Location": f"http://x/?{quote(asked.body)}"}),
        Reply(drop=True),
        Reply(body={}, cut=1),
    ],
)
def test_the_secret_is_in_no_error_and_no_log_whatever_atlas_answers(atlas, caplog, reply):
    atlas.on(SETTINGS, reply, method="PATCH")
    caplog.set_level(logging.DEBUG)

    with pytest.raises((PermanentError, TemporaryError)) as problem:
        swap(atlas, Vault(FakeAtlas()))

    shown = "".join(traceback.format_exception(problem.value)) + repr(vars(problem.value)) + caplog.text
    assert all(form not in shown for form in (SECRET_KEY, quote(SECRET_KEY), quote(SECRET_KEY, safe="")))


def test_what_atlas_says_to_a_swap_with_a_role_is_still_quoted(atlas):
    atlas.on(SETTINGS, Reply(status=400, body={"errorCode": "X", "detail": "the reason"}), method="PATCH")

    with pytest.raises(PermanentError, match="the reason"):
        AtlasKeySwapper(a_session(atlas, Pace())).swap_key(PROJECT, NEW, settings=some_settings(OLD), role_id=ROLE_ID)


def test_a_world_without_sts_knows_no_legacy_user():
    nothing = dict.fromkeys(("now", "tracker", "messages", "organizations", "atlas", "atlas_owner", "keys"))

    with pytest.raises(PermanentError, match=CREDENTIALS):
        Outside(**nothing).legacy_user(CREDENTIALS)


@pytest.fixture
def furnished(aws, clock, stack, table, monkeypatch):
    """The real outside world over the pretend AWS, and an IAM user whose credentials a secret holds."""
    environment = {
        "AWS_ENDPOINT_URL": aws.address,
        "AWS_ACCESS_KEY_ID": aws.admin.access_key_id,
        "AWS_SECRET_ACCESS_KEY": aws.admin.secret_access_key,
        "AWS_DEFAULT_REGION": aws.region,
        "TABLE_NAME": table,
        "ATLAS_SECRETS": "keyturn/organization",
        "ROTATIONS_QUEUE_URL": stack["RotationsQueue"]["url"],
        "SWEEPS_QUEUE_URL": stack["SweepsQueue"]["url"],
        "ALERTS_TOPIC_ARN": stack["AlertsTopic"]["arn"],
        "ESCALATIONS_TOPIC_ARN": stack["EscalationsTopic"]["arn"],
        "EVENT_BUS_NAME": stack["EventBus"]["name"],
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    boto3.setup_default_session()
    boto3.setup_default_session()  # it keeps the credentials of whoever asked first
    wiring.furnish(now=clock.now)
    yield wiring.outside()
    wiring.furnish()
    boto3.setup_default_session()
    boto3.setup_default_session()


def keep(aws, name, content):
    aws.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(content))


def test_sts_tells_whose_credentials_a_secret_holds(aws, furnished):
    user = aws.create_user("atlas-of-old", NO_POLICY)
    keep(aws, "keyturn/of-old", {"access_key_id": user.access_key_id, "secret_access_key": user.secret_access_key})

    known = furnished.legacy_user("keyturn/of-old")

    assert known == LegacyUser(access_key_id=user.access_key_id, arn=user.arn)


def test_credentials_that_sts_does_not_know_are_refused_by_its_code_and_without_the_secret(aws, furnished):
    keep(aws, "keyturn/unknown", {"access_key_id": "AKIA0000000000000000", "secret_access_key": SECRET_KEY})

    with pytest.raises(PermanentError, match="keyturn/unknown") as problem:
        furnished.legacy_user("keyturn/unknown")

    assert (problem.value.code, problem.value.call) == ("InvalidClientTokenId", "sts:GetCallerIdentity")
    assert SECRET_KEY not in "".join(traceback.format_exception(problem.value))


def test_the_wired_owner_sends_the_credentials_and_no_log_shows_them(aws, furnished, atlas, monkeypatch, caplog):
    account = {"client_id": "i", "client_secret": "the-secret-of-the-owner"}
    keep(aws, "keyturn/organization", {"organization": ORGANIZATION, "reader": account, "owner": account})
    keep(aws, CREDENTIALS, {"accessKeyID": ACCESS_KEY_ID, "secretAccessKey": SECRET_KEY})
    monkeypatch.setenv("ATLAS_BASE_URL", atlas.url)
    atlas.on(SETTINGS, Reply(body={}), method="PATCH")
    owner = furnished.atlas_owner(ORGANIZATION)

    owner.swap_key(PROJECT, NEW, settings=legacy_settings(OLD), role_id=None, credentials_secret=CREDENTIALS)

    (sent,) = atlas.requests(SETTINGS, "PATCH")
    assert json.loads(sent.body)["awsKms"]["secretAccessKey"] == SECRET_KEY
    line = logging.LogRecord("x", logging.INFO, "x", 1, "it is %s", (SECRET_KEY,), None)
    wiring.SecretsFilter().filter(line)
    assert line.getMessage() == "it is [secret]"
