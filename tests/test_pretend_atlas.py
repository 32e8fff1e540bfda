"""The pretend Atlas does what Atlas documents, over virtual time and with real keys."""

import time
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import pytest
from pretend_atlas_sandbox import ABROAD, ACCOUNT, ROLE, Sandbox, policy_for

from sandbox.atlas import BackupPolicy, CannotRestore, Fault, PretendAtlas
from sandbox.atlas.refusals import Refusal

DAILY = (BackupPolicy(kind="daily", keep=timedelta(days=3)),)
NONE: tuple[BackupPolicy, ...] = ()


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


def test_a_wrong_secret_gets_no_token(sandbox):
    status, _ = sandbox.token(sandbox.world.reader, secret="guessed")

    assert status == 401


def test_a_token_ends_after_an_hour_of_virtual_time(sandbox, project):
    sandbox.ask("GET", f"/groups/{project}")
    sandbox.pass_time(seconds=3599)
    before, _ = sandbox.ask("GET", f"/groups/{project}")
    sandbox.pass_time(seconds=1)

    after, body = sandbox.ask("GET", f"/groups/{project}")

    assert (before, after, body["error"]) == (200, 401, 401)


def test_tokens_are_rationed_only_when_a_limit_is_set(sandbox):
    sandbox.atlas.token_limit = 2

    statuses = [sandbox.token(sandbox.world.reader)[0] for _ in range(3)]

    assert statuses == [200, 200, 429]


def test_the_reader_cannot_change_settings(sandbox, project):
    path = f"/groups/{project}/encryptionAtRest"

    status, body = sandbox.ask("PATCH", path, {"awsKms": {}}, account=sandbox.world.reader)

    assert (status, body["errorCode"]) == (401, "USER_UNAUTHORIZED")


def test_another_version_than_the_operations_own_is_not_acceptable(sandbox, project):
    status, _ = sandbox.ask("GET", f"/groups/{project}/clusters", version="2023-01-01")

    assert status == 406


def test_refusals_carry_their_code_in_a_header_and_the_virtual_date(sandbox):
    token = sandbox.token(sandbox.world.reader)[1]["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.atlas.2023-01-01+json"}

    status, body, answered = sandbox.raw("GET", f"/api/atlas/v2/groups/{'0' * 24}", None, headers)

    assert (status, answered["X-Error-Code"], answered["Content-Type"]) == (404, "GROUP_NOT_FOUND", "application/json")
    assert set(body) == {"detail", "error", "errorCode", "parameters", "reason"}
    assert answered["Date"] == "Thu, 01 Jan 2026 00:30:00 GMT"


def test_lists_come_in_pages_whose_links_name_another_host(sandbox):
    for number in range(3):
        sandbox.world.add_project(f"project {number}")

    first = sandbox.ask("GET", "/groups?itemsPerPage=2&pageNum=1")[1]
    last = sandbox.ask("GET", "/groups?itemsPerPage=2&pageNum=2")[1]

    assert (len(first["results"]), len(last["results"]), first["totalCount"]) == (2, 1, 3)
    assert [link["rel"] for link in first["links"]] == ["self", "next"]
    assert [link["rel"] for link in last["links"]] == ["self"]
    assert first["links"][1]["href"].startswith("http://localhost:8080/api/atlas/v2/groups?")


def test_a_connection_serves_many_calls(sandbox, project):
    connection = HTTPConnection(urlsplit(sandbox.atlas.address).netloc, timeout=5)
    sockets = []
    for _ in range(2):
        connection.request("POST", "/api/oauth/token", body="grant_type=client_credentials")
        connection.getresponse().read()
        sockets.append(connection.sock)
    connection.close()

    assert sockets[0] is not None
    assert sockets[0] is sockets[1]


def test_a_page_of_more_than_500_is_refused(sandbox):
    status, _ = sandbox.ask("GET", "/groups?itemsPerPage=501")

    assert status == 400


def test_settings_name_the_key_its_role_and_whether_it_works(sandbox, project, key):
    _, body = sandbox.ask("GET", f"/groups/{project}/encryptionAtRest")
    _, access = sandbox.ask("GET", f"/groups/{project}/cloudProviderAccess")

    role = access["awsIamRoles"][0]
    assert body["awsKms"]["customerMasterKeyID"] == key
    assert (body["awsKms"]["region"], body["awsKms"]["valid"]) == ("US_EAST_1", True)
    assert (body["awsKms"]["roleId"], role["iamAssumedRoleArn"]) == (role["roleId"], ROLE)
    assert body["azureKeyVault"] == body["googleCloudKms"] == {"enabled": False}


def test_a_disabled_key_is_seen_as_invalid_at_once_when_somebody_looks(sandbox, project, key):
    sandbox.to_key("DisableKey", key)

    _, body = sandbox.ask("GET", f"/groups/{project}/encryptionAtRest")

    assert body["awsKms"]["valid"] is False


def test_settings_cannot_change_while_the_current_key_does_not_work(sandbox, project, key):
    successor = sandbox.new_key()
    sandbox.to_key("DisableKey", key)

    status, body = sandbox.settings(project, customerMasterKeyID=successor)

    assert (status, body["errorCode"]) == (400, "ENCRYPTION_AT_REST_SETTINGS_INVALID")
    assert sandbox.world.projects[project].key == key


UNUSABLE = {
    "AWS_KMS_CUSTOMER_MASTER_KEY_NOT_ENABLED": ("DisableKey", {}),
    "AWS_KMS_CUSTOMER_MASTER_KEY_PENDING_DELETION": ("ScheduleKeyDeletion", {"PendingWindowInDays": 7}),
    "NO_PERMISSION_TO_ENCRYPT_DECRYPT": ("PutKeyPolicy", {"Policy": policy_for(ACCOUNT, atlas=False)}),
}


@pytest.mark.parametrize("code", UNUSABLE)
def test_a_key_that_cannot_be_used_is_refused_by_name(sandbox, project, key, code):
    successor = sandbox.new_key()
    operation, more = UNUSABLE[code]
    sandbox.to_key(operation, successor, **more)

    status, body = sandbox.settings(project, customerMasterKeyID=successor)

    assert (status, body["errorCode"], sandbox.world.projects[project].key) == (400, code, key)


def test_a_key_of_another_account_must_be_named_by_its_arn(sandbox, project):
    with_policy = sandbox.new_key(account=ABROAD)

    by_id, body = sandbox.settings(project, customerMasterKeyID=with_policy.rsplit("/", 1)[1])

    assert (by_id, body["errorCode"]) == (404, "AWS_CUSTOMER_MASTER_KEY_NOT_FOUND")


@pytest.mark.parametrize(
    ("block", "code"),
    [
        ({"accessKeyID": "AKIA0000000000000000"}, "AWS_KMS_CREDENTIALS_AUTH_DEPRECATED"),
        ({"roleId": "0" * 24}, "CLOUD_PROVIDER_ACCESS_ROLE_NOT_AUTHORIZED"),
    ],
)
def test_only_authorized_roles_reach_a_key(sandbox, project, block, code):
    status, body = sandbox.settings(project, **block)

    assert (status, body["errorCode"]) == (400, code)


def test_after_a_swap_clusters_stay_idle_then_update_and_only_then_use_the_new_key(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    successor = sandbox.new_key()
    state = lambda: sandbox.ask("GET", f"/groups/{project}/clusters/c", version="2024-08-05")[1]["stateName"]  # noqa: E731
    sandbox.settings(project, customerMasterKeyID=successor)
    states = [state()]
    sandbox.pass_time(minutes=3)
    sandbox.world.take_snapshot(project, "c")
    states.append(state())
    sandbox.pass_time(minutes=20)
    sandbox.world.take_snapshot(project, "c")

    states.append(state())

    assert states == ["IDLE", "UPDATING", "IDLE"]
    assert [one.key_arn for one in sandbox.snapshots()] == [key, successor]


def test_a_paused_cluster_takes_up_the_new_key_only_after_it_runs_again(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=NONE, paused=True)
    sandbox.world.switch_key_by_hand(project, sandbox.new_key())
    sandbox.pass_time(days=1)
    cluster = sandbox.world.ground.cluster(project, "c")
    while_paused = str(cluster.cmk.arn)
    sandbox.world.resume(project, "c")
    sandbox.pass_time(minutes=30)

    assert (while_paused, str(cluster.cmk.arn)) == (key, sandbox.world.projects[project].key)


def test_a_rollout_waits_for_a_key_that_is_gone_without_filling_the_calendar(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    sandbox.world.switch_key_by_hand(project, sandbox.new_key())
    sandbox.to_key("DisableKey", key)
    sandbox.pass_time(days=10)
    waiting = sandbox.world.ground.cluster(project, "c").state
    sandbox.to_key("EnableKey", key)

    sandbox.pass_time(days=2)

    assert (waiting, sandbox.world.ground.cluster(project, "c").state) == ("UPDATING", "IDLE")


def test_a_snapshot_shows_its_key_only_when_it_is_completed(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    path = f"/groups/{project}/clusters/c/backup/snapshots"
    sandbox.ask("POST", path, {"retentionInDays": 1, "description": "proof"})
    seen = [sandbox.ask("GET", path)[1]["results"][0]]
    for minutes in (3, 5):
        sandbox.pass_time(minutes=minutes)
        seen.append(sandbox.ask("GET", path)[1]["results"][0])

    assert [one["status"] for one in seen] == ["queued", "inProgress", "completed"]
    assert ["masterKeyUUID" in one for one in seen] == ["createdAt" in one for one in seen] == [False, False, True]
    assert key.endswith(seen[-1]["masterKeyUUID"])


def test_scheduled_snapshots_expire_and_those_of_one_moment_are_one_kept_longest(sandbox, project):
    both = (*DAILY, BackupPolicy(kind="weekly", every=1, keep=timedelta(days=30)))
    sandbox.world.add_cluster(project, "c", policies=both)

    sandbox.pass_time(days=14)

    kept = sandbox.snapshots()
    starts = [one.created_at for one in kept]
    assert len(starts) == len(set(starts))
    assert sorted(round((one.expires_at - one.created_at).total_seconds() / 86400) for one in kept) == [3, 3, 3, 30, 30]


def test_each_snapshot_restores_with_the_key_of_its_moment_and_with_no_other(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    old = sandbox.world.take_snapshot(project, "c")
    sandbox.world.switch_key_by_hand(project, sandbox.new_key())
    sandbox.pass_time(hours=1)
    new = sandbox.world.take_snapshot(project, "c")
    sandbox.pass_time(hours=1)
    sandbox.world.restore(old)
    sandbox.to_key("DisableKey", key)

    sandbox.world.restore(new)

    with pytest.raises(CannotRestore, match="not enabled"):
        sandbox.world.restore(old)


def test_a_snapshot_fails_when_kms_refuses_its_key(sandbox, project, key):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    sandbox.to_key("DisableKey", key)

    sandbox.world.take_snapshot(project, "c")

    sandbox.pass_time(minutes=8)
    assert [(one.status, one.key_arn) for one in sandbox.snapshots()] == [("failed", None)]


def test_master_keys_are_renewed_every_90_days(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)

    sandbox.pass_time(days=182)

    assert sandbox.world.ground.cluster(project, "c").renewals == 2


def test_backups_of_a_deleted_cluster_are_found_only_by_who_asks_for_them(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    sandbox.world.take_snapshot(project, "c")
    sandbox.world.delete_cluster(project, "c", retain_backups=True)
    path = f"/groups/{project}/clusters"

    plain = sandbox.ask("GET", path, version="2024-08-05")[1]
    complete = sandbox.ask("GET", f"{path}?includeDeletedWithRetainedBackups=true", version="2024-08-05")[1]
    by_name = sandbox.ask("GET", f"{path}/c", version="2024-08-05")
    snapshots = sandbox.ask("GET", f"{path}/c/backup/snapshots")[1]

    assert (plain["totalCount"], complete["totalCount"], snapshots["totalCount"]) == (0, 1, 1)
    assert (by_name[0], by_name[1]["errorCode"]) == (404, "CLUSTER_NOT_FOUND")


def test_snapshots_of_sharded_clusters_have_a_list_of_their_own(sandbox, project):
    sandbox.world.add_cluster(project, "s", kind="SHARDED", policies=NONE)
    sandbox.world.take_snapshot(project, "s")
    sandbox.pass_time(minutes=8)
    path = f"/groups/{project}/clusters/s/backup/snapshots"

    plain, sharded = (sandbox.ask("GET", place)[1] for place in (path, f"{path}/shardedClusters"))

    assert (plain["totalCount"], sharded["totalCount"]) == (0, 1)
    assert "masterKeyUUID" in sharded["results"][0]
    assert set(sharded["results"][0]["members"][0]) == {"cloudProvider", "id", "replicaSetName"}


def test_shared_tiers_have_no_customer_key(sandbox, project):
    sandbox.world.add_cluster(project, "free", tier="M0")
    sandbox.world.add_cluster(project, "flexible", tier="FLEX")

    clusters = sandbox.ask("GET", f"/groups/{project}/clusters", version="2024-08-05")[1]["results"]
    flex = sandbox.ask("GET", f"/groups/{project}/flexClusters", version="2024-11-13")[1]["results"]

    assert [(one["name"], one["encryptionAtRestProvider"]) for one in clusters] == [("free", "NONE")]
    assert [one["name"] for one in flex] == ["flexible"]


def test_the_alert_opens_after_its_threshold_and_closes_with_a_new_key(sandbox, project):
    path = f"/groups/{project}"
    config = sandbox.ask("GET", f"{path}/alertConfigs")[1]["results"][0]
    sandbox.ask(
        "PUT", f"{path}/alertConfigs/{config['id']}", config | {"threshold": config["threshold"] | {"threshold": 30}}
    )
    sandbox.pass_time(days=31)
    sandbox.tokens.clear()
    opened = sandbox.ask("GET", f"{path}/alerts?status=OPEN")[1]["totalCount"]
    sandbox.world.switch_key_by_hand(project, sandbox.new_key())

    closed = sandbox.ask("GET", f"{path}/alerts?status=OPEN")[1]["totalCount"]

    assert (config["threshold"]["threshold"], opened, closed) == (90, 1, 0)


def test_a_swap_is_written_into_the_activity_feed(sandbox, project):
    sandbox.world.switch_key_by_hand(project, sandbox.new_key())

    kinds = {one["eventTypeName"] for one in sandbox.ask("GET", f"/groups/{project}/events")[1]["results"]}

    assert {"ENCRYPTION_AT_REST_KEY_ROTATION_STARTED", "ENCRYPTION_AT_REST_CONFIGURATION_UPDATED"} <= kinds


def test_encryption_goes_off_by_hand_but_not_under_running_clusters(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    refused, _ = sandbox.ask("PATCH", f"/groups/{project}/encryptionAtRest", {"awsKms": {"enabled": False}})

    sandbox.world.disable_encryption(project)

    _, body = sandbox.ask("GET", f"/groups/{project}/encryptionAtRest")
    assert (refused, body["awsKms"], sandbox.world.projects[project].key) == (409, {"enabled": False}, None)


def test_a_removed_project_is_gone_with_its_backups(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=DAILY)
    sandbox.pass_time(days=2)

    sandbox.world.remove_project(project)

    sandbox.pass_time(days=100)
    assert (sandbox.snapshots(), sandbox.world.next_event_at()) == ([], None)


def test_a_project_cannot_start_with_a_key_that_does_not_work(sandbox):
    with pytest.raises(Refusal, match="NO_PERMISSION"):
        sandbox.world.add_project("shop", key=sandbox.new_key(atlas=False), role_arn=ROLE)

    assert not sandbox.world.projects


@pytest.mark.parametrize(("kind", "took_effect"), [("drop_before", False), ("drop_after", True), ("truncate", True)])
def test_an_ordered_fault_loses_the_answer_before_or_after_the_effect(sandbox, project, kind, took_effect):
    sandbox.atlas.faults.append(Fault("PATCH", "encryptionAtRest$", kind))
    successor = sandbox.new_key()

    with pytest.raises((OSError, HTTPException)):
        sandbox.settings(project, customerMasterKeyID=successor)

    assert (sandbox.world.projects[project].key == successor) is took_effect


def test_an_ordered_fault_strikes_the_calls_it_was_ordered_for(sandbox, project):
    sandbox.atlas.faults.append(Fault("GET", "/groups$", "429", nth=2))
    sandbox.atlas.faults.append(Fault("GET", "/alerts$", "no_results"))

    statuses = [sandbox.ask("GET", "/groups")[0] for _ in range(3)]

    assert statuses == [200, 429, 200]
    assert "results" not in sandbox.ask("GET", f"/groups/{project}/alerts")[1]
    assert sandbox.atlas.calls["GET /api/atlas/v2/groups"] == 3


def test_ten_thousand_snapshots_take_seconds(sandbox, project):
    hourly = (BackupPolicy(kind="hourly", keep=timedelta(days=7)),)
    for number in range(20):
        sandbox.world.add_cluster(project, f"c{number}", policies=hourly)
    began = time.monotonic()

    sandbox.pass_time(hours=500)

    assert time.monotonic() - began < 10
    assert len(sandbox.snapshots()) == 20 * (7 * 24 + 1)
