"""The whole way of two operators through `keyturn`, with real signatures against the API of a pretend world."""

import json
from datetime import datetime
from http.client import HTTPConnection
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from fake_api import call

from sandbox.cast import stage
from sandbox.door import open_door

MINUTES, DAYS = 60, 86400
LONGEST_WATCH = 100
"""Looks."""


class Office:
    """Ada and Grace at their terminals, and a clock on the wall that they may turn."""

    def __init__(self, world, address):
        self.world, self.address = world, address

    def ada(self, *words):
        return self._type(self.world.operators[0], words)

    def grace(self, *words):
        return self._type(self.world.operators[1], words)

    def read(self, *words):
        """What Ada reads as JSON."""
        return json.loads(self.ada(*words, "--json").stdout)

    def turn_clock(self, seconds):
        connection = HTTPConnection(urlsplit(self.address).netloc, timeout=120)
        connection.request("POST", "/sandbox/clock", json.dumps({"advance_seconds": seconds}))
        now = json.loads(connection.getresponse().read())["now"]
        connection.close()
        return datetime.fromisoformat(now)

    def _wait(self):
        """How a watching person waits: ten minutes at a time, and not for ever."""
        looks = iter(range(LONGEST_WATCH))

        def wait(_seconds):
            assert next(looks, None) is not None, "the rotation does not end"
            self.turn_clock(10 * MINUTES)

        return wait

    def _type(self, person, words):
        told = call(
            self.address,
            *words,
            now=self.world.clock.now(),
            sleep=self._wait(),
            AWS_ACCESS_KEY_ID=person.access_key_id,
            AWS_SECRET_ACCESS_KEY=person.secret_access_key,
        )
        assert person.secret_access_key not in told.stdout + told.stderr
        return told


@pytest.fixture(scope="module")
def office():
    """An office whose one project was discovered."""
    with stage() as built:
        project_id = built.add_project("payments")
        built.atlas.add_cluster(project_id, "ledger")
        runner, _ = built.install()
        runner.run_until(built.world.clock.now())
        with open_door(built.world, runner) as address:
            yield SimpleNamespace(desk=Office(built.world, address), project_id=project_id)


@pytest.fixture(scope="module")
def rotated(office):
    """The project's first rotation, watched by Ada until it was over, and the keys."""
    old = office.desk.read("project", office.project_id)["key"]
    told = office.desk.ada("rotate", office.project_id, "--reason", "a walk", "--watch")
    shown = office.desk.read("rotations", office.project_id)["items"][0]
    return SimpleNamespace(old=old, told=told, rotation=shown)


@pytest.fixture(scope="module")
def requested(office, rotated):
    """The deletion of the old key once it was free, as Ada requested it."""
    office.desk.ada("policy", office.project_id, "--delete-foreign-keys", "--quarantine-days", "14")
    office.desk.turn_clock(4 * DAYS)
    return office.desk.read("delete", rotated.old, "--reason", "nothing needs it")


@pytest.fixture(scope="module")
def approved(office, requested):
    """What the requester and then another person were told when they approved."""
    words = ("approve", requested["deletion_id"], "--digest", requested["digest"])
    return SimpleNamespace(alone=office.desk.ada(*words), together=office.desk.grace(*words))


def test_the_doctor_finds_nothing_wrong(office):
    told = office.desk.ada("doctor")

    assert told.exit_code == 0
    assert "1 project, none in trouble" in told.stdout


def test_a_role_of_a_profile_is_assumed(office, tmp_path):
    ada = office.desk.world.operators[0]
    may = {"Effect": "Allow", "Principal": {"AWS": ada.arn}, "Action": "sts:AssumeRole"}
    role = office.desk.world.aws.create_role("night-shift", {"Version": "2012-10-17", "Statement": [may]})
    profiles = tmp_path / "config"
    profiles.write_text(
        f"[profile night]\nrole_arn = {role}\nsource_profile = ada\nregion = us-east-1\n"
        f"[profile ada]\naws_access_key_id = {ada.access_key_id}\naws_secret_access_key = {ada.secret_access_key}\n"
    )

    elsewhere = {"AWS_CONFIG_FILE": str(profiles), "AWS_ENDPOINT_URL": office.desk.world.aws.address}
    nobody = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    told = call(office.desk.address, "doctor", "--profile", "night", **elsewhere, **nobody)

    assert told.exit_code == 0
    assert "found by `assume-role`" in told.stdout


def test_a_dry_run_opens_no_rotation(office):
    told = office.desk.ada("rotate", office.project_id, "--dry-run")

    assert told.exit_code == 0
    assert "It would go through." in told.stdout
    assert "rotation_id" not in office.desk.ada("rotations", office.project_id, "--json").stdout


def test_a_rotation_is_watched_until_it_is_deployed(rotated):
    assert rotated.told.exit_code == 0
    assert "deploying: waiting for" in rotated.told.stdout
    assert rotated.rotation["state"] == "deployed"
    assert rotated.rotation["requested_by"].endswith("/operator-ada")
    assert rotated.rotation["reason"] == "a walk"


def test_the_old_key_is_kept_and_the_fleet_says_so(office, rotated):
    told = office.desk.ada("status")

    assert told.stdout.startswith("1 project: 1 fine.\n1 old key is kept, for $1.00 a month.")
    assert office.desk.read("project", office.project_id)["key"] != rotated.old


def test_the_deletion_of_a_key_in_use_is_refused(office, rotated):
    told = office.desk.ada("delete", rotated.rotation["new_key"])

    assert told.exit_code == 1
    assert "may not be deleted: it is in use" in told.stderr


def test_a_free_key_is_requested_by_one_and_approved_by_another(approved):
    assert (approved.alone.exit_code, approved.alone.stderr) == (
        1,
        "Keyturn says no: another principal than the requester must approve\n",
    )
    assert approved.together.exit_code == 0
    assert "The key goes into quarantine at the next look." in approved.together.stdout


def test_the_evidence_tells_it_all(office, requested):
    pack = office.desk.read("evidence", office.project_id)

    assert [one["reason"] for one in pack["rotations"]] == ["a walk"]
    assert requested["deletion_id"] in json.dumps(pack["deletions"])


def test_a_deletion_is_called_off_in_quarantine_and_the_key_comes_back(office, rotated, requested, approved):
    office.desk.turn_clock(1 * DAYS)
    quarantined = office.desk.ada("key", rotated.old).stdout

    called_off = office.desk.grace("calloff", requested["deletion_id"])
    office.desk.turn_clock(1 * DAYS)

    assert "It is in quarantine" in quarantined
    assert called_off.exit_code == 0
    assert "It was called off." in office.desk.ada("deletion", requested["deletion_id"]).stdout
    assert office.desk.read("key", rotated.old)["state"] == "retiring"
