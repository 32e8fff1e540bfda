"""The strategies that leave Atlas alone: KMS renews the key's material, its own list is the evidence."""

import os
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key
from storyteller import Tale, telling

NAMES = ("ledger", "archive", "worn", "imported", "replicated", "routine", "foreign")
ON_DEMAND, AUTOMATIC = "kms-on-demand", "kms-automatic"


class Fleet(Tale):
    """A tale about the projects of NAMES, each with a key of its kind."""

    def __init__(self, set_up):
        self.set_up, self.world = set_up, set_up.world
        keys = {
            "worn": self.worn_key(),
            "imported": self.imported_key(),
            "replicated": self.replica(),
        }
        self.ids = {name: self.settle(name, keys.get(name) or set_up.make_key(name)) for name in NAMES}
        super().__init__(set_up)

    def settle(self, name, key):
        project_id = self.set_up.atlas.add_project(name, key=key, role_arn=self.set_up.role_arn)
        self.set_up.atlas.add_cluster(project_id, "main")
        return project_id

    def worn_key(self):
        """A key that was rotated on demand as often as KMS does it."""
        key = self.make_key()
        for _ in range(25):
            self.kms().rotate_key_on_demand(KeyId=key)
            self.set_up.let_atlas_live(self.now + timedelta(minutes=3))
        return key

    def imported_key(self):
        """A key whose material somebody made elsewhere."""
        key, kms = self.make_key(Origin="EXTERNAL"), self.kms()
        given = kms.get_parameters_for_import(
            KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
        )
        oaep = padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
        wrapped = load_der_public_key(given["PublicKey"]).encrypt(os.urandom(32), oaep)
        kms.import_key_material(
            KeyId=key,
            ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=wrapped,
            ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
        )
        return key

    def replica(self):
        """The twin, here, of a multi-Region key whose primary is elsewhere."""
        return self.replicate(self.make_key(region="us-west-2", MultiRegion=True), "us-east-1")

    def key_of(self, name):
        return self.in_settings(self.ids[name])

    def count_keys(self):
        return len(self.kms().list_keys()["Keys"])


@pytest.fixture(scope="module")
def fleet():
    with telling() as set_up:
        yield Fleet(set_up)


def moment(text):
    return datetime.fromisoformat(text)


def check_named(rotation, name):
    return next(check["text"] for check in rotation["checks"] if check["name"] == name)


@pytest.fixture(scope="module")
def renewed(fleet):
    """The project ledger after a rotation on demand, with what was so before."""
    project_id = fleet.ids["ledger"]
    before = fleet.project(project_id), fleet.count_keys(), fleet.patches()
    fleet.wait(hours=30)
    rotation_id = fleet.accepted(project_id, strategy=ON_DEMAND)
    fleet.wait(hours=1)
    return before, fleet.rotation(project_id, rotation_id)


def test_a_rotation_on_demand_ends_deployed_with_what_kms_lists_as_its_evidence(fleet, renewed):
    _, rotation = renewed

    listed = fleet.kms().list_key_rotations(KeyId=fleet.key_of("ledger"))["Rotations"]
    assert rotation["state"] == "deployed"
    assert rotation["evidence"] == [
        f"KMS rotated the key's material at {listed[0]['RotationDate'].isoformat()}",
        "24 of 25 on-demand rotations are left",
    ]
    assert [one["RotationType"] for one in listed] == ["ON_DEMAND"]


def test_before_it_the_checks_tell_how_many_rotations_on_demand_are_left(renewed):
    _, rotation = renewed

    assert "25 of 25 on-demand rotations are left" in check_named(rotation, "kms_can_renew")


def test_a_rotation_on_demand_makes_no_key_and_changes_no_settings(fleet, renewed):
    (project, keys, patches), rotation = renewed

    assert (fleet.count_keys(), fleet.patches()) == (keys, patches)
    assert rotation["new_key"] is None
    assert fleet.project(fleet.ids["ledger"])["key"] == project["key"] == fleet.key_of("ledger")


def test_a_rotation_on_demand_begins_the_cycle_anew(fleet, renewed):
    (project, _, _), rotation = renewed

    now = fleet.project(fleet.ids["ledger"])
    assert moment(now["due_at"]) - moment(project["due_at"]) == moment(now["key_since"]) - moment(project["key_since"])
    assert moment(now["due_at"]) == moment(rotation["deployed_at"]) + timedelta(days=90)
    assert now["open_rotation"] is None


def test_people_are_told_what_kms_shows_and_that_the_settings_stay(fleet, renewed):
    (told,) = fleet.heard("rotation_deployed", fleet.ids["ledger"])

    assert "24 of 25 on-demand rotations are left" in told["body"]
    assert "the settings stay as they were" in told["body"]


def test_new_material_has_no_way_back(fleet, renewed):
    _, rotation = renewed
    target = f"/v1/projects/{fleet.ids['ledger']}/rotations/{rotation['rotation_id']}/rollback"

    answer = fleet.ask("POST", target)

    assert answer.status == 409


def test_the_next_rotation_on_demand_counts_on(fleet, renewed):
    rotation_id = fleet.accepted(fleet.ids["ledger"], strategy=ON_DEMAND)

    fleet.wait(hours=1)

    rotation = fleet.rotation(fleet.ids["ledger"], rotation_id)
    assert rotation["evidence"][-1] == "23 of 25 on-demand rotations are left"
    assert len(rotation["evidence"]) == 3


def test_the_twenty_sixth_rotation_on_demand_is_refused_at_once(fleet):
    reasons = fleet.refused(fleet.ids["worn"], strategy=ON_DEMAND)

    assert reasons == {"kms_can_renew": "all 25 on-demand rotations of the key are used up: make a new CMK"}
    assert fleet.rotations(fleet.ids["worn"]) == []


def test_a_key_without_rotations_on_demand_may_still_be_set_to_rotate_by_itself(fleet):
    rotation_id = fleet.accepted(fleet.ids["worn"], strategy=AUTOMATIC)

    fleet.wait(hours=1)

    assert fleet.rotation(fleet.ids["worn"], rotation_id)["state"] == "deployed"
    assert fleet.kms().get_key_rotation_status(KeyId=fleet.key_of("worn"))["RotationPeriodInDays"] == 365


@pytest.mark.parametrize("strategy", [ON_DEMAND, AUTOMATIC])
def test_imported_material_is_refused_with_the_reason(fleet, strategy):
    reasons = fleet.refused(fleet.ids["imported"], strategy=strategy)

    assert reasons == {"kms_can_renew": "its material was imported: import new material instead"}


@pytest.mark.parametrize("strategy", [ON_DEMAND, AUTOMATIC])
def test_a_multi_region_replica_is_refused_with_the_reason(fleet, strategy):
    reasons = fleet.refused(fleet.ids["replicated"], strategy=strategy)

    assert reasons == {"kms_can_renew": "it is a multi-Region replica: rotate its primary key"}


def test_what_kms_cannot_renew_is_refused_in_a_preview_too_and_opens_nothing(fleet):
    answer = fleet.request(fleet.ids["imported"], strategy=ON_DEMAND, dry_run=True).json()

    failed = [check["name"] for check in answer["checks"] if check["passed"] is False]
    assert failed == ["kms_can_renew"]
    assert fleet.rotations(fleet.ids["imported"]) == []


@pytest.fixture(scope="module")
def automatic(fleet):
    """The project archive after KMS was told to rotate its key every 180 days, with what was so before."""
    project_id = fleet.ids["archive"]
    before = fleet.project(project_id), fleet.count_keys(), fleet.patches()
    rotation_id = fleet.accepted(project_id, strategy=AUTOMATIC, period_days=180)
    fleet.wait(hours=1)
    return before, fleet.rotation(project_id, rotation_id)


def test_automatic_rotation_is_switched_on_with_the_wished_period_and_shown(fleet, automatic):
    _, rotation = automatic

    status = fleet.kms().get_key_rotation_status(KeyId=fleet.key_of("archive"))
    assert rotation["state"] == "deployed"
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 180)
    assert rotation["evidence"] == [
        f"KMS rotates the key by itself every 180 days, next on {status['NextRotationDate']:%Y-%m-%d}"
    ]


def test_automatic_rotation_makes_no_key_changes_no_settings_and_begins_the_cycle_anew(fleet, automatic):
    (project, keys, patches), rotation = automatic

    now = fleet.project(fleet.ids["archive"])
    assert (fleet.count_keys(), fleet.patches()) == (keys, patches)
    assert now["key"] == project["key"] == fleet.key_of("archive")
    assert moment(now["due_at"]) == moment(rotation["deployed_at"]) + timedelta(days=90)


@pytest.mark.parametrize("days", [89, 2561])
def test_a_period_that_kms_does_not_take_is_no_request(fleet, days):
    answer = fleet.request(fleet.ids["foreign"], strategy=AUTOMATIC, period_days=days)

    assert answer.status == 400
    assert "period_days" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"key": "1234abcd-12ab-34cd-56ef-1234567890ab"}, "leave out key"),
        ({"region": "eu-west-1"}, "leave out region"),
        ({"credentials_secret": "keyturn/old-user"}, "leave out credentials_secret"),
        ({"period_days": 100}, "period_days belongs to the strategy kms-automatic"),
        ({"emergency": True}, "an emergency needs new-cmk"),
    ],
)
def test_what_has_no_meaning_when_kms_renews_is_refused(fleet, more, said):
    reasons = fleet.refused(fleet.ids["foreign"], strategy=ON_DEMAND, **more)

    assert said in reasons["strategy"]


def test_a_project_whose_policy_says_so_has_its_key_renewed_by_kms_when_due(fleet):
    project_id = fleet.ids["routine"]
    fleet.steer(project_id, mode="rotate", strategy=ON_DEMAND, rotation_period_days=2)

    fleet.wait(days=3)

    shown = {(one["state"], one["strategy"], one["requested_by"]) for one in fleet.rotations(project_id)}
    assert shown == {("deployed", ON_DEMAND, "keyturn policy")}


def test_no_function_failed(fleet):
    assert fleet.runner.failures == []
