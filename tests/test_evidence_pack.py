"""What an auditor gets: keys with both dates, who asked and approved, what was proved, and what was not in order.

`python tests/test_evidence_pack.py` writes the golden files anew; look at the page before you commit it.
"""

import csv
import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.canonical import digest_of
from chalicelib.domain.chain import Head, Trail, extend
from chalicelib.domain.evidence_pack import DECRYPTS_FOR, Facts, compile_pack, summary_of
from chalicelib.domain.evidence_page import to_csv, to_html
from chalicelib.domain.records import (
    AuditEntry,
    Check,
    ClusterTally,
    Deletion,
    Key,
    Policy,
    Problem,
    Project,
    Proof,
    Rotation,
)
from chalicelib.domain.vocabulary import DeletionState, KeyState, RotationState, Strategy

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


def trail(*entries, subject="p1"):
    links = extend({}, entries, "request 1")
    head = Head(number=len(links), hash=links[-1].hash) if links else None
    return Trail(subject=subject, links=links, head=head)


TALLIES = [{"read": 12, "of_this_key": 0}, {"read": 3, "of_this_key": 1}]
DOCUMENT = json.dumps({"projects": [{"clusters": [{"tally": tally} for tally in TALLIES]}]})
PROOF = Proof(digest="d" * 64, at=NOW - 2 * DAY, arn=OLD, document=DOCUMENT)
FACTS = Facts(
    project=PROJECT,
    rotations=(ROTATION,),
    keys=(NEW_KEY, OLD_KEY),
    deletions=(DELETION,),
    trails=(trail(CHANGED), trail(subject=OLD.key_id)),
    proofs=(PROOF,),
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


def test_what_came_to_nothing_after_the_period_is_no_exception_of_it():
    late = replace(PROJECT, key_since=NOW - 100 * DAY)

    assert exceptions(project=late, end=NOW - 12 * DAY) == [("overdue", 5)]
    assert exceptions(project=late, end=NOW - 2 * DAY) == [("overdue", 8), ("overdue", 5)]


def test_new_material_from_kms_begins_a_new_cryptoperiod():
    renewed = replace(PROJECT, key_since=NOW - 100 * DAY, rotated_by_kms_at=NOW - 20 * DAY)

    new = compile_pack(replace(FACTS, project=renewed))["keys"][1]

    assert (new["in_use_from"], new["renewed_by_kms_at"]) == ("2026-11-21T12:00:00Z", "2027-02-09T12:00:00Z")
    assert new["stop_encrypting_by"] == "2027-05-10T12:00:00Z"
    assert exceptions(project=renewed) == [("overdue", 5)]


def test_a_former_key_that_kms_renewed_on_demand_was_not_overdue():
    renewal = replace(
        ROTATION, strategy=Strategy.KMS_ON_DEMAND, new_key=None, swapped_at=None, deployed_at=NOW - 90 * DAY
    )

    assert exceptions(rotations=(ROTATION, renewal)) == []


def test_only_what_belongs_to_the_period_is_in_it():
    pack = compile_pack(replace(FACTS, begin=NOW - 10 * DAY, end=NOW - 2 * DAY))

    assert (pack["rotations"], pack["trail"], pack["deletions"]) == ([], [], [])
    assert len(pack["keys"]) == 2


def test_the_chains_are_whole_whatever_the_period():
    pack = compile_pack(replace(FACTS, begin=NOW - 10 * DAY, end=NOW))

    assert [(chain["subject"], len(chain["entries"])) for chain in pack["chains"]] == [("p1", 1), (OLD.key_id, 0)]
    assert pack["chains"] == compile_pack(FACTS)["chains"]
    assert pack["chains"][0]["head"]["hash"] == pack["chains"][0]["entries"][0]["hash"]


def test_a_chain_that_somebody_meddled_with_is_an_exception():
    meddled = trail(CHANGED, replace(CHANGED, after="30"))
    cut = replace(meddled, links=meddled.links[:1])

    said = compile_pack(replace(FACTS, trails=(cut,)))["exceptions"][-1]

    assert (said["kind"], said["text"]) == ("broken_chain", "audit trail of p1, entry 2: is missing")


def test_a_deletion_shows_what_its_proof_counted():
    (deletion,) = compile_pack(FACTS)["deletions"]

    assert deletion["proved"] == {
        "at": "2027-02-27T12:00:00Z",
        "clusters_read": 2,
        "snapshots_read": 15,
        "snapshots_of_this_key": 1,
    }
    assert compile_pack(replace(FACTS, proofs=()))["deletions"][0]["proved"] is None


def test_a_pack_carries_the_digest_of_all_the_rest():
    pack = compile_pack(FACTS)
    digest = pack.pop("digest")

    text = json.dumps(pack, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert digest == digest_of(pack) == hashlib.sha256(text.encode()).hexdigest()


def test_a_fleet_has_a_line_for_each_pack():
    line = summary_of(compile_pack(FACTS))

    assert (line["project_id"], line["key"], line["rotation_period_days"]) == ("p1", str(NEW), 90)
    assert (line["keys"], line["rotations"], line["deletions"], line["entries"]) == (2, 1, 1, 1)
    assert ([e["kind"] for e in line["exceptions"]], line["broken_chains"]) == (["overdue"], 0)


def test_every_control_points_to_parts_that_exist():
    pack = compile_pack(FACTS)

    assert {part for control in pack["controls"] for part in control["see"].split(", ")} <= set(pack)


def test_it_is_plain_data():
    assert json.loads(json.dumps(compile_pack(FACTS))) == compile_pack(FACTS)


def test_the_page_shows_every_part_and_runs_nothing_of_what_it_shows():
    page = to_html(compile_pack(FACTS))

    assert "Shop &lt;b&gt;" in page
    assert "<b>" not in page
    assert "http" not in page
    assert all(
        f"<h2>{heading}</h2>" in page
        for heading in (
            "Exceptions",
            "Changes of the policy",
            "Keys and their cryptoperiods",
            "Dependents",
            "Rotations",
            "Checks before each rotation",
            "Deletions",
            "Audit trail",
            "Where the chains of the audit trail end",
            "Controls",
        )
    )


def test_a_part_with_nothing_in_it_says_so():
    assert "None." in to_html(compile_pack(replace(FACTS, rotations=(), trails=(), deletions=())))


def test_the_table_holds_every_value_and_no_formula():
    rows = list(csv.reader(io.StringIO(to_csv(compile_pack(FACTS)))))

    assert rows[0] == ["project_id", "part", "number", "name", "value"]
    assert ["p1", "trail", "1", "why", "'=1+1"] in rows
    assert ["p1", "rotations", "1", "checks.1.name", "settings_valid"] in rows
    assert ["p1", "keys", "1", "proof.digest", "d" * 64] in rows
    assert ["p1", "policy", "1", "rotation_period_days", "90"] in rows
    assert ["p1", "pack", "1", "digest", compile_pack(FACTS)["digest"]] in rows


@pytest.mark.parametrize("text", ["=x", "+x", "-x", "@x", "\tx", "\rx"])
def test_no_cell_is_taken_for_a_formula(text):
    entry = replace(CHANGED, why=text)

    assert f"'{text}" in to_csv(compile_pack(replace(FACTS, trails=(trail(entry),))))


# ---- the same facts give the same page and table, letter for letter ----

GOLDEN = Path(__file__).parent / "golden"
CALLED_OFF = replace(
    DELETION,
    deletion_id="x0",
    state=DeletionState.CALLED_OFF,
    called_off_by="arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_KeyApprovers_0123456789abcdef/grace.hopper",
    ended_at=NOW - DAY,
)
FAILED = replace(
    ROTATION,
    rotation_id="4f2f1d8a9c7b4e6f8a1b2c3d4e5f6071",
    state=RotationState.FAILED,
    requested_at=NOW - 40 * DAY,
    requested_by="arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_KeyOperators_0123456789abcdef/ada.lovelace",
    reason="yearly audit, first attempt",
    swapped_at=None,
    deployed_at=None,
    ended_at=NOW - 40 * DAY,
    error=Problem(code="preflight", detail="the key's policy does not let Atlas' role in"),
    checks=(
        Check(name="settings_valid", passed=True, text="Atlas finds the present key valid"),
        Check(
            name="key_policy",
            passed=False,
            text="arn:aws:iam::111122223333:role/atlas-customer-key-role may not call kms:Decrypt",
        ),
        Check(name="role_policies", passed=None, text="IAM would not say"),
    ),
)
OUTLIVING = replace(OLD_KEY, clusters=(replace(OLD_KEY.clusters[0], last_expiry=NOW + DECRYPTS_FOR),))
RICH = replace(
    FACTS,
    rotations=(FAILED, ROTATION),
    keys=(NEW_KEY, replace(OUTLIVING, swept_at=NOW - DAY, last_used_at=NOW - 3 * DAY)),
    deletions=(CALLED_OFF, DELETION),
    trails=(
        trail(
            CHANGED,
            replace(CHANGED, at=NOW - 40 * DAY, who=FAILED.requested_by, what="rotation requested", why=FAILED.reason),
            replace(
                CHANGED,
                at=NOW - 30 * DAY,
                who="keyturn",
                what="settings changed",
                why="",
                before=str(OLD),
                after=str(NEW),
            ),
        ),
        trail(replace(CHANGED, subject=OLD.key_id, what="key attested", why="no downloads"), subject=OLD.key_id),
        Trail(subject="x1", unchained=(replace(CHANGED, subject="x1", what="deletion requested"),)),
    ),
)
WRITERS = {"evidence.html": to_html, "evidence.csv": to_csv}


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_facts_give_the_golden_file(name):
    written = WRITERS[name](compile_pack(RICH))

    assert written == (GOLDEN / name).read_bytes().decode()


if __name__ == "__main__":
    for name, write in WRITERS.items():
        (GOLDEN / name).write_bytes(write(compile_pack(RICH)).encode())
