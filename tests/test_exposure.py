"""What stays readable with a key that others may know: the list, complete where it can be and honest where not."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.evidence import Unread
from chalicelib.domain.exposure import MOST_LISTED, Readable, expose, readable
from chalicelib.domain.observed import Snapshot

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
OTHER = replace(KEY, key_id="22222222-2222-2222-2222-222222222222")
SNAPSHOT = Snapshot(snapshot_id="s1", status="completed", key=str(KEY), created_at=NOW - DAY, expires_at=NOW + DAY)
FOUND = Readable(cluster="main", snapshot_id="s1", created_at=NOW - DAY, expires_at=NOW + DAY, key_shown=True)
DYNAMODB_ITEM = 400_000


def listed(*found, unread=()):
    exposure = expose(KEY, found, unread, NOW)
    return exposure, json.loads(exposure.proof.document)


@pytest.mark.parametrize("text", [str(KEY), KEY.key_id, KEY.key_id.upper(), str(replace(KEY, region="us-east-1"))])
def test_a_snapshot_of_the_key_is_found_however_atlas_spells_it(text):
    assert list(readable(KEY, "main", [replace(SNAPSHOT, key=text)])) == [FOUND]


@pytest.mark.parametrize("text", [None, "gibberish"])
def test_a_snapshot_that_shows_no_key_may_be_readable_and_is_marked(text):
    assert list(readable(KEY, "main", [replace(SNAPSHOT, key=text)])) == [replace(FOUND, key_shown=False)]


def test_a_snapshot_of_another_key_is_left_out():
    assert list(readable(KEY, "main", [replace(SNAPSHOT, key=str(OTHER))])) == []


def test_the_list_names_every_snapshot_and_its_digest_names_the_list():
    exposure, document = listed(FOUND)

    assert document["snapshots"] == [["main", "s1", "2027-02-28T12:00:00+00:00", "2027-03-02T12:00:00+00:00", True]]
    assert (document["key"], document["at"], document["counted"]) == (str(KEY), NOW.isoformat(), 1)
    assert exposure.proof.digest == hashlib.sha256(exposure.proof.document.encode()).hexdigest()
    assert (exposure.proof.arn, exposure.proof.at) == (KEY, NOW)


def test_what_could_not_be_read_is_named_in_the_list():
    exposure, document = listed(unread=(Unread(call="snapshots of main", cause="503"),))

    assert document["unread"] == ["snapshots of main: 503"]
    assert (exposure.counted, exposure.clusters, exposure.last_expiry) == (0, (), None)
    assert exposure.unread == (Unread(call="snapshots of main", cause="503"),)


def test_those_that_live_longest_come_first():
    never = replace(FOUND, snapshot_id="never", created_at=None, expires_at=None)
    late = replace(FOUND, snapshot_id="late", expires_at=NOW + 9 * DAY)

    exposure, document = listed(FOUND, late, never)

    assert [row[1] for row in document["snapshots"]] == ["never", "late", "s1"]
    assert document["snapshots"][0][2:4] == [None, None]
    assert exposure.clusters == ("main",)


def test_the_last_expiry_is_told_only_when_all_of_them_expire():
    late = replace(FOUND, cluster="attic", expires_at=NOW + 9 * DAY)

    assert listed(FOUND, late)[0].last_expiry == NOW + 9 * DAY
    assert listed(FOUND, late, replace(FOUND, expires_at=None))[0].last_expiry is None


def test_a_long_list_fits_into_one_stored_item_and_counts_what_it_leaves_out():
    many = [replace(FOUND, cluster="c" * 64, snapshot_id=f"{number:024}") for number in range(MOST_LISTED + 500)]

    exposure, document = listed(*many)

    assert (exposure.counted, len(document["snapshots"])) == (MOST_LISTED + 500, MOST_LISTED)
    assert len(json.dumps(exposure.proof.document)) < DYNAMODB_ITEM


@given(st.lists(st.none() | st.integers(0, 999).map(lambda days: NOW + days * DAY), max_size=30))
def test_whatever_order_the_snapshots_come_in_the_list_is_the_same(expiries):
    found = [replace(FOUND, snapshot_id=f"s{n}", expires_at=expiry) for n, expiry in enumerate(expiries)]

    assert expose(KEY, found, (), NOW) == expose(KEY, reversed(found), (), NOW)
