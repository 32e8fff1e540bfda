"""What every account's IAM promises, held against the fake and against IAM's adapter before the pretend AWS alike."""

import json
from datetime import timedelta
from zlib import crc32

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import Stubber
from fake_roles import FakeRoles

from chalicelib import wiring
from chalicelib.adapters.iam import IamRoles
from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import Grant
from chalicelib.usecases.ports import NotFound, Outside, PermanentError, TemporaryError

ACCOUNT, ABROAD = "123456789012", "999999999999"
KEY = KeyArn(account=ACCOUNT, region="us-east-1", key_id="99999999-2222-4333-8444-555555555555")
OTHER = KeyArn(account=ACCOUNT, region="us-east-1", key_id="88888888-2222-4333-8444-555555555555")
FOREIGN = KeyArn(account=ABROAD, region="us-east-1", key_id="77777777-2222-4333-8444-555555555555")
USES = ("kms:DescribeKey", "kms:Encrypt", "kms:Decrypt")
MISSING = f"arn:aws:iam::{ACCOUNT}:role/nobody"
NO_TRUST = {"Version": "2012-10-17", "Statement": []}


def statement(effect, actions, key=None, **more):
    return {"Effect": effect, "Action": list(actions), "Resource": "*" if key is None else str(key), **more}


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


@pytest.fixture
def name(request):
    """Unique per test, because all tests of this module share one IAM."""
    letters = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return f"{letters[:40]}-{crc32(request.node.nodeid.encode())}"


class OfTheFake:
    def __init__(self):
        self.roles = FakeRoles(ACCOUNT)

    def role(self, name, *statements):
        return self._add(f"arn:aws:iam::{ACCOUNT}:role/{name}", statements)

    def user(self, name, *statements):
        return self._add(f"arn:aws:iam::{ACCOUNT}:user/{name}", statements)

    def _add(self, arn, statements):
        self.roles.add(arn)
        for effect, actions, key in statements:
            say = self.roles.allow if effect == "Allow" else self.roles.deny
            say(arn, *actions, key=key)
        return arn


class OfIam:
    def __init__(self, aws):
        self.aws = aws
        self.roles = IamRoles(aws.client("iam"), ACCOUNT)

    def role(self, name, *statements):
        return self.aws.create_role(name, NO_TRUST, self._policy(statements))

    def user(self, name, *statements):
        return self.aws.create_user(name, self._policy(statements) or document(statement("Allow", ["s3:Get*"]))).arn

    def _policy(self, statements):
        return document(*(statement(*given) for given in statements)) if statements else None


@pytest.fixture(params=["fake", "iam"])
def account(request):
    return OfTheFake() if request.param == "fake" else OfIam(request.getfixturevalue("aws"))


@pytest.fixture
def real(aws):
    return OfIam(aws)


# ---- held by both ----


@pytest.mark.parametrize("kind", ["role", "user"])
def test_what_the_policies_of_a_role_or_user_allow_is_allowed(account, name, kind):
    arn = getattr(account, kind)(name, ("Allow", USES, None))

    assert account.roles.allows(arn, USES, KEY) == dict.fromkeys(USES, Grant.ALLOWED)


@pytest.mark.parametrize("kind", ["role", "user"])
def test_what_no_policy_speaks_of_is_denied_implicitly(account, name, kind):
    arn = getattr(account, kind)(name)

    assert account.roles.allows(arn, USES, KEY) == dict.fromkeys(USES, Grant.IMPLICIT_DENY)


def test_a_policy_for_one_key_says_nothing_about_another(account, name):
    arn = account.role(name, ("Allow", USES, KEY))

    assert set(account.roles.allows(arn, USES, KEY).values()) == {Grant.ALLOWED}
    assert set(account.roles.allows(arn, USES, OTHER).values()) == {Grant.IMPLICIT_DENY}


def test_each_action_has_an_answer_of_its_own_and_a_denial_wins(account, name):
    arn = account.role(name, ("Allow", USES[:2], None), ("Deny", ["kms:Encrypt"], None))

    said = account.roles.allows(arn, USES, KEY)

    assert list(said.values()) == [Grant.ALLOWED, Grant.EXPLICIT_DENY, Grant.IMPLICIT_DENY]
    assert tuple(said) == USES


def test_a_key_of_another_account_is_judged_by_the_roles_own_policies_alone(account, name):
    arn = account.role(name, ("Allow", USES[:2], FOREIGN), ("Deny", ["kms:Encrypt"], None))

    said = account.roles.allows(arn, USES, FOREIGN)

    assert list(said.values()) == [Grant.ALLOWED, Grant.EXPLICIT_DENY, Grant.IMPLICIT_DENY]


def test_a_role_that_is_gone_is_not_found(account):
    with pytest.raises(NotFound) as missing:
        account.roles.allows(MISSING, USES, KEY)

    assert (missing.value.code, missing.value.call) == ("NoSuchEntity", "iam:SimulatePrincipalPolicy")


@pytest.mark.parametrize("arn", [f"arn:aws:iam::{ABROAD}:role/atlas", "atlas", ""])
def test_a_role_of_another_account_cannot_be_judged_from_here(account, arn):
    with pytest.raises(PermanentError) as refused:
        account.roles.allows(arn, USES, KEY)

    assert (type(refused.value), refused.value.code) == (PermanentError, "another_account")


# ---- the adapter alone: boundaries, groups, conditions, powers, answers, errors ----


def test_a_permissions_boundary_takes_away_what_it_does_not_allow(real, aws, name):
    iam = aws.client("iam")
    inside = document(statement("Allow", USES[:2]), statement("Deny", ["kms:Encrypt"]))
    bound = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(inside))["Policy"]["Arn"]
    arn = real.role(name, ("Allow", USES, None))
    iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=bound)

    here, abroad = (list(real.roles.allows(arn, USES, key).values()) for key in (KEY, FOREIGN))

    assert here == abroad == [Grant.ALLOWED, Grant.EXPLICIT_DENY, Grant.IMPLICIT_DENY]


def test_attached_policies_and_those_of_a_users_groups_count(real, aws, name):
    iam = aws.client("iam")
    policy = json.dumps(document(statement("Allow", USES)))
    attached = iam.create_policy(PolicyName=name, PolicyDocument=policy)["Policy"]["Arn"]
    role, user = real.role(name), real.user(name)
    iam.attach_role_policy(RoleName=name, PolicyArn=attached)
    iam.create_group(GroupName=name)
    iam.put_group_policy(GroupName=name, PolicyName="given", PolicyDocument=policy)
    iam.add_user_to_group(GroupName=name, UserName=name)

    said = [set(real.roles.allows(arn, USES, KEY).values()) for arn in (role, user)]

    assert said == [{Grant.ALLOWED}, {Grant.ALLOWED}]


@pytest.mark.parametrize(
    ("condition", "missing"),
    [
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, "aws:SourceIp"),
        ({"StringEquals": {"aws:ResourceTag/team": "billing"}}, "aws:ResourceTag/team"),
    ],
)
def test_a_refusal_that_rests_on_an_unknown_condition_says_nothing(real, aws, name, condition, missing):
    arn = aws.create_role(name, NO_TRUST, document(statement("Allow", USES, Condition=condition)))

    with pytest.raises(PermanentError, match=missing) as unknown:
        real.roles.allows(arn, USES, KEY)

    assert unknown.value.code == "depends_on_context"


def test_a_condition_on_something_else_leaves_a_refusal_what_it_is(real, aws, name):
    elsewhere = statement("Allow", ["s3:GetObject"], Condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})
    arn = aws.create_role(name, NO_TRUST, document(elsewhere))

    assert set(real.roles.allows(arn, USES, KEY).values()) == {Grant.IMPLICIT_DENY}


def test_policies_that_may_not_be_read_are_an_error_that_says_what_to_allow(real, aws, name):
    arn = real.role(name, ("Allow", USES, None))
    person = aws.create_user(f"{name[:50]}-reader", document(statement("Allow", ["iam:GetRole"])))

    with pytest.raises(PermanentError) as refused:
        IamRoles(aws.client("iam", person), ACCOUNT).allows(arn, USES, KEY)

    assert (type(refused.value), refused.value.code) == (PermanentError, "AccessDenied")
    for word in (ACCOUNT, "iam:SimulatePrincipalPolicy", arn, "allow"):
        assert word in refused.value.message


def test_the_right_to_simulate_one_role_is_none_to_simulate_another(real, aws, name):
    arn = real.role(name, ("Allow", USES, None))
    right = {"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": arn}
    roles = IamRoles(aws.client("iam", aws.create_user(f"{name[:50]}-reader", document(right))), ACCOUNT)

    assert roles.allows(arn, USES, KEY)["kms:Encrypt"] is Grant.ALLOWED
    with pytest.raises(PermanentError) as refused:
        roles.allows(MISSING, USES, KEY)
    assert refused.value.code == "AccessDenied"


def test_more_answers_than_fit_on_a_page_are_all_read(real, name):
    actions = tuple(f"kms:Imagined{number}" for number in range(101))
    arn = real.role(name, ("Allow", actions, None))

    assert real.roles.allows(arn, actions, KEY) == dict.fromkeys(actions, Grant.ALLOWED)


def result(**more):
    return {"EvalActionName": "kms:Encrypt", "EvalResourceName": str(KEY), "EvalDecision": "allowed", **more}


def on_key(**more):
    return {"EvalResourceName": str(KEY), "EvalResourceDecision": "allowed", **more}


def asked(aws, *answers):
    client = aws.client("iam")
    stubber = Stubber(client)
    for answer in answers:
        stubber.add_response("simulate_principal_policy", answer)
    with stubber:
        return IamRoles(client, ACCOUNT).allows(MISSING, ("kms:Encrypt",), KEY)["kms:Encrypt"]


def test_an_answer_of_the_older_kind_counts_as_it_is(aws):
    assert asked(aws, {"EvaluationResults": [result(EvalDecision="implicitDeny")]}) is Grant.IMPLICIT_DENY


def test_what_is_said_of_the_key_counts_more_than_what_is_said_of_its_kind(aws):
    kind = result(EvalResourceName="arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}")
    denied = kind | {"ResourceSpecificResults": [on_key(EvalResourceDecision="explicitDeny")]}

    assert asked(aws, {"EvaluationResults": [denied]}) is Grant.EXPLICIT_DENY


def test_an_answer_on_a_later_page_is_found(aws):
    first = {"EvaluationResults": [], "IsTruncated": True, "Marker": "m"}

    assert asked(aws, first, {"EvaluationResults": [result()], "IsTruncated": False}) is Grant.ALLOWED


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"EvaluationResults": []}, TemporaryError),
        ({}, TemporaryError),
        ({"EvaluationResults": [], "IsTruncated": True}, TemporaryError),
        (
            {"EvaluationResults": [result(ResourceSpecificResults=[on_key(EvalResourceName=str(OTHER))])]},
            TemporaryError,
        ),
        ({"EvaluationResults": [result(EvalDecision="perhaps")]}, PermanentError),
    ],
)
def test_an_answer_that_cannot_be_read_completely_is_an_error(aws, answer, expected):
    with pytest.raises(expected) as unread:
        asked(aws, answer)

    assert (type(unread.value), unread.value.code) == (expected, "unreadable")


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("Throttling", 400, TemporaryError),
        ("ServiceFailure", 500, TemporaryError),
        ("ServiceUnavailable", 503, TemporaryError),
        ("ExpiredToken", 403, TemporaryError),
        ("AccessDenied", 403, PermanentError),
        ("InvalidInput", 400, PermanentError),
        ("PolicyEvaluation", 500, PermanentError),
        ("NoSuchEntity", 404, NotFound),
    ],
)
def test_an_error_of_iam_becomes_one_of_ours(aws, code, status, expected):
    client = aws.client("iam")
    stubber = Stubber(client)
    stubber.add_client_error("simulate_principal_policy", code, "said so", http_status_code=status)

    with stubber, pytest.raises(expected) as seen:
        IamRoles(client, ACCOUNT).allows(MISSING, USES, KEY)

    assert (type(seen.value), seen.value.code, seen.value.call) == (expected, code, "iam:SimulatePrincipalPolicy")


def test_no_answer_may_come_later():
    class Silent:
        def simulate_principal_policy(self, **_):
            raise ConnectTimeoutError(endpoint_url="http://127.0.0.1")

    with pytest.raises(TemporaryError):
        IamRoles(Silent(), ACCOUNT).allows(MISSING, USES, KEY)


# ---- as the verbs get it ----


@pytest.fixture
def furnished(aws, clock, monkeypatch):
    """The outside world as `wiring` builds it for a Lambda function of the account's administrator."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.address)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", aws.admin.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", aws.admin.secret_access_key)
    for name in (
        "TABLE_NAME",
        "ALERTS_TOPIC_ARN",
        "ESCALATIONS_TOPIC_ARN",
        "ROTATIONS_QUEUE_URL",
        "SWEEPS_QUEUE_URL",
        "EVENT_BUS_NAME",
        "ATLAS_SECRETS",
    ):
        monkeypatch.setenv(name, "unused")
    boto3.setup_default_session()  # it keeps the credentials of whoever asked first
    wiring.furnish(now=clock.now)
    yield wiring.outside()
    wiring.furnish()
    boto3.setup_default_session()


def test_roles_are_judged_in_our_own_account_and_in_that_of_a_role_to_assume(furnished, aws, name):
    everything = document(statement("Allow", USES))
    here = aws.create_role(name, NO_TRUST, everything)
    there = aws.create_role(name, NO_TRUST, everything, account=ABROAD)

    ours, theirs = furnished.roles(None), furnished.roles(f"arn:aws:iam::{ABROAD}:role/keyturn-kms")

    assert (ours.account, theirs.account) == (ACCOUNT, ABROAD)
    assert set(ours.allows(here, USES, KEY).values()) == {Grant.ALLOWED}
    assert set(theirs.allows(there, USES, KEY).values()) == {Grant.ALLOWED}


def test_an_assumed_session_is_renewed_within_its_hour_and_connections_of_our_own_are_kept(furnished, clock):
    parts = (
        (lambda: furnished.roles(f"arn:aws:iam::{ABROAD}:role/keyturn-kms"), False),
        (lambda: furnished.roles(None), True),
        (lambda: furnished.keys("us-east-1", None), True),
        (lambda: furnished.atlas("o1"), True),
        (lambda: furnished.atlas_owner("o1"), True),
    )
    before = [part() for part, _ in parts]
    clock.advance_to(clock.now() + timedelta(minutes=55))

    assert [part() is old for (part, _), old in zip(parts, before, strict=True)] == [kept for _, kept in parts]


def test_a_world_without_iam_says_so():
    names = ("now", "tracker", "messages", "organizations", "atlas", "atlas_owner", "keys")

    with pytest.raises(PermanentError) as missing:
        Outside(**dict.fromkeys(names)).roles(None)

    assert missing.value.code == "not_furnished"
