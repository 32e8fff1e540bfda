"""What the pretend Atlas does about keys that change from outside, and about who uses them."""

from datetime import timedelta

import pytest
from pretend_atlas_sandbox import ACCOUNT, ROLE, START, Sandbox, User, policy_for

from sandbox.atlas import AtlasWorld, BackupPolicy, Fault, PretendAtlas
from sandbox.atlas.aws_users import SignedUsers
from sandbox.atlas.refusals import Refusal
from sandbox.aws import PretendAws
from sandbox.clock import VirtualClock

NONE: tuple[BackupPolicy, ...] = ()
USER = f"arn:aws:iam::{ACCOUNT}:user/atlas"


@pytest.fixture
def sandbox():
    made = Sandbox()
    with PretendAtlas(made.world) as made.atlas:
        yield made


@pytest.fixture
def key(sandbox):
    return sandbox.new_key()


@pytest.fixture
def project(sandbox, key):
    return sandbox.world.add_project("shop", key=key, role_arn=ROLE)


@pytest.fixture
def cluster(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    return sandbox.world.ground.cluster(project, "c")


BREAKING = {
    "disabled": lambda sandbox, key: sandbox.to_key("DisableKey", key),
    "pending deletion": lambda sandbox, key: sandbox.to_key("ScheduleKeyDeletion", key, PendingWindowInDays=7),
    "not granted any more": lambda sandbox, key: sandbox.give_policy(key, atlas=False),
}


@pytest.mark.parametrize("how", BREAKING)
def test_a_key_that_broke_is_noticed_within_a_quarter_of_an_hour_and_the_clusters_shut_down(
    sandbox, project, key, cluster, how
):
    BREAKING[how](sandbox, key)
    before = (sandbox.world.projects[project].was_valid, cluster.down)

    sandbox.pass_time(minutes=15)

    assert before == (True, False)
    assert (sandbox.world.projects[project].was_valid, cluster.down) == (False, True)


def test_a_grant_of_encryption_alone_that_was_taken_away_is_noticed_too(sandbox, project, key, cluster):
    sandbox.to_key("PutKeyPolicy", key, Policy=sandbox.policy_without("kms:Encrypt"))

    sandbox.pass_time(minutes=15)

    assert (sandbox.world.projects[project].was_valid, cluster.down) == (False, True)


def test_a_grant_of_decryption_alone_that_was_taken_away_is_seen_by_who_looks(sandbox, project, key, cluster):
    sandbox.to_key("PutKeyPolicy", key, Policy=sandbox.policy_without("kms:Decrypt"))

    _, body = sandbox.ask("GET", f"/groups/{project}/encryptionAtRest")

    sandbox.pass_time(minutes=15)
    assert (body["awsKms"]["valid"], cluster.down) == (False, True)


def test_a_look_by_the_api_shows_a_broken_key_but_the_clusters_run_until_the_next_check(sandbox, project, key, cluster):
    sandbox.to_key("DisableKey", key)
    _, body = sandbox.ask("GET", f"/groups/{project}/encryptionAtRest")
    running = not cluster.down

    sandbox.pass_time(minutes=15)

    assert (body["awsKms"]["valid"], running, cluster.down) == (False, True, True)


def test_a_cluster_that_was_shut_down_is_not_shown_as_idle(sandbox, project, key, cluster):
    sandbox.to_key("DisableKey", key)
    sandbox.pass_time(minutes=15)

    shown = sandbox.listed(f"/groups/{project}/clusters", version="2024-08-05")[0]

    status = sandbox.ask("GET", f"/groups/{project}/clusters/c/status")[1]
    assert (shown["stateName"], status["changeStatus"]) == ("REPAIRING", "PENDING")


@pytest.mark.parametrize("look", ["the next check", "a look by the API"])
def test_clusters_start_again_once_the_key_works(sandbox, project, key, cluster, look):
    sandbox.to_key("DisableKey", key)
    sandbox.pass_time(days=3)
    sandbox.to_key("EnableKey", key)

    if look == "the next check":
        sandbox.pass_time(minutes=15)
    else:
        sandbox.listed(f"/groups/{project}/alerts")
        sandbox.ask("GET", f"/groups/{project}/encryptionAtRest")

    assert (sandbox.world.projects[project].was_valid, cluster.down) == (True, False)


def test_a_broken_key_leaves_the_calendar_empty(sandbox, project, key, cluster):
    sandbox.to_key("DisableKey", key)

    sandbox.pass_time(days=100)

    assert sandbox.world.next_event_at() is None


def test_a_broken_key_is_told_in_the_feed(sandbox, project, key, cluster):
    sandbox.to_key("DisableKey", key)
    sandbox.pass_time(minutes=15)
    sandbox.to_key("EnableKey", key)
    sandbox.pass_time(minutes=15)

    kinds = [one.kind for one in sandbox.world.projects[project].events]

    for wanted in ("AWS_ENCRYPTION_KEY_INVALID", "ENCRYPTION_AT_REST_CONFIG_NO_LONGER_VALID"):
        assert kinds.count(wanted) == 1
    for wanted in ("AWS_ENCRYPTION_KEY_VALID", "ENCRYPTION_AT_REST_CONFIG_IS_VALID"):
        assert kinds.count(wanted) == 1


def test_while_a_new_key_goes_round_snapshots_are_under_the_key_of_the_node_they_are_taken_from(sandbox, project, key):
    sandbox.world.add_cluster(project, "s", kind="SHARDED", policies=NONE)
    successor = sandbox.new_key()
    sandbox.world.switch_key_by_hand(project, successor)
    for _ in range(40):
        sandbox.pass_time(minutes=1)
        sandbox.world.take_snapshot(project, "s")
    sandbox.pass_time(minutes=8)

    seen = [one.key_arn for one in sandbox.snapshots()]

    assert set(seen) == {key, successor}
    assert seen != sorted(seen, key=[key, successor].index)
    assert (seen[0], seen[-1]) == (key, successor)
    for one in sandbox.snapshots():
        sandbox.world.restore(one.snapshot_id)


def test_global_clusters_have_a_zone_and_a_shard_in_each_region(sandbox, project):
    regions = ("US_EAST_1", "EU_WEST_1", "AP_SOUTH_1")
    sandbox.world.add_cluster(project, "g", kind="GEOSHARDED", regions=regions, policies=NONE)
    sandbox.world.take_snapshot(project, "g")

    shown = sandbox.listed(f"/groups/{project}/clusters", version="2024-08-05")[0]

    shards = shown["replicationSpecs"]
    assert shown["clusterType"] == "GEOSHARDED"
    assert [one["regionConfigs"][0]["regionName"] for one in shards] == list(regions)
    assert len({one["zoneId"] for one in shards}) == 3
    assert len(sandbox.listed(f"/groups/{project}/clusters/g/backup/snapshots/shardedClusters")) == 1


def test_private_endpoints_are_shown_to_an_owner_only(sandbox, project):
    sandbox.world.add_private_endpoint(project, "US_EAST_1")
    sandbox.world.add_private_endpoint(project, "EU_WEST_1", "PENDING_ACCEPTANCE")
    path = f"/groups/{project}/encryptionAtRest/AWS/privateEndpoints"

    shown = [(one["regionName"], one["status"]) for one in sandbox.listed(path)]

    assert shown == [("US_EAST_1", "ACTIVE"), ("EU_WEST_1", "PENDING_ACCEPTANCE")]
    assert sandbox.ask("GET", path, account=sandbox.world.reader)[0] == 401


@pytest.fixture
def user(sandbox, key):
    """An IAM user who may use the key."""
    made = sandbox.add_user(USER)
    sandbox.to_key("PutKeyPolicy", key, Policy=sandbox.policy_for_user(USER))
    return made


@pytest.fixture
def old_project(sandbox, key, user):
    return sandbox.world.add_project("old", key=key, credentials=user)


def test_an_old_project_shows_the_id_of_its_access_key_and_never_the_secret(sandbox, old_project, user):
    status, body = sandbox.ask("GET", f"/groups/{old_project}/encryptionAtRest")

    assert (status, body["awsKms"]["accessKeyID"], body["awsKms"]["valid"]) == (200, user.access_key_id, True)
    assert "roleId" not in body["awsKms"]
    assert user.secret_access_key not in str(body)
    assert user.secret_access_key not in repr(sandbox.world.projects[old_project])


def test_an_old_project_uses_its_key_as_the_user_whose_credentials_it_holds(sandbox, old_project, key, user):
    sandbox.world.add_cluster(old_project, "c", policies=NONE)
    taken = sandbox.world.take_snapshot(old_project, "c")
    sandbox.pass_time(minutes=10)

    sandbox.world.restore(taken)

    assert set(sandbox.callers) == {user}


def test_an_old_project_takes_a_new_key_with_credentials(sandbox, old_project, user):
    successor = sandbox.new_key()
    sandbox.to_key("PutKeyPolicy", successor, Policy=sandbox.policy_for_user(USER))
    access = {"accessKeyID": user.access_key_id, "secretAccessKey": user.secret_access_key}

    status, body = sandbox.settings(old_project, customerMasterKeyID=successor, **access)

    assert (status, body["awsKms"]["customerMasterKeyID"]) == (200, successor)


@pytest.mark.parametrize(
    ("block", "code"),
    [
        ({"accessKeyID": "AKIA0000000000000000", "secretAccessKey": "guessed"}, "INVALID_AWS_CREDENTIALS"),
        ({"accessKeyID": "AKIA0000000000000000"}, "MISSING_ATTRIBUTE"),
        ({"secretAccessKey": "guessed"}, "MISSING_ATTRIBUTE"),
    ],
)
def test_an_old_project_takes_only_whole_and_true_credentials(sandbox, old_project, key, block, code):
    status, body = sandbox.settings(old_project, **block)

    assert (status, body["errorCode"], sandbox.world.projects[old_project].key) == (400, code, key)


def test_a_user_without_permission_is_refused_the_key(sandbox, old_project, key, user):
    successor = sandbox.new_key()
    access = {"accessKeyID": user.access_key_id, "secretAccessKey": user.secret_access_key}

    status, body = sandbox.settings(old_project, customerMasterKeyID=successor, **access)

    assert (status, body["errorCode"]) == (400, "NO_PERMISSION_TO_ENCRYPT_DECRYPT")


def test_an_old_project_that_took_a_role_takes_no_credentials_any_more(sandbox, old_project, key, user):
    role = sandbox.world.add_role(old_project, ROLE)
    sandbox.give_policy(key, atlas=True, user=USER)
    access = {"accessKeyID": user.access_key_id, "secretAccessKey": user.secret_access_key}

    first, shown = sandbox.settings(old_project, roleId=role)
    second, body = sandbox.settings(old_project, **access)

    assert (first, "accessKeyID" in shown["awsKms"]) == (200, False)
    assert (second, body["errorCode"]) == (400, "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED")


def test_credentials_that_were_taken_away_are_noticed_like_a_broken_key(sandbox, old_project, user):
    sandbox.users.pop(user.access_key_id)

    sandbox.pass_time(minutes=15)

    _, body = sandbox.ask("GET", f"/groups/{old_project}/encryptionAtRest")
    assert body["awsKms"]["valid"] is False


def test_a_project_cannot_begin_with_credentials_of_nobody(sandbox, key):
    with pytest.raises(Refusal, match="INVALID_AWS_CREDENTIALS"):
        sandbox.world.add_project("old", key=key, credentials=User("AKIA0000000000000000", "guessed"))


def test_users_of_the_pretend_aws_sign_with_their_own_credentials():
    clock = VirtualClock(START)
    with PretendAws(clock) as aws:
        nothing = {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}
        user = aws.create_user("atlas", {"Version": "2012-10-17", "Statement": [nothing]})
        made = aws.client("kms").create_key(Policy=policy_for(aws.account, atlas=False, user=user.arn))
        key, access = made["KeyMetadata"]["Arn"], User(user.access_key_id, user.secret_access_key)
        users = SignedUsers(aws.address, aws.secret_of)
        world = AtlasWorld(clock.now, aws.kms.call, users=users)
        project = world.add_project("old", key=key.rsplit("/", 1)[1], region=aws.region, credentials=access)
        world.add_cluster(project, "c", policies=NONE)

        works = world.projects[project].valid()

        aws.client("kms").disable_key(KeyId=key)
        assert (works, world.projects[project].valid()) == (True, False)
        with pytest.raises(Refusal, match="INVALID_AWS_CREDENTIALS"):
            world.add_project("other", key=key, credentials=User(user.access_key_id, "guessed"))


def test_a_role_that_was_not_authorized_yet_has_no_arn_and_reaches_no_key(sandbox, project):
    waiting = sandbox.world.add_role(project, None)

    status, body = sandbox.settings(project, roleId=waiting)

    assert (status, body["errorCode"]) == (400, "CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED")
    shown = sandbox.ask("GET", f"/groups/{project}/cloudProviderAccess")[1]["awsIamRoles"][-1]
    assert (shown["roleId"], shown["iamAssumedRoleArn"], shown["authorizedDate"]) == (waiting, None, None)


def test_a_fresh_key_is_refused_for_a_while_as_if_iam_did_not_know_yet(sandbox, project):
    sandbox.world.lags.iam = timedelta(seconds=30)
    successor = sandbox.new_key()
    codes = [sandbox.settings(project, customerMasterKeyID=successor)[1]["errorCode"] for _ in range(3)]

    sandbox.pass_time(seconds=30)

    assert set(codes) == {
        "CANNOT_ASSUME_ROLE",
        "INVALID_AWS_CREDENTIALS",
        "CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED",
    }
    assert sandbox.settings(project, customerMasterKeyID=successor)[0] == 200


def test_a_change_may_show_late(sandbox, project, key):
    sandbox.world.lags.settings = timedelta(minutes=2)
    successor = sandbox.new_key()
    sandbox.settings(project, customerMasterKeyID=successor)
    path = f"/groups/{project}/encryptionAtRest"
    early = sandbox.ask("GET", path)[1]["awsKms"]["customerMasterKeyID"]

    sandbox.pass_time(minutes=2)

    assert (early, sandbox.ask("GET", path)[1]["awsKms"]["customerMasterKeyID"]) == (key, successor)


@pytest.mark.parametrize(
    ("fault", "status", "took_effect"),
    [
        (Fault("PATCH", "encryptionAtRest$", "status", status=409, code="CONFLICT"), 409, False),
        (Fault("PATCH", "encryptionAtRest$", "status_after", status=500), 500, True),
    ],
)
def test_an_error_may_come_before_or_after_the_effect(sandbox, project, key, fault, status, took_effect):
    sandbox.atlas.faults.append(fault)
    successor = sandbox.new_key()

    answered, _ = sandbox.settings(project, customerMasterKeyID=successor)

    assert (answered, sandbox.world.projects[project].key == successor) == (status, took_effect)


@pytest.mark.parametrize("seconds", [1, 600])
def test_a_change_may_have_its_effect_after_its_error(sandbox, project, key, seconds):
    sandbox.atlas.faults.append(Fault("PATCH", "encryptionAtRest$", "late_effect", status=504, seconds=seconds))
    successor = sandbox.new_key()
    answered, _ = sandbox.settings(project, customerMasterKeyID=successor)
    at_once = sandbox.world.projects[project].key

    sandbox.pass_time(seconds=seconds)

    assert (answered, at_once, sandbox.world.projects[project].key) == (504, key, successor)
