"""Keyturn watches over itself: dead letters and expiring credentials are told once; the unseen is said, no error."""

from dataclasses import replace

import pytest
from fake_atlas import ORGANIZATION
from simple_world import BUSY, DAY, FORBIDDEN, HOUR, START, World, raising

from chalicelib.domain.expiry import Expiry, days_left, in_question, rung_owed
from chalicelib.domain.vocabulary import NoticeKind
from chalicelib.usecases.ports import PermanentError
from chalicelib.usecases.show import show_watch
from chalicelib.usecases.watch import watch_over_keyturn

ACCOUNTS = {"reader": "mdb_sa_id_reader", "owner": "mdb_sa_id_owner"}
EMPTY = {"rotations": 0, "sweeps": 0}


class Watched(World):
    """A world whose queues and service accounts a test sets."""

    def __post_init__(self):
        super().__post_init__()
        self.letters = dict(EMPTY)
        self.atlas.expiries = dict.fromkeys(ACCOUNTS.values(), (START + 400 * DAY,))
        self.outside = replace(
            self.outside, dead_letters=lambda: dict(self.letters), service_accounts=lambda _organization: ACCOUNTS
        )

    def look(self):
        return watch_over_keyturn(self.outside)

    @property
    def shown(self):
        return show_watch(self.outside)


@pytest.fixture
def world():
    return Watched()


def test_where_all_is_well_nothing_is_told_and_the_record_is_written_once(world):
    for _ in range(3):
        assert world.look() == 0
        world.wait(HOUR)

    assert world.told() == []
    assert len(world.tracker.commits) == 1
    assert world.shown == {"changed_at": "2027-03-01T12:00:00Z", "dead_letters": [], "expiring": [], "unverified": []}


def test_atlas_is_asked_once_a_day_and_hourly_while_people_have_something_to_mend(world):
    def asked_in_a_day():
        before = len(world.atlas.calls)
        for _ in range(24):
            world.look()
            world.wait(HOUR)
        return len(world.atlas.calls) - before

    well = asked_in_a_day()
    since = world.shown["changed_at"]
    well_again = asked_in_a_day()
    world.atlas.expiries[ACCOUNTS["owner"]] = (START + 20 * DAY,)
    expiring = asked_in_a_day()

    assert (well, well_again, expiring) == (2, 2, 48)
    assert since == "2027-03-01T12:00:00Z" != world.shown["changed_at"]


def test_a_look_that_finds_nothing_new_is_not_shown_as_a_change(world):
    world.look()
    world.wait(DAY)
    world.look()

    assert len(world.tracker.commits) == 2
    assert world.shown["changed_at"] == "2027-03-01T12:00:00Z"


def test_a_queue_that_fills_is_told_once_and_again_after_it_was_empty(world):
    told = []
    for letters in (2, 3, 3, 0, 1):
        world.letters["rotations"] = letters
        assert world.look() == letters
        told.append(len(world.told(NoticeKind.DEAD_LETTERS)))
        world.wait(HOUR)

    assert told == [1, 1, 1, 1, 2]
    text = world.told(NoticeKind.DEAD_LETTERS)[0]
    assert "rotations holds 2 messages" in text
    assert "redrive" in text
    assert world.shown["dead_letters"] == ["rotations"]


def test_queues_fill_each_for_itself(world):
    world.letters = {"rotations": 1, "sweeps": 0}
    world.look()
    world.letters = {"rotations": 1, "sweeps": 1}
    world.wait(HOUR)
    world.look()

    assert len(world.told(NoticeKind.DEAD_LETTERS)) == 2


def test_queues_that_cannot_be_counted_are_said_to_be_unknown_and_are_not_forgotten(world):
    world.letters["rotations"] = 1
    world.look()
    counted = world.outside
    world.outside = replace(counted, dead_letters=raising(FORBIDDEN))
    world.look()
    unknown = world.shown
    world.outside = counted
    world.wait(HOUR)
    world.look()

    assert unknown["dead_letters"] == ["rotations"]
    assert unknown["unverified"] == ["whether the dead-letter queues are empty (GET /groups: 403)"]
    assert world.shown["unverified"] == []
    assert len(world.told(NoticeKind.DEAD_LETTERS)) == 1


def test_a_secret_that_expires_is_told_once_a_rung_to_the_day_it_has_expired(world):
    world.atlas.expiries[ACCOUNTS["owner"]] = (START + 40 * DAY,)
    days = []
    for day in range(45):
        before = len(world.told(NoticeKind.SECRET_EXPIRES))
        world.look()
        world.look()
        days += [day] * (len(world.told(NoticeKind.SECRET_EXPIRES)) - before)
        world.wait(DAY)

    assert days == [10, 26, 33, 39, 40]
    first, *_, last = world.told(NoticeKind.SECRET_EXPIRES)
    assert "mdb_sa_id_owner, the owner of organization" in first
    assert "expires in 30 days (2027-04-10)" in first
    assert "cannot rotate any more" in first
    assert "has expired" in last
    assert len(world.shown["expiring"]) == 1


def test_a_new_secret_ends_the_warning(world):
    world.atlas.expiries[ACCOUNTS["reader"]] = (START + 5 * DAY,)
    world.look()
    world.atlas.expiries[ACCOUNTS["reader"]] = (START + 365 * DAY,)
    world.wait(HOUR)
    world.look()

    assert world.shown["expiring"] == []
    assert len(world.told()) == 1


def test_what_atlas_does_not_show_is_said_and_is_no_error(world):
    nobody = PermanentError("GET /orgs: 401", call="GET /orgs", code="USER_UNAUTHORIZED")
    world.atlas.fail("secret_expiries", nobody, times=None, only=ACCOUNTS["owner"])
    world.look()

    (unverified,) = world.shown["unverified"]
    assert "mdb_sa_id_owner, the owner" in unverified
    assert world.told() == []


def test_a_secret_that_cannot_be_read_is_said_until_it_can_and_hides_no_other_account(world):
    whole = world.outside
    world.outside = replace(whole, unread_secrets=lambda: {"keyturn/other": FORBIDDEN})
    world.atlas.expiries[ACCOUNTS["owner"]] = (START + 20 * DAY,)
    world.look()
    unknown = world.shown
    world.outside = whole
    world.wait(HOUR)
    world.look()

    (unverified,) = unknown["unverified"]
    assert "keyturn/other" in unverified
    assert len(unknown["expiring"]) == 1
    assert world.shown["unverified"] == []


def test_a_secret_that_cannot_be_read_for_now_is_asked_for_again_with_the_next_look(world):
    world.outside = replace(world.outside, unread_secrets=lambda: {"keyturn/other": BUSY})
    for _ in range(2):
        world.look()
        world.wait(HOUR)

    assert len(world.atlas.calls) == 4
    assert world.shown["unverified"] == []


def test_what_atlas_does_not_say_for_now_is_asked_again(world):
    world.atlas.fail("secret_expiries", BUSY)
    world.look()

    assert world.shown["unverified"] == []


def test_before_the_first_look_nothing_is_claimed(world):
    assert world.shown["changed_at"] is None


def test_two_that_look_at_the_same_moment_tell_once(world):
    world.letters["rotations"] = 1
    whole = world.outside.dead_letters
    looked = []

    def count_while_another_looks():
        if not looked:
            looked.append(None)
            world.look()
        return whole()

    watch_over_keyturn(replace(world.outside, dead_letters=count_while_another_looks))

    assert len(world.told(NoticeKind.DEAD_LETTERS)) == 1


@pytest.mark.parametrize(
    ("after_days", "rung", "left"),
    [(31, None, 31), (30, -30, 30), (14.5, -30, 15), (14, -14, 14), (1, -1, 1), (0.5, -1, 1), (0, 0, 0), (-3, 0, -3)],
)
def test_the_rung_owed_is_the_highest_whose_time_has_come(after_days, rung, left):
    expiry = Expiry(organization=ORGANIZATION, role="reader", client_id="c", at=START + after_days * DAY)

    assert (rung_owed(expiry, START), days_left(expiry, START)) == (rung, left)


@pytest.mark.parametrize(("days", "matters"), [((), None), ((5, 300), 5), ((-2, 300), 300), ((-2, -9), -2)])
def test_the_first_secret_to_expire_matters_and_of_expired_ones_the_last(days, matters):
    found = in_question(tuple(START + day * DAY for day in days), START)

    assert found == (None if matters is None else START + matters * DAY)
