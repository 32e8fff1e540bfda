"""A key that two clean sweeps found free, its project, and whoever wants it deleted: all on the fakes of the ports.

What Atlas shows of the key is set by a test: nothing, snapshots, no answer, or that the current key is invalid.
"""

from fake_atlas import ORGANIZATION, PROJECT, a_cluster
from fake_keys import FakeKeys
from fake_tracker import FakeTracker
from simple_world import ACCOUNT, ANNA, DAY, HOUR, REGION, START, World

from chalicelib.domain.evidence import ClusterEvidence, Evidence, ProjectEvidence, Tally
from chalicelib.domain.observed import KeyDescription, KeyStatus, Settings
from chalicelib.domain.records import Key, Policy, Project, Proof
from chalicelib.domain.vocabulary import DeletionState, KeyState
from chalicelib.usecases.request_deletion import approve_deletion, request_deletion
from chalicelib.usecases.retire import advance_deletions

BERT = f"arn:aws:iam::{ACCOUNT}:user/bert"
ARN = FakeKeys(lambda: START, account=ACCOUNT, region=REGION).add()
"""The first key that a KMS of our place makes, whenever it does."""

TOUCHES = frozenset({"enable", "disable", "schedule_deletion", "cancel_deletion"})


class WatchedTracker(FakeTracker):
    """`before_commit` is given each change first, and may raise; `journal` is told what goes into the trail.

    `projects_read` holds the id of each project that was looked up, as often as it was.
    """

    def __init__(self):
        super().__init__()
        self.journal = []
        self.projects_read = []
        self.before_commit = lambda change: None

    def project(self, project_id):
        self.projects_read.append(project_id)
        return super().project(project_id)

    def commit(self, change):
        self.before_commit(change)
        super().commit(change)
        self.journal += [entry.what for entry in change.audit]


class Leaving(World):
    """`journal` holds what was written into the trail and asked of KMS, in that order."""

    def __init__(self):
        super().__init__(tracker=WatchedTracker())
        self.snapshots, self.unread, self.gathered, self.valid = 0, (), 0, True
        self.journal = self.tracker.journal = self.keys.calls
        assert self.keys.add() == ARN
        policy = Policy(recipients=("a@b",))
        self.put(
            Project(project_id=PROJECT, name="Shop", organization=ORGANIZATION, seen_at=START, policy=policy),
            Proof(digest="d1", at=START, arn=ARN, document="{}"),
            Key(
                arn=ARN,
                state=KeyState.RETIRING,
                projects=(PROJECT,),
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

    def gather(self, outside, key, now):
        """What a sweep would find."""
        self.gathered += 1
        seen = ClusterEvidence(cluster=a_cluster(), alive=True, tally=Tally(read=9, of_this_key=self.snapshots))
        settings = Settings(enabled=True, key="mrk-" + "0" * 32, valid=self.valid)
        project = ProjectEvidence(project_id=PROJECT, settings=settings, clusters=(seen,))
        return Evidence(key=key, gathered_at=now, atlas_date=now, projects=(project,), unread=self.unread)

    def request(self):
        """Anna wants the key deleted."""
        asked = request_deletion(self.outside, ARN.key_id, account=None, region=None, requester=ANNA, reason="old")
        return asked.deletion_id

    def approved(self):
        """Anna wants it, and Bert approves."""
        deletion_id = self.request()
        approve_deletion(self.outside, deletion_id, digest="d1", approver=BERT)
        return deletion_id

    def quarantined(self):
        """The key of an approved deletion, just disabled."""
        deletion_id = self.approved()
        self.look()
        return deletion_id

    def scheduled(self):
        """The key of an approved deletion, a day after its quarantine."""
        deletion_id = self.quarantined()
        self.look_hourly_for(8 * DAY)
        return deletion_id

    def look(self):
        """The schedule looks at all open deletions."""
        return advance_deletions(self.outside, gather=self.gather)

    def look_hourly_for(self, span):
        """Time passes, and the schedule looks every hour."""
        until = self.now + span
        while self.now < until:
            self.now += HOUR
            self.look()

    def state(self, deletion_id) -> DeletionState:
        """Where a deletion stands."""
        return self.tracker.deletion(deletion_id).state

    @property
    def key(self) -> Key:
        """The key's record."""
        return self.tracker.key(ARN)

    @property
    def in_kms(self) -> KeyDescription:
        """The key as KMS has it, without a call that would be noted."""
        return self.keys._description(ARN)

    @property
    def status(self) -> KeyStatus:
        """The key's state in KMS."""
        return self.in_kms.status

    def touched(self):
        """The calls that KMS was asked for and that change a key, in their order."""
        return [call for call in self.journal if call in TOUCHES]
