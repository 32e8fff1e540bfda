"""A deletion from the request to the day the key is gone, and every way in which it may end before."""

import ast
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.evidence import ClusterEvidence, Evidence, ProjectEvidence, Tally, Unread
from chalicelib.domain.observed import Cluster, Encryption, KeyDescription, KeyStatus, Settings
from chalicelib.domain.records import Deletion, Key, Policy, Project, Proof, Reason
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.vocabulary import DeletionState, GuardMode, KeyState, NoticeKind
from chalicelib.usecases.guard import guard_key
from chalicelib.usecases.ports import Conflict, Outside, PermanentError, TemporaryError
from chalicelib.usecases.request_deletion import approve_deletion, attest, call_off_deletion, request_deletion
from chalicelib.usecases.retire import advance_deletion, advance_deletions

START = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ARN = KeyArn(account="111122223333", region="eu-west-1", key_id="12345678-1234-1234-1234-123456789abc")
ANNA, BERT = "arn:aws:iam::111122223333:user/anna", "arn:aws:iam::111122223333:user/bert"
CRASH = TemporaryError("the process died", call="crash")


class Memory:
    """A tracker of records in a dictionary, with versions; `before_commit` may raise."""

    def __init__(self):
        self.records, self.notices, self.audit, self.journal = {}, {}, [], []
        self.before_commit = lambda change: None

    def put(self, *records):
        for record in records:
            self.records[self._name(record)] = replace(record, version=1)

    def _name(self, record):
        match record:
            case Key() | Deletion():
                return type(record), record.arn if isinstance(record, Key) else record.deletion_id
            case Proof():
                return Proof, (record.arn, record.digest)
            case _:
                return type(record), record.project_id

    def commit(self, change):
        self.before_commit(change)
        stale = [r for r in change.records if r.version != self._version(r)]
        if stale or any(n.notice_id in self.notices for n in change.notices):
            raise Conflict("somebody else wrote first", call="commit")
        for record in change.records:
            self.records[self._name(record)] = replace(record, version=record.version + 1)
        self.notices |= {notice.notice_id: notice for notice in change.notices}
        self.audit += change.audit
        self.journal += [("audit", entry.what) for entry in change.audit]

    def _version(self, record):
        known = self.records.get(self._name(record))
        return known.version if known is not None else 0

    def key(self, arn):
        return self.records.get((Key, arn))

    def keys_named(self, key_id):
        return tuple(r for r in self.records.values() if isinstance(r, Key) and r.arn.key_id == key_id)

    def project(self, project_id):
        return self.records.get((Project, project_id))

    def deletion(self, deletion_id):
        return self.records.get((Deletion, deletion_id))

    def proof(self, arn, digest):
        return self.records.get((Proof, (arn, digest)))

    def notice(self, notice_id):
        return self.notices.get(notice_id)

    def due(self, kind, now):
        assert kind == "deletion"
        due = [r for r in self.records.values() if isinstance(r, Deletion) and r.due is not None and r.due <= now]
        yield from ((r.deletion_id,) for r in sorted(due, key=lambda r: r.due))


class Kms:
    """One key in KMS; `trouble` names calls that fail and how."""

    def __init__(self, clock, journal):
        self.clock, self.journal, self.status, self.date, self.trouble = clock, journal, KeyStatus.ENABLED, None, {}

    def _call(self, name):
        if name in self.trouble:
            raise self.trouble[name]
        self.journal.append(("kms", name))

    def describe(self, arn):
        if "describe" in self.trouble:
            raise self.trouble["describe"]
        if self.date is not None and self.clock.now >= self.date:
            self.status = KeyStatus.GONE
        return KeyDescription(arn=arn, status=self.status, deletion_date=self.date)

    def enable(self, arn):
        self._call("enable")
        self.status = KeyStatus.ENABLED

    def disable(self, arn):
        self._call("disable")
        self.status = KeyStatus.DISABLED

    def schedule_deletion(self, arn, *, days):
        self._call(f"schedule {days}")
        if self.status is not KeyStatus.PENDING_DELETION:
            self.status, self.date = KeyStatus.PENDING_DELETION, self.clock.now + days * DAY
        return self.date

    def cancel_deletion(self, arn):
        self._call("cancel")
        if self.status is KeyStatus.PENDING_DELETION:
            self.status, self.date = KeyStatus.DISABLED, None

    def done(self):
        return [what for who, what in self.journal if who == "kms"]


class World:
    """One project, its old key, and what Atlas shows of it: nothing, a snapshot, or no answer."""

    def __init__(self):
        self.now, self.snapshots, self.unread, self.gathered = START, 0, (), 0
        self.memory = Memory()
        self.kms = Kms(self, self.memory.journal)
        self.memory.put(
            Project(project_id="p1", name="Shop", organization="o1", seen_at=START, policy=Policy(recipients=("a@b",))),
            Proof(digest="d1", at=START, arn=ARN, document="{}"),
            Key(
                arn=ARN,
                state=KeyState.RETIRING,
                projects=("p1",),
                first_seen_at=START - 300 * DAY,
                created_by_us=True,
                replaced_at=START - 200 * DAY,
                deployed_at=START - 199 * DAY,
                clean_since=START - 3 * DAY,
                safe_since=START - 2 * DAY,
                proof_digest="d1",
                next_sweep_at=START + DAY,
            ),
        )
        self.outside = Outside(
            now=lambda: self.now,
            tracker=self.memory,
            messages=None,
            organizations=lambda: ("o1",),
            atlas=lambda organization: None,
            atlas_owner=lambda organization: None,
            keys=lambda region, role: self.kms,
        )

    def gather(self, outside, key, now):
        self.gathered += 1
        cluster = Cluster(
            name="main",
            cluster_id="c1",
            kind="REPLICASET",
            state="IDLE",
            paused=False,
            encryption=Encryption.AWS,
            backups=True,
            point_in_time=False,
        )
        seen = ClusterEvidence(cluster=cluster, alive=True, tally=Tally(read=9, of_this_key=self.snapshots))
        project = ProjectEvidence(
            project_id="p1",
            settings=Settings(enabled=True, key="mrk-" + "0" * 32, valid=True),
            clusters=(seen,),
        )
        return Evidence(key=key, gathered_at=now, atlas_date=now, projects=(project,), unread=self.unread)

    def request(self):
        return request_deletion(
            self.outside, ARN.key_id, account=None, region=None, requester=ANNA, reason="old"
        ).deletion_id

    def approved(self):
        deletion_id = self.request()
        approve_deletion(self.outside, deletion_id, digest="d1", approver=BERT)
        return deletion_id

    def quarantined(self):
        deletion_id = self.approved()
        self.look()
        return deletion_id

    def scheduled(self):
        deletion_id = self.quarantined()
        self.wait(8 * DAY)
        return deletion_id

    def look(self):
        return advance_deletions(self.outside, gather=self.gather)

    def wait(self, span):
        until = self.now + span
        while self.now < until:
            self.now += HOUR
            self.look()

    def state(self, deletion_id):
        return self.memory.deletion(deletion_id).state

    @property
    def key(self):
        return self.memory.key(ARN)

    def told(self):
        return [notice.kind for notice in self.memory.notices.values()]


@pytest.fixture
def world():
    return World()


def test_a_key_goes_from_request_to_gone_with_every_step_told(world):
    deletion_id = world.approved()

    world.wait(40 * DAY)

    assert world.state(deletion_id) is DeletionState.DELETED
    assert (world.key.state, world.key.due) == (KeyState.DELETED, None)
    assert world.kms.done() == ["disable", "schedule 30"]
    assert world.told() == [
        NoticeKind.DELETION_REQUESTED,
        NoticeKind.DELETION_APPROVED,
        NoticeKind.KEY_QUARANTINED,
        NoticeKind.DELETION_SCHEDULED,
        NoticeKind.KEY_DELETED,
    ]


def test_the_quarantine_lasts_seven_days_and_the_window_thirty(world):
    deletion_id = world.approved()

    world.wait(40 * DAY)

    deletion = world.memory.deletion(deletion_id)
    assert timedelta(0) <= deletion.scheduled_at - deletion.quarantined_at - 7 * DAY <= HOUR
    assert deletion.deletion_date == deletion.scheduled_at + 30 * DAY


def test_every_call_that_takes_a_key_away_follows_a_durable_audit_row_and_a_fresh_proof(world):
    world.approved()

    world.wait(8 * DAY)

    journal = world.memory.journal
    for call, entry in (("disable", "disabling the key"), ("schedule 30", "scheduling the key's deletion")):
        assert journal[journal.index(("kms", call)) - 1] == ("audit", entry)
    entry = next(e for e in world.memory.audit if e.what == "scheduling the key's deletion")
    assert world.memory.proof(ARN, entry.why).at == entry.at > START + 6 * DAY


def test_a_key_is_not_swept_while_its_deletion_is_open_and_is_looked_at_daily_instead(world):
    world.quarantined()
    looks = world.gathered

    world.wait(4 * DAY)

    assert world.key.due is None
    assert world.gathered - looks >= 4


def test_a_request_that_nobody_approves_expires_and_the_key_is_watched_again(world):
    deletion_id = world.request()

    world.wait(4 * DAY)

    assert world.state(deletion_id) is DeletionState.EXPIRED
    assert (world.key.deletion_id, world.key.state, world.kms.done()) == (None, KeyState.RETIRING, [])
    assert world.key.due is not None
    assert world.request() != deletion_id


def test_a_request_is_proved_afresh_before_anybody_approves_it(world):
    world.request()

    world.look()

    assert world.gathered == 1


def test_a_need_found_while_nobody_has_approved_yet_ends_the_request(world):
    deletion_id = world.request()
    world.snapshots = 1

    world.look()

    (notice,) = (n for n in world.memory.notices.values() if n.kind is NoticeKind.KEY_RESCUED)
    assert (world.state(deletion_id), world.kms.done()) == (DeletionState.RESCUED, [])
    assert (world.key.state, world.key.safe_since, world.key.due) == (KeyState.RETIRING, None, world.now)
    assert "it had not been disabled" in notice.text
    with pytest.raises(Refusal):
        approve_deletion(world.outside, deletion_id, digest="d1", approver=BERT)


def test_what_cannot_be_read_while_nobody_has_approved_yet_is_shown_and_looked_at_hourly(world):
    deletion_id = world.request()
    world.unread = (Unread(call="clusters", cause="503"),)

    world.look()

    deletion = world.memory.deletion(deletion_id)
    assert (deletion.state, deletion.due) == (DeletionState.REQUESTED, world.now + HOUR)
    assert deletion.waiting_for == ("clusters failed: 503",)


def test_a_request_that_waits_for_what_cannot_be_read_expires_at_its_minute(world):
    deletion_id = world.request()
    world.unread = (Unread(call="clusters", cause="503"),)
    world.now = world.memory.deletion(deletion_id).expires_at - HOUR / 2

    world.look()
    due = world.memory.deletion(deletion_id).due
    world.now = due
    world.look()

    assert due == world.memory.deletion(deletion_id).expires_at
    assert world.state(deletion_id) is DeletionState.EXPIRED


def test_what_was_found_before_the_approval_is_not_what_the_key_is_disabled_on(world):
    deletion_id = world.request()
    world.look()
    world.wait(2 * HOUR)
    approve_deletion(world.outside, deletion_id, digest="d1", approver=BERT)

    world.look()

    entry = next(e for e in world.memory.audit if e.what == "disabling the key")
    assert world.memory.proof(ARN, entry.why).at == world.now
    assert (world.gathered, world.kms.done()) == (2, ["disable"])


def test_a_request_that_is_over_is_ended_without_another_sweep(world):
    world.request()
    world.look()
    world.now += 4 * DAY

    world.look()

    assert world.gathered == 1


def test_a_second_request_is_refused_with_the_id_of_the_first(world):
    deletion_id = world.request()

    with pytest.raises(Refusal) as no:
        world.request()

    assert (no.value.no, no.value.details) == (No.CONFLICT, {"deletion_id": deletion_id})


def test_a_key_that_is_not_known_is_refused(world):
    for name in ("87654321-1234-1234-1234-123456789abc", "nonsense"):
        with pytest.raises(Refusal) as no:
            request_deletion(world.outside, name, account=None, region=None, requester=ANNA, reason="")
        assert no.value.no is No.UNKNOWN


def test_an_id_that_names_several_keys_is_refused_with_the_choices(world):
    elsewhere = replace(ARN, region="us-east-1")
    world.memory.put(replace(world.key, arn=elsewhere))

    with pytest.raises(Refusal) as no:
        world.request()

    assert no.value.no is No.INVALID
    assert "region=eu-west-1" in no.value.text
    assert "region=us-east-1" in no.value.text
    chosen = request_deletion(world.outside, ARN.key_id, account=None, region="us-east-1", requester=ANNA, reason="")
    assert chosen.arn == elsewhere


def test_an_approval_without_its_stored_proof_is_refused(world):
    deletion_id = world.request()
    del world.memory.records[Proof, (ARN, "d1")]

    with pytest.raises(Refusal):
        approve_deletion(world.outside, deletion_id, digest="d1", approver=BERT)


def test_an_approval_counts_once(world):
    deletion_id = world.approved()

    with pytest.raises(Refusal):
        approve_deletion(world.outside, deletion_id, digest="d1", approver=BERT)


def test_an_approval_of_what_is_not_known_is_refused(world):
    with pytest.raises(Refusal) as no:
        approve_deletion(world.outside, "nothing", digest="d1", approver=BERT)

    assert no.value.no is No.UNKNOWN


def test_a_snapshot_that_appears_after_the_approval_keeps_the_key_enabled(world):
    deletion_id = world.approved()
    world.snapshots = 1

    world.look()

    assert (world.state(deletion_id), world.kms.done()) == (DeletionState.RESCUED, [])
    assert [reason.kind for reason in world.key.reasons] == ["snapshots"]


@pytest.mark.parametrize("days", [0, 3, 6, 8, 20, 36])
def test_a_need_found_at_any_time_brings_the_key_back_within_a_day(world, days):
    deletion_id = world.quarantined()
    world.wait(days * DAY)
    world.snapshots = 2

    world.wait(DAY)

    assert world.state(deletion_id) is DeletionState.RESCUED
    assert world.kms.status is KeyStatus.ENABLED
    assert (world.key.state, world.key.safe_since, world.key.deletion_id) == (KeyState.RETIRING, None, None)
    assert [n.kind for n in world.memory.notices.values() if n.escalate] == [NoticeKind.KEY_RESCUED]


def test_what_cannot_be_read_disables_nothing_and_is_shown(world):
    deletion_id = world.approved()
    world.unread = (Unread(call="clusters", cause="503"),)

    world.wait(5 * DAY)

    deletion = world.memory.deletion(deletion_id)
    assert (deletion.state, world.kms.done()) == (DeletionState.APPROVED, [])
    assert deletion.waiting_for == ("clusters failed: 503",)


def test_what_cannot_be_read_does_not_end_a_quarantine(world):
    deletion_id = world.quarantined()
    world.unread = (Unread(call="clusters", cause="503"),)

    world.wait(20 * DAY)

    assert (world.state(deletion_id), world.kms.done()) == (DeletionState.QUARANTINED, ["disable"])


def test_what_cannot_be_read_until_three_days_before_the_end_brings_the_key_back(world):
    deletion_id = world.scheduled()
    world.unread = (Unread(call="clusters", cause="503"),)

    world.wait(25 * DAY)
    waiting = world.state(deletion_id)
    world.wait(3 * DAY)

    assert (waiting, world.state(deletion_id)) == (DeletionState.SCHEDULED, DeletionState.RESCUED)
    assert world.kms.status is KeyStatus.ENABLED


def test_a_deletion_is_called_off_before_anything_was_done(world):
    deletion_id = world.approved()

    call_off_deletion(world.outside, deletion_id, who=ANNA)
    world.wait(DAY)

    assert (world.state(deletion_id), world.kms.done()) == (DeletionState.CALLED_OFF, [])
    assert world.told()[-1] is NoticeKind.DELETION_ENDED


@pytest.mark.parametrize("days", [0, 3, 10, 36])
def test_a_deletion_is_called_off_until_the_last_day_and_the_key_works_again(world, days):
    deletion_id = world.quarantined()
    world.wait(days * DAY)
    world.unread = (Unread(call="clusters", cause="503"),)

    call_off_deletion(world.outside, deletion_id, who=ANNA)
    world.look()

    assert world.state(deletion_id) is DeletionState.CALLED_OFF
    assert (world.kms.status, world.kms.date) == (KeyStatus.ENABLED, None)
    assert (world.key.state, world.key.deletion_id, world.key.due) == (KeyState.RETIRING, None, world.now)


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("after_kms", [False, True])
def test_a_crash_before_any_write_loses_nothing_and_doubles_nothing(world, at, after_kms):
    deletion_id = world.approved()
    writes = []

    def crash(change):
        writes.append(change)
        if len(writes) == at + 1 or (after_kms and len(writes) == at + 2):
            raise CRASH

    world.memory.before_commit = crash
    for _ in range(42 * 24):
        world.now += HOUR
        try:
            world.look()
        except ExceptionGroup:
            continue

    assert world.state(deletion_id) is DeletionState.DELETED
    assert sorted(world.told()) == sorted(set(world.told()))


def test_a_crash_between_disabling_and_writing_is_undone_by_calling_off(world):
    deletion_id = world.approved()
    world.memory.before_commit = lambda change: _refuse_state(change, DeletionState.QUARANTINED)
    world.look()
    world.memory.before_commit = lambda change: None

    call_off_deletion(world.outside, deletion_id, who=ANNA)
    world.look()

    assert world.kms.done() == ["disable", "cancel", "enable"]
    assert world.state(deletion_id) is DeletionState.CALLED_OFF


def _refuse_state(change, state):
    if any(isinstance(r, Deletion) and r.state is state for r in change.records):
        raise CRASH


def test_what_another_delivery_has_just_scheduled_is_not_taken_for_a_strangers_hand(world):
    deletion_id = world.quarantined()
    world.now = world.memory.deletion(deletion_id).quarantined_at + 7 * DAY
    describe = world.kms.describe

    def described_after_the_other(arn):
        world.kms.describe = describe
        world.look()
        return describe(arn)

    world.kms.describe = described_after_the_other

    world.look()

    assert (world.state(deletion_id), world.kms.status) == (DeletionState.SCHEDULED, KeyStatus.PENDING_DELETION)


def test_a_verdict_that_somebody_changes_meanwhile_stops_the_call(world):
    deletion_id = world.approved()

    def gather(outside, key, now):
        world.memory.put(replace(key, state=KeyState.CURRENT))
        world.memory.records[Key, ARN] = replace(world.key, version=key.version + 1)
        return world.gather(outside, key, now)

    advance_deletion(world.outside, deletion_id, gather=gather)

    assert (world.state(deletion_id), world.kms.done()) == (DeletionState.APPROVED, [])


def test_evidence_that_took_too_long_to_gather_is_not_acted_on(world):
    deletion_id = world.approved()

    def gather(outside, key, now):
        world.now += HOUR
        return world.gather(outside, key, now)

    advance_deletion(world.outside, deletion_id, gather=gather)

    assert (world.state(deletion_id), world.kms.done()) == (DeletionState.APPROVED, [])


@pytest.mark.parametrize(
    ("trouble", "wait"),
    [(TemporaryError("slow down", call="kms"), HOUR / 4), (PermanentError("denied", call="kms"), HOUR)],
)
def test_a_kms_that_refuses_is_asked_again_later_and_the_cause_is_shown(world, trouble, wait):
    deletion_id = world.approved()
    world.kms.trouble = {"disable": trouble}

    world.look()

    deletion = world.memory.deletion(deletion_id)
    assert (deletion.state, deletion.waiting_for) == (DeletionState.APPROVED, (trouble.message,))
    assert deletion.due == world.now + wait


def test_a_key_that_cannot_be_brought_back_makes_one_cry_for_help(world):
    deletion_id = world.scheduled()
    world.snapshots = 1
    world.kms.trouble = {"enable": PermanentError("denied", call="kms")}

    world.wait(2 * DAY)

    assert world.state(deletion_id) is DeletionState.SCHEDULED
    cries = [n for n in world.memory.notices.values() if n.kind is NoticeKind.KEY_NEEDED_AGAIN]
    assert [(n.escalate, "denied" in n.text) for n in cries] == [(True, True)]


def test_a_kms_that_cannot_be_described_counts_as_unread(world):
    deletion_id = world.quarantined()
    world.kms.trouble = {"describe": PermanentError("denied", call="kms:DescribeKey")}

    world.wait(10 * DAY)

    assert world.memory.deletion(deletion_id).waiting_for == ("kms:DescribeKey failed: denied",)
    assert world.kms.done() == ["disable"]


def test_a_key_enabled_by_hand_during_its_quarantine_is_kept(world):
    deletion_id = world.quarantined()
    world.kms.status = KeyStatus.ENABLED

    world.wait(DAY)

    assert world.state(deletion_id) is DeletionState.RESCUED


def test_the_trouble_of_one_deletion_delays_no_other(world):
    broken = replace(ARN, region="us-east-1")
    world.memory.put(replace(world.key, arn=broken), Proof(digest="d1", at=START, arn=broken, document="{}"))
    ids = [
        request_deletion(world.outside, ARN.key_id, account=None, region=r, requester=ANNA, reason="").deletion_id
        for r in ("us-east-1", "eu-west-1")
    ]
    for deletion_id in ids:
        approve_deletion(world.outside, deletion_id, digest="d1", approver=BERT)

    def gather(outside, key, now):
        if key.arn == broken:
            raise ZeroDivisionError
        return world.gather(outside, key, now)

    with pytest.raises(ExceptionGroup):
        advance_deletions(world.outside, gather=gather)

    assert [world.state(i) for i in ids] == [DeletionState.APPROVED, DeletionState.QUARANTINED]


def test_what_is_unknown_or_over_is_left_alone(world):
    deletion_id = world.request()
    call_off_deletion(world.outside, deletion_id, who=ANNA)

    assert advance_deletion(world.outside, "nothing", gather=world.gather) is None
    assert advance_deletion(world.outside, deletion_id, gather=world.gather).state is DeletionState.CALLED_OFF


def test_a_deletion_that_is_gone_while_it_is_looked_at_is_not_put_off(world):
    deletion_id = world.approved()

    def gather(outside, key, now):
        del world.memory.records[Deletion, deletion_id]
        raise CRASH

    assert advance_deletion(world.outside, deletion_id, gather=gather) is None


def test_a_deletion_that_somebody_else_writes_while_it_is_put_off_stays_as_they_wrote_it(world):
    deletion_id = world.approved()
    before = world.memory.deletion(deletion_id)

    def gather(outside, key, now):
        raise CRASH

    def overtaken(change):
        raise Conflict("somebody else wrote first", call="commit")

    world.memory.before_commit = overtaken

    assert advance_deletion(world.outside, deletion_id, gather=gather) == before


def test_a_wish_to_call_off_that_was_written_before_kms_was_touched_ends_without_kms(world):
    deletion_id = world.approved()
    world.memory.put(replace(world.memory.deletion(deletion_id), called_off_by=ANNA))

    world.look()

    assert (world.state(deletion_id), world.kms.done()) == (DeletionState.CALLED_OFF, [])


def test_a_key_whose_record_still_names_a_deletion_that_is_over_can_be_asked_for_again(world):
    deletion_id = world.request()
    call_off_deletion(world.outside, deletion_id, who=ANNA)
    world.memory.put(replace(world.key, deletion_id=deletion_id))
    world.now += HOUR

    assert world.request() != deletion_id


def test_a_person_vouches_for_what_no_list_shows_and_the_key_is_swept_at_once(world):
    vouched = attest(world.outside, ARN.key_id, account=None, region=None, who=ANNA, statement="no copies left")

    assert (vouched.attested_by, vouched.attestation, vouched.due) == (ANNA, "no copies left", START)
    assert [entry.what for entry in world.memory.audit] == ["key attested"]


@pytest.mark.parametrize(("statement", "state"), [("  ", KeyState.RETIRING), ("fine", KeyState.CURRENT)])
def test_an_empty_statement_or_one_about_a_key_in_use_is_refused(world, statement, state):
    world.memory.put(replace(world.key, state=state))

    with pytest.raises(Refusal):
        attest(world.outside, ARN.key_id, account=None, region=None, who=ANNA, statement=statement)


def kms_event(operation="ScheduleKeyDeletion", event_id="e-1"):
    return {
        "source": "aws.kms",
        "detail": {
            "eventName": operation,
            "eventID": event_id,
            "awsRegion": ARN.region,
            "recipientAccountId": ARN.account,
            "userIdentity": {"arn": "arn:aws:iam::111122223333:user/mallory"},
            "requestParameters": {"keyId": str(ARN), "pendingWindowInDays": 7},
        },
    }


def need(world):
    reasons = (Reason(kind="snapshots", text="3 snapshots of main need it"),)
    world.memory.put(replace(world.key, safe_since=None, reasons=reasons))


def test_the_guard_brings_a_needed_key_back_and_names_the_caller(world):
    need(world)
    world.kms.status, world.kms.date = KeyStatus.PENDING_DELETION, START + 7 * DAY

    guard_key(world.outside, kms_event())

    (notice,) = world.memory.notices.values()
    assert world.kms.status is KeyStatus.ENABLED
    assert (notice.kind, notice.escalate, notice.recipients) == (NoticeKind.KEY_RESCUED, True, ("a@b",))
    assert notice.detail["actor"].endswith("user/mallory")
    assert "user/mallory" in notice.text


def test_the_same_event_told_twice_is_one_notice_and_another_event_is_another(world):
    need(world)

    for event_id in ("e-1", "e-1", "e-2"):
        guard_key(world.outside, kms_event(event_id=event_id))

    assert len(world.memory.notices) == 2


def test_the_guard_only_tells_where_policy_says_so_and_once(world):
    need(world)
    world.memory.put(replace(world.memory.project("p1"), policy=Policy(guard=GuardMode.TELL)))

    for _ in range(2):
        guard_key(world.outside, kms_event())

    assert (world.told(), world.kms.done()) == ([NoticeKind.DRIFT], [])


def test_what_the_guard_only_tells_of_is_remembered_with_who_did_it_and_when_kms_deletes_the_key(world):
    need(world)
    world.memory.put(replace(world.memory.project("p1"), policy=Policy(guard=GuardMode.TELL)))

    going = guard_key(world.outside, kms_event())

    harm = world.key.harm
    assert (going, harm.actor.rpartition("/")[2], harm.deletion_date) == (1, "mallory", START + 7 * DAY)


def test_an_event_of_disabling_that_comes_late_hides_no_deletion_that_is_scheduled(world):
    need(world)
    world.memory.put(replace(world.memory.project("p1"), policy=Policy(guard=GuardMode.TELL)))

    guard_key(world.outside, kms_event())
    going = guard_key(world.outside, kms_event("DisableKey", "e-0"))

    assert (going, world.key.harm.operation) == (1, "ScheduleKeyDeletion")


def test_a_guard_that_undoes_a_call_leaves_nothing_to_remember(world):
    need(world)

    assert guard_key(world.outside, kms_event()) == 0
    assert world.key.harm is None


def test_a_guard_that_kms_refuses_tells_and_tries_again(world):
    need(world)
    world.kms.trouble = {"enable": TemporaryError("slow down", call="kms")}
    with pytest.raises(TemporaryError):
        guard_key(world.outside, kms_event())
    world.kms.trouble = {}

    guard_key(world.outside, kms_event())

    assert world.told() == [NoticeKind.KEY_NEEDED_AGAIN, NoticeKind.KEY_RESCUED]


def test_a_notice_that_could_not_be_written_is_not_taken_for_a_duplicate(world):
    need(world)

    def crash(change):
        raise Conflict("busy", call="commit")

    world.memory.before_commit = crash

    with pytest.raises(Conflict):
        guard_key(world.outside, kms_event())


def test_the_guard_leaves_free_keys_unknown_keys_and_our_own_calls_alone(world):
    guard_key(world.outside, kms_event())
    guard_key(world.outside, {})
    world.quarantined()
    guard_key(world.outside, kms_event("DisableKey", "e-9"))
    del world.memory.records[Key, ARN]
    guard_key(world.outside, kms_event(event_id="e-3"))

    assert "enable" not in world.kms.done()
    assert NoticeKind.KEY_RESCUED not in world.told()


def test_the_guard_tells_at_once_that_a_needed_key_is_gone_and_touches_nothing(world):
    need(world)
    event = {
        "id": "k-1",
        "source": "aws.kms",
        "detail-type": "KMS CMK Deletion",
        "account": ARN.account,
        "region": ARN.region,
        "detail": {"key-id": ARN.key_id},
    }

    for _ in range(2):
        guard_key(world.outside, event)

    (notice,) = world.memory.notices.values()
    assert (notice.kind, notice.escalate, world.kms.done()) == (NoticeKind.DRIFT, True, [])
    assert "KeyDeleted" in notice.text


def test_a_key_disabled_again_and_the_first_event_told_again_is_enabled_again_and_told_once(world):
    need(world)
    for _ in range(2):
        world.kms.status = KeyStatus.DISABLED
        guard_key(world.outside, kms_event("DisableKey"))

    assert (world.kms.status, world.told()) == (KeyStatus.ENABLED, [NoticeKind.KEY_RESCUED])


def test_every_notice_can_be_read_by_its_subject_alone(world):
    world.approved()
    world.wait(40 * DAY)

    for notice in world.memory.notices.values():
        assert ARN.key_id in notice.subject
        assert len(notice.subject) <= 100
        assert "Shop (p1)" in notice.text
        assert "What to do:" in notice.text


def test_the_irreversible_call_has_one_call_site():
    house = Path(__file__).parent.parent
    files = [house / "app.py", *sorted((house / "chalicelib").rglob("*.py"))]
    calls = [
        path.name
        for path in files
        if path.exists()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "schedule_deletion"
    ]

    assert calls == ["retire.py"]
