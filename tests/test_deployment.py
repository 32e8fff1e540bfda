"""When a swap counts as having reached every cluster."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.deployment import SOAK, banner, encrypted, judge_deployment, was_undone
from chalicelib.domain.observed import Cluster, Encryption, Settings
from chalicelib.domain.records import Rotation
from chalicelib.domain.swap import SETTLES_WITHIN
from chalicelib.domain.vocabulary import RotationState, Strategy

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
OLD = KeyArn(account="111122223333", region="eu-west-1", key_id="11111111-1111-1111-1111-111111111111")
NEW = replace(OLD, key_id="22222222-2222-2222-2222-222222222222")
VALID = Settings(enabled=True, valid=True)
MAIN = Cluster(
    name="main",
    cluster_id="c1",
    kind="REPLICASET",
    state="IDLE",
    paused=False,
    encryption=Encryption.AWS,
    backups=True,
    point_in_time=False,
    tier="M10",
)
BUSY = replace(MAIN, name="busy", state="UPDATING")


def judge(*clusters, since=None, now=NOW, shows_new_key=True, settings=VALID):
    return judge_deployment(
        settings_show_new_key=shows_new_key, settings=settings, clusters=clusters, settled_since=since, now=now
    )


def test_one_look_at_rest_begins_the_soak_and_proves_nothing():
    seen = judge(MAIN)

    assert not seen.done
    assert seen.settled_since == NOW
    assert seen.waiting_for == ("all clusters at rest for 30 more minutes",)


def test_rest_through_the_whole_soak_is_deployed():
    early = judge(MAIN, since=NOW - SOAK + timedelta(seconds=1))
    late = judge(MAIN, since=NOW - SOAK)

    assert (early.done, late.done) == (False, True)
    assert late.settled_since == NOW - SOAK


def test_a_project_without_clusters_soaks_too():
    assert judge().settled_since == NOW
    assert judge(since=NOW - SOAK).done


def test_one_busy_cluster_starts_the_soak_anew():
    seen = judge(MAIN, BUSY, since=NOW - SOAK)

    assert seen.waiting_for == ("cluster busy to become IDLE (it is UPDATING)",)
    assert seen.settled_since is None


def test_settings_that_name_another_key_start_the_soak_anew():
    seen = judge(MAIN, since=NOW - SOAK, shows_new_key=False)

    assert seen.waiting_for == ("the settings to name the new key",)
    assert seen.settled_since is None


@pytest.mark.parametrize("valid", [False, None])
def test_a_key_that_atlas_does_not_find_valid_starts_the_soak_anew(valid):
    seen = judge(MAIN, since=NOW - SOAK, settings=replace(VALID, valid=valid))

    assert seen.waiting_for == ("Atlas to find the new key valid",)
    assert seen.settled_since is None


@pytest.mark.parametrize("state", ["UPDATING", "IDLE"])
def test_a_paused_cluster_holds_nothing_up_and_is_remembered(state):
    paused = [replace(MAIN, name=name, paused=True, state=state) for name in ("zoo", "attic")]

    seen = judge(MAIN, *paused, since=NOW - SOAK)

    assert seen.done
    assert seen.paused == ("attic", "zoo")


def test_paused_clusters_are_told_during_unrest_and_soak_too():
    paused = replace(MAIN, name="attic", paused=True)

    assert judge(BUSY, paused).paused == ("attic",)
    assert judge(MAIN, paused).paused == ("attic",)


def test_a_cluster_with_another_provider_holds_nothing_up():
    assert judge(replace(BUSY, encryption=Encryption.NONE), since=NOW - SOAK).done


def test_a_cluster_with_an_unknown_provider_counts_as_encrypted():
    clusters = [replace(MAIN, name=provider, encryption=provider) for provider in Encryption]

    assert {cluster.encryption for cluster in encrypted(clusters)} == {Encryption.AWS, Encryption.UNKNOWN}


ROTATION = Rotation(
    rotation_id="r1",
    project_id="p1",
    state=RotationState.DEPLOYING,
    strategy=Strategy.NEW_CMK,
    requested_by="anna",
    requested_at=NOW,
    fingerprint="f",
    old_key=OLD,
    new_key=NEW,
)
UNDER_WAY = {RotationState.DEPLOYING: OLD, RotationState.ROLLING_BACK: OLD, RotationState.RETURNING: NEW}


@pytest.mark.parametrize(("state", "leaving"), UNDER_WAY.items())
def test_the_banner_names_the_key_that_clusters_may_still_use_there_and_back(state, leaving):
    shown = banner(replace(ROTATION, state=state))

    assert shown == f"key rotation is being deployed: do not disable or delete {leaving} until this is over"


@pytest.mark.parametrize("state", sorted(set(RotationState) - set(UNDER_WAY)))
def test_no_banner_is_shown_before_the_swap_and_after_the_end(state):
    assert banner(replace(ROTATION, state=state)) is None


@pytest.mark.parametrize(
    ("changed", "waiting_for", "undone"),
    [
        ({"patch_sent_at": NOW - SETTLES_WITHIN}, ("the settings to name the new key",), True),
        ({"swapped_at": NOW - SETTLES_WITHIN}, ("the settings to name the new key", "cluster main"), True),
        ({"patch_sent_at": NOW - SETTLES_WITHIN}, ("cluster main to become IDLE",), False),
        ({"patch_sent_at": NOW - SETTLES_WITHIN}, (), False),
        ({"patch_sent_at": NOW - SETTLES_WITHIN / 2}, ("the settings to name the new key",), False),
        ({}, ("the settings to name the new key",), False),
    ],
)
def test_a_swap_counts_as_undone_when_two_late_looks_see_the_key_of_before(changed, waiting_for, undone):
    rotation = replace(ROTATION, waiting_for=waiting_for, **changed)

    assert was_undone(rotation, NOW) is undone
