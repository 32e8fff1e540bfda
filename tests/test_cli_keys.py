"""`keyturn key` and its neighbours: may a key go, in words and bars, and asking that it goes."""

import json

import pytest
from fake_api import DIGEST, NOW, OLD, PROJECT, deletion, in_days, key, open_api, page, project
from rich.console import Console

from chalicelib.domain.records import ClusterTally, Harm, Reason
from chalicelib.domain.vocabulary import DeletionState, KeyState
from cli.pictures import Bar

KEY = f"GET /v1/keys/{OLD.key_id}"


@pytest.fixture
def desk():
    with open_api() as opened:
        yield opened


def held(cluster, days, snapshots=3):
    """A reason and a tally: snapshots of a cluster that expire in so many days."""
    until = in_days(days)
    text = f"{snapshots} snapshots of {cluster} need it; the last expires {until:%Y-%m-%d}"
    reason = Reason(kind="snapshots", text=text, project_id=PROJECT, cluster=cluster, until=until)
    tally = ClusterTally(
        project_id=PROJECT, cluster=cluster, cluster_id="5f" * 12, snapshots=snapshots, last_expiry=until, newest=NOW
    )
    return reason, tally


def draining(**days):
    """A key that these clusters need for so many days."""
    reasons, tallies = zip(*(held(cluster, left) for cluster, left in days.items()), strict=True)
    return key(reasons=reasons, clusters=tallies)


@pytest.mark.parametrize(
    ("wishes", "answer"),
    [
        ({"safe_since": NOW, "proof_digest": DIGEST, "proof_at": NOW}, "Yes: nothing needs it any more."),
        ({"state": KeyState.CURRENT}, "No: it is in use."),
        ({"state": KeyState.DEPLOYING}, "No: it is in use."),
        ({"swept_at": None}, "No: nobody can say yet when it comes free."),
        ({"reasons": (Reason(kind="unread", text="no", call="listSnapshots"),)}, "No: not everything could be read"),
        ({"reasons": (Reason(kind="paused", text="ledger is paused"),)}, "No: nobody can say yet when it comes free."),
        ({"state": KeyState.QUARANTINED, "deletion_id": "d1"}, "It is in quarantine: `keyturn deletion d1`"),
        ({"state": KeyState.PENDING_DELETION, "deletion_id": "d1"}, "KMS is going to delete it: `keyturn deletion d1`"),
        ({"safe_since": NOW, "deletion_id": "d1"}, "Its deletion was requested: `keyturn deletion d1`"),
        ({"state": KeyState.DELETED, "deletion_id": "d1"}, "It is deleted already."),
    ],
)
def test_may_this_key_be_deleted(desk, wishes, answer):
    desk.api.on(KEY, key(**wishes))

    told = desk.keyturn("key", OLD.key_id).stdout

    assert told.startswith(f"May this key be deleted?\n{answer}")


def test_a_needed_key_is_told_with_the_day_it_comes_free_and_what_holds_it_longest(desk):
    desk.api.on(KEY, draining(ledger=30, archive=90))

    told = desk.keyturn("key", OLD.key_id).stdout

    assert "No: it comes free on 2027-05-31 (in 91 days) if nothing changes. Held longest by cluster archive." in told
    assert "- 3 snapshots of ledger need it; the last expires 2027-03-31 (in 30 days)" in told


def test_each_cluster_drains_in_a_bar_as_long_as_its_last_snapshot_stays(desk):
    desk.api.on(KEY, draining(ledger=30, archive=90, orders=45))

    lines = desk.keyturn("key", OLD.key_id).stdout.splitlines()

    bars = {line.split()[0]: line.count("█") for line in lines if "█" in line}
    assert bars == {"ledger": 10, "orders": 15, "archive": 30}
    assert list(bars) == ["ledger", "orders", "archive"]


def test_a_snapshot_without_an_end_has_a_bar_without_one(desk):
    reason = Reason(kind="snapshots", text="3 snapshots of vault need it; one never expires", cluster="vault")
    tally = ClusterTally(project_id=PROJECT, cluster="vault", cluster_id="5f" * 12, snapshots=3)
    desk.api.on(KEY, key(reasons=(reason,), clusters=(tally,)))

    told = desk.keyturn("key", OLD.key_id).stdout

    assert "never, or nobody can say" in told
    assert "█" * 30 in told


@pytest.mark.parametrize(
    ("free_at", "answer"),
    [
        (
            "2027-03-11T09:30:00Z",
            "kept for 9 days at most, it would come free on 2027-03-11 (in 10 days), 81 days sooner.",
        ),
        ("2027-02-11T09:30:00Z", "Were snapshots kept for 9 days at most, it would be free, 109 days sooner."),
        ("2027-05-31T09:30:00Z", "it would come free on 2027-05-31 (in 91 days), no sooner."),
        (None, "Were snapshots kept for 9 days, still nobody could say when it comes free."),
    ],
)
def test_a_shorter_retention_is_thought_through(desk, free_at, answer):
    desk.api.on(KEY, draining(ledger=90) | {"what_if": {"retention_days": 9, "free_at": free_at}})

    told = desk.keyturn("key", OLD.key_id, "--retention-days", "9")

    assert desk.api.asked[0].query == {"retention_days": "9"}
    assert answer in told.stdout.replace("\n", " ")


def test_a_warning_is_shown_beside_a_yes(desk):
    used = key(safe_since=NOW, deployed_at=in_days(-9), last_used_at=in_days(-1))
    desk.api.on(KEY, used)

    assert "- but look: KMS recorded a use of it on 2027-02-28" in desk.keyturn("key", OLD.key_id).stdout


def test_a_whole_arn_names_account_and_region(desk):
    desk.api.on(KEY, key())

    desk.keyturn("key", str(OLD))

    assert desk.api.asked[0].query == {"account": "123456789012", "region": "us-east-1"}


def test_all_keys_at_a_glance(desk):
    current, free, kept = key(state=KeyState.CURRENT), key(safe_since=NOW), draining(ledger=9)
    desk.api.on("GET /v1/keys", page(current, free, kept, retiring={"keys": 2, "dollars_per_month": 2.0}))

    lines = desk.keyturn("keys").stdout.splitlines()

    assert [line.split()[1:-1] for line in lines[1:4]] == [
        ["current", "no"],
        ["retiring", "yes"],
        ["retiring", "on", "2027-03-11"],
    ]
    assert lines[4] == "2 old keys for $2.00 a month"


def test_only_those_that_may_go(desk):
    desk.api.on("GET /v1/keys", page(key(), key(safe_since=NOW), retiring={"keys": 2, "dollars_per_month": 2.0}))

    shown = json.loads(desk.keyturn("keys", "--free", "--json").stdout)

    assert [one["safe_to_delete"] for one in shown["items"]] == [True]


def test_a_person_vouches_in_their_own_words(desk):
    desk.api.on(f"POST /v1/keys/{OLD.key_id}/attestation", key())

    told = desk.keyturn("attest", str(OLD), "--statement", "no copies were made")

    assert told.exit_code == 0
    assert desk.api.asked[0].body == {"statement": "no copies were made"}
    assert desk.api.asked[0].query == {"account": "123456789012", "region": "us-east-1"}


def test_a_key_is_told_with_the_names_of_its_projects(desk):
    desk.api.on("GET /v1/keys", page(key()))
    desk.api.on(KEY, key())
    desk.api.on(f"GET /v1/projects/{PROJECT}", project(name="Shop\x1b[2J"))

    listed, told = desk.keyturn("keys").stdout, desk.keyturn("key", OLD.key_id).stdout

    assert "Shop\N{REPLACEMENT CHARACTER}[2J" in listed
    assert f"Shop\N{REPLACEMENT CHARACTER}[2J ({PROJECT})" in told


def test_the_names_of_many_projects_are_looked_for_in_the_fleet(desk):
    desk.api.on("GET /v1/keys", page(key(projects=(PROJECT, *(f"{number:024x}" for number in range(9))))))
    desk.api.on("GET /v1/projects", page(project()))

    told = desk.keyturn("keys").stdout

    assert desk.api.calls == ["GET /v1/keys", "GET /v1/projects"]
    assert f"payments, {0:024x}" in told


def test_whoever_reads_json_costs_no_call_for_names(desk):
    desk.api.on("GET /v1/keys", page(key()))
    desk.api.on(KEY, key())

    told = [desk.keyturn(*words, "--json") for words in (("keys",), ("key", OLD.key_id))]

    assert [one.exit_code for one in told] == [0, 0]
    assert desk.api.calls == ["GET /v1/keys", KEY]


def test_where_the_fleet_cannot_be_read_an_id_names_a_project(desk):
    desk.api.on("GET /v1/keys", page(key()))

    told = desk.keyturn("keys")

    assert (told.exit_code, told.stderr) == (0, "")
    assert PROJECT in told.stdout


def test_a_requested_deletion_shows_the_digest_and_what_the_other_person_types(desk):
    desk.api.on(f"POST /v1/keys/{OLD.key_id}/deletion", deletion(), status=202)

    told = desk.keyturn("delete", OLD.key_id, "--reason", "drained")

    assert desk.api.asked[-1].body == {"reason": "drained"}
    assert f"Another person approves: keyturn approve d1 --digest {DIGEST}" in told.stdout


def test_a_needed_keys_deletion_is_refused_with_every_reason(desk):
    reasons = [
        {"text": "3 snapshots need it", "cluster": "ledger"},
        {"text": "archive is paused", "cluster": "archive"},
    ]
    desk.api.refuse(f"POST /v1/keys/{OLD.key_id}/deletion", 409, "it may not be deleted", reasons=reasons)

    told = desk.keyturn("delete", OLD.key_id)

    assert told.exit_code == 1
    assert told.stderr.splitlines() == [
        "Keyturn says no: it may not be deleted",
        "  - ledger: 3 snapshots need it",
        "  - archive is paused",
    ]


@pytest.mark.parametrize(
    ("words", "call", "body"),
    [
        (("approve", "d1", "--digest", DIGEST), "POST /v1/deletions/d1/approval", {"digest": DIGEST}),
        (("calloff", "d1"), "DELETE /v1/deletions/d1", None),
        (("deletion", "d1"), "GET /v1/deletions/d1", None),
    ],
)
def test_a_deletion_is_watched_approved_and_called_off(desk, words, call, body):
    desk.api.on(call, deletion())

    told = desk.keyturn(*words)

    assert told.exit_code == 0
    assert (desk.api.asked[-1].call, desk.api.asked[-1].body) == (call, body)


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({"state": DeletionState.APPROVED}, "The key goes into quarantine at the next look."),
        ({"state": DeletionState.QUARANTINED}, "The key is disabled for 7 days; keyturn calloff d1 brings it back."),
        (
            {"state": DeletionState.QUARANTINED, "called_off_by": "arn:aws:iam::1:user/ada"},
            "It was called off: the key comes back at the next look.",
        ),
        (
            {"state": DeletionState.SCHEDULED, "deletion_date": in_days(30)},
            "KMS deletes the key on 2027-03-31 (in 30 days); keyturn calloff d1 brings it back.",
        ),
        ({"state": DeletionState.RESCUED, "waiting_for": ("a need",)}, "The key is needed again; it stays."),
        ({"state": DeletionState.APPROVED, "compensation": True}, "it never served"),
    ],
)
def test_a_deletion_says_what_comes_next(desk, wishes, told):
    desk.api.on("GET /v1/deletions/d1", deletion(**wishes))

    assert told in desk.keyturn("deletion", "d1").stdout


@pytest.mark.parametrize(
    ("state", "wishes"),
    [
        (DeletionState.CALLED_OFF, {}),
        (DeletionState.RESCUED, {}),
        (DeletionState.SCHEDULED, {"called_off_by": "arn:aws:iam::1:user/ada"}),
    ],
)
def test_a_deletion_that_does_not_come_about_names_no_day_of_it(desk, state, wishes):
    desk.api.on("GET /v1/deletions/d1", deletion(state=state, deletion_date=in_days(30), **wishes))

    assert "2027-03-31" not in desk.keyturn("deletion", "d1").stdout


@pytest.mark.parametrize(
    ("share", "encoding", "drawn"),
    [
        (0.0, "utf-8", ""),
        (0.5, "utf-8", "█████"),
        (0.525, "utf-8", "█████▎"),
        (1.0, "utf-8", "██████████"),
        (3.0, "utf-8", "██████████"),
        (0.001, "utf-8", "▏"),
        (0.001, "ascii", "#"),
        (0.5, "ascii", "#####"),
    ],
)
def test_a_bar_fills_its_share_and_what_is_there_at_all_shows(share, encoding, drawn):
    class Screen(Console):
        @property
        def encoding(self):
            return encoding

    screen = Screen(width=40, force_terminal=False)
    with screen.capture() as captured:
        screen.print(Bar(share=share, width=10))

    assert captured.get().rstrip() == drawn


def test_a_key_that_kms_is_going_to_delete_past_keyturn_says_so_in_its_answer_and_in_the_list(desk):
    harm = Harm(operation="ScheduleKeyDeletion", actor="mallory", seen_at=NOW, deletion_date=in_days(7))
    desk.api.on(f"GET /v1/keys/{OLD.key_id}", key(harm=harm))
    desk.api.on("GET /v1/keys", page(key(harm=harm)))

    told, listed = desk.keyturn("key", OLD.key_id).stdout, desk.keyturn("keys").stdout

    assert "In danger: KMS deletes it on 2027-03-08: that was scheduled outside Keyturn by mallory" in " ".join(
        told.split()
    )
    assert "retiring, pending deletion" in told
    assert "retiring, pending deletion" in listed
