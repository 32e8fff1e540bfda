"""Digests: many early reminders in one message a day, each rung once, whoever dies or comes twice in between."""

from dataclasses import replace
from datetime import timedelta

import pytest
from fake_atlas import PROJECT
from simple_world import DAY, HOUR, MINUTE, START, Killed, a_world

from chalicelib.domain.digest import MOST_LINES
from chalicelib.domain.policies import FIELDS
from chalicelib.domain.records import Policy
from chalicelib.domain.vocabulary import NoticeKind
from chalicelib.usecases.digest import send_digests
from chalicelib.usecases.ports import Conflict, Due, PermanentError, TemporaryError
from chalicelib.usecases.remind import remind_all
from chalicelib.usecases.steer import acknowledge, change_policy

TOGETHER = Policy(digest=True, digest_hour=7)
DUE = START + 90 * DAY


def a_fleet(number, *, policy=TOGETHER, apart=timedelta(0)):
    """A world of so many projects with one policy, due one after the other, none of them wound."""
    world = a_world(policy=policy, next_reminder_at=START)
    first = world.project
    for n in range(1, number):
        name = f"{n:024d}"
        world.put(replace(first, project_id=name, name=f"team-{n}", key_since=START + n * apart, version=0))
    return world


def pass_hours(world, hours):
    """Let the schedules of reminders and digests fire every hour."""
    for _ in range(hours):
        remind_all(world.outside)
        send_digests(world.outside)
        world.wait(HOUR)


def digests(world):
    return [notice for notice in world.tracker.notices if notice.kind is NoticeKind.DIGEST]


def singles(world):
    return [(notice.project_id, notice.rung) for notice in world.tracker.notices if notice.rung is not None]


def rungs_told(world, project_id=PROJECT):
    return [entry.after for entry in world.tracker.audit if entry.what == "reminded" and entry.subject == project_id]


def test_many_projects_that_come_due_together_are_told_of_in_one_message():
    world = a_fleet(40)
    pass_hours(world, 61 * 24)

    (told,) = digests(world)

    assert told.subject == f"Keyturn: 40 key rotations are coming up, the first on {DUE:%Y-%m-%d}"
    assert (singles(world), told.detail) == ([], {"projects": "40"})
    assert {world.tracker.project(f"{n:024d}").last_rung for n in range(1, 40)} == {-30}


def test_every_rung_is_spoken_once_and_from_the_due_day_on_by_itself():
    world = a_fleet(3)

    pass_hours(world, 100 * 24)

    assert rungs_told(world) == [f"rung {n}, in a digest" for n in (-30, -14, -7, -1)] + [
        f"rung {n}" for n in (0, 1, 7)
    ]
    assert len(digests(world)) == 4
    assert len(singles(world)) == 9


def test_a_digest_is_sent_from_its_hour_on_and_once_a_day():
    world = a_fleet(48, apart=HOUR)

    pass_hours(world, 65 * 24)

    hours = [notice.created_at.hour for notice in digests(world)]
    days = [notice.created_at.date() for notice in digests(world)]
    assert set(hours) == {7}
    assert len(days) == len(set(days)) == 3


def test_the_nearest_come_first_and_no_more_are_named_than_a_person_reads():
    world = a_fleet(MOST_LINES + 30, apart=MINUTE)
    pass_hours(world, 61 * 24)

    lines = digests(world)[0].text.splitlines()

    named = [line for line in lines if line.startswith("- ")]
    assert len(named) == MOST_LINES
    assert f"payments ({PROJECT}) https://cloud.mongodb.com/v2/{PROJECT}" in named[0]
    assert "… and 30 more, all due later: see `keyturn status`." in lines


def test_each_group_of_recipients_has_its_own_digest():
    world = a_fleet(6)
    for n in range(3, 6):
        project = world.tracker.project(f"{n:024d}")
        world.change(project, policy=replace(TOGETHER, recipients=("payments-team",)))

    pass_hours(world, 61 * 24)

    assert sorted((notice.recipients, notice.detail["projects"]) for notice in digests(world)) == [
        ((), "3"),
        (("payments-team",), "3"),
    ]


def test_a_project_that_wants_no_digest_is_told_of_by_itself():
    world = a_fleet(3)
    world.change(world.project, policy=Policy())

    pass_hours(world, 61 * 24)

    assert (singles(world), digests(world)[0].detail) == ([(PROJECT, -30)], {"projects": "2"})


def test_a_project_whose_digest_never_came_is_told_of_by_itself_when_due():
    world = a_fleet(1)
    world.now = DUE + HOUR

    pass_hours(world, 2)

    assert (singles(world), digests(world)) == ([(PROJECT, 0)], [])


def test_an_acknowledged_project_is_in_no_digest_until_its_day():
    world = a_fleet(2)
    acknowledge(world.outside, PROJECT, until=DUE - 10 * DAY, comment="", who="anna")

    pass_hours(world, 82 * 24)

    assert rungs_told(world) == ["rung -14, in a digest"]


def test_who_turns_the_digest_off_is_reminded_singly_from_then_on():
    world = a_fleet(1)
    pass_hours(world, 61 * 24)

    change_policy(world.outside, PROJECT, {"digest": False}, who="anna")
    pass_hours(world, 16 * 24)

    assert (len(digests(world)), singles(world)) == (1, [(PROJECT, -14)])


def test_a_full_desk_is_cleared_before_the_next_digest_is_begun():
    world = on_the_eve(5)
    die_at_commit(world, 3)

    with pytest.raises(Killed):
        send_digests(world.outside)
    revive(world)
    left = list(world.tracker.due(Due.UNMARKED, world.now))
    pass_hours(world, 3)

    assert len(left) == 1
    assert (len(digests(world)), list(world.tracker.due(Due.UNMARKED, world.now))) == (1, [])
    assert rungs_told(world) == ["rung -30, in a digest"]


def die_at_commit(world, number):
    """Let the process die at its so many-th commit, before it is written."""
    commit, counted = world.tracker.commit, []

    def dying(change):
        counted.append(change)
        if len(counted) == number:
            raise Killed
        commit(change)

    world.tracker.commit = dying


def revive(world):
    """Let the next process commit like any other."""
    del world.tracker.commit


def on_the_eve(number):
    """A world whose projects owe their first digest from now on."""
    world = a_fleet(number)
    pass_hours(world, 60 * 24)
    world.wait(DAY)
    return world


@pytest.mark.parametrize("number", range(1, 10))
def test_wherever_the_process_dies_each_project_is_told_of_once(number):
    world = a_fleet(5)
    world.now = DUE - 30 * DAY + 20 * HOUR
    pass_hours(world, 1)
    die_at_commit(world, number)
    try:
        pass_hours(world, 24)
    except Killed:
        revive(world)
        pass_hours(world, 24)

    assert sum(int(notice.detail["projects"]) for notice in digests(world)) == 5
    assert all(rungs_told(world, name) == ["rung -30, in a digest"] for name in (PROJECT, f"{4:024d}"))


def test_of_two_at_the_same_desk_one_writes():
    world = a_fleet(3)
    world.now = DUE - 29 * DAY
    pass_hours(world, 24)
    world.now = DUE - 13 * DAY
    first, commit = [], world.tracker.commit

    def overtaken(change):
        if not first:
            first.append(change)
            world.tracker.commit = commit
            send_digests(world.outside)
        commit(change)

    world.tracker.commit = overtaken
    remind_all(world.outside)
    send_digests(world.outside)

    assert [notice.detail["projects"] for notice in digests(world)] == ["3", "3"]


def test_a_project_that_is_always_written_by_others_leaves_the_desk_as_it_is():
    world = on_the_eve(1)
    commit, busy = world.tracker.commit, []

    def refuse_marks(change):
        if change.audit:
            busy.append(change)
            raise Conflict("somebody else wrote first", call="commit")
        commit(change)

    world.tracker.commit = refuse_marks
    with pytest.raises(ExceptionGroup):
        send_digests(world.outside)
    world.tracker.commit = commit
    pass_hours(world, 30)

    assert (len(digests(world)), rungs_told(world)) == (1, ["rung -30, in a digest"])


def test_a_group_in_trouble_delays_no_other():
    world = a_fleet(2)
    other = world.tracker.project(f"{1:024d}")
    world.change(other, policy=replace(TOGETHER, recipients=("another",)))
    pass_hours(world, 60 * 24)
    world.wait(DAY)
    commit = world.tracker.commit

    def refuse(change):
        if change.notices and not change.notices[0].recipients:
            raise PermanentError("the table is full", call="commit")
        commit(change)

    world.tracker.commit = refuse
    with pytest.raises(ExceptionGroup):
        send_digests(world.outside)

    assert [notice.recipients for notice in digests(world)] == [("another",)]


def test_a_table_that_cannot_be_read_is_an_error_and_nothing_is_lost():
    world = on_the_eve(1)
    world.tracker.fail_next(TemporaryError("throttled", call="query"))

    with pytest.raises(TemporaryError):
        send_digests(world.outside)
    pass_hours(world, 2)

    assert len(digests(world)) == 1


def test_a_rotation_between_the_digest_and_its_mark_begins_a_new_ladder():
    world = on_the_eve(1)
    die_at_commit(world, 2)
    with pytest.raises(Killed):
        send_digests(world.outside)
    revive(world)
    world.change(world.project, key_since=world.now, last_rung=None)

    pass_hours(world, 61 * 24)

    assert rungs_told(world) == ["rung -30, in a digest"]
    assert len(digests(world)) == 2


def test_whatever_is_in_the_policy_can_be_inherited():
    assert {"digest", "digest_hour", "ladder", "rotation_period_days"} < set(FIELDS)
