"""Several organizations, each with its secret: one that cannot be read delays its own organization and no other."""

import json
from base64 import b64encode
from hmac import digest

import pytest
from botocore.exceptions import ClientError

from chalicelib import wiring
from chalicelib.usecases.ports import NotFound, PermanentError, TemporaryError

GOOD, OTHER = "a" * 24, "b" * 24
MISSING, BUSY = "ResourceNotFoundException", "ThrottlingException"
ORDERS = ["keyturn/good,keyturn/other", "keyturn/other,keyturn/good"]
ACCOUNTS = {"reader": "reader-id", "owner": "owner-id"}


class SecretsManager:
    """Secrets by their names: a text, or the code of the error that comes instead."""

    def __init__(self):
        self.kept = {"keyturn/good": a_secret(GOOD), "keyturn/other": a_secret(OTHER)}
        self.asked = []

    def get_secret_value(self, **asked):
        name = asked["SecretId"]
        self.asked.append(name)
        if self.kept[name] in {MISSING, BUSY}:
            raise ClientError({"Error": {"Code": self.kept[name], "Message": "no"}}, "GetSecretValue")
        return {"SecretString": self.kept[name]}


def a_secret(organization):
    accounts = {role: {"client_id": name, "client_secret": "s" * 20} for role, name in ACCOUNTS.items()}
    return json.dumps({"organization": organization, **accounts, "webhook_secrets": [f"hook of {organization}"]})


def signed(body, organization):
    return b64encode(digest(f"hook of {organization}".encode(), body, "sha1")).decode()


@pytest.fixture
def manager():
    return SecretsManager()


@pytest.fixture(params=ORDERS)
def outside(request, manager, monkeypatch):
    names = ("TABLE_NAME", "ALERTS_TOPIC_ARN", "ESCALATIONS_TOPIC_ARN", "ROTATIONS_QUEUE_URL", "SWEEPS_QUEUE_URL")
    for name in names:
        monkeypatch.setenv(name, "not-asked")
    monkeypatch.setenv("ATLAS_SECRETS", request.param)
    wiring.furnish(clients={"secretsmanager": manager, "dynamodb": object()})
    yield wiring.outside()
    wiring.furnish()


@pytest.mark.parametrize("spoilt", [MISSING, BUSY, "{", json.dumps({"organization": OTHER})])
def test_a_secret_that_cannot_be_read_is_named_and_every_other_organization_is_listed(outside, manager, spoilt):
    manager.kept["keyturn/other"] = spoilt

    assert outside.organizations() == (GOOD,)
    assert list(outside.unread_secrets()) == ["keyturn/other"]
    assert "keyturn/other" in outside.unread_secrets()["keyturn/other"].message


def test_where_every_secret_can_be_read_all_organizations_are_listed_and_none_is_named(outside):
    assert sorted(outside.organizations()) == [GOOD, OTHER]
    assert outside.unread_secrets() == {}


@pytest.mark.parametrize("spoilt", [MISSING, BUSY, "{"])
def test_an_organization_is_spoken_to_whatever_became_of_another_ones_secret(outside, manager, spoilt):
    manager.kept["keyturn/other"] = spoilt

    assert outside.service_accounts(GOOD) == ACCOUNTS


def test_an_organization_that_was_found_once_is_spoken_to_without_asking_for_another_ones_secret(outside, manager):
    manager.kept["keyturn/other"] = MISSING
    outside.service_accounts(GOOD)
    manager.asked.clear()

    outside.service_accounts(GOOD)

    assert manager.asked == []


@pytest.mark.parametrize(("spoilt", "kind"), [(MISSING, PermanentError), (BUSY, TemporaryError), ("{", PermanentError)])
def test_an_organization_whose_secret_may_be_the_one_that_cannot_be_read_is_refused_for_that(
    outside, manager, spoilt, kind
):
    manager.kept["keyturn/other"] = spoilt

    with pytest.raises(kind, match="keyturn/other") as refused:
        outside.service_accounts(OTHER)

    assert not isinstance(refused.value, NotFound)


def test_a_secret_that_may_be_read_later_leaves_it_open_whether_an_organization_is_known(outside, manager):
    manager.kept = {"keyturn/good": "{", "keyturn/other": BUSY}

    with pytest.raises(TemporaryError, match="keyturn/other"):
        outside.service_accounts(OTHER)


def test_an_organization_that_no_secret_is_of_is_refused(outside):
    with pytest.raises(PermanentError, match="no secret in ATLAS_SECRETS"):
        outside.service_accounts("c" * 24)


@pytest.mark.parametrize("spoilt", [MISSING, BUSY, "{", a_secret(OTHER)])
def test_a_webhook_signed_with_a_secret_that_can_be_read_is_its_organizations(outside, manager, spoilt):
    manager.kept["keyturn/other"] = spoilt

    assert outside.signed_by(b"{}", signed(b"{}", GOOD)) == GOOD


def test_a_forged_webhook_is_nobodys(outside):
    assert outside.signed_by(b"{}", signed(b"{}", "somebody")) is None


def test_a_webhook_that_may_be_signed_with_the_secret_that_cannot_be_read_is_not_called_forged(outside, manager):
    manager.kept["keyturn/other"] = MISSING

    with pytest.raises(PermanentError, match="keyturn/other"):
        outside.signed_by(b"{}", signed(b"{}", OTHER))
