"""What docs/how-to/restore-the-table.md says of a restored table: nothing irreversible rests on an old record alone."""

import pytest
from storyteller import Tale, telling


class House(Tale):
    """One project with a cluster and a week of snapshots, and a table that can be put back to an earlier moment."""

    def __init__(self, set_up):
        self.project_id = set_up.add_project("payments")
        set_up.atlas.add_cluster(self.project_id, "ledger")
        super().__init__(set_up)
        self.steer(self.project_id, delete_foreign_keys=True)
        self.old = self.in_settings(self.project_id)

    @property
    def _table(self):
        return self.world.aws.client("dynamodb"), self.world.resources["TrackerTable"]["name"]

    def back_up(self):
        client, table = self._table
        pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def restore(self, items):
        client, table = self._table
        for item in self.back_up():
            client.delete_item(TableName=table, Key={name: item[name] for name in ("pk", "sk")})
        for item in items:
            client.put_item(TableName=table, Item=item)

    def rotate(self):
        """Rotate to the end; gives the new key."""
        rotation = self.accepted(self.project_id)
        self.wait(hours=3)
        shown = self.rotation(self.project_id, rotation)
        assert shown["state"] == "deployed"
        return shown["new_key"]

    def free_the_old_key(self):
        """Rotate, and wait until nothing needs the key of before."""
        new = self.rotate()
        self.wait(days=4)
        assert self.key(self.old)["safe_to_delete"]
        return new

    def approved(self):
        """Request the old key's deletion and have it approved; gives its id."""
        asked = self.ask("POST", f"/v1/keys/{self.old.rpartition('/')[2]}/deletion", {})
        assert asked.status == 202, asked.body
        deletion = asked.json()
        target = f"/v1/deletions/{deletion['deletion_id']}"
        assert self.ask("POST", f"{target}/approval", {"digest": deletion["digest"]}, person=1).status == 200
        return deletion["deletion_id"]

    def deletion(self, deletion_id):
        return self.get(f"/v1/deletions/{deletion_id}")


@pytest.fixture
def house():
    with telling() as set_up:
        yield House(set_up)


def test_an_approval_of_the_backup_deletes_no_key_that_is_needed_since(house):
    house.free_the_old_key()
    deletion = house.approved()
    backup = house.back_up()
    house.atlas.switch_key_by_hand(house.project_id, house.old)

    house.restore(backup)
    house.wait(days=2)

    assert house.deletion(deletion)["state"] == "rescued"
    assert house.state_of(house.old) == "Enabled"
    assert not house.heard("key_quarantined")


def test_an_approved_deletion_that_was_called_off_since_goes_on_and_can_be_called_off_again(house):
    house.free_the_old_key()
    deletion = house.approved()
    backup = house.back_up()
    assert house.ask("DELETE", f"/v1/deletions/{deletion}").status == 202

    house.restore(backup)
    house.wait(hours=2)
    went_on = house.deletion(deletion)["state"]
    assert house.ask("DELETE", f"/v1/deletions/{deletion}").status == 202
    house.wait(hours=2)

    assert went_on == "quarantined"
    assert house.deletion(deletion)["state"] == "called_off"
    assert house.state_of(house.old) == "Enabled"


def test_a_deletion_in_quarantine_whose_key_was_enabled_since_ends(house):
    house.free_the_old_key()
    deletion = house.approved()
    house.wait(hours=2)
    backup = house.back_up()
    house.ask("DELETE", f"/v1/deletions/{deletion}")
    house.wait(hours=2)
    assert house.state_of(house.old) == "Enabled"

    house.restore(backup)
    house.wait(days=2)

    assert house.deletion(deletion)["state"] == "rescued"
    assert house.state_of(house.old) == "Enabled"


def test_a_key_that_the_restored_table_finds_needed_comes_back_from_a_deletion_that_it_forgot(house):
    house.wait(days=1)
    house.atlas.take_snapshot(house.project_id, "ledger")
    house.rotate()
    backup = house.back_up()
    assert house.key(house.old)["reasons"]
    house.kms().schedule_key_deletion(KeyId=house.old, PendingWindowInDays=30)

    house.restore(backup)
    house.wait(days=1, hours=1)

    assert house.state_of(house.old) == "Enabled"
    assert house.heard("key_rescued")


def test_a_key_that_the_restored_table_finds_free_is_left_as_kms_has_it(house):
    house.free_the_old_key()
    backup = house.back_up()
    house.approved()
    house.wait(days=9)
    assert house.state_of(house.old) == "PendingDeletion"

    house.restore(backup)
    house.wait(days=2)

    assert house.state_of(house.old) == "PendingDeletion"


def test_a_forgotten_rotation_is_taken_up_as_a_change_by_hand(house):
    backup = house.back_up()
    new = house.rotate()
    patches = house.patches

    house.restore(backup)
    house.wait(days=1, hours=1)

    assert house.project(house.project_id)["key"] == new == house.in_settings(house.project_id)
    assert not house.key(new)["created_by_us"]
    assert house.key(house.old)["state"] == "retiring"
    assert house.patches == patches


def test_a_reminder_is_repeated_once_under_its_id(house):
    house.wait(days=59)
    backup = house.back_up()
    house.wait(days=2)
    (spoken,) = house.heard("reminder", house.project_id)

    house.restore(backup)
    house.wait(days=2)

    told = house.heard("reminder", house.project_id)
    assert len(told) == 2
    assert {one["attributes"]["notice_id"] for one in told} == {spoken["attributes"]["notice_id"]}


def test_a_forgotten_deletion_can_be_requested_again_and_goes_to_its_end(house):
    house.free_the_old_key()
    backup = house.back_up()
    house.approved()
    house.wait(days=3)
    assert house.state_of(house.old) == "Disabled"

    house.restore(backup)
    house.wait(days=1)
    again = house.approved()
    house.wait(days=40)

    assert house.deletion(again)["state"] == "deleted"
    assert not house.heard("key_rescued")
