"""What an auditor gets: keys with both dates, who asked and approved, what was proved, and what was not in order."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.evidence_pack import DECRYPTS_FOR, Facts, compile_pack
from chalicelib.domain.evidence_page import to_csv, to_html
from chalicelib.domain.records import (
    AuditEntry,
    Check,
    ClusterTally,
    Deletion,
    DeletionState,
    Key,
    KeyState,
    Policy,
    Problem,
    Project,
    Rotation,
    RotationState,
    Strategy,
)

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OLD = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-4111-8111-111111111111")
NEW = replace(OLD, key_id="22222222-2222-4222-8222-222222222222")
PROJECT = Project(
    project_id="p1",
    name="Shop <b>",
    organization="o1",
    seen_at=NOW,
    key=NEW,
    key_since=NOW - 30 * DAY,
    policy=Policy(rotation_period_days=90),
)
ROTATION = Rotation(
    rotation_id="r1",
    project_id="p1",
    state=RotationState.DEPLOYED,
    strategy=Strategy.NEW_CMK,
    requested_by="arn:aws:iam::111122223333:user/ada",
    requested_at=NOW - 31 * DAY,
    fingerprint="f",
    old_key=OLD,
    old_key_since=NOW - 125 * DAY,
    new_key=NEW,
    checks=(Check(name="settings_valid", passed=True, text="fine"),),
    swapped_at=NOW - 30 * DAY,
    deployed_at=NOW - 29 * DAY,
    ended_at=NOW - 29 * DAY,
)
OLD_KEY = Key(
    arn=OLD,
    state=KeyState.RETIRING,
    projects=("p1",),
    first_seen_at=NOW - 125 * DAY,
    replaced_at=NOW - 30 * DAY,
    deployed_at=NOW - 29 * DAY,
    clusters=(ClusterTally(project_id="p1", cluster="main", cluster_id="c", snapshots=4, last_expiry=NOW + 40 * DAY),),
    proof_digest="d" * 64,
)
NEW_KEY = Key(arn=NEW, state=KeyState.CURRENT, projects=("p1",), first_seen_at=NOW - 30 * DAY, created_by_us=True)
DELETION = Deletion(
    deletion_id="x1",
    arn=OLD,
    state=DeletionState.APPROVED,
    digest="d" * 64,
    requested_by="ada",
    requested_at=NOW - DAY,
    expires_at=NOW + DAY,
    approved_by="grace",
)
CHANGED = AuditEntry(at=NOW - 60 * DAY, who="ada", what="policy changed", subject="p1", why="=1+1", after="90")
FACTS = Facts(
    project=PROJECT,
    rotations=(ROTATION,),
    keys=(NEW_KEY, OLD_KEY),
    deletions=(DELETION,),
    trail=(CHANGED,),
    begin=None,
    end=None,
    now=NOW,
)


def exceptions(**changes):
    return [(e["kind"], e["days"]) for e in compile_pack(replace(FACTS, **changes))["exceptions"]]


def test_each_key_has_the_day_to_stop_encrypting_and_the_day_to_stop_decrypting():
    old, new = compile_pack(FACTS)["keys"]

    assert (old["in_use_from"], old["stopped_encrypting_at"]) == ("2026-10-27T12:00:00Z", "2027-01-30T12:00:00Z")
    assert old["stop_encrypting_by"] == "2027-01-25T12:00:00Z"
    assert old["stop_decrypting_by"] == "2030-01-24T12:00:00Z"
    assert (new["in_use_from"], new["stop_encrypting_by"]) == ("2027-01-30T12:00:00Z", "2027-04-30T12:00:00Z")


def test_it_says_who_asked_and_who_approved_with_the_proof_and_the_checks():
    pack = compile_pack(FACTS)

    assert pack["rotations"][0]["requested_by"].endswith("user/ada")
    assert pack["rotations"][0]["checks"] == [{"name": "settings_valid", "passed": True, "text": "fine"}]
    assert (pack["deletions"][0]["approved_by"], pack["deletions"][0]["proof"]) == ("grace", "d" * 64)
    assert pack["policy"]["history"] == pack["trail"]


def test_a_key_that_encrypted_for_too_long_is_an_exception():
    assert exceptions() == [("overdue", 5)]


def test_a_current_key_that_is_overdue_is_an_exception():
    late = replace(PROJECT, key_since=NOW - 100 * DAY)

    assert ("overdue", 10) in exceptions(project=late)


def test_snapshots_that_outlive_the_second_date_are_an_exception():
    far = replace(OLD_KEY.clusters[0], last_expiry=NOW + DECRYPTS_FOR)

    assert ("outlives", 35) in exceptions(keys=(replace(OLD_KEY, clusters=(far,)),))


def test_a_failed_rotation_is_an_exception():
    failed = replace(ROTATION, state=RotationState.FAILED, error=Problem(code="x", detail="no role"))

    assert ("failed_rotation", None) in exceptions(rotations=(failed,))


def test_only_what_belongs_to_the_period_is_in_it():
    pack = compile_pack(replace(FACTS, begin=NOW - 10 * DAY, end=NOW))

    assert (pack["rotations"], pack["trail"]) == ([], [])
    assert len(pack["keys"]) == 2


def test_every_control_points_to_parts_that_exist():
    pack = compile_pack(FACTS)

    assert {part for control in pack["controls"] for part in control["see"].split(", ")} <= set(pack)


def test_it_is_plain_data():
    assert json.loads(json.dumps(compile_pack(FACTS))) == compile_pack(FACTS)


def test_the_page_shows_every_part_and_runs_nothing_of_what_it_shows():
    page = to_html(compile_pack(FACTS))

    assert "Shop &lt;b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page.replace("arn:aws", "")
    assert all(
        heading in page for heading in ("Exceptions", "Keys", "Rotations", "Deletions", "Audit trail", "Controls")
    )


def test_a_part_with_nothing_in_it_says_so():
    assert "None." in to_html(compile_pack(replace(FACTS, rotations=(), trail=(), deletions=())))


def test_the_table_holds_every_value_and_no_formula():
    rows = list(csv.reader(io.StringIO(to_csv(compile_pack(FACTS)))))

    assert rows[0] == ["part", "number", "name", "value"]
    assert ["trail", "1", "why", "'=1+1"] in rows
    assert ["rotations", "1", "checks.1.name", "settings_valid"] in rows
    assert ["keys", "1", "proof.digest", "d" * 64] in rows


@pytest.mark.parametrize("text", ["=x", "+x", "-x", "@x", "\tx", "\rx"])
def test_no_cell_is_taken_for_a_formula(text):
    entry = replace(CHANGED, why=text)

    assert f"'{text}" in to_csv(compile_pack(replace(FACTS, trail=(entry,))))
