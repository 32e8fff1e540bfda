"""The rehearsal: what the days ahead bring, and that it is what they bring when they come."""

from dataclasses import replace

import pytest
from fake_api import NOW, PROJECT, open_api, page
from hypothesis import given, settings
from hypothesis import strategies as st
from simple_world import DAY, HOUR, START, a_world, old_key

from chalicelib.domain.records import Key, Policy, Reason
from chalicelib.domain.rehearsal import keeps_for, rehearse
from chalicelib.domain.reminders import wind
from chalicelib.domain.vocabulary import KeyState, Mode, NoticeKind, Strategy
from chalicelib.usecases.digest import send_digests
from chalicelib.usecases.rehearse import rehearse_fleet, rehearse_project
from chalicelib.usecases.remind import remind_all

OLD = Key(
    arn=replace(old_key(a_world()), key_id="0" * 8),
    state=KeyState.RETIRING,
    projects=(PROJECT,),
    first_seen_at=START - 200 * DAY,
    replaced_at=START - 20 * DAY,
    swept_at=START,
    reasons=(Reason(kind="snapshots", text="", until=START + 9 * DAY),),
)
KEPT = 30 * DAY
"""How long OLD is kept after its replacement: to its last snapshot's end, and the margin."""


def ahead(days=365, *, keys=(), **changes):
    project = replace(a_world().project, next_reminder_at=None, **changes)
    return rehearse(project, keys, START, days=days)


def told(rehearsal):
    return [((mail.at - START) // DAY, mail.rung) for mail in rehearsal.mails]


def test_a_year_of_a_quarterly_rotation_is_four_rotations_with_their_reminders():
    rehearsal = ahead()

    assert [(at - START) // DAY for at in rehearsal.rotations] == [90, 180, 270, 360]
    assert told(rehearsal)[:6] == [(60, -30), (76, -14), (83, -7), (89, -1), (90, 0), (150, -30)]


def test_who_rotates_by_policy_gets_no_mail_on_the_day_itself():
    rehearsal = ahead(policy=Policy(mode=Mode.ROTATE))

    assert {mail.rung for mail in rehearsal.mails} == {-30, -14, -7, -1}
    assert len(rehearsal.rotations) == 4


def test_every_rotation_leaves_a_key_that_is_kept_as_long_as_the_one_before():
    rehearsal = ahead(keys=(OLD,))

    assert keeps_for([OLD]) == KEPT
    spans = [key.free_at - key.replaced_at for key in rehearsal.keys if key.arn is None and key.replaced_at is not None]
    assert spans == [KEPT] * 3
    assert rehearsal.keys[-1].replaced_at is None
    assert [rehearsal.alive(START + days * DAY) for days in (0, 29, 91, 90 + 38)] == [2, 1, 2, 1]
    assert rehearsal.dollars(START) == 2.0


@pytest.mark.parametrize("state", [KeyState.PENDING_DELETION, KeyState.DELETED])
def test_a_key_that_was_freed_and_given_up_still_tells_how_long_the_next_ones_are_kept(state):
    freed = replace(OLD, state=state, reasons=(), safe_since=OLD.replaced_at + KEPT)

    rehearsal = ahead(keys=(freed,))

    assert freed.arn not in {key.arn for key in rehearsal.keys}
    spans = [key.free_at - key.replaced_at for key in rehearsal.keys if key.replaced_at is not None]
    assert spans == [KEPT] * 4
    assert rehearsal.alive(START + 89 * DAY) == rehearsal.alive(START + 359 * DAY) == 1


def test_a_key_that_never_served_tells_nothing_of_how_long_others_are_kept():
    unused = replace(OLD, state=KeyState.DELETED, replaced_at=None, reasons=(), safe_since=START)

    assert keeps_for([unused]) is None


def test_before_an_old_key_was_swept_nobody_says_when_the_next_comes_free():
    rehearsal = ahead()

    assert [key.free_at for key in rehearsal.keys] == [None] * 5
    assert rehearsal.alive(START + 365 * DAY) == 5


@pytest.mark.parametrize("strategy", [Strategy.KMS_ON_DEMAND, Strategy.KMS_AUTOMATIC])
def test_a_key_that_kms_renews_stays_one(strategy):
    rehearsal = ahead(policy=Policy(strategy=strategy))

    assert (len(rehearsal.rotations), len(rehearsal.keys)) == (4, 1)


def test_a_project_that_is_not_covered_has_nothing_ahead():
    rehearsal = ahead(not_covered_because="it is gone")

    assert (rehearsal.mails, rehearsal.rotations) == ((), ())


def test_a_rotation_that_is_open_is_taken_to_end_now():
    rehearsal = ahead(100, open_rotation="r1")

    assert [(at - START) // DAY for at in rehearsal.rotations] == [0, 90]


def test_who_wanted_quiet_is_left_in_peace_till_then():
    rehearsal = ahead(100, quiet_until=START + 85 * DAY)

    assert told(rehearsal) == [(85, -7), (89, -1), (90, 0)]


LADDERS = st.sets(st.integers(-40, 20), min_size=1, max_size=6).map(lambda rungs: tuple(sorted(rungs)))


@settings(max_examples=60, deadline=None)
@given(LADDERS, st.integers(10, 60), st.booleans(), st.integers(0, 23), st.integers(0, 40))
def test_what_is_rehearsed_is_what_comes(ladder, period, digest, hour, age):
    """The real verbs, every hour, with a rotation made wherever the rehearsal assumed one."""
    policy = Policy(rotation_period_days=period, ladder=ladder, digest=digest, digest_hour=hour)
    world = a_world(policy=policy, key_since=START - age * DAY)
    world.change(wind(world.project, START))
    expected = rehearse(world.project, (), START, days=100)

    for _ in range(100 * 24 + 1):
        before = len(world.tracker.notices)
        remind_all(world.outside)
        send_digests(world.outside)
        if any(notice.rung is not None and notice.rung >= 0 for notice in world.tracker.notices[before:]):
            world.change(wind(replace(world.project, key_since=world.now, last_rung=None), world.now))
        world.wait(HOUR)

    said = [
        (notice.created_at, notice.kind is NoticeKind.DIGEST)
        for notice in world.tracker.notices
        if notice.kind in {NoticeKind.REMINDER, NoticeKind.DIGEST}
    ]
    assert said == [(mail.at, mail.in_digest) for mail in expected.mails if mail.at < world.now]


def test_the_fleet_is_rehearsed_page_by_page_and_nothing_is_written():
    world = a_world()
    for number in range(3):
        world.put(replace(world.project, project_id=f"{number:024d}", version=0))
    before = len(world.tracker.commits)

    first = rehearse_fleet(world.outside, None, 3, days=365)
    second = rehearse_fleet(world.outside, first["next"], 3, days=365)

    assert (len(first["items"]), len(second["items"]), second["next"]) == (3, 1, None)
    assert len(first["items"][0]["months"]) == 13
    assert len(world.tracker.commits) == before


# ---- the command ----


@pytest.fixture
def desk():
    with open_api() as opened:
        yield opened


def shape(**changes):
    world = a_world(next_reminder_at=None, **changes)
    world.now = NOW
    return rehearse_project(world.outside, world.project.project_id, days=100)


def test_the_fleets_days_ahead_are_shown_month_by_month(desk):
    together = {"policy": Policy(digest=True)}
    desk.api.on("GET /v1/rehearsal", page(shape(**together), cursor="c"), page(shape(**together), shape()))

    told = desk.keyturn("rehearse", "--days", "100").stdout

    assert [asked.query for asked in desk.api.asked] == [{"days": "100"}, {"days": "100", "cursor": "c"}]
    assert told.startswith("The next 100 days: 11 mails and 3 rotations for 3 projects.")
    assert "2027-03-01" in told
    assert "3 projects have old keys of which nobody knows yet when they come free" in told


def test_of_one_project_is_told_in_the_singular(desk):
    desk.api.on("GET /v1/rehearsal", page(shape()))

    assert "1 project has old keys" in desk.keyturn("rehearse", "--days", "100").stdout


def test_one_projects_days_ahead_are_shown_day_by_day(desk):
    desk.api.on(f"GET /v1/projects/{PROJECT}/rehearsal", shape())

    told = desk.keyturn("rehearse", PROJECT).stdout

    assert "mail: due in 30 days" in told
    assert "2027-05-30  rotation" in told
    assert "the key made on 2027-05-30" in told


def test_a_year_is_what_is_looked_ahead_when_nothing_is_said(desk):
    desk.api.on("GET /v1/rehearsal", page())

    assert desk.keyturn("rehearse", "--json").exit_code == 0
    assert desk.api.asked[0].query == {"days": "365"}


def test_a_decade_is_the_most(desk):
    assert desk.keyturn("rehearse", "--days", "3651").exit_code == 2
