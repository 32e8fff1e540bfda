"""Whatever Atlas, or something in its place, answers: what it says is read as it stands, or is an error of ours."""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum

import pytest
from fake_atlas import ORGANIZATION, PROJECT
from figures import FULL_SIZE
from hypothesis import given, settings
from hypothesis import strategies as st
from prove.faulty_atlas import GROUP, Place, good_answer
from spoilt_answers import bodies, with_other, without

from chalicelib.adapters.atlas import AtlasReader
from chalicelib.usecases.ports import OutsideError

AT = "2027-02-27T12:00:00Z"
ALERT = {"id": "e" * 24, "eventTypeName": "AWS_ENCRYPTION_KEY_NEEDS_ROTATION"}
ACKNOWLEDGED = {"acknowledgedUntil": AT, "acknowledgingUsername": "ada", "acknowledgementComment": "soon"}
COPIES = [
    {
        "cloudProvider": "AWS",
        "regionName": "EU_WEST_1",
        "copyPolicyItems": [{"retentionUnit": "months", "retentionValue": 3}],
    }
]


def page(*rows):
    return {"links": [{"rel": "self", "href": "http://evil.example/"}], "results": list(rows), "totalCount": len(rows)}


def of_a_sweep(tail):
    return good_answer(Place(path=f"{GROUP}/{tail}"))


def a_list(read):
    return lambda reader: list(read(reader))


READINGS = {
    "projects": (page({"id": PROJECT, "name": "Shop", "orgId": ORGANIZATION}), a_list(lambda r: r.projects())),
    "settings": (of_a_sweep("encryptionAtRest"), lambda r: r.settings(PROJECT)),
    "roles": (
        {"awsIamRoles": [{"roleId": "r", "iamAssumedRoleArn": "a", "featureUsages": [{"featureType": "OTHER"}]}]},
        lambda r: r.roles(PROJECT),
    ),
    "endpoints": (
        page({"id": "p", "regionName": "EU_WEST_1", "status": "ACTIVE"}),
        lambda r: r.private_endpoints(PROJECT),
    ),
    "clusters": (of_a_sweep("clusters"), a_list(lambda r: r.clusters(PROJECT, deleted_too=True))),
    "snapshots": (of_a_sweep("clusters/big/backup/snapshots"), a_list(lambda r: r.snapshots(PROJECT, "big"))),
    "sharded": (
        of_a_sweep("clusters/big/backup/snapshots/shardedClusters"),
        a_list(lambda r: r.sharded_snapshots(PROJECT, "big")),
    ),
    "schedule": (
        {**of_a_sweep("clusters/big/backup/schedule"), "copySettings": COPIES},
        lambda r: r.backup_schedule(PROJECT, "big"),
    ),
    "restores": (of_a_sweep("clusters/big/backup/restoreJobs"), a_list(lambda r: r.restore_jobs(PROJECT, "big"))),
    "exports": (of_a_sweep("clusters/big/backup/exports"), a_list(lambda r: r.export_jobs(PROJECT, "big"))),
    "events": (
        page({"id": "v", "eventTypeName": "CPS_SNAPSHOT_SUCCESSFUL", "created": AT, "clusterName": "big"}),
        a_list(lambda r: r.events(PROJECT, types=(), since=datetime(2027, 3, 1, tzinfo=UTC))),
    ),
    "thresholds": (
        page({**ALERT, "enabled": True, "threshold": {"threshold": 90, "units": "DAYS"}}),
        lambda r: r.alert_thresholds(PROJECT),
    ),
    "alerts": (page({**ALERT, "created": AT, **ACKNOWLEDGED}), lambda r: r.open_alerts(PROJECT)),
    "expiries": ({"secrets": [{"id": "s", "expiresAt": AT}]}, lambda r: r.secret_expiries("mdb_sa_id_1")),
    "threshold": (
        {
            **ALERT,
            "threshold": {"threshold": 90, "units": "DAYS"},
            "notifications": [{"notifierId": "n", "key": "****"}],
        },
        lambda r: r.set_alert_threshold(PROJECT, "e" * 24, 60),
    ),
}
"""What the adapter reads, a good answer to it, and how it is read."""

OWN_WORDS = {"unknown", "Unknown", "FLEX", ORGANIZATION, ""}
"""What the adapter says where Atlas says nothing that it knows."""


class Answering:
    """A session whose every answer has this body; it takes changes and forgets them."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.calls = 0

    def read(self, _call):
        self.calls += 1
        return self._body

    def change(self, call):
        json.loads(call.body)


def leaves(value) -> Iterator[object]:
    """Every text, number and date that stands in what was read."""
    if is_dataclass(value):
        for part in fields(value):
            yield from leaves(getattr(value, part.name))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from leaves(one)
    elif not isinstance(value, Enum | bool | None):
        yield value


def stands_in(text: str, body: bytes) -> bool:
    """Whether each word of a text stands in a body, in JSON's spelling and, for regions, in Atlas'."""
    seen = _one_spelling(body.decode(errors="replace"))
    return all(_one_spelling(json.dumps(word)[1:-1]) in seen or _one_spelling(word) in seen for word in text.split())


def _one_spelling(text: str) -> str:
    return text.lower().replace("_", "-")


def read(name, body):
    """What a reading comes to: what it gives, or the error of ours that it ends with."""
    session = Answering(body)
    try:
        given = READINGS[name][1](AtlasReader(session, ORGANIZATION))
    except OutsideError as ours:
        return None, ours
    finally:
        assert session.calls <= 20
    return given, None


@pytest.mark.parametrize("name", READINGS)
def test_a_good_answer_is_read(name):
    good = json.dumps(READINGS[name][0]).encode()

    assert read(name, good)[1] is None
    assert name == "threshold" or read(name, good)[0]


@pytest.mark.parametrize("name", READINGS)
@settings(max_examples=400 if FULL_SIZE else 60, deadline=None)
@given(data=st.data())
def test_an_answer_that_went_wrong_is_read_as_it_stands_or_is_an_error_of_ours(name, data):
    body = data.draw(bodies(READINGS[name][0]))

    given_back, ours = read(name, body)

    if ours is not None:
        assert ours.message.isprintable()
        return
    texts = {leaf for leaf in leaves(given_back) if isinstance(leaf, str)} - OWN_WORDS
    assert not [text for text in texts if not stands_in(text, body)]


DECISIVE = {
    "settings": [("awsKms", "enabled")],
    "projects": [("results", 0, "id"), ("results", 0, "name")],
    "roles": [("awsIamRoles",), ("awsIamRoles", 0, "roleId")],
    "events": [("results", 0, name) for name in ("id", "eventTypeName", "created")],
    "alerts": [("results", 0, "created")],
    "thresholds": [("results", 0, "threshold"), ("results", 0, "threshold", "units")],
    "clusters": [("results", 0, name) for name in ("id", "name", "clusterType", "stateName")],
    "snapshots": [("results", 0, name) for name in ("id", "status")],
    "sharded": [("results", 0, name) for name in ("id", "status")],
    "schedule": [("clusterId",), ("copySettings",)],
    "restores": [("results", 0, name) for name in ("id", "deliveryType")],
    "exports": [("results", 0, "id")],
    "expiries": [("secrets",), ("secrets", 0, "expiresAt")],
}
"""Fields without which nothing is known: a missing one must not look like a harmless one."""


@pytest.mark.parametrize(("name", "path"), [(name, path) for name in DECISIVE for path in DECISIVE[name]])
def test_an_answer_without_what_decides_is_an_error(name, path):
    good = READINGS[name][0]

    for spoilt in (without(good, path), with_other(good, path, None), with_other(good, path, 7)):
        assert read(name, json.dumps(spoilt).encode())[1] is not None, spoilt


def test_a_project_has_a_name_of_one_line():
    named = with_other(READINGS["projects"][0], ("results", 0, "name"), "Shop\n\nAll is well:\x1b[2J delete the key")

    (project,) = read("projects", json.dumps(named).encode())[0]

    assert project.name == "Shop All is well: [2J delete the key"
