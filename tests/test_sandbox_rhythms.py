"""When the sandbox fires schedules: on the beat that app.py declares, and not for nothing."""

from datetime import UTC, datetime, timedelta

import pytest

import app
from sandbox.rhythms import FINDS_WORK, WATCHES, Rhythms, rates, rates_of
from sandbox.world import Progress

START = datetime(2027, 1, 4, 6, tzinfo=UTC)
HOUR, DAY, FIVE_MINUTES = timedelta(hours=1), timedelta(days=1), timedelta(minutes=5)


class Declared:
    def __init__(self, expression):
        self.name, self.schedule_expression = "somebody", expression


def fire_all(rhythms, until, due=None):
    """Fire whatever comes until then; gives when, and whose it was."""
    fired = []
    while (found := rhythms.next_firing(due or {}))[0] <= until:
        rhythms.fired(found[1], found[0])
        fired.append(found)
    return fired


def test_every_schedule_of_the_app_has_its_rate():
    scheduled = {one.name for one in app.app.event_sources if hasattr(one, "schedule_expression")}

    found = rates()

    assert found.keys() == scheduled
    assert (found["discover"], found["remind"], found["relay"]) == (DAY, HOUR, FIVE_MINUTES)


@pytest.mark.parametrize("expression", ["cron(0 12 * * ? *)", "rate(5 weeks)", "rate(minutes)", "", "rate(1 day) "])
def test_a_schedule_that_is_no_rate_is_an_error_and_not_left_out(expression):
    with pytest.raises(ValueError, match="rate"):
        rates_of([Declared(expression)])


def test_what_finds_its_work_by_time_or_by_looking_is_a_schedule_of_the_app():
    assert FINDS_WORK.keys() | WATCHES <= rates().keys()


def test_in_a_new_world_everything_fires_at_once():
    rhythms = Rhythms(Progress(), START)

    assert sorted(fire_all(rhythms, START)) == sorted((START, name) for name in rates())


def test_without_work_each_schedule_fires_once_a_day():
    rhythms = Rhythms(Progress(), START)
    fire_all(rhythms, START)

    fired = fire_all(rhythms, START + DAY)

    assert sorted(fired) == sorted((START + DAY, name) for name in rates())


@pytest.mark.parametrize(
    ("kind", "name", "late", "beat"),
    [
        ("notice", "relay", timedelta(minutes=61), timedelta(minutes=65)),
        ("notice", "relay", timedelta(minutes=65), timedelta(minutes=65)),
        ("reminder", "remind", timedelta(minutes=61), timedelta(hours=2)),
        ("sweep", "track", timedelta(microseconds=1), HOUR),
        ("rotation", "track", timedelta(hours=3), timedelta(hours=3)),
        ("deletion", "retire", timedelta(hours=5, seconds=1), timedelta(hours=6)),
    ],
)
def test_work_is_done_on_the_first_beat_after_it_falls_due(kind, name, late, beat):
    rhythms = Rhythms(Progress(), START)
    fire_all(rhythms, START)

    assert rhythms.next_firing({kind: START + late}) == (START + beat, name)


def test_work_that_was_due_before_waits_for_the_next_beat_only():
    rhythms = Rhythms(Progress(), START)
    fire_all(rhythms, START)

    assert rhythms.next_firing({"notice": START - DAY}) == (START + FIVE_MINUTES, "relay")


def test_work_that_stays_due_is_looked_at_on_every_beat():
    rhythms = Rhythms(Progress(), START)
    fire_all(rhythms, START)

    fired = fire_all(rhythms, START + timedelta(minutes=20), {"notice": START})

    assert fired == [(START + number * FIVE_MINUTES, "relay") for number in range(1, 5)]


def test_who_may_be_idle_for_a_week_is_fired_without_work_once_a_week_and_with_work_on_the_beat():
    rhythms = Rhythms(Progress(), START, idle=7 * DAY)
    fire_all(rhythms, START)

    assert [name for _, name in fire_all(rhythms, START + 6 * DAY)].count("relay") == 0
    assert [name for _, name in fire_all(rhythms, START + 7 * DAY)].count("relay") == 1
    assert rhythms.next_firing({"notice": START}) == (START + 7 * DAY + FIVE_MINUTES, "relay")


class Somebody:
    """Changes the world as often as told."""

    def __init__(self):
        self.did = 0

    def changes(self):
        return self.did


@pytest.mark.parametrize("name", sorted(WATCHES))
def test_who_may_be_idle_for_a_week_looks_once_a_week_while_nothing_changes(name):
    rhythms = Rhythms(Progress(), START, idle=7 * DAY, changes=Somebody().changes)
    fire_all(rhythms, START)

    fired = fire_all(rhythms, START + 15 * DAY)

    assert [at for at, who in fired if who == name] == [START + 7 * DAY, START + 14 * DAY]


@pytest.mark.parametrize("name", sorted(WATCHES))
def test_a_change_is_looked_at_on_the_next_day(name):
    somebody = Somebody()
    rhythms = Rhythms(Progress(), START, idle=7 * DAY, changes=somebody.changes)
    fire_all(rhythms, START + 2 * DAY)

    somebody.did += 1
    fired = fire_all(rhythms, START + 5 * DAY)

    assert [at for at, who in fired if who == name] == [START + DAY]


@pytest.mark.parametrize("name", sorted(WATCHES))
def test_a_look_that_failed_is_repeated_on_the_next_day(name):
    rhythms = Rhythms(Progress(), START, idle=7 * DAY, changes=Somebody().changes)
    fire_all(rhythms, START)

    rhythms.failed(name)
    fired = fire_all(rhythms, START + 5 * DAY)

    assert [at for at, who in fired if who == name] == [START + DAY]


@pytest.mark.parametrize("name", sorted(WATCHES))
def test_where_nobody_knows_what_changed_one_looks_every_day(name):
    rhythms = Rhythms(Progress(), START, idle=7 * DAY)

    fired = fire_all(rhythms, START + 3 * DAY)

    assert [at for at, who in fired if who == name] == [START + number * DAY for number in range(4)]


def test_a_kind_of_work_that_nobody_looks_for_wakes_nobody():
    rhythms = Rhythms(Progress(), START)
    fire_all(rhythms, START)

    assert rhythms.next_firing({"somebody else's": START})[0] == START + DAY


def test_new_rhythms_go_on_where_the_old_ones_stopped():
    progress = Progress()
    fire_all(Rhythms(progress, START), START)

    later = Rhythms(progress, START + timedelta(hours=7))

    assert later.next_firing({"notice": START}) == (START + FIVE_MINUTES, "relay")
