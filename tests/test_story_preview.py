"""A look ahead shows every check and leaves no trace: no row, no key, no change of settings, no word to people."""

import pytest
from storyteller import Tale, policy_for, telling

ALWAYS = ["encryption_enabled", "settings_valid", "current_key_expected", "tier_has_the_feature", "current_key_enabled"]
ANOTHER_KEY = [
    "providers_known",
    "principal_known",
    "credentials_allowed",
    "wanted_key_usable",
    "wanted_key_is_another",
    "wanted_key_named_fully",
    "wanted_key_grants",
    "conditions_carried_over",
    "region_supported",
    "region_kept",
    "private_endpoint_active",
    "role_may_use_the_wanted_key",
    "role_may_use_the_old_key",
]


class Lookers(Tale):
    """A tale about a project that is looked at, and everything that could show a trace of it."""

    def __init__(self, set_up):
        self.project_id = set_up.add_project("looked-at")
        set_up.atlas.add_cluster(self.project_id, "main")
        self.shared = set_up.add_project("shared")
        set_up.atlas.add_cluster(self.shared, "toys", tier="M0")
        super().__init__(set_up)

    def preview(self, project_id=None, **body):
        answer = self.request(project_id or self.project_id, dry_run=True, **body)
        assert answer.status == 200, answer.body
        shown = answer.json()
        assert shown["dry_run"]
        return {check["name"]: check for check in shown["checks"]}

    def traces(self):
        """All that there is: rows, what the table's stream has carried, keys, changes, messages."""
        table = self.world.resources["TrackerTable"]["name"]
        rows = self.world.aws.client("dynamodb").scan(TableName=table)["Items"]
        sent = sum(depth.visible for depth in self.world.aws.queue_depths().values())
        changes = [n for name, n in self.set_up.server.calls.items() if name.startswith("PATCH")]
        keys = self.kms().list_keys()["Keys"]
        return rows, self.world.aws.stream_position(), keys, changes, sent, self.world.aws.inbox()


@pytest.fixture(scope="module")
def lookers():
    with telling() as set_up:
        yield Lookers(set_up)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({}, ALWAYS + ANOTHER_KEY),
        ({"emergency": True}, ALWAYS + ANOTHER_KEY),
        ({"strategy": "kms-on-demand"}, [*ALWAYS, "kms_can_renew"]),
        ({"strategy": "kms-automatic", "period_days": 100}, [*ALWAYS, "kms_can_renew"]),
    ],
    ids=["new key", "emergency", "on demand", "automatic"],
)
def test_a_preview_shows_every_check_and_leaves_no_trace(lookers, body, names):
    before = lookers.traces()

    checks = lookers.preview(**body)

    assert set(names) <= set(checks)
    assert all(check["passed"] for check in checks.values())
    assert all(check["text"] for check in checks.values())
    assert lookers.traces() == before
    assert lookers.project(lookers.project_id)["open_rotation"] is None


def test_a_preview_of_a_bad_key_shows_what_fails_among_all_that_passes(lookers):
    key = lookers.make_key(policy=policy_for(lookers.world.aws.account, None))
    lookers.kms().disable_key(KeyId=key)
    lookers.wait(minutes=1)
    before = lookers.traces()

    checks = lookers.preview(key=key)

    assert {name for name, check in checks.items() if check["passed"] is False} == {
        "wanted_key_usable",
        "wanted_key_grants",
    }
    assert set(ALWAYS + ANOTHER_KEY) <= set(checks)
    assert lookers.traces() == before


def test_a_request_is_refused_for_the_very_reasons_that_its_preview_shows(lookers):
    key = lookers.make_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")

    shown = {name: check["text"] for name, check in lookers.preview(key=key).items() if check["passed"] is False}

    assert lookers.refused(lookers.project_id, key=key) == shown


def test_a_project_of_shared_tiers_learns_that_it_has_no_customer_keys(lookers):
    checks = lookers.preview(lookers.shared)

    failed = {name for name, check in checks.items() if check["passed"] is False}
    assert failed == {"covered"}
    assert "M0" in checks["covered"]["text"]


def test_after_any_number_of_previews_the_rotation_itself_makes_one_key(lookers):
    for _ in range(3):
        lookers.preview()
    keys = len(lookers.kms().list_keys()["Keys"])

    rotation_id = lookers.accepted(lookers.project_id)
    lookers.wait(hours=2)

    assert lookers.rotation(lookers.project_id, rotation_id)["state"] == "deployed"
    assert len(lookers.kms().list_keys()["Keys"]) == keys + 1
    assert lookers.patches() == 1


def test_no_function_failed(lookers):
    assert lookers.runner.failures == []
