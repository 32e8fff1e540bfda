"""The pretend Atlas' manners: who may come in, which versions it speaks, how often it may be asked."""

from datetime import timedelta

import pytest
from pretend_atlas_sandbox import ROLE, Sandbox

from sandbox.atlas import BackupPolicy, PretendAtlas, Rate

NONE: tuple[BackupPolicy, ...] = ()


@pytest.fixture
def sandbox():
    made = Sandbox()
    with PretendAtlas(made.world) as made.atlas:
        yield made


@pytest.fixture
def project(sandbox):
    return sandbox.world.add_project("shop", key=sandbox.new_key(), role_arn=ROLE)


def test_who_is_not_known_gets_a_digest_challenge(sandbox):
    status, body, headers = sandbox.raw("GET", "/api/atlas/v2/groups", None, {"Authorization": "Bearer guessed"})

    assert (status, body["errorCode"], headers["X-Error-Code"]) == (401, "UNEXPECTED_ERROR", "UNEXPECTED_ERROR")
    assert headers["Www-Authenticate"].startswith('Digest realm="MMS Public API", domain="", nonce="')
    assert headers["Www-Authenticate"].endswith('", algorithm=MD5, qop="auth", stale=false')


@pytest.mark.parametrize(
    ("accept", "status"),
    [("application/json", 400), ("*/*", 400), ("application/vnd.atlas.2019-01-01+json", 406)],
)
def test_no_version_is_a_bad_request_and_an_unknown_one_is_not_acceptable(sandbox, project, accept, status):
    answered, body, _ = sandbox.headers_of("GET", f"/groups/{project}/clusters", Accept=accept)

    assert (answered, body["errorCode"]) == (status, "INVALID_VERSION_DATE")


def test_a_version_that_is_going_says_so_until_it_is_gone(sandbox, project):
    name = "GET /api/atlas/v2/groups/{groupId}/encryptionAtRest"
    sandbox.atlas.sunsets[name] = sandbox.clock.now() + timedelta(hours=2)
    path = f"/groups/{project}/encryptionAtRest"
    status, _, headers = sandbox.headers_of("GET", path)

    sandbox.pass_time(hours=2)

    assert (status, headers["Sunset"]) == (200, "Thu, 01 Jan 2026 02:30:00 GMT")
    assert "Deprecation" in headers
    gone, body, _ = sandbox.headers_of("GET", path)
    assert (gone, body["errorCode"]) == (410, "VERSION_GONE")


def test_a_body_of_another_media_type_is_refused_and_changes_nothing(sandbox, project):
    key, path = sandbox.world.projects[project].key, f"/groups/{project}/encryptionAtRest"
    block = {"awsKms": {"enabled": True, "customerMasterKeyID": sandbox.new_key()}}

    status, _ = sandbox.ask("PATCH", path, block, **{"Content-Type": "text/plain"})

    assert (status, sandbox.world.projects[project].key) == (415, key)


def test_restores_and_exports_need_the_role_of_a_backup_manager(sandbox, project):
    sandbox.world.add_cluster(project, "c", policies=NONE)
    path = f"/groups/{project}/clusters/c/backup/restoreJobs"
    with_role = sandbox.ask("GET", path, account=sandbox.world.reader)[0]
    sandbox.atlas.reader_roles.remove("Project Backup Manager")

    without, body = sandbox.ask("GET", path, account=sandbox.world.reader)

    assert (with_role, without, body["errorCode"]) == (200, 401, "USER_UNAUTHORIZED")


def test_only_an_alerts_manager_changes_alerts(sandbox, project):
    sandbox.atlas.reader_roles.remove("Project Alerts Manager")
    config = sandbox.listed(f"/groups/{project}/alertConfigs")[0]

    status, _ = sandbox.ask(
        "PUT", f"/groups/{project}/alertConfigs/{config['id']}", config, account=sandbox.world.reader
    )

    assert status == 401


def test_a_barred_account_gets_no_token_and_its_token_is_worth_nothing(sandbox, project):
    before, _ = sandbox.ask("GET", f"/groups/{project}")
    sandbox.atlas.tokens.barred.add(sandbox.world.owner.client_id)

    after, _ = sandbox.ask("GET", f"/groups/{project}")

    assert (before, after, sandbox.token(sandbox.world.owner)[0]) == (200, 401, 401)


def test_every_answer_tells_how_many_calls_are_left(sandbox, project):
    path = f"/groups/{project}/events"

    left = [sandbox.headers_of("GET", path)[2] for _ in range(2)]

    assert [one["RateLimit-Limit"] for one in left] == ["300", "300"]
    assert [one["RateLimit-Remaining"] for one in left] == ["299", "298"]


def test_an_empty_bucket_refuses_says_how_long_to_wait_and_fills_with_virtual_time(sandbox, project):
    sandbox.atlas.limits.rates["events"] = Rate(burst=2, refill=2, seconds=60)
    path = f"/groups/{project}/events"
    statuses = [sandbox.headers_of("GET", path)[0] for _ in range(2)]
    refused, body, headers = sandbox.headers_of("GET", path)

    sandbox.pass_time(seconds=30)

    assert (statuses, refused, body["errorCode"]) == ([200, 200], 429, "RATE_LIMITED_TOKEN_BUCKET")
    assert body["parameters"] == [f"api/atlas/v2{path}", 30, 2, 2, 60]
    assert (headers["Retry-After"], headers["RateLimit-Remaining"]) == ("30", "0")
    assert [sandbox.headers_of("GET", path)[0] for _ in range(2)] == [200, 429]


def test_a_refusal_may_keep_silent_about_how_long_to_wait(sandbox, project):
    sandbox.atlas.limits.rates["events"] = Rate(burst=0, refill=1)
    sandbox.atlas.limits.shows_retry_after = False

    status, _, headers = sandbox.headers_of("GET", f"/groups/{project}/events")

    assert (status, "Retry-After" in headers) == (429, False)


def test_each_project_has_a_bucket_of_its_own_for_each_kind_of_call(sandbox, project):
    other = sandbox.world.add_project("other")
    sandbox.atlas.limits.rates["events"] = Rate(burst=1, refill=1)
    sandbox.ask("GET", f"/groups/{project}/events")

    statuses = [
        sandbox.ask("GET", path)[0]
        for path in (f"/groups/{project}/events", f"/groups/{other}/events", f"/groups/{project}/alerts")
    ]

    assert statuses == [429, 200, 200]


def test_calls_above_projects_are_counted_by_account_whatever_token_it_has(sandbox):
    sandbox.atlas.limits.rates["organizations"] = Rate(burst=1, refill=1, scope="USER")
    sandbox.ask("GET", "/groups")
    sandbox.tokens.clear()

    mine, others = sandbox.ask("GET", "/groups")[0], sandbox.ask("GET", "/groups", account=sandbox.world.reader)[0]

    assert (mine, others) == (429, 200)


def test_limits_can_be_taken_away(sandbox, project):
    sandbox.atlas.limits.rates.clear()

    status, _, headers = sandbox.headers_of("GET", f"/groups/{project}/events")

    assert (status, "RateLimit-Limit" in headers) == (200, False)


def test_limits_are_shown(sandbox):
    shown = {one["endpointSetId"]: one for one in sandbox.listed("/rateLimits", version="2025-03-12")}

    events = shown["events"]
    assert (events["capacity"]["value"], events["refillRate"]["value"]) == (300, 100)
    assert (events["refillDurationSeconds"]["value"], events["scope"]) == (60, "GROUP")
    one = sandbox.ask("GET", "/rateLimits/events", version="2025-03-12")[1]
    assert one == events


def test_the_addresses_of_atlas_itself_are_shown_to_everybody(sandbox):
    headers = {"Accept": "application/vnd.atlas.2023-11-15+json"}

    status, body, _ = sandbox.raw("GET", "/api/atlas/v2/unauth/controlPlaneIPAddresses", None, headers)

    assert status == 200
    assert body["outbound"]["aws"]["us-east-1"]


def test_the_projects_of_an_organization_are_those_of_all(sandbox, project):
    own = sandbox.world.organization.organization_id

    assert [one["id"] for one in sandbox.listed(f"/orgs/{own}/groups")] == [project]
    assert sandbox.ask("GET", f"/orgs/{'0' * 24}/groups")[0] == 404


def test_flex_clusters_and_others_are_kept_apart(sandbox, project):
    sandbox.world.add_cluster(project, "flexible", tier="FLEX")
    sandbox.world.add_cluster(project, "c", policies=NONE)

    as_cluster = sandbox.ask("GET", f"/groups/{project}/clusters/flexible", version="2024-08-05")
    as_flex = sandbox.ask("GET", f"/groups/{project}/flexClusters/c", version="2024-11-13")

    assert (as_cluster[0], as_cluster[1]["errorCode"]) == (400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API")
    assert (as_flex[0], as_flex[1]["errorCode"]) == (400, "CANNOT_USE_NON_FLEX_CLUSTER_IN_FLEX_API")
