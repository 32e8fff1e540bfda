"""The audit trail after crashes and under meddling hands: every chain stays whole, and every tampering shows.

A process writes a row of commits and dies at each call to DynamoDB, before it and after it, and at each commit of the
fake; the next process goes on where the table stands.
"""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count

import pytest
from fake_tracker import FakeTracker
from figures import FULL_SIZE, tell
from mortal_ports import Fate, Mortal

from chalicelib.adapters.tracker import DynamoTracker
from chalicelib.domain.chain import faults_of, shape_of
from chalicelib.domain.records import AuditEntry, Change, Project
from chalicelib.usecases.ports import Conflict

NOW = datetime(2027, 3, 1, 9, 30, tzinfo=UTC)
SUBJECTS = ("p1", "key", "deletion")
COMMITS = 6 if FULL_SIZE else 3


@pytest.fixture
def tables(dynamodb, table):
    """The table of the stack, emptied for each history."""

    def empty():
        for page in dynamodb.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
        return dynamodb, table

    yield empty
    empty()


def work(tracker):
    """Write every step that the table does not show yet: each changes the project and leaves two lines."""
    while True:
        project = tracker.project("p1") or Project(project_id="p1", name="0", organization="o", seen_at=NOW)
        step = int(project.name) + 1
        if step > COMMITS:
            return
        subjects = ("p1", SUBJECTS[step % len(SUBJECTS)])
        audit = tuple(
            AuditEntry(at=NOW, who="w", what=f"step {step}", subject=subject, before=project.name, after=str(step))
            for subject in subjects
        )
        tracker.commit(Change(records=(replace(project, name=str(step)),), audit=audit))


def judge(tracker):
    """Every chain is whole, and each step stands in it exactly as often as it was done."""
    trails = [tracker.trail(subject) for subject in SUBJECTS]
    assert [fault for trail in trails for fault in faults_of(shape_of(trail))] == []
    done = int(getattr(tracker.project("p1"), "name", "0"))
    lines = sorted(entry.what for trail in trails for entry in trail.entries)
    assert lines == sorted(f"step {step}" for step in range(1, done + 1) for _ in range(2))


def die_everywhere(make, finished):
    """One history for each place to die; the number of places."""
    for after in (False, True):
        for place in count(1):
            fate = Fate(dies_at=place, after=after)
            mortal, lasting = make(fate)
            process = partial(work, mortal)
            died = fate.live(process)
            judge(lasting)
            while fate.live(process):
                pass
            judge(lasting)
            assert lasting.project("p1").name == str(COMMITS)
            if not died:
                break
            finished.append(place)


def test_the_chains_are_whole_after_a_crash_at_every_call_to_dynamodb(tables):
    def make(fate):
        client, name = tables()
        return DynamoTracker(Mortal(port=client, fate=fate), name), DynamoTracker(client, name)

    histories = []
    die_everywhere(make, histories)

    tell(crash_points=len(histories), commits=COMMITS)
    assert len(histories) >= 2 * 2 * COMMITS


def test_the_chains_are_whole_after_a_crash_at_every_commit_of_the_fake():
    def make(fate):
        tracker = FakeTracker()
        return Mortal(port=tracker, fate=fate), tracker

    histories = []
    die_everywhere(make, histories)

    tell(crash_points=len(histories), commits=COMMITS)
    assert len(histories) >= 2 * 2 * COMMITS


def test_a_rival_at_every_call_to_dynamodb_never_forks_a_chain(tables):
    """Another writer commits to the same subjects before or after one call of ours; one of both has to come again."""
    races = conflicts = 0
    for after in (False, True):
        for place in count(1):
            client, name = tables()
            rival = DynamoTracker(client, name)
            said = iter(range(1_000))

            def interfere(rival=rival, said=said):
                line = AuditEntry(at=NOW, who="rival", what=f"rival {next(said)}", subject="p1")
                rival.commit(Change(records=(), audit=(line, replace(line, subject="key"))))

            fate = Fate(dies_at=place, after=after, instead=interfere)
            tracker = DynamoTracker(Mortal(port=client, fate=fate), name)
            for _ in range(5):
                try:
                    work(tracker)
                except Conflict:
                    conflicts += 1
            trails = [rival.trail(subject) for subject in SUBJECTS]
            assert [fault for trail in trails for fault in faults_of(shape_of(trail))] == []
            lines = [entry.what for trail in trails for entry in trail.entries if entry.who == "w"]
            assert sorted(lines) == sorted(f"step {step}" for step in range(1, COMMITS + 1) for _ in range(2))
            if next(said) == 0:
                break
            races += 1
    tell(races=races, conflicts=conflicts)
    assert races >= 2 * 2 * COMMITS
    assert conflicts
