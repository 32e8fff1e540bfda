"""A list of Atlas is read whole or it is an error."""

import json
import tracemalloc

import pytest
from atlas_stand_in import API, Pace, Reply, StandIn, a_page, a_session
from fake_atlas import ORGANIZATION, PROJECT

from chalicelib.adapters.atlas import AtlasReader
from chalicelib.adapters.atlas_lists import READINGS
from chalicelib.usecases.ports import NotFound, OutsideError, PermanentError, TemporaryError

LIST = f"/groups/{PROJECT}/clusters/main/backup/snapshots"
SHARDED = f"{LIST}/shardedClusters"


@pytest.fixture
def atlas():
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def reader(atlas):
    return AtlasReader(a_session(atlas, Pace()), ORGANIZATION)


def row(number, **fields):
    dates = {"createdAt": "2026-02-01T03:28:08Z", "expiresAt": "2026-08-11T03:29:21Z"}
    return {"id": f"{number:024x}", "status": "completed", "masterKeyUUID": "k", **dates, **fields}


def rows(numbers):
    return [row(number) for number in numbers]


def numbers(snapshots):
    return [int(snapshot.snapshot_id, 16) for snapshot in snapshots]


class Shelf:
    """A list of numbered items, served in pages of three, to which something may happen after each page."""

    def __init__(self, items, happenings=(), *, totals=True):
        self.items = list(items)
        self.happenings = list(happenings)
        self.totals = totals

    def __call__(self, asked):
        start = (int(asked.query["pageNum"]) - 1) * 3
        page = a_page(
            rows(self.items[start : start + 3]),
            total=len(self.items) if self.totals else None,
            goes_on=start + 3 < len(self.items),
        )
        if self.happenings:
            self.happenings.pop(0)(self.items)
        return Reply(body=page)


def pages_asked(atlas):
    return [int(asked.query["pageNum"]) for asked in atlas.requests(LIST)]


def test_a_list_of_one_page_is_read_once_in_pages_of_500_with_its_count(atlas, reader):
    atlas.on(LIST, Shelf([1, 2]))

    found = numbers(reader.snapshots(PROJECT, "main"))

    assert found == [1, 2]
    assert [asked.query for asked in atlas.requests(LIST)] == [
        {"includeCount": "true", "itemsPerPage": "500", "pageNum": "1"}
    ]


@pytest.mark.parametrize("totals", [True, False])
def test_a_list_of_several_pages_is_read_twice(atlas, reader, totals):
    atlas.on(LIST, Shelf(range(7), totals=totals))

    found = numbers(reader.snapshots(PROJECT, "main"))

    assert found == list(range(7))
    assert pages_asked(atlas) == [1, 2, 3, 1, 2, 3]


def test_clusters_of_several_pages_keep_all_their_facts(atlas, reader):
    sizes = {"electableSpecs": {"instanceSize": "M30"}, "providerName": "AWS", "regionName": "EU_WEST_1"}
    shown = [
        {"id": name, "name": name, "clusterType": "SHARDED", "stateName": "IDLE", "pitEnabled": True}
        | {"replicationSpecs": [{"regionConfigs": [sizes]}], "encryptionAtRestProvider": "AWS"}
        for name in "abc"
    ]

    def page(asked):
        number = int(asked.query["pageNum"])
        return Reply(body=a_page(shown[number - 1 : number], total=3, goes_on=number < 3))

    atlas.on(f"/groups/{PROJECT}/clusters", page)

    clusters = list(reader.clusters(PROJECT, deleted_too=True))

    assert [(c.name, c.tier, c.regions, c.point_in_time) for c in clusters] == [
        (name, "M30", ("eu-west-1",), True) for name in "abc"
    ]


def test_an_item_that_slips_between_pages_is_found_by_reading_again(atlas, reader):
    atlas.on(LIST, Shelf(range(7), [lambda items: items.remove(0)]))

    found = numbers(reader.snapshots(PROJECT, "main"))

    assert found == [1, 2, 3, 4, 5, 6]
    assert pages_asked(atlas) == [1, 2] * 3


def test_an_item_put_in_front_while_reading_is_not_lost(atlas, reader):
    atlas.on(LIST, Shelf(range(1, 7), [lambda items: items.insert(0, 99)]))

    assert set(numbers(reader.snapshots(PROJECT, "main"))) == {*range(1, 7), 99}


def test_a_list_that_never_holds_still_is_an_error(atlas, reader):
    fresh = iter(range(100, 1000))
    atlas.on(LIST, Shelf(range(7), [lambda items: items.append(next(fresh))] * 100))

    with pytest.raises(TemporaryError, match=f"{READINGS} readings") as problem:
        list(reader.snapshots(PROJECT, "main"))

    assert problem.value.code == "unstable_list"
    assert problem.value.call == f"GET {LIST}"
    assert len(atlas.requests(LIST)) >= 3 * READINGS


class Shifting:
    """A list in pages of five, newest first, to which something happens once, after one of its pages."""

    def __init__(self, after, happen):
        self.items = list(range(40))
        self.after, self.happen = after, happen
        self.reads = 0

    def read(self, call):
        start = 5 * (call.page - 1)
        page = a_page(rows(self.items[start : start + 5]), goes_on=start + 5 < len(self.items))
        self.reads += 1
        if self.reads == self.after:
            self.happen(self.items)
        return json.dumps(page).encode()


def removing(count, *, at):
    def happen(items):
        del items[at : at + count]

    return happen


def inserting(count):
    def happen(items):
        items[:0] = range(1000, 1000 + count)

    return happen


@pytest.mark.parametrize("after", range(1, 17))
def test_no_item_is_missed_however_many_come_or_go_between_two_pages(after):
    happenings = [removing(count, at=at) for count in range(1, 21) for at in (0, 7, 19)]
    happenings += [inserting(count) for count in range(1, 21)]
    missed = []
    for happen in happenings:
        shelf = Shifting(after, happen)
        found = set(numbers(AtlasReader(shelf, ORGANIZATION).snapshots(PROJECT, "main")))
        missed += [item for item in shelf.items if item < 1000 and item not in found]

    assert missed == []


def test_what_is_handed_out_is_what_the_reading_that_agreed_showed():
    shelf = Shifting(2, removing(3, at=0))

    found = numbers(AtlasReader(shelf, ORGANIZATION).snapshots(PROJECT, "main"))

    assert found == list(range(3, 40))
    assert shelf.reads == 3 * 8


def test_nothing_is_handed_out_before_two_readings_agree():
    shelf = Shifting(2, removing(3, at=0))

    next(AtlasReader(shelf, ORGANIZATION).snapshots(PROJECT, "main"))

    assert shelf.reads == 3 * 8


def test_a_list_of_one_page_is_not_read_again_when_it_changes():
    shelf = Shifting(1, inserting(9))
    shelf.items = [1, 2, 3]

    assert numbers(AtlasReader(shelf, ORGANIZATION).snapshots(PROJECT, "main")) == [1, 2, 3]
    assert shelf.reads == 1


@pytest.mark.parametrize("path", [LIST, SHARDED])
def test_a_list_shorter_than_its_count_is_an_error(atlas, reader, path):
    atlas.on(path, Reply(body=a_page(rows([1, 2]), total=3)))
    read = reader.snapshots if path == LIST else reader.sharded_snapshots

    with pytest.raises(TemporaryError, match="counts 3 items and showed 2"):
        list(read(PROJECT, "main"))


def test_a_count_that_is_only_briefly_too_high_is_read_over(atlas, reader):
    short, whole = a_page(rows([1, 2]), total=3), a_page(rows([1, 2]), total=2)
    atlas.on(LIST, Reply(body=short), Reply(body=whole))

    assert numbers(reader.snapshots(PROJECT, "main")) == [1, 2]


@pytest.mark.parametrize("total", [0, 1, None])
@pytest.mark.parametrize("path", [LIST, SHARDED])
def test_a_list_longer_than_its_count_is_whole(atlas, reader, path, total):
    atlas.on(path, Reply(body=a_page(rows([1, 2]), total=total)))
    read = reader.snapshots if path == LIST else reader.sharded_snapshots

    assert numbers(read(PROJECT, "main")) == [1, 2]


def test_one_item_shown_twice_does_not_make_up_for_a_missing_one(atlas, reader):
    atlas.on(LIST, Reply(body=a_page(rows([1, 1]), total=2)))

    with pytest.raises(TemporaryError, match="showed 1"):
        list(reader.snapshots(PROJECT, "main"))


def test_a_list_that_goes_on_without_news_is_an_error(atlas, reader):
    atlas.on(LIST, Reply(body=a_page(rows([1, 2]), goes_on=True)))

    with pytest.raises(TemporaryError, match="nothing new"):
        list(reader.snapshots(PROJECT, "main"))

    assert len(atlas.requests(LIST)) == 2 * READINGS


def test_a_full_page_that_does_not_say_whether_it_is_the_last_is_an_error(atlas, reader):
    atlas.on(LIST, Reply(body={"results": rows(range(500))}))

    with pytest.raises(TemporaryError, match="full page"):
        list(reader.snapshots(PROJECT, "main"))


def test_the_address_of_the_next_page_is_never_taken_from_an_answer(atlas, reader):
    with StandIn() as thief:
        first = a_page(rows([1]), goes_on=True)
        for link in first["links"]:
            link["href"] = f"{thief.url}{API}{LIST}?pageNum=2"
        atlas.on(LIST, *[Reply(body=first), Reply(body=a_page(rows([2])))] * 2)

        found = numbers(reader.snapshots(PROJECT, "main"))

        assert found == [1, 2]
        assert thief.asked == []


def test_a_redirect_is_never_followed(atlas, reader):
    with StandIn() as thief:
        atlas.on(LIST, Reply(status=307, headers={"Location": f"{thief.url}{API}{LIST}"}))

        with pytest.raises(PermanentError, match="redirects are never followed"):
            list(reader.snapshots(PROJECT, "main"))

        assert thief.asked == []


def test_the_sharded_list_is_asked_without_paging(atlas, reader):
    atlas.on(SHARDED, Reply(body=a_page(rows([1]), total=1)))

    assert numbers(reader.sharded_snapshots(PROJECT, "main")) == [1]
    assert atlas.requests(SHARDED)[0].query == {}


def test_a_sharded_list_that_goes_on_cannot_be_read(atlas, reader):
    atlas.on(SHARDED, Reply(body=a_page(rows([1]), total=1, goes_on=True)))

    with pytest.raises(PermanentError, match="not complete"):
        list(reader.sharded_snapshots(PROJECT, "main"))


@pytest.mark.parametrize("path", [LIST, SHARDED])
def test_a_snapshot_list_that_is_not_found_is_an_error_not_an_empty_list(atlas, reader, path):
    atlas.on(path, Reply(status=404, body={"error": 404, "errorCode": "CLUSTER_NOT_FOUND"}))
    read = reader.snapshots if path == LIST else reader.sharded_snapshots

    with pytest.raises(NotFound, match=PROJECT):
        list(read(PROJECT, "main"))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"totalCount": 0}, PermanentError),
        ({"results": None}, PermanentError),
        ([], PermanentError),
        (a_page([{"id": "1"}]), PermanentError),
        (a_page([row(1, createdAt="yesterday")]), PermanentError),
        (a_page([row(1, expiresAt="2026-08-11T03:29:21")]), PermanentError),
        (a_page([row(1, masterKeyUUID=7)]), PermanentError),
        (a_page([row(1, copyRegions="US_EAST_1")]), PermanentError),
        (b"", TemporaryError),
        (b"<html>Bad gateway</html>", TemporaryError),
        (json.dumps(a_page(rows([1, 2]))).encode()[:-30], TemporaryError),
        (b'{"results": ["\xff"]}', OutsideError),
    ],
)
def test_what_cannot_be_understood_is_an_error(atlas, reader, body, error):
    atlas.on(LIST, Reply(body=body))

    with pytest.raises(error, match="backup/snapshots"):
        list(reader.snapshots(PROJECT, "main"))


def test_a_snapshot_in_the_making_is_read_with_what_it_has(atlas, reader):
    queued = {"id": "1" * 24, "status": "queued", "snapshotType": "onDemand", "frequencyType": "ondemand"}
    atlas.on(LIST, Reply(body=a_page([queued])))

    (snapshot,) = reader.snapshots(PROJECT, "main")

    assert (snapshot.status, snapshot.key, snapshot.created_at, snapshot.on_demand) == ("queued", None, None, True)


@pytest.mark.parametrize(
    ("fields", "on_demand"),
    [
        ({"snapshotType": "scheduled", "frequencyType": "daily"}, False),
        ({"snapshotType": "onDemand"}, True),
        ({"frequencyType": "ondemand"}, True),
        ({"snapshotType": "fallback"}, False),
    ],
)
def test_who_asked_for_a_snapshot_is_read_from_either_field(atlas, reader, fields, on_demand):
    atlas.on(LIST, Reply(body=a_page([row(1, **fields)])))

    (snapshot,) = reader.snapshots(PROJECT, "main")

    assert snapshot.on_demand is on_demand
    assert snapshot.expires_at.isoformat() == "2026-08-11T03:29:21+00:00"


@pytest.mark.parametrize(
    ("fields", "copied"),
    [
        ({"copyRegions": ["US_EAST_1", "EU_WEST_2"]}, True),
        ({"copyRegions": ["A_REGION_OF_TOMORROW"]}, True),
        ({"copyRegions": []}, False),
        ({"copyRegions": None}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("path", [LIST, f"{LIST}/shardedClusters"])
def test_a_snapshot_is_copied_where_a_list_names_a_region_of_its_copies(atlas, reader, path, fields, copied):
    atlas.on(path, Reply(body=a_page([row(1, **fields)])))
    read = reader.snapshots if path == LIST else reader.sharded_snapshots

    (snapshot,) = read(PROJECT, "main")

    assert snapshot.copied is copied


def test_memory_grows_by_a_fraction_of_what_atlas_sends(atlas, reader):
    padding = "x" * 500

    def page(asked):
        number = int(asked.query["pageNum"]) - 1
        shown = [row(number * 500 + i, description=padding) for i in range(500)]
        return Reply(body=json.dumps(a_page(shown, goes_on=number < last)).encode())

    peaks = []
    for last in (4, 14):
        atlas.on(LIST, page)
        tracemalloc.start()
        assert sum(1 for _ in reader.snapshots(PROJECT, "main")) == (last + 1) * 500
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    sent = 10 * 500 * (len(padding) + 200)
    assert peaks[1] - peaks[0] < sent / 2
